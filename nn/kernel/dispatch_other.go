//go:build purego || !(amd64 || arm64)

package kernel

// assemblySets: there is none.
func assemblySets() []candidate { return nil }
