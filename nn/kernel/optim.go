package kernel

import "math"

// The optimisers update parameters x from their gradients g, in place, and keep
// their own state in the other slices, which start as zeros. All implementations
// give the same bits: multiplications and additions are rounded one by one (the
// float32 conversions forbid the compiler to fuse them), as the time goes into
// memory, divisions and roots, not into them.

// vectorChunk is the number of elements of a piece of elementwise work: a few
// microseconds of it, and a whole number of registers of every implementation.
const vectorChunk = 16384

// chunks returns the number of pieces of n elements, and piece the bounds of
// the i-th.
func chunks(n int) int { return (n + vectorChunk - 1) / vectorChunk }

func piece(i, n int) (lo, hi int) { return i * vectorChunk, min((i+1)*vectorChunk, n) }

// Adadelta takes one step of Adadelta (Zeiler, arXiv:1212.5701) in the form of
// Keras and PyTorch:
//
//	eg2 = rho eg2 + (1-rho) g²
//	d   = g sqrt((ed2+eps) / (eg2+eps))
//	ed2 = rho ed2 + (1-rho) d²
//	x   = x - lr d
//
// All slices have the length of x.
func Adadelta(w *Workers, x, g, eg2, ed2 []float32, lr, rho, eps float32) {
	n := len(x)
	checkLen("Adadelta", "g", len(g), n)
	checkLen("Adadelta", "eg2", len(eg2), n)
	checkLen("Adadelta", "ed2", len(ed2), n)
	t := &w.scratch.adadelta
	*t = adadeltaTask{x, g, eg2, ed2, lr, rho, eps}
	w.Do(chunks(n), t)
}

type adadeltaTask struct {
	x, g, eg2, ed2 []float32
	lr, rho, eps   float32
}

func (t *adadeltaTask) Run(_, i int) {
	lo, hi := piece(i, len(t.x))
	active.adadelta(t.x[lo:hi], t.g[lo:hi], t.eg2[lo:hi], t.ed2[lo:hi], t.lr, t.rho, t.eps)
}

func adadeltaGeneric(x, g, eg2, ed2 []float32, lr, rho, eps float32) {
	n := len(x)
	g, eg2, ed2 = g[:n], eg2[:n], ed2[:n]
	rest := 1 - rho
	for i, gi := range g {
		e := float32(rho*eg2[i]) + float32(float32(rest*gi)*gi)
		d := float32(gi * sqrt((ed2[i]+eps)/(e+eps)))
		eg2[i] = e
		ed2[i] = float32(rho*ed2[i]) + float32(float32(rest*d)*d)
		x[i] -= float32(lr * d)
	}
}

// SGD takes one step of stochastic gradient descent, with Nesterov's momentum
// as PyTorch's SGD(nesterov=True) where momentum is not 0, and with decay times
// the parameter added to the gradient:
//
//	g' = g + decay x
//	m  = momentum m + g'
//	x  = x - lr (g' + momentum m)
//
// m has the length of x; it is not used, and may be nil, when momentum is 0.
// (PyTorch starts m at the first gradient, which is what zeros give.) decoupled
// makes it SGDW (Loshchilov and Hutter, arXiv:1711.05101): the decay leaves the
// gradient alone, and x becomes x - lr decay x beforehand.
func SGD(w *Workers, x, g, m []float32, lr, momentum, decay float32, decoupled bool) {
	n := len(x)
	checkLen("SGD", "g", len(g), n)
	if momentum != 0 {
		checkLen("SGD", "m", len(m), n)
	}
	t := &w.scratch.sgd
	*t = sgdTask{x, g, m, lr, momentum, decay, 1}
	if decoupled {
		t.shrink, t.decay = 1-float32(lr*decay), 0
	}
	w.Do(chunks(n), t)
}

type sgdTask struct {
	x, g, m             []float32
	lr, momentum, decay float32
	shrink              float32 // x is multiplied by it beforehand
}

func (t *sgdTask) Run(_, i int) {
	lo, hi := piece(i, len(t.x))
	if t.shrink != 1 {
		for i, v := range t.x[lo:hi] {
			t.x[lo+i] = v * t.shrink
		}
	}
	if t.momentum == 0 {
		active.sgd(t.x[lo:hi], t.g[lo:hi], t.lr, t.decay)
		return
	}
	active.sgdMomentum(t.x[lo:hi], t.g[lo:hi], t.m[lo:hi], t.lr, t.momentum, t.decay)
}

