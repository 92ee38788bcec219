package nn

import "gorgonia.org/gorgonia"

// sgd is gradient descent with Nesterov momentum, as PyTorch's
// SGD(nesterov=True), and without momentum plain descent:
//
//	g = g + decay x
//	m = momentum m + g
//	x = x - rate (g + momentum m)
//
// and sgdw the same with a decay that does not pass through the momentum and
// spares the biases (Loshchilov and Hutter 2019, algorithm 1):
//
//	x = x - rate decay x
//	m = momentum m + g
//	x = x - rate (g + momentum m)
//
// Biases and the dense layer may have numbers of their own.
type sgd struct {
	moments
	filters, dense, biases descent
	decoupled              bool
}

// descent is the numbers of a group of parameters.
type descent struct {
	rate            float64 // as a factor of the solver's
	momentum, decay float32
}

func newSGD(m moments, o SolverOptions) *sgd {
	s := &sgd{moments: m, decoupled: m.name != "sgd"}
	s.filters = descent{1, float32(o.Momentum), float32(o.WeightDecay)}
	s.dense = descent{o.DenseLR / o.LR, float32(o.DenseMomentum), float32(o.DenseDecay)}
	s.biases = descent{o.BiasLR / o.LR, float32(o.DenseMomentum), float32(o.WeightDecay)}
	if s.decoupled {
		s.biases.decay = 0
	}
	if o.Momentum > 0 || o.DenseMomentum > 0 {
		s.kinds = []string{"m"}
	}
	return s
}

// Step updates the parameters from their gradients.
func (s *sgd) Step(model []gorgonia.ValueGrad) error { return s.step(model, s) }

// group returns the numbers for a parameter.
func (s *sgd) group(x *Buffer) descent {
	switch {
	case x.isBias():
		return s.biases
	case x.isFilter():
		return s.filters
	}
	return s.dense
}

func (s *sgd) update(x, g *Buffer, state []*Buffer, rate float64) {
	var m *Buffer
	if len(state) > 0 {
		m = state[0]
	}
	d := s.group(x)
	s.on.SGD(x, g, m, float32(rate*d.rate), d.momentum, d.decay, s.decoupled)
}
