//go:build !purego

package kernel

//go:generate go -C _asm run . -out ../conv_arm64.s -stubs ../conv_stubs_arm64.go -pkg kernel neon_conv

// convNEON takes from the Go versions what it does not have, with the same
// panel of 16 columns.
var convNEON = func() convKernels {
	k := genericConv
	k.gemm, k.gemmT, k.gemmFirst = gemmNEON, gemmTNEON, gemmFirstNEON
	k.inputTile, k.inputTilePooled = inputTileNEON, inputTilePooledNEON
	k.gradientTile, k.gradientTilePooled = gradientTileNEON, gradientTilePooledNEON
	k.outputReLU, k.outputPool, k.outputMask = outputReLUNEON, outputPoolNEON, outputMaskNEON
	k.filterTile, k.filterGradientTile = filterTileNEON, filterGradientTileNEON
	return k
}()
