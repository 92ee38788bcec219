//go:build !linux

package kernel

// adviseHugePages does nothing: there is no such advice here.
func adviseHugePages([]float32) {}
