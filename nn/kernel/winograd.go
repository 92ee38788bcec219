package kernel

//go:generate go -C _asm run . -out ../winograd_amd64.s -stubs ../winograd_stubs_amd64.go -pkg kernel winograd

// # Winograd's minimal filtering
//
// A 3x3 convolution over a tile of 4x4 outputs, F(4x4, 3x3) of Lavin and Gray
// ("Fast Algorithms for Convolutional Neural Networks", 2015), reads 6x6 inputs
// d and computes
//
//	y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A
//
// with 36 products for each pair of channels where the direct sum takes 144.
// Summed over input channels, the products at each of the 36 positions of a
// tile are one matrix product, [tiles][In] by [In][Out]:
//
//	V[36][tiles][In] = Bᵀ d B     inputTile
//	U[36][In][Out]   = G g Gᵀ     filterTile, when the weights change
//	M[36]            = V[36] U[36]      gemm
//	y                = Aᵀ M A     outputTile
//
// The gradient of the data is the same convolution of dy with the filters
// turned by 180 degrees and their channels swapped. The gradient of the filter
// is a convolution of x with 4x4 filters dy and 3x3 outputs, F(3x3, 4x4), whose
// 6x6 tiles have the same Bᵀ:
//
//	dU[36] = V[36]ᵀ (A dy Aᵀ)[36] summed over all tiles     gradientTile, gemmT
//	dw     = Gᵀ dU G                                      filterGradientTile
//
// Multiplying polynomials by their values at points gives the matrices; ours
// are 0, ±5/8, ±3/2 and infinity. They halve the rounding error of the usual 0,
// ±1, ±2: the norm of the error is 0.6e-6 to 1.5e-6 of the result's, where the
// direct sum's is 0.3e-6 to 0.6e-6.

const (
	tileSize  = 4                     // outputs of a tile, a side
	tileInput = tileSize + 2          // inputs of a tile, a side
	positions = tileInput * tileInput // products of a tile
	pointA    = 0.625                 // the points are 0, ±pointA, ±pointB and infinity
	pointB    = 1.5
	a2, b2    = pointA * pointA, pointB * pointB
	a3, b3    = a2 * pointA, b2 * pointB
	// The rows of G are (1, x, x²) over the product of x's distances from the
	// other points.
	normA = 2 * a2 * (a2 - b2)
	normB = 2 * b2 * (b2 - a2)
)

// lane is the number of channels that transforms work on at once: channels are
// padded to a multiple of it wherever they are not the caller's.
const lane = 16

func roundUp(n, m int) int { return (n + m - 1) / m * m }

// grid cuts images into tiles. Tiles are numbered image by image, row by row.
type grid struct{ rows, cols int }

func newGrid(m Image) grid {
	return grid{(m.H + tileSize - 1) / tileSize, (m.W + tileSize - 1) / tileSize}
}

func (g grid) tiles(images int) int { return images * g.rows * g.cols }

// place is where a tile is: its image and its upper left output.
type place struct{ image, y, x int }

func (g grid) at(t int) place {
	n, t := t/(g.rows*g.cols), t%(g.rows*g.cols)
	return place{n, t / g.cols * tileSize, t % g.cols * tileSize}
}

// next moves p to the next tile. It is quicker than at, which divides.
func (g grid) next(p *place) {
	if p.x += tileSize; p.x == g.cols*tileSize {
		p.x = 0
		if p.y += tileSize; p.y == g.rows*tileSize {
			p.y = 0
			p.image++
		}
	}
}

// inputTileGeneric is v = Bᵀ x B for 6x6 pixels of n channels. Pixel (i, j) is
// at x[i*xRow+j*xCol], position p at v[p*vPos].
func inputTileGeneric(v []float32, vPos int, x []float32, xRow, xCol, n int) {
	for c := range n {
		var d [positions]float32
		for i := range tileInput {
			x := x[i*xRow+c:]
			for j := range tileInput {
				d[6*i+j] = x[j*xCol]
			}
		}
		inputTransform(v[c:], vPos, &d)
	}
}

// inputTilePooledGeneric is inputTileGeneric for a gradient that a max pool's
// windows are spread to: the tile's upper left pixel is the lower right one of
// the first of 4x4 windows.
func inputTilePooledGeneric(v []float32, vPos int, dp []float32, dpRow, dpCol int, arg []uint8, argRow, argCol int, n int) {
	for c := range n {
		var d [positions]float32
		for k := range d {
			d[k] = pooledGradient(k/tileInput+1, k%tileInput+1, dp[c:], dpRow, dpCol, arg[c:], argRow, argCol)
		}
		inputTransform(v[c:], vPos, &d)
	}
}

