//go:build !purego

package kernel

// assemblySets lists the sets in assembly. Every processor that Go's arm64 runs
// on has NEON.
func assemblySets() []candidate { return []candidate{{impl: &implNEON}} }

var implNEON = impl{
	name:          "neon",
	vectorKernels: vectorNEON,
	convKernels:   convNEON,
}
