//go:build !purego

package kernel

import "unsafe"

// The assembly works on whole registers; what is left of a slice is done in Go.

var vectorNEON = vectorKernels{
	padPixels:       padPixelsGeneric,
	dropout:         dropoutQuads,
	dropoutBackward: dropoutBackwardQuads,
	dot:             dotQuads,
	combine:         combineQuads,
	adadelta:        adadeltaQuads,
	sgd:             sgdQuads,
	sgdMomentum:     sgdMomentumQuads,
	adam:            adamQuads,
	multiplyAdd:     multiplyAddNEON,
}

// at returns the address of the first element, also of an empty slice.
func at(x []float32) *float32 { return unsafe.SliceData(x) }

func adadeltaQuads(x, g, eg2, ed2 []float32, lr, rho, eps float32) {
	adadeltaNEON(at(x), at(g), at(eg2), at(ed2), len(x)/4, lr, rho, eps)
	n := len(x) &^ 3
	adadeltaGeneric(x[n:], g[n:], eg2[n:], ed2[n:], lr, rho, eps)
}

func sgdQuads(x, g []float32, lr, decay float32) {
	sgdNEON(at(x), at(g), len(x)/4, lr, decay)
	n := len(x) &^ 3
	sgdGeneric(x[n:], g[n:], lr, decay)
}

func sgdMomentumQuads(x, g, m []float32, lr, momentum, decay float32) {
	sgdMomentumNEON(at(x), at(g), at(m), len(x)/4, lr, momentum, decay)
	n := len(x) &^ 3
	sgdMomentumGeneric(x[n:], g[n:], m[n:], lr, momentum, decay)
}

func adamQuads(x, g, m, v []float32, beta1, beta2, shrink, decay, rate, root, eps float32) {
	adamNEON(at(x), at(g), at(m), at(v), len(x)/4, beta1, beta2, shrink, decay, rate, root, eps)
	n := len(x) &^ 3
	adamGeneric(x[n:], g[n:], m[n:], v[n:], beta1, beta2, shrink, decay, rate, root, eps)
}

func dropoutQuads(dst, src []float32, k0, k1, threshold uint32, scale float32, first uint32) {
	dropoutNEON(at(dst), at(src), len(src)/4, k0, k1, threshold, scale, first)
	n := len(src) &^ 3
	dropoutGeneric(dst[n:], src[n:], k0, k1, threshold, scale, first+uint32(n))
}

func dropoutBackwardQuads(dst, grad, src []float32, k0, k1, threshold uint32, scale float32, first uint32) {
	dropoutBackwardNEON(at(dst), at(grad), at(src), len(src)/4, k0, k1, threshold, scale, first)
	n := len(src) &^ 3
	dropoutBackwardGeneric(dst[n:], grad[n:], src[n:], k0, k1, threshold, scale, first+uint32(n))
}

func dotQuads(x, y []float32) float32 {
	n := len(x) &^ 15
	return dotNEON(at(x), at(y), n/16) + dotGeneric(x[n:], y[n:])
}

func combineQuads(dst, coef []float32, coefStride int, src []float32, srcStride, n int) {
	m := len(dst) &^ 15
	combineNEON(at(dst), m/16, at(coef), 4*coefStride, at(src), 4*srcStride, n)
	if m < len(dst) {
		combineGeneric(dst[m:], coef, coefStride, src[min(m, len(src)):], srcStride, n)
	}
}