// pooledGradient is the gradient of pixel (i, j), counted from the first window.
func pooledGradient(i, j int, dp []float32, dpRow, dpCol int, arg []uint8, argRow, argCol int) float32 {
	if int(arg[i/2*argRow+j/2*argCol]) == i%2*2+j%2 {
		return dp[i/2*dpRow+j/2*dpCol]
	}
	return 0
}

func inputTransform(v []float32, vPos int, d *[positions]float32) {
	for j := range tileInput {
		d[j], d[6+j], d[12+j], d[18+j], d[24+j], d[30+j] = inputPoints(d[j], d[6+j], d[12+j], d[18+j], d[24+j], d[30+j])
	}
	for i := 0; i < positions; i += tileInput {
		r := d[i : i+6 : i+6]
		v := v[i*vPos:]
		v[0], v[vPos], v[2*vPos], v[3*vPos], v[4*vPos], v[5*vPos] = inputPoints(r[0], r[1], r[2], r[3], r[4], r[5])
	}
}

// inputPoints multiplies by Bᵀ.
func inputPoints(d0, d1, d2, d3, d4, d5 float32) (r0, r1, r2, r3, r4, r5 float32) {
	t, u := d4-b2*d2, pointA*(d3-b2*d1)
	s, w := d4-a2*d2, pointB*(d3-a2*d1)
	return a2*b2*d0 - (a2+b2)*d2 + d4, t + u, t - u, s + w, s - w, a2*b2*d1 - (a2+b2)*d3 + d5
}

// outputPoints multiplies by Aᵀ.
func outputPoints(m0, m1, m2, m3, m4, m5 float32) (y0, y1, y2, y3 float32) {
	p, q := m1+m2, m1-m2
	r, s := m3+m4, m3-m4
	return m0 + p + r, pointA*q + pointB*s, a2*p + b2*r, a3*q + b3*s + m5
}

// outputTile computes the 4x4 values of channel c of Aᵀ M A.
func outputTile(m []float32, mPos, c int) (y [tileSize * tileSize]float32) {
	var t [tileSize * tileInput]float32
	for j := range tileInput {
		m := m[j*mPos+c:]
		t[j], t[6+j], t[12+j], t[18+j] = outputPoints(m[0], m[6*mPos], m[12*mPos], m[18*mPos], m[24*mPos], m[30*mPos])
	}
	for i := range tileSize {
		r := t[i*6 : i*6+6 : i*6+6]
		y[4*i], y[4*i+1], y[4*i+2], y[4*i+3] = outputPoints(r[0], r[1], r[2], r[3], r[4], r[5])
	}
	return y
}

// outputReLUGeneric writes y = relu(Aᵀ M A + bias) for n channels.
func outputReLUGeneric(y []float32, yRow, yCol int, m []float32, mPos int, bias []float32, n int) {
	for c := range n {
		for k, v := range outputTile(m, mPos, c) {
			y[k/tileSize*yRow+k%tileSize*yCol+c] = relu(v + bias[c])
		}
	}
}

// relu is 0 for every v <= 0, and NaN for NaN.
func relu(v float32) float32 {
	if v <= 0 {
		return 0
	}
	return v
}

// outputPoolGeneric is outputReLUGeneric followed by the maxima of the 2x2
// windows of the tile, and their positions (see Conv.Forward) unless arg is nil.
func outputPoolGeneric(y []float32, yRow, yCol int, arg []uint8, argRow, argCol int, m []float32, mPos int, bias []float32, n int) {
	for c := range n {
		t := outputTile(m, mPos, c)
		for k := range 4 {
			i := k/2*2*tileSize + k%2*2
			b := bias[c]
			v, pos := maxOf4(relu(t[i]+b), relu(t[i+1]+b), relu(t[i+4]+b), relu(t[i+5]+b))
			y[k/2*yRow+k%2*yCol+c] = v
			if arg != nil {
				arg[k/2*argRow+k%2*argCol+c] = pos
			}
		}
	}
}

// dead is the position of the maximum of a window whose values are all 0: none
// of them gets a gradient.
const dead = 4

// maxOf4 returns the largest of four values that are not negative and the
// position of the first such one. A NaN counts as the largest.
func maxOf4(v0, v1, v2, v3 float32) (float32, uint8) {
	best, pos := v0, uint8(0)
	if v1 > best || v1 != v1 && best == best {
		best, pos = v1, 1
	}
	if v2 > best || v2 != v2 && best == best {
		best, pos = v2, 2
	}
	if v3 > best || v3 != v3 && best == best {
		best, pos = v3, 3
	}
	if best == 0 {
		pos = dead
	}
	return best, pos
}

// outputMaskGeneric writes Aᵀ M A for n channels, and 0 where the mask, which
// has the geometry of dx, is 0. A nil mask means none.
func outputMaskGeneric(dx []float32, row, col int, m []float32, mPos int, mask []float32, n int) {
	for c := range n {
		for k, v := range outputTile(m, mPos, c) {
			i := k/tileSize*row + k%tileSize*col + c
			if mask != nil && mask[i] == 0 {
				v = 0
			}
			dx[i] = v
		}
	}
}

