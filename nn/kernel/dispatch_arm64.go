//go:build !purego

package kernel

// machineImplementations lists the assembly sets that the processor can run,
// best first. Every processor that Go's arm64 runs on has NEON.
func machineImplementations() []*impl { return []*impl{&implNEON} }

var implNEON = impl{
	name:          "neon",
	vectorKernels: vectorNEON,
	convKernels:   convNEON,
}
