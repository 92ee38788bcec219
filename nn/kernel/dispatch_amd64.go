//go:build !purego

package kernel

import (
	"strings"

	"golang.org/x/sys/cpu"
)

// assemblySets lists the sets in assembly, best first.
func assemblySets() []candidate {
	x := &cpu.X86
	avx2 := []feature{{"AVX2", x.HasAVX2}, {"FMA", x.HasFMA}, {"BMI2", x.HasBMI2}}
	avx512 := append(avx2[:len(avx2):len(avx2)],
		feature{"AVX512F", x.HasAVX512F}, feature{"AVX512BW", x.HasAVX512BW},
		feature{"AVX512DQ", x.HasAVX512DQ}, feature{"AVX512VL", x.HasAVX512VL})
	return []candidate{{&implAVX512, lacking(avx512)}, {&implAVX2, lacking(avx2)}}
}

// feature is one of the processor's, and whether it has it.
type feature struct {
	name string
	has  bool
}

// lacking names those that the processor does not have.
func lacking(fs []feature) string {
	var names []string
	for _, f := range fs {
		if !f.has {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
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
