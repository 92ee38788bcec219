package checkpoint

import (
	"bytes"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/safetensors"
)

// wrapped is what testdata/make.py had PyTorch write.
func wrapped(t *testing.T) (Weights, map[string]Tensor) {
	t.Helper()
	w, err := ReadWeights("testdata/wrapped.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Tensor{}
	for _, tensor := range w.Tensors {
		byName[tensor.Name] = tensor
	}
	return w, byName
}

func sameNumber(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// Each kind that PyTorch wrote is read as what it stands for, and the numbers
// are rounded to it as PyTorch rounds them, ties and subnormal numbers too.
func TestKindsOfNumbersAreReadAndRoundedAsByPyTorch(t *testing.T) {
	w, byName := wrapped(t)
	const want = "converted to float32 from float16 (1 tensor) and bfloat16 (1 tensor) and float64 (1 tensor); _orig_mod. and module. taken off the names of 4 tensors"
	if w.Changes != want {
		t.Errorf("changes: %q\n   want: %q", w.Changes, want)
	}
	single := byName["single"].Data
	if len(single) != 151 || !slices.EqualFunc(byName["double"].Data, single, sameNumber) || !slices.Equal(byName["double"].Shape, []int{1, 151}) {
		t.Fatalf("of %d numbers: float64 is read as %v of shape %v, want %v", len(single), byName["double"].Data, byName["double"].Shape, single)
	}
	for name, kind := range map[string]safetensors.DType{"half": safetensors.F16, "brain": safetensors.BF16} {
		rounded, err := toFloat32(kind, appendAs(nil, kind, single))
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range rounded {
			if want := byName[name].Data[i]; !sameNumber(got, want) {
				t.Errorf("%g as %s is %g, PyTorch has %g", single[i], name, got, want)
			}
		}
	}
}

// All 65,536 numbers of 16 bits survive being widened and narrowed again.
func TestSixteenBitsAreKept(t *testing.T) {
	for bits := range 1 << 16 {
		h := uint16(bits)
		if v := float32FromHalf(h); v == v && halfFromFloat32(v) != h {
			t.Fatalf("half %#04x is %g, which is written as %#04x", h, v, halfFromFloat32(v))
		}
		if v := math.Float32frombits(uint32(h) << 16); v == v && bfloatFromFloat32(v) != h {
			t.Fatalf("bfloat16 %#04x is written as %#04x", h, bfloatFromFloat32(v))
		}
	}
}

func TestWeightsAreWrittenInEachKind(t *testing.T) {
	w := Weights{Tensors: []Tensor{{Name: "a", Shape: []int{2}, Data: []float32{1.0009765625, -2}}}, Meta: map[string]string{"epoch": "3"}}
	for kind, want := range map[DType]float32{Float32: 1.0009765625, Float16: 1.0009765625, BFloat16: 1} {
		var b bytes.Buffer
		if err := w.EncodeAs(&b, kind); err != nil {
			t.Fatal(err)
		}
		got, err := decodeWeights(b.Bytes())
		if err != nil || got.Tensors[0].Data[0] != want || got.Tensors[0].Data[1] != -2 || got.Meta["epoch"] != "3" {
			t.Errorf("%s: %+v, %v, want %g and -2", kind, got, err, want)
		}
	}
	if err := w.EncodeAs(&bytes.Buffer{}, "f8"); err == nil || !strings.Contains(err.Error(), "want one of [f16 bf16 f32]") {
		t.Errorf("f8: %v", err)
	}
	large := Weights{Tensors: []Tensor{{Name: "large", Shape: []int{2}, Data: []float32{1, 70_000}}}}
	if err := large.EncodeAs(&bytes.Buffer{}, Float16); err == nil || !strings.Contains(err.Error(), `tensor "large": its number 1 is 70000, too large for float16`) {
		t.Errorf("70,000 as float16: %v", err)
	}
}

// What is no number of a network is named, with what would be one.
func TestForeignNumbersAreRefusedByName(t *testing.T) {
	good, err := os.ReadFile("testdata/wrapped.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Replace(good, []byte(`"BF16"`), []byte(`"I16" `), 1)
	if _, err := decodeWeights(bad); err == nil || !strings.Contains(err.Error(), `brain": its numbers are I16, want F32, F16, BF16 or F64`) {
		t.Errorf("I16: %v", err)
	}
	if _, err := toFloat32(safetensors.F64, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x7e}); err == nil || !strings.Contains(err.Error(), "no float32 holds") {
		t.Errorf("a float64 beyond float32: %v", err)
	}
}
