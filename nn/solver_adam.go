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
	args AdamStep
}

func newAdam(m moments, decay float64) *adam {
	m.kinds, m.counts = []string{"m", "v"}, true
	return &adam{
		moments: m,
		args:    AdamStep{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: float32(decay), Decoupled: m.name == "adamw"},
	}
}

// Step updates the parameters from their gradients.
func (s *adam) Step(model []gorgonia.ValueGrad) error {
	t := float64(s.steps + 1)
	// of the betas as float32 has them: 1-0.999 is off by 1e-5 of itself there,
	// in the moments too, and so it cancels
	s.args.Bias1 = float32(1 - math.Pow(float64(s.args.Beta1), t))
	s.args.Bias2 = float32(1 - math.Pow(float64(s.args.Beta2), t))
	return s.step(model, s)
}

func (s *adam) update(x, g *Buffer, state []*Buffer, rate float64) {
	s.args.LR = float32(rate)
	s.on.Adam(x, g, state[0], state[1], s.args)
}