// gradientTileGeneric is d = A dy Aᵀ for 4x4 pixels of n channels; it adds the
// sum of the 16 pixels to sum.
func gradientTileGeneric(d []float32, dPos int, dy []float32, row, col, n int, sum []float32) {
	for c := range n {
		var t [tileInput * tileSize]float32
		for k := range tileSize * tileSize {
			t[k] = dy[k/tileSize*row+k%tileSize*col+c]
		}
		sum[c] += gradientTransform(d[c:], dPos, &t)
	}
}

// gradientTilePooledGeneric is gradientTileGeneric for a gradient that the 2x2
// windows of a max pool are spread to.
func gradientTilePooledGeneric(d []float32, dPos int, dp []float32, dpRow, dpCol int, arg []uint8, argRow, argCol int, n int, sum []float32) {
	for c := range n {
		var t [tileInput * tileSize]float32
		for k := range tileSize * tileSize {
			t[k] = pooledGradient(k/tileSize, k%tileSize, dp[c:], dpRow, dpCol, arg[c:], argRow, argCol)
		}
		sum[c] += gradientTransform(d[c:], dPos, &t)
	}
}

// gradientTransform takes the 4x4 pixels in the first places of t and returns
// their sum.
func gradientTransform(d []float32, dPos int, t *[tileInput * tileSize]float32) (sum float32) {
	for j := range tileSize {
		d0, d1, d2, d3 := t[j], t[4+j], t[8+j], t[12+j]
		sum += d0 + d1 + d2 + d3
		t[j], t[4+j], t[8+j], t[12+j], t[16+j], t[20+j] = gradientPoints(d0, d1, d2, d3)
	}
	for i := range tileInput {
		r := t[4*i : 4*i+4 : 4*i+4]
		d := d[6*i*dPos:]
		d[0], d[dPos], d[2*dPos], d[3*dPos], d[4*dPos], d[5*dPos] = gradientPoints(r[0], r[1], r[2], r[3])
	}
	return sum
}

// gradientPoints multiplies by A.
func gradientPoints(d0, d1, d2, d3 float32) (r0, r1, r2, r3, r4, r5 float32) {
	p, q := d0+a2*d2, pointA*(d1+a2*d3)
	r, s := d0+b2*d2, pointB*(d1+b2*d3)
	return d0, p + q, p - q, r + s, r - s, d3
}

// filterTileGeneric is u = G w Gᵀ for the 3x3 taps of n filters; tap k is at
// w[k*tap].
func filterTileGeneric(u []float32, uPos int, w []float32, tap, n int) {
	for c := range n {
		var t [tileInput * 3]float32
		for j := range 3 {
			t[j], t[3+j], t[6+j], t[9+j], t[12+j], t[15+j] = filterPoints(w[j*tap+c], w[(3+j)*tap+c], w[(6+j)*tap+c])
		}
		for i := range tileInput {
			u := u[6*i*uPos+c:]
			u[0], u[uPos], u[2*uPos], u[3*uPos], u[4*uPos], u[5*uPos] = filterPoints(t[3*i], t[3*i+1], t[3*i+2])
		}
	}
}

// filterPoints multiplies by G.
func filterPoints(g0, g1, g2 float32) (r0, r1, r2, r3, r4, r5 float32) {
	p, q := 1/normA*g0+a2/normA*g2, pointA/normA*g1
	r, s := 1/normB*g0+b2/normB*g2, pointB/normB*g1
	return 1 / (a2 * b2) * g0, p + q, p - q, r + s, r - s, g2
}

// filterGradientTileGeneric is dw = Gᵀ du G for the 3x3 taps of n filters.
func filterGradientTileGeneric(dw []float32, tap int, du []float32, uPos, n int) {
	for c := range n {
		var t [3 * tileInput]float32
		for j := range tileInput {
			u := du[j*uPos+c:]
			t[j], t[6+j], t[12+j] = filterGradientPoints(u[0], u[6*uPos], u[12*uPos], u[18*uPos], u[24*uPos], u[30*uPos])
		}
		for i := range 3 {
			r := t[6*i : 6*i+6 : 6*i+6]
			w := dw[3*i*tap+c:]
			w[0], w[tap], w[2*tap] = filterGradientPoints(r[0], r[1], r[2], r[3], r[4], r[5])
		}
	}
}

// filterGradientPoints multiplies by Gᵀ.
func filterGradientPoints(m0, m1, m2, m3, m4, m5 float32) (w0, w1, w2 float32) {
	p, q := m1+m2, m1-m2
	r, s := m3+m4, m3-m4
	return 1/(a2*b2)*m0 + 1/normA*p + 1/normB*r, pointA/normA*q + pointB/normB*s, a2/normA*p + b2/normB*r + m5
}
