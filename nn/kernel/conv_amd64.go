//go:build !purego

package kernel

var convAVX2 = convKernels{
	panel:              16,
	gemm:               gemmAVX2,
	gemmT:              gemmTAVX2,
	gemmFirst:          gemmFirstAVX2,
	inputTile:          inputTileAVX2,
	outputReLU:         outputReLUAVX2,
	outputPool:         outputPoolAVX2,
	outputMask:         outputMaskAVX2,
	gradientTile:       gradientTileAVX2,
	filterTile:         filterTileAVX2,
	filterGradientTile: filterGradientTileAVX2,
}

var convAVX512 = convKernels{
	panel:              32,
	gemm:               gemmAVX512,
	gemmT:              gemmTAVX512,
	gemmFirst:          gemmFirstAVX512,
	inputTile:          inputTileAVX512,
	outputReLU:         outputReLUAVX512,
	outputPool:         outputPoolAVX512,
	outputMask:         outputMaskAVX512,
	gradientTile:       gradientTileAVX512,
	filterTile:         filterTileAVX512,
	filterGradientTile: filterGradientTileAVX512,
}
