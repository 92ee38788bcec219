package nn

import "gorgonia.org/gorgonia"

// sgd is gradient descent with Nesterov momentum, as PyTorch's
// SGD(nesterov=True), and without momentum plain descent:
//
//	g = g + decay x
//	m = momentum m + g
//	x = x - rate (g + momentum m)
type sgd struct {
	moments
	momentum, decay float32
}

func newSGD(on Backend, rate, momentum, decay float64) *sgd {
	s := &sgd{
		moments:  moments{on: on, name: "sgd", rate: rate},
		momentum: float32(momentum), decay: float32(decay),
	}
	if momentum > 0 {
		s.kinds = []string{"m"}
	}
	return s
}

// Step updates the parameters from their gradients.
func (s *sgd) Step(model []gorgonia.ValueGrad) error { return s.step(model, s) }

func (s *sgd) update(x, g *Buffer, state []*Buffer) {
	var m *Buffer
	if len(state) > 0 {
		m = state[0]
	}
	s.on.SGD(x, g, m, float32(s.rate), s.momentum, s.decay)
}
