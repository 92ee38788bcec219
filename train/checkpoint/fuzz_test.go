package checkpoint

import (
	"bytes"
	"math"
	"os"
	"testing"

	"cifartui/train/config"
	"cifartui/train/event"
)

func encodeWeights(t testing.TB, w Weights) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := w.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzWeights(f *testing.F) {
	w := Weights{Tensors: []Tensor{{Name: "a", Shape: []int{2, 2}, Data: []float32{1, 2, 3, float32(math.Inf(1))}}, {Name: "b", Shape: []int{1}, Data: []float32{5}}}, Meta: map[string]string{"epoch": "1"}}
	good := encodeWeights(f, w)
	f.Add(good)
	for _, change := range [][2]string{{"[0,16]", "[0,20]"}, {"[16,20]", "[12,16]"}, {"[2,2]", "[4,4]"}, {"F32", "F64"}, {"F32", "F16"}, {"F32", "BF16"}, {"[2,2]", "[-1,]"}, {`"a"`, `"b"`}} {
		f.Add(bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1))
	}
	foreign, err := os.ReadFile("testdata/wrapped.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(foreign)
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := decodeWeights(b)
		if err != nil {
			return
		}
		for _, tensor := range w.Tensors {
			n := 1
			for _, d := range tensor.Shape {
				n *= d
			}
			if n != len(tensor.Data) {
				t.Fatalf("%s: shape %v with %d numbers", tensor.Name, tensor.Shape, len(tensor.Data))
			}
		}
		again, err := decodeWeights(encodeWeights(t, w))
		if err != nil || len(again.Tensors) != len(w.Tensors) {
			t.Fatalf("written and read again: %v", err)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	c := &Checkpoint{Config: config.Default(), Position: Position{Epoch: 1, History: []*event.EpochDone{{Epoch: 1}}}, Weights: []Tensor{{Name: "a", Shape: []int{2}, Data: []float32{1, 2}}}}
	b, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:30])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decode(b)
		if h, herr := readHeader(bytes.NewReader(b)); err == nil && (herr != nil || h.Epoch != c.Epoch) {
			t.Fatalf("the description alone: %+v, %v", h, herr)
		}
	})
}
