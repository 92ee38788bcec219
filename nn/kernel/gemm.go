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

	prefetch func(p []float32, row, rows, n int)

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
	genericPanel = 16  // the panel of the Go versions
	maxGroup     = 128 // the most output channels that a product computes at once
)

var genericConv = convKernels{
	panel:              genericPanel,
	gemm:               gemmGeneric,
	gemmT:              gemmTGeneric,
	gemmFirst:          gemmFirstGeneric,
	prefetch:           prefetchGeneric,
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
	for r := 0; r < rows; r += 2 {
		for j := 0; j < genericPanel; j += 4 {
			s := dot2x4(a[r*lda:], lda, 1, b[j:], genericPanel, k)
			copy(c[r*ldc+j:], s[:4])
			copy(c[(r+1)*ldc+j:], s[4:])
		}
	}
}

// dot2x4 returns the products of two rows with four columns, over k values:
// rows are aRow apart and their values aStep; rows of b are bStep apart. Eight
// sums and what they need fill the registers of a scalar unit. In this form, a
// function of its own with the values of b in variables, the compiler keeps all
// sums there, and it is 1.7 times as fast as the plain loop.
//
//go:noinline
func dot2x4(a []float32, aRow, aStep int, b []float32, bStep, k int) (s [8]float32) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	a1 := a[aRow:]
	for i := range k {
		x, y := a[i*aStep], a1[i*aStep]
		q := b[i*bStep : i*bStep+4 : i*bStep+4]
		b0, b1, b2, b3 := q[0], q[1], q[2], q[3]
		s00 += x * b0
		s01 += x * b1
		s02 += x * b2
		s03 += x * b3
		s10 += y * b0
		s11 += y * b1
		s12 += y * b2
		s13 += y * b3
	}
	return [8]float32{s00, s01, s02, s03, s10, s11, s12, s13}
}

// gemmTGeneric is c = aᵀ b, or c += aᵀ b, for one panel of columns: a is
// [k][rows] with rows lda apart, b [k][panel] with rows ldb apart, c
// [rows][panel] with rows ldc apart. rows is a multiple of 4.
func gemmTGeneric(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, rows, k int, add bool) {
	for r := 0; r < rows; r += 2 {
		for j := 0; j < genericPanel; j += 4 {
			s := dot2x4(a[r:], 1, lda, b[j:], ldb, k)
			c0, c1 := c[r*ldc+j:][:4], c[(r+1)*ldc+j:][:4]
			if add {
				for i := range c0 {
					s[i] += c0[i]
					s[4+i] += c1[i]
				}
			}
			copy(c0, s[:4])
			copy(c1, s[4:])
		}
	}
}

// gemmFirstGeneric is c = relu(a b) for one panel of columns and the windows of
// the first layer: row r of a is the three runs of firstRun values, aRow apart,
// that start at a[r*firstChannels].
func gemmFirstGeneric(c []float32, ldc int, a []float32, aRow int, b []float32, rows int) {
	for r := 0; r < rows; r += 2 {
		for j := 0; j < genericPanel; j += 4 {
			var sum [8]float32
			for run := range 3 {
				s := dot2x4(a[run*aRow+r*firstChannels:], firstChannels, 1, b[run*firstRun*genericPanel+j:], genericPanel, firstRun)
				for i, v := range s {
					sum[i] += v
				}
			}
			for i, v := range sum {
				c[(r+i/4)*ldc+j+i%4] = relu(v)
			}
		}
	}
}

// prefetchGeneric asks for rows of n values, row apart, which will soon be
// wanted. In Go there is no way to.
func prefetchGeneric(p []float32, row, rows, n int) {}
