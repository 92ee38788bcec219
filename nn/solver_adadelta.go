package nn

import "gorgonia.org/gorgonia"

// adadelta is Zeiler's ADADELTA (2012, algorithm 1) with a learning rate, as
// in Keras 2.0:
//
//	E[g2] = rho E[g2] + (1-rho) g^2
//	u     = g sqrt(E[d2] + eps) / sqrt(E[g2] + eps)
//	x     = x - rate u
//	E[d2] = rho E[d2] + (1-rho) u^2
type adadelta struct {
	moments
	rho, eps float32
}

func newAdadelta(m moments) *adadelta {
	m.kinds = []string{"eg2", "ed2"}
	return &adadelta{moments: m, rho: 0.95, eps: 1e-7}
}

// Step updates the parameters from their gradients.
func (s *adadelta) Step(model []gorgonia.ValueGrad) error { return s.step(model, s) }

func (s *adadelta) update(x, g *Buffer, state []*Buffer, rate float64) {
	s.on.Adadelta(x, g, state[0], state[1], float32(rate), s.rho, s.eps)
}
