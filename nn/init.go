package nn

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// truncation is the standard deviation of the unit normal distribution
// truncated at two deviations on each side.
const truncation = 0.87962566103423978

// heNormal fills w with He-normal weights, as Keras's he_normal does: of a
// normal distribution truncated at two deviations, scaled so that the variance
// after truncation is 2/fanIn (He et al. 2015, section 2.2).
func heNormal(w []float32, fanIn int, r *rand.Rand) {
	deviation := math.Sqrt(2/float64(fanIn)) / truncation
	for i := range w {
		x := r.NormFloat64()
		for math.Abs(x) > 2 {
			x = r.NormFloat64()
		}
		w[i] = float32(x * deviation)
	}
}

// generator is the source of the initial values of one parameter. Each has its
// own, so that none depends on the others' sizes.
func generator(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// initialValues returns the parameters of a fresh network: He-normal weights,
// zero biases.
func initialValues(ps []param, seed uint64) []Tensor {
	ts := make([]Tensor, len(ps))
	for i, p := range ps {
		ts[i] = Tensor{Name: p.name, Shape: p.order.shape, Data: make([]float32, p.Len)}
		if fanOut := p.order.shape[0]; len(p.order.shape) > 1 {
			heNormal(ts[i].Data, p.Len/fanOut, generator(seed, p.name))
		}
	}
	return ts
}
