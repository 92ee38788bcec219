//go:build !linux

package kernel

import "runtime"

func usableCPUs() int { return runtime.NumCPU() }
