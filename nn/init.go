package nn

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// Initializers lists the ways to draw the first weights, the default first, as
// Keras defines them. Fan-in is the number of inputs of an output, fan-out the
// number of outputs of an input, each position of a filter counted.
//
//   - he_normal, he_uniform: variance 2/fan-in (He et al. 2015, section 2.2)
//   - glorot_normal, glorot_uniform: variance 2/(fan-in + fan-out) (Glorot and
//     Bengio 2010, formula 12)
//   - lecun_normal: variance 1/fan-in (LeCun et al. 1998, section 4.6)
//   - orthogonal: orthonormal rows or columns of the weights as a matrix of a row
//     for each output, whichever are fewer (Saxe et al. 2014)
//   - zeros
//
// Normal distributions are truncated at two deviations.
func Initializers() []string {
	return []string{"he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "orthogonal", "zeros"}
}

// initialize fills w, weights of a shape whose first axis is the outputs.
func initialize(name string, w []float32, shape []int, r *rand.Rand) {
	out := shape[0]
	fanIn := float64(len(w) / out)
	both := fanIn + float64(len(w)/shape[1])
	switch name {
	case "he_normal":
		truncatedNormal(w, 2/fanIn, r)
	case "he_uniform":
		uniform(w, 2/fanIn, r)
	case "glorot_normal":
		truncatedNormal(w, 2/both, r)
	case "glorot_uniform":
		uniform(w, 2/both, r)
	case "lecun_normal":
		truncatedNormal(w, 1/fanIn, r)
	case "orthogonal":
		orthonormal(w, out, r)
	case "zeros":
		clear(w)
	}
}

// truncation is the standard deviation of the unit normal distribution
// truncated at two deviations on each side.
const truncation = 0.87962566103423978

// truncatedNormal fills w from a normal distribution truncated at two
// deviations, scaled so that the variance is that asked for after truncation.
func truncatedNormal(w []float32, variance float64, r *rand.Rand) {
	deviation := math.Sqrt(variance) / truncation
	for i := range w {
		x := r.NormFloat64()
		for math.Abs(x) > 2 {
			x = r.NormFloat64()
		}
		w[i] = float32(x * deviation)
	}
}

// uniform fills w from a uniform distribution round 0.
func uniform(w []float32, variance float64, r *rand.Rand) {
	limit := math.Sqrt(3 * variance)
	for i := range w {
		w[i] = float32(limit * (2*r.Float64() - 1))
	}
}

// orthonormal fills w, a matrix [out][len(w)/out], with orthonormal rows, or
// columns if they are fewer: the factor Q of a matrix of normal numbers, whose
// signs are chosen so that R has a positive diagonal, which makes all such
// matrices equally likely (Mezzadri 2007, section 5).
func orthonormal(w []float32, out int, r *rand.Rand) {
	in := len(w) / out
	m, n := max(in, out), min(in, out)
	a := blas64.General{Rows: m, Cols: n, Stride: n, Data: make([]float64, m*n)}
	for i := range a.Data {
		a.Data[i] = r.NormFloat64()
	}
	tau, size := make([]float64, n), make([]float64, 1)
	lapack64.Geqrf(a, tau, size, -1)
	work := make([]float64, max(m, int(size[0])))
	lapack64.Geqrf(a, tau, work, len(work))
	sign := make([]float64, n)
	for i := range sign {
		sign[i] = math.Copysign(1, a.Data[i*n+i])
	}
	lapack64.Orgqr(a, tau, work, len(work))
	for i := range m {
		for j := range n {
			q := float32(a.Data[i*n+j] * sign[j])
			if in >= out {
				w[j*in+i] = q
			} else {
				w[i*in+j] = q
			}
		}
	}
}

// generator is the source of the initial values of one parameter. Each has its
// own, so that none depends on the others' sizes.
func generator(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// Initial returns the parameters of one layer as New draws them.
func (s Spec) Initial(layer string, seed uint64) ([]Tensor, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	var ps []param
	for _, p := range describeParams(s) {
		if strings.HasPrefix(p.name, layer+".") {
			ps = append(ps, p)
		}
	}
	return initialValues(ps, s.Initializer, seed), nil
}

// initialValues returns the parameters of a fresh network: weights drawn by an
// initializer, "" being the first, and biases of zero.
func initialValues(ps []param, initializer string, seed uint64) []Tensor {
	ts := make([]Tensor, len(ps))
	for i, p := range ps {
		ts[i] = Tensor{Name: p.name, Shape: p.order.shape, Data: make([]float32, p.Len)}
		if len(p.order.shape) > 1 {
			initialize(cmp.Or(initializer, Initializers()[0]), ts[i].Data, p.order.shape, generator(seed, p.name))
		}
	}
	return ts
}
