package checkpoint

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/nlpodyssey/safetensors"
)

// DType is a kind of floating-point number in a weights file.
type DType string

// The kinds that are written; float64 is read too.
const (
	Float16  DType = "f16"  // IEEE 754's half precision: 11 bits of precision, up to 65,504
	BFloat16 DType = "bf16" // the upper half of a float32: 8 bits of precision
	Float32  DType = "f32"
)

// DTypes lists the names that [Weights.EncodeAs] takes.
func DTypes() []DType { return []DType{Float16, BFloat16, Float32} }

// safetensors returns the file format's name for d.
func (d DType) safetensors() (safetensors.DType, error) {
	switch d {
	case Float16:
		return safetensors.F16, nil
	case BFloat16:
		return safetensors.BF16, nil
	case Float32:
		return safetensors.F32, nil
	}
	return 0, fmt.Errorf("no weights are written as %q: want one of %v", d, DTypes())
}

// overflows tells whether v is finite and too large for d.
func (d DType) overflows(v float32) bool {
	if v-v != 0 {
		return false
	}
	switch d {
	case Float16:
		return halfFromFloat32(v)&0x7fff == 0x7c00
	case BFloat16:
		return bfloatFromFloat32(v)&0x7fff == 0x7f80
	}
	return false
}

// longNames are those that a person knows the kinds by.
var longNames = map[safetensors.DType]string{
	safetensors.F16:  "float16",
	safetensors.BF16: "bfloat16",
	safetensors.F64:  "float64",
}

// toFloat32 reads little-endian numbers of a kind. What no float32 can hold is
// an error; what it holds less exactly is rounded.
func toFloat32(kind safetensors.DType, b []byte) ([]float32, error) {
	switch kind {
	case safetensors.F32:
		return floats(b), nil
	case safetensors.F16:
		f := make([]float32, len(b)/2)
		for i := range f {
			f[i] = float32FromHalf(binary.LittleEndian.Uint16(b[2*i:]))
		}
		return f, nil
	case safetensors.BF16:
		f := make([]float32, len(b)/2)
		for i := range f {
			f[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
		}
		return f, nil
	case safetensors.F64:
		f := make([]float32, len(b)/8)
		for i := range f {
			v := math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
			f[i] = float32(v)
			if math.IsInf(float64(f[i]), 0) && !math.IsInf(v, 0) {
				return nil, fmt.Errorf("its number %d is %g, which no float32 holds", i, v)
			}
		}
		return f, nil
	}
	return nil, fmt.Errorf("its numbers are %s, want F32, F16, BF16 or F64", kind)
}

// appendAs appends f to b, little-endian, rounded to the nearest of a kind,
// ties to even.
func appendAs(b []byte, kind safetensors.DType, f []float32) []byte {
	switch kind {
	case safetensors.F16:
		for _, v := range f {
			b = binary.LittleEndian.AppendUint16(b, halfFromFloat32(v))
		}
		return b
	case safetensors.BF16:
		for _, v := range f {
			b = binary.LittleEndian.AppendUint16(b, bfloatFromFloat32(v))
		}
		return b
	}
	return appendFloats(b, f)
}

// float32FromHalf widens a half-precision number, which is always exact.
func float32FromHalf(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&0x3ff)
	switch exponent {
	case 0: // zero, or a multiple of the smallest number
		v := float32(fraction) * 0x1p-24
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31: // infinite, or not a number
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent-15+127)<<23 | fraction<<13)
}

// halfFromFloat32 rounds to half precision; from 65,520 on that is infinite.
func halfFromFloat32(v float32) uint16 {
	bits := math.Float32bits(v)
	sign := uint16(bits >> 16 & 0x8000)
	size := math.Float32frombits(bits &^ (1 << 31))
	switch {
	case size != size:
		return sign | 0x7e00
	case size >= 65520:
		return sign | 0x7c00
	case size < 0x1p-14:
		// A sum at which float32's last bit is the half's smallest number: the
		// processor rounds.
		return sign | uint16(math.Float32bits(size+0.5)-math.Float32bits(0.5))
	}
	b := math.Float32bits(size)
	b += 0xfff + b>>13&1 // half of what is cut off, less where that makes a tie even
	return sign | uint16((b>>13)-(127-15)<<10)
}

// bfloatFromFloat32 rounds to the upper half of a float32.
func bfloatFromFloat32(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// converted says how many tensors had other numbers than float32.
func converted(kinds map[safetensors.DType]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, fmt.Sprintf("%s (%s)", longNames[kind], tensorCount(kinds[kind])))
	}
	if len(parts) == 0 {
		return ""
	}
	return "converted to float32 from " + strings.Join(parts, " and ")
}

func tensorCount(n int) string {
	if n == 1 {
		return "1 tensor"
	}
	return fmt.Sprintf("%d tensors", n)
}
