//go:build !purego

package kernel

var convAVX2 = convKernels{
	panel:              16,
	gemm:               gemmAVX2,
	gemmT:              gemmTAVX2,
	gemmFirst:          gemmFirstAVX2,
	prefetch:           prefetchAMD64,
	inputTile:          inputTileAVX2,
	inputTilePooled:    inputTilePooledAVX2,
	outputReLU:         outputReLUAVX2,
	outputPool:         outputPoolAVX2,
	outputMask:         outputMaskAVX2,
	gradientTile:       gradientTileAVX2,
	gradientTilePooled: gradientTilePooledAVX2,
	filterTile:         filterTileAVX2,
	filterGradientTile: filterGradientTileAVX2,
}

var convAVX512 = convKernels{
	panel:              32,
	gemm:               gemmAVX512,
	gemmT:              gemmTAVX512,
	gemmFirst:          gemmFirstAVX512,
	prefetch:           prefetchAMD64,
	inputTile:          inputTileAVX512,
	inputTilePooled:    inputTilePooledAVX512,
	outputReLU:         outputReLUAVX512,
	outputPool:         outputPoolAVX512,
	outputMask:         outputMaskAVX512,
	gradientTile:       gradientTileAVX512,
	gradientTilePooled: gradientTilePooledAVX512,
	filterTile:         filterTileAVX512,
	filterGradientTile: filterGradientTileAVX512,
}
