//go:build purego || !(amd64 || arm64)

package kernel

func machineImplementations() []*impl { return nil }
