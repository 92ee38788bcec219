package kernel

//go:generate go -C _asm run . -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kernel gemm

// convKernels are the primitives of the convolution. Each is named after the
// Go function that it must agree with.
type convKernels struct {
	// panel is the number of columns that gemm and gemmT compute at once, a
	// divisor or multiple of lane.
	panel int

	gemm      func(c []float32, ldc int, a []float32, lda int, b []float32, rows, k int)
	gemmT     func(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, rows, k int, add bool)
	gemmFirst func(c []float32, ldc int, a []float32, aRow int, b []float32, rows int)

	inputTile          func(v []float32, vPos int, x []float32, xRow, xCol, n int)
	inputTilePooled    func(v []float32, vPos int, dp []float32, dpRow, dpCol int, arg []uint8, argRow, argCol int, n int)
	outputReLU         func(y []float32, yRow, yCol int, m []float32, mPos int, bias []float32, n int)
	outputPool         func(y []float32, yRow, yCol int, arg []uint8, argRow, argCol int, m []float32, mPos int, bias []float32, n int)
	outputMask         func(dx []float32, row, col int, m []float32, mPos int, mask []float32, n int)
	gradientTile       func(d []float32, dPos int, dy []float32, row, col, n int, sum []float32)
	gradientTilePooled func(d []float32, dPos int, dp []float32, dpRow, dpCol int, arg []uint8, argRow, argCol int, n int, sum []float32)
	filterTile         func(u []float32, uPos int, w []float32, tap, n int)
	filterGradientTile func(dw []float32, tap int, du []float32, uPos, n int)
}

const (
	genericPanel = 16 // the panel of the Go versions
	maxPanel     = 32 // the widest panel of any set of kernels
	maxGroup     = 64 // the most output channels that a product computes at once
)

var genericConv = convKernels{
	panel:              genericPanel,
	gemm:               gemmGeneric,
	gemmT:              gemmTGeneric,
	gemmFirst:          gemmFirstGeneric,
	inputTile:          inputTileGeneric,
	inputTilePooled:    inputTilePooledGeneric,
	outputReLU:         outputReLUGeneric,
	outputPool:         outputPoolGeneric,
	outputMask:         outputMaskGeneric,
	gradientTile:       gradientTileGeneric,
	gradientTilePooled: gradientTilePooledGeneric,
	filterTile:         filterTileGeneric,
	filterGradientTile: filterGradientTileGeneric,
}

// gemmGeneric is c = a b for one panel of columns: a is [rows][k] with rows lda
// apart, b [k][panel] without gaps, c [rows][panel] with rows ldc apart. rows
// is a multiple of 4.
func gemmGeneric(c []float32, ldc int, a []float32, lda int, b []float32, rows, k int) {
	for r := range rows {
		var sum [genericPanel]float32
		for i, v := range a[r*lda:][:k] {
			b := b[i*genericPanel:][:genericPanel]
			for j := range sum {
				sum[j] += v * b[j]
			}
		}
		copy(c[r*ldc:], sum[:])
	}
}

// gemmTGeneric is c = aᵀ b, or c += aᵀ b, for one panel of columns: a is
// [k][rows] with rows lda apart, b [k][panel] with rows ldb apart, c
// [rows][panel] with rows ldc apart. rows is a multiple of 4.
func gemmTGeneric(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, rows, k int, add bool) {
	for r := range rows {
		var sum [genericPanel]float32
		for i := range k {
			v := a[i*lda+r]
			b := b[i*ldb:][:genericPanel]
			for j := range sum {
				sum[j] += v * b[j]
			}
		}
		c := c[r*ldc:][:genericPanel]
		for j, v := range sum {
			if add {
				v += c[j]
			}
			c[j] = v
		}
	}
}

// gemmFirstGeneric is c = relu(a b) for one panel of columns and the windows of
// the first layer: row r of a is the three runs of firstRun values, aRow apart,
// that start at a[r*firstChannels].
func gemmFirstGeneric(c []float32, ldc int, a []float32, aRow int, b []float32, rows int) {
	for r := range rows {
		var sum [genericPanel]float32
		for s := range 3 {
			for i, v := range a[s*aRow+r*firstChannels:][:firstRun] {
				b := b[(s*firstRun+i)*genericPanel:][:genericPanel]
				for j := range sum {
					sum[j] += v * b[j]
				}
			}
		}
		c := c[r*ldc:][:genericPanel]
		for j, v := range sum {
			c[j] = relu(v)
		}
	}
}
