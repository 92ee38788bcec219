package nn

import (
	"math"

	"gorgonia.org/gorgonia"
)

// adam is Adam (Kingma and Ba 2015, algorithm 1), as PyTorch's, and AdamW
// (Loshchilov and Hutter 2019, algorithm 2), whose weight decay does not pass
// through the moments.
type adam struct {
	moments
	beta1, beta2 float64
	args         AdamStep
}

func newAdam(on Backend, name string, rate, decay float64, decoupled bool) *adam {
	s := &adam{
		moments: moments{on: on, name: name, rate: rate, kinds: []string{"m", "v"}, counts: true},
		beta1:   0.9, beta2: 0.999,
	}
	s.args = AdamStep{Beta1: float32(s.beta1), Beta2: float32(s.beta2), Eps: 1e-8, Decay: float32(decay), Decoupled: decoupled}
	return s
}

// Step updates the parameters from their gradients.
func (s *adam) Step(model []gorgonia.ValueGrad) error {
	t := float64(s.steps + 1)
	s.args.LR = float32(s.rate)
	s.args.Bias1 = float32(1 - math.Pow(s.beta1, t))
	s.args.Bias2 = float32(1 - math.Pow(s.beta2, t))
	return s.step(model, s)
}

func (s *adam) update(x, g *Buffer, state []*Buffer) {
	s.on.Adam(x, g, state[0], state[1], s.args)
}
