package nn

import (
	"testing"

	"cifartui/nn/bittest"
)

// TestOtherSizesTrainTheSameParameters compares loss and gradients on images of
// other sizes with a network in float64 that averages its features.
func TestOtherSizesTrainTheSameParameters(t *testing.T) {
	s := Spec{Size: 16, Filters: []int{2, 3}, Classes: 3} // features of 4x4
	const rows = 3
	on := newCPU(t, 2)
	n, err := New(on, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	ws := weightsOf(t, n)
	for _, size := range []int{8, 12, 20} {
		images := s
		images.Size = size
		x, labels := someBatch(images, rows, 1)
		if err := n.SetWeights(ws); err != nil {
			t.Fatal(err)
		}
		sv, err := NewSolver(on, "sgd", SolverOptions{})
		if err != nil {
			t.Fatal(err)
		}
		st, err := n.NewStepAt(size, rows+1, sv)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		r, err := st.Run(x, labels, 0)
		if err != nil {
			t.Fatal(err)
		}
		weights := make([][]float64, len(ws))
		for i, w := range ws {
			weights[i] = to64(w.Data)
		}
		pixels := nchw(x, dims{rows, imageChannels, size, size})
		reference := func() float64 {
			return refNetwork(images, weights, append([]float64(nil), pixels...), labels, nil)
		}
		near(t, "loss", []float64{r.Loss}, []float64{reference()}, networkAgreement)
		if raceDetector {
			continue // finite differences have no goroutines, and take minutes there
		}
		for i, g := range st.graph.exportGradients(t) {
			near(t, g.Name, to64(g.Data), numeric(reference, weights[i]), networkAgreement)
		}
	}
}

// TestOtherSizesDoNotDependOnThreads, and a machine of the network's own size goes
// on from what they have learnt.
func TestOtherSizesDoNotDependOnThreads(t *testing.T) {
	s := VGG(0)
	small := s
	small.Size = 24
	var want []Tensor
	for _, threads := range []int{1, 3} {
		on := newCPU(t, threads)
		n, err := New(on, s, 1)
		if err != nil {
			t.Fatal(err)
		}
		sv, err := NewSolver(on, "muon", SolverOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range []Spec{small, s} {
			st, err := n.NewStepAt(spec.Size, 5, sv)
			if err != nil {
				t.Fatal(err)
			}
			x, labels := someBatch(spec, 4, 1)
			if _, err := st.Run(x, labels, 1); err != nil {
				t.Fatal(err)
			}
			st.Close()
		}
		if got := weightsOf(t, n); want == nil {
			want = got
		} else {
			bittest.Values(t, "weights", got, want)
		}
	}
}

func TestImpossibleSizesAreRefused(t *testing.T) {
	on := newCPU(t, 1)
	n, sv, _ := newTraining(t, on, small, 2, "sgd")
	_, err := n.NewStepAt(9, 2, sv)
	mention(t, err, "9 pixels", "multiple of 8")
	one := struct{ Backend }{on} // hides that it can resample
	other, err := New(one, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	if sv, err = NewSolver(one, "sgd", SolverOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = other.NewStepAt(16, 2, sv)
	mention(t, err, "one size")
}
