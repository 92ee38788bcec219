//go:build !purego

package kernel

var vectorAVX2 = vectorKernels{
	padPixels:       padPixelsAVX2,
	dropout:         dropoutAVX2,
	dropoutBackward: dropoutBackwardAVX2,
	dot:             dotAVX2,
	combine:         combineAVX2,
	adadelta:        adadeltaAVX2,
	sgd:             sgdAVX2,
	sgdMomentum:     sgdMomentumAVX2,
	adam:            adamAVX2,
	multiplyAdd:     multiplyAddAVX2,
}

var vectorAVX512 = vectorKernels{
	padPixels:       padPixelsAVX2, // a pixel fills 128 bits, never more
	dropout:         dropoutAVX512,
	dropoutBackward: dropoutBackwardAVX512,
	dot:             dotAVX512,
	combine:         combineAVX512,
	adadelta:        adadeltaAVX512,
	sgd:             sgdAVX512,
	sgdMomentum:     sgdMomentumAVX512,
	adam:            adamAVX512,
	multiplyAdd:     multiplyAddAVX512,
}
