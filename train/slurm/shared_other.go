//go:build !linux

package slurm

// LocalFileSystem is known on Linux only.
func LocalFileSystem(string) string { return "" }
