package nn

import (
	"math"

	"gorgonia.org/gorgonia"
)

// muon is Muon (Jordan et al. 2024) for the filters of the convolutions, taken
// as matrices of a row for each output channel, and sgdw for the dense layer and
// the biases. With orthogonal as kernel.Muon has it:
//
//	m = momentum m + g
//	x = x - rate decay x
//	x = x - rate sqrt(max(1, rows/columns)) orthogonal(g + momentum m)
type muon struct{ sgd }

func newMuon(m moments, o SolverOptions) *muon { return &muon{*newSGD(m, o)} }

// Step updates the parameters from their gradients.
func (s *muon) Step(model []gorgonia.ValueGrad) error { return s.step(model, s) }

func (s *muon) update(x, g *Buffer, state []*Buffer, rate float64) {
	if !x.isFilter() {
		s.sgd.update(x, g, state, rate)
		return
	}
	out := x.shape[3]
	scale := math.Sqrt(max(1, float64(out)/float64(x.Len/out)))
	s.on.Muon(x, g, state[0], rate, scale, s.filters.momentum, s.filters.decay)
}
