package nn

import (
	"fmt"
	"testing"
)

func TestSpecIsFoundByTheShapes(t *testing.T) {
	for _, s := range []Spec{
		VGG(0),
		{Size: 8, Filters: []int{3}, Classes: 2},
		{Size: 48, Filters: []int{2, 5}, Classes: 11, Dense: []int{7}},
		{Size: 64, Filters: []int{2, 3, 4, 5}, Classes: 100, Dense: []int{7, 6}},
	} {
		n, err := New(newCPU(t, 1), s, 1)
		if err != nil {
			t.Fatal(err)
		}
		ts := weightsOf(t, n)
		found, err := SpecOf(ts)
		if err != nil || fmt.Sprintf("%+v", found) != fmt.Sprintf("%+v", s) {
			t.Errorf("%+v of the tensors of %+v: %v", found, s, err)
		}
		for i := range ts {
			if _, err := SpecOf(append(append([]Tensor{}, ts[:i]...), ts[i+1:]...)); err == nil {
				t.Errorf("%+v: found without %s", s, ts[i].Name)
			}
		}
		if err := s.Fits(append(ts, Tensor{Name: "more.weight", Shape: []int{1}, Data: []float32{1}})); err == nil {
			t.Errorf("%+v fits a tensor too many", s)
		}
	}
}
