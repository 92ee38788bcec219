//go:build purego || !(amd64 || arm64)

package kernel

// pause would tell the processor that this is a waiting loop.
func pause() {}
