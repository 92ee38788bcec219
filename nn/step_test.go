package nn

import (
	"math/rand/v2"
	"testing"
)

// small is a network that is quick to run, with all kinds of layers.
var small = Spec{Size: 8, Filters: []int{4, 6, 8}, Classes: 5}

// someBatch draws pixels and labels for s.
func someBatch(s Spec, rows int, seed uint64) ([]float32, []uint8) {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, rows*s.Size*s.Size*imageChannels)
	for i := range x {
		x[i] = r.Float32()
	}
	labels := make([]uint8, rows)
	for i := range labels {
		labels[i] = uint8(r.IntN(s.Classes))
	}
	return x, labels
}

// newCPU is a backend for the length of a test.
func newCPU(t testing.TB, threads int) *CPU {
	b := NewCPU(threads)
	t.Cleanup(b.Close)
	return b
}

// newTraining makes a network, an optimiser and its Step for a test.
func newTraining(t testing.TB, b Backend, s Spec, batch int, solver string) (*Network, Solver, *Step) {
	t.Helper()
	n, err := New(b, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	sv, err := NewSolver(b, solver, SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := n.NewStep(batch, sv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return n, sv, st
}

func TestNetworkFits64Images(t *testing.T) {
	s := small
	s.Filters = []int{8, 12, 16}
	_, _, st := newTraining(t, newCPU(t, 2), s, 64, "adam")
	x, labels := someBatch(s, 64, 1)
	for i := range 2000 {
		r, err := st.Run(x, labels, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			t.Logf("step %d: loss %.4f, %d of 64 right", i, r.Loss, r.Correct)
		}
		if r.Correct == 64 && r.Loss < 0.01 {
			return
		}
	}
	t.Error("64 images are not learnt by heart in 2,000 steps")
}
