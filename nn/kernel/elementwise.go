package kernel

import "math"

// vectorKernels are the primitives of the elementwise kernels, of the dense
// layer and of the optimisers. Slices of one call have one length unless said
// otherwise.
type vectorKernels struct {
	// padPixels writes pixels of three values as pixels of four, the fourth 1.
	// len(dst) = 4 pixels, len(src) = 3 pixels.
	padPixels func(dst, src []float32)
	// dropout writes src*scale where the mask of these values keeps an element,
	// 0 elsewhere; first is the place in the row of src[0].
	dropout func(dst, src []float32, k0, k1, threshold uint32, scale float32, first uint32)
	// dropoutBackward writes grad*scale where the mask keeps an element and
	// src is not 0, 0 elsewhere.
	dropoutBackward func(dst, grad, src []float32, k0, k1, threshold uint32, scale float32, first uint32)

	// dot returns the sum of x[i]*y[i].
	dot func(x, y []float32) float32
	// combine writes dst[i] = sum over k < n of coef[k*coefStride] *
	// src[k*srcStride+i], adding in the order of k.
	combine func(dst, coef []float32, coefStride int, src []float32, srcStride, n int)

	adadelta    func(x, g, eg2, ed2 []float32, lr, rho, eps float32)
	sgd         func(x, g []float32, lr, decay float32)
	sgdMomentum func(x, g, m []float32, lr, momentum, decay float32)
	adam        func(x, g, m, v []float32, beta1, beta2, shrink, decay, rate, root, eps float32)

	// multiplyAdd keeps the units for fused multiply-add busy for n rounds and
	// returns the number of floating point operations of one. See [PeakGFLOPS].
	multiplyAdd func(n int) (flops int)
}

var genericVector = vectorKernels{
	padPixels:       padPixelsGeneric,
	dropout:         dropoutGeneric,
	dropoutBackward: dropoutBackwardGeneric,
	dot:             dotGeneric,
	combine:         combineGeneric,
	adadelta:        adadeltaGeneric,
	sgd:             sgdGeneric,
	sgdMomentum:     sgdMomentumGeneric,
	adam:            adamGeneric,
	multiplyAdd:     multiplyAddGeneric,
}

// PadInput writes pixels of three channels, src [rows][H][W][3], into the
// interior of dst, an image with C = 4 whose last channel becomes 1: through it
// the first convolution gets its bias, and the gradient of the bias, for
// nothing.
func PadInput(w *Workers, dst []float32, img Image, src []float32, rows int) {
	img.check("PadInput", "dst", dst, rows)
	check("PadInput", img.C == 4, "the image needs 4 channels")
	checkLen("PadInput", "src", len(src), rows*img.H*img.W*3)
	t := &w.scratch.pad
	*t = padTask{dst, src, img}
	w.Do(rows, t)
}

type padTask struct {
	dst, src []float32
	img      Image
}

func (t *padTask) Run(_, n int) {
	m := t.img
	for y := range m.H {
		dst := t.dst[m.At(n, y, 0):]
		src := t.src[(n*m.H+y)*m.W*3:]
		active.padPixels(dst[:m.W*4], src[:m.W*3])
	}
}

func padPixelsGeneric(dst, src []float32) {
	for len(dst) >= 4 && len(src) >= 3 {
		dst[0], dst[1], dst[2], dst[3] = src[0], src[1], src[2], 1
		dst, src = dst[4:], src[3:]
	}
}

// Dropout writes the interior of src, an image, as rows of H*W*C values in the
// order height, width, channel, each set to 0 with probability p and divided by
// 1-p otherwise (inverted dropout), p in [0, 1). Whether a value stays is a pure
// function of key, its row and its place in the row, so that [DropoutBackward]
// needs no stored mask; take another key at each step. p = 0 copies.
func Dropout(w *Workers, dst, src []float32, img Image, rows int, p float32, key uint64) {
	img.check("Dropout", "src", src, rows)
	checkLen("Dropout", "dst", len(dst), rows*img.H*img.W*img.C)
	check("Dropout", 0 <= p && p < 1, "p is not within [0, 1)")
	t := &w.scratch.dropout
	*t = dropoutTask{dst: dst, src: src, img: img, p: p, key: key}
	w.Do(rows, t)
}

// DropoutBackward writes the gradient of [Dropout] with the same img, p and key
// into the interior of dsrc, an image, from ddst [rows][H*W*C]. It is also 0
// wherever src, the image that went into Dropout, is 0: src comes out of a ReLU
// (and a max pool), and this is its mask.
func DropoutBackward(w *Workers, dsrc []float32, img Image, ddst, src []float32, rows int, p float32, key uint64) {
	img.check("DropoutBackward", "dsrc", dsrc, rows)
	img.check("DropoutBackward", "src", src, rows)
	checkLen("DropoutBackward", "ddst", len(ddst), rows*img.H*img.W*img.C)
	check("DropoutBackward", 0 <= p && p < 1, "p is not within [0, 1)")
	t := &w.scratch.dropout
	*t = dropoutTask{dst: dsrc, grad: ddst, src: src, img: img, p: p, key: key}
	w.Do(rows, t)
}

