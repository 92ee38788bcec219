//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package cifar

// tryLock gives no lock where the standard library has none. Two fetches at
// once would spoil each other's download, which its checksum shows.
func tryLock(string) (unlock func(), err error) { return func() {}, nil }
