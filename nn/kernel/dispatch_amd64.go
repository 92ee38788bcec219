//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

// machineImplementations lists the assembly sets that the processor can run,
// best first.
func machineImplementations() []*impl {
	var list []*impl
	x := &cpu.X86
	hasAVX2 := x.HasAVX2 && x.HasFMA && x.HasBMI2
	if hasAVX2 && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
		list = append(list, &implAVX512)
	}
	if hasAVX2 {
		list = append(list, &implAVX2)
	}
	return list
}

var implAVX2 = impl{
	name:          "avx2",
	vectorKernels: vectorAVX2,
	convKernels:   convAVX2,
}

var implAVX512 = impl{
	name:          "avx512",
	vectorKernels: vectorAVX512,
	convKernels:   convAVX512,
}