// DropoutRows is [Dropout] of rows that lie without a border, src [rows][n] to
// dst. It is its own gradient: of dst's it makes that of src.
func DropoutRows(w *Workers, dst, src []float32, rows, n int, p float32, key uint64) {
	check("DropoutRows", rows >= 0 && n > 0, "empty dimension")
	checkLen("DropoutRows", "src", len(src), rows*n)
	checkLen("DropoutRows", "dst", len(dst), rows*n)
	check("DropoutRows", 0 <= p && p < 1, "p is not within [0, 1)")
	t := &w.scratch.dropoutRows
	*t = dropoutRowsTask{dst, src, n, p, key}
	w.Do(rows, t)
}

type dropoutRowsTask struct {
	dst, src []float32
	n        int
	p        float32
	key      uint64
}

func (t *dropoutRowsTask) Run(_, row int) {
	m := newMask(t.p, t.key, row)
	at := row * t.n
	active.dropout(t.dst[at:at+t.n], t.src[at:at+t.n], m.k0, m.k1, m.threshold, m.scale, 0)
}

// ReLU writes the first n values of src that are positive, or no number, to dst,
// and 0 for the others. dst may be src. A hidden dense layer has few values, so
// one goroutine does it.
func ReLU(dst, src []float32, n int) {
	checkLen("ReLU", "src", len(src), n)
	checkLen("ReLU", "dst", len(dst), n)
	dst = dst[:n]
	for i, v := range src[:n] {
		if v <= 0 {
			v = 0
		}
		dst[i] = v
	}
}

// ReLUBackward writes the gradient of [ReLU] at its first n inputs to dsrc: ddst
// where dst, its result, is not 0. dsrc may be ddst.
func ReLUBackward(dsrc, ddst, dst []float32, n int) {
	checkLen("ReLUBackward", "dst", len(dst), n)
	checkLen("ReLUBackward", "ddst", len(ddst), n)
	checkLen("ReLUBackward", "dsrc", len(dsrc), n)
	ddst, dsrc = ddst[:n], dsrc[:n]
	for i, v := range dst[:n] {
		g := ddst[i]
		if v == 0 {
			g = 0
		}
		dsrc[i] = g
	}
}

// dropoutTask is a Dropout or, if grad is set, a DropoutBackward.
type dropoutTask struct {
	dst, grad, src []float32
	img            Image
	p              float32
	key            uint64
}

func (t *dropoutTask) Run(_, n int) {
	img, k := t.img, t.img.W*t.img.C
	m := newMask(t.p, t.key, n)
	for y := range img.H {
		at, flat := img.At(n, y, 0), (n*img.H+y)*k
		first := uint32(y * k)
		if t.grad == nil {
			active.dropout(t.dst[flat:flat+k], t.src[at:at+k], m.k0, m.k1, m.threshold, m.scale, first)
		} else {
			active.dropoutBackward(t.dst[at:at+k], t.grad[flat:flat+k], t.src[at:at+k], m.k0, m.k1, m.threshold, m.scale, first)
		}
	}
}

// mask decides which elements of a row dropout keeps.
type mask struct {
	k0, k1    uint32  // the row's key
	threshold uint32  // an element goes if its 24 random bits are below it
	scale     float32 // what the others are multiplied by
}

func newMask(p float32, key uint64, row int) mask {
	k := mix64(key + mix64(uint64(row)+1))
	return mask{
		k0:        uint32(k),
		k1:        uint32(k >> 32),
		threshold: uint32(float64(p)*(1<<24) + 0.5),
		scale:     float32(1 / (1 - float64(p))),
	}
}

// mix64 is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a
// bijection in which every bit of z moves every bit of the result.
func mix64(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// keep returns all ones for an element that stays and 0 for one that goes: masks
// of bits, as a branch that goes either way by chance is slow. The hash is that
// of Wellons' "hash prospector" (lowbias32), two rounds of the 32-bit
// multiplication that vector units have; the second half of the key goes in
// between, so that two rows never run through the same sequence shifted.
func (m mask) keep(i uint32) uint32 {
	h := i ^ m.k0
	h = (h ^ h>>16) * 0x7feb352d
	h += m.k1
	h = (h ^ h>>15) * 0x846ca68b
	h ^= h >> 16
	return ^uint32(int32(h>>8-m.threshold) >> 31)
}

func dropoutGeneric(dst, src []float32, k0, k1, threshold uint32, scale float32, first uint32) {
	m := mask{k0, k1, threshold, scale}
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = math.Float32frombits(math.Float32bits(v*scale) & m.keep(first+uint32(i)))
	}
}

func dropoutBackwardGeneric(dst, grad, src []float32, k0, k1, threshold uint32, scale float32, first uint32) {
	m := mask{k0, k1, threshold, scale}
	dst, grad = dst[:len(src)], grad[:len(src)]
	for i, v := range src {
		b := math.Float32bits(v) << 1 // 0 for both zeros
		alive := -((b | -b) >> 31)
		dst[i] = math.Float32frombits(math.Float32bits(grad[i]*scale) & m.keep(first+uint32(i)) & alive)
	}
}
