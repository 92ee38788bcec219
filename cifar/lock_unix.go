//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package cifar

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// tryLock takes the lock with flock. A file system that knows no locks (some
// network ones) gives none and no error: two fetches at once would then spoil
// each other's download, which its checksum shows.
func tryLock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case err == nil, errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.ENOLCK):
		return func() { f.Close() }, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		f.Close()
		return nil, errLocked
	}
	f.Close()
	return nil, fmt.Errorf("flock %s: %w", name, err)
}