func sgdGeneric(x, g []float32, lr, decay float32) {
	g = g[:len(x)]
	for i, gi := range g {
		gi += float32(decay * x[i])
		x[i] -= float32(lr * gi)
	}
}

func sgdMomentumGeneric(x, g, m []float32, lr, momentum, decay float32) {
	n := len(x)
	g, m = g[:n], m[:n]
	for i, gi := range g {
		gi += float32(decay * x[i])
		v := float32(momentum*m[i]) + gi
		m[i] = v
		x[i] -= float32(lr * (gi + float32(momentum*v)))
	}
}

// Adam takes one step of Adam (Kingma and Ba, arXiv:1412.6980) as PyTorch does:
//
//	g' = g + decay x                 (x = x - lr decay x instead, if decoupled)
//	m  = beta1 m + (1-beta1) g'
//	v  = beta2 v + (1-beta2) g'²
//	x  = x - lr/bias1 m / (sqrt(v)/sqrt(bias2) + eps)
//
// where bias1 = 1-beta1^t and bias2 = 1-beta2^t at step t = 1, 2, ... decoupled
// makes it AdamW (Loshchilov and Hutter, arXiv:1711.05101). All slices have the
// length of x.
func Adam(w *Workers, x, g, m, v []float32, lr, beta1, beta2, eps, bias1, bias2, decay float32, decoupled bool) {
	n := len(x)
	checkLen("Adam", "g", len(g), n)
	checkLen("Adam", "m", len(m), n)
	checkLen("Adam", "v", len(v), n)
	t := &w.scratch.adam
	*t = adamTask{
		x: x, g: g, m: m, v: v, beta1: beta1, beta2: beta2, shrink: 1, decay: decay,
		rate: lr / bias1, root: 1 / sqrt(bias2), eps: eps,
	}
	if decoupled {
		t.shrink, t.decay = 1-float32(lr*decay), 0
	}
	w.Do(chunks(n), t)
}

type adamTask struct {
	x, g, m, v    []float32
	beta1, beta2  float32
	shrink, decay float32 // x is multiplied by shrink, g gets decay x
	rate          float32 // lr / bias1
	root          float32 // 1 / sqrt(bias2)
	eps           float32
}

func (t *adamTask) Run(_, i int) {
	lo, hi := piece(i, len(t.x))
	active.adam(t.x[lo:hi], t.g[lo:hi], t.m[lo:hi], t.v[lo:hi], t.beta1, t.beta2, t.shrink, t.decay, t.rate, t.root, t.eps)
}

func adamGeneric(x, g, m, v []float32, beta1, beta2, shrink, decay, rate, root, eps float32) {
	n := len(x)
	g, m, v = g[:n], m[:n], v[:n]
	rest1, rest2 := 1-beta1, 1-beta2
	for i, gi := range g {
		xi := x[i]
		gi += float32(decay * xi)
		mi := float32(beta1*m[i]) + float32(rest1*gi)
		vi := float32(beta2*v[i]) + float32(float32(rest2*gi)*gi)
		m[i], v[i] = mi, vi
		d := mi / (float32(sqrt(vi)*root) + eps)
		x[i] = float32(shrink*xi) - float32(rate*d)
	}
}

// Average moves avg, a moving average of x, towards x: avg += part (x - avg), with
// part from 0 to 1. All implementations give the same bits.
func Average(w *Workers, avg, x []float32, part float32) {
	checkLen("Average", "x", len(x), len(avg))
	t := &w.scratch.average
	*t = averageTask{avg, x, part}
	w.Do(chunks(len(avg)), t)
}

type averageTask struct {
	avg, x []float32
	part   float32
}

func (t *averageTask) Run(_, i int) {
	lo, hi := piece(i, len(t.avg))
	avg, x := t.avg[lo:hi], t.x[lo:hi]
	for i, v := range x {
		avg[i] += float32(t.part * (v - avg[i]))
	}
}

// sqrt is correctly rounded: the compiler makes it one instruction.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
