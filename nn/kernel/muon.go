package kernel

import "math"

// Muon is the optimiser of Jordan et al. ("Muon: An optimizer for hidden layers
// in neural networks", 2024): momentum, whose matrix is then replaced by a
// nearly orthogonal one, so that the update is as large in the directions that
// gradients seldom take as in those they often do.
//
// The orthogonal matrix comes from Newton and Schulz's iteration, which applies
//
//	X = (a I + b XXᵀ + c (XXᵀ)²) X
//
// five times to u/|u| with coefficients that bring singular values near 1
// quickly and no nearer than 0.7 to 1.2. All of its powers of XXᵀ, or of XᵀX
// where X is tall, commute: the iteration is done on that smaller symmetric
// matrix A alone, and what it did is multiplied into u once, at the end:
//
//	A = XᵀX, Q = I
//	five times: P = a I + b A + c A², Q = Q P, A = A P P
//	result: X Q
//
// With 256 columns of 2304 values this is a fifth of the plain iteration's
// arithmetic, and half of each product follows from the other, by symmetry.

const (
	muonSteps                   = 5
	muonA, muonB, muonC float32 = 3.4445, -4.7750, 2.0315
	// muonEpsilon is the least norm that u is divided by.
	muonEpsilon = 1e-7
	// muonBlock is the side of the blocks that a symmetric product is cut into,
	// a multiple of every panel.
	muonBlock = 32
	// muonRows are the rows of x that make a piece of the elementwise work and
	// of the last product.
	muonRows = 32
)

// Muon takes one step for x [rows][cols], from its gradient g and with its
// momentum m of the same length:
//
//	m = momentum m + g
//	u = g + momentum m             (Nesterov's)
//	x = shrink x - rate orthogonal(u)
//
// The result does not depend on the number of workers. Like the convolutions',
// it is rounded differently by different kernels.
func Muon(w *Workers, x, g, m []float32, rows, cols int, rate, momentum, shrink float32) {
	check("Muon", rows > 0 && cols > 0, "empty dimension")
	n := rows * cols
	checkLen("Muon", "x", len(x), n)
	checkLen("Muon", "g", len(g), n)
	checkLen("Muon", "m", len(m), n)
	t := &w.scratch.muon
	*t = muonTask{
		x: x[:n], g: g[:n], m: m[:n], rows: rows, cols: cols,
		rate: rate, momentum: momentum, shrink: shrink, kernels: &active.convKernels, sums: t.sums,
	}
	t.layout(w)
	t.stage(w, (*muonTask).accumulate, t.pieces)
	t.normalize()
	t.stage(w, (*muonTask).scale, t.pieces)
	t.iterate(w)
	t.stage(w, (*muonTask).pack, t.blocks)
	t.stage(w, (*muonTask).apply, (t.tall+muonRows-1)/muonRows)
}

type muonTask struct {
	x, g, m                []float32
	rows, cols             int
	rate, momentum, shrink float32
	kernels                *convKernels

	turned     bool // u is the transposed of x, to be at least as high as wide
	tall, wide int  // u's height and width, without padding
	ld, height int  // distance of the rows, and how many there are, with padding
	blocks     int  // that the width is cut into
	pieces     int  // that the rows of x are cut into

	sums    []float64 // of the squares of u, one a piece
	inverse float32   // 1/|u|

	// u, five symmetric matrices, the packed result, and each worker's product
	u, a, p, q, r, s, packed, products []float32

	do      func(t *muonTask, worker, i int)
	product muonProduct
}

// layout cuts the workspace.
func (t *muonTask) layout(w *Workers) {
	t.tall, t.wide, t.turned = t.rows, t.cols, t.rows < t.cols
	if t.turned {
		t.tall, t.wide = t.cols, t.rows
	}
	t.blocks = (t.wide + muonBlock - 1) / muonBlock
	padded := t.blocks * muonBlock
	t.ld = padded + lane // no power of two
	t.height = roundUp(t.tall, muonRows)
	t.pieces = (t.rows + muonRows - 1) / muonRows
	if t.pieces > cap(t.sums) {
		t.sums = make([]float64, t.pieces)
	}
	t.sums = t.sums[:t.pieces]

	square := padded * t.ld
	w.reserve(t.height*t.ld + 5*square + padded*padded + w.N()*muonRows*padded)
	rest := w.workspace
	take := func(n int) []float32 {
		b := rest[:n:n]
		rest = rest[n:]
		return b
	}
	t.u = take(t.height * t.ld)
	for _, m := range []*[]float32{&t.a, &t.p, &t.q, &t.r, &t.s} {
		*m = take(square)
	}
	t.packed = take(padded * padded)
	t.products = take(w.N() * muonRows * padded)
}

func (t *muonTask) stage(w *Workers, do func(t *muonTask, worker, i int), n int) {
	t.do = do
	w.Do(n, t)
}

func (t *muonTask) Run(worker, i int) { t.do(t, worker, i) }

// span is the part of x, g and m that piece i works on.
func (t *muonTask) span(i int) (first, last int) {
	return i * muonRows, min((i+1)*muonRows, t.rows)
}

// accumulate updates the momentum and sums the squares of u.
func (t *muonTask) accumulate(_, i int) {
	first, last := t.span(i)
	g, m := t.g[first*t.cols:last*t.cols], t.m[first*t.cols:last*t.cols]
	sum := 0.0
	for k, v := range g {
		m[k] = float32(t.momentum*m[k]) + v
		u := float64(v + float32(t.momentum*m[k]))
		sum += u * u
	}
	t.sums[i] = sum
}

func (t *muonTask) normalize() {
	sum := 0.0
	for _, s := range t.sums {
		sum += s
	}
	t.inverse = float32(1 / max(math.Sqrt(sum), muonEpsilon))
}

// scale writes u/|u|, and zeros round it.
func (t *muonTask) scale(_, i int) {
	first, last := t.span(i)
	for row := first; row < last; row++ {
		g, m := t.g[row*t.cols:][:t.cols], t.m[row*t.cols:][:t.cols]
		if t.turned {
			for k, v := range g {
				t.u[k*t.ld+row] = (v + float32(t.momentum*m[k])) * t.inverse
			}
			continue
		}
		u := t.u[row*t.ld:][:t.ld]
		for k, v := range g {
			u[k] = (v + float32(t.momentum*m[k])) * t.inverse
		}
		clear(u[t.cols:])
	}
	if i < t.pieces-1 {
		return
	}
	if t.turned {
		for row := range t.tall {
			clear(t.u[row*t.ld:][t.wide:t.ld])
		}
	}
	clear(t.u[t.tall*t.ld:])
}

// iterate makes q what the iteration multiplies u by.
func (t *muonTask) iterate(w *Workers) {
	t.multiply(w, muonProduct{c: t.a, a: t.u, b: t.u, depth: t.height})
	for i := range muonSteps {
		t.multiply(w, muonProduct{c: t.p, a: t.a, b: t.a, polynomial: true})
		if i == 0 {
			copy(t.q, t.p)
		} else {
			t.multiply(w, muonProduct{c: t.s, a: t.q, b: t.p})
			t.q, t.s = t.s, t.q
		}
		if i < muonSteps-1 {
			t.multiply(w, muonProduct{c: t.r, a: t.a, b: t.p})
			t.multiply(w, muonProduct{c: t.a, a: t.r, b: t.p})
		}
	}
}

// muonProduct is c = aᵀ b, which is symmetric; a and b are [depth] rows. With
// polynomial, which takes an a that is b, it is the iteration's polynomial of a.
type muonProduct struct {
	c, a, b    []float32
	depth      int // 0: as wide as c
	polynomial bool
}

func (t *muonTask) multiply(w *Workers, p muonProduct) {
	if p.depth == 0 {
		p.depth = t.blocks * muonBlock
	}
	t.product = p
	t.stage(w, (*muonTask).block, t.blocks*(t.blocks+1)/2)
}

// block computes one block on or right of the diagonal, and its mirror image.
func (t *muonTask) block(_, i int) {
	top, left := 0, i
	for left >= t.blocks-top {
		left -= t.blocks - top
		top++
	}
	left += top
	p, ld := &t.product, t.ld
	row, col := top*muonBlock, left*muonBlock
	for k := 0; k < p.depth; k += depthTiles {
		depth := min(depthTiles, p.depth-k)
		for panel := 0; panel < muonBlock; panel += t.kernels.panel {
			t.kernels.gemmT(p.c[row*ld+col+panel:], ld, p.a[k*ld+row:], ld, p.b[k*ld+col+panel:], ld, muonBlock, depth, k > 0)
		}
	}
	for y := row; y < row+muonBlock; y++ {
		c := p.c[y*ld+col:][:muonBlock]
		if p.polynomial {
			for x, a := range p.a[y*ld+col:][:muonBlock] {
				c[x] = muonB*a + muonC*c[x]
			}
			if top == left {
				c[y-row] += muonA
			}
		}
		if top != left {
			for x, v := range c {
				p.c[(col+x)*ld+y] = v
			}
		}
	}
}

// pack orders rows of q as gemm reads them: [panels][rows][panel].
func (t *muonTask) pack(_, i int) {
	panel, padded := t.kernels.panel, t.blocks*muonBlock
	for row := i * muonBlock; row < (i+1)*muonBlock; row++ {
		for col := 0; col < padded; col += panel {
			copy(t.packed[col*padded+row*panel:][:panel], t.q[row*t.ld+col:])
		}
	}
}

// apply computes muonRows rows of u q and updates x by them.
func (t *muonTask) apply(worker, i int) {
	panel, padded := t.kernels.panel, t.blocks*muonBlock
	first := i * muonRows
	last := min(first+muonRows, t.tall)
	c := t.products[worker*muonRows*padded:][:muonRows*padded]
	for col := 0; col < padded; col += panel {
		t.kernels.gemm(c[col:], padded, t.u[first*t.ld:], t.ld, t.packed[col*padded:], muonRows, padded)
	}
	for row := first; row < last; row++ {
		line := c[(row-first)*padded:][:t.wide]
		if t.turned {
			for k, v := range line {
				at := k*t.cols + row
				t.x[at] = float32(t.shrink*t.x[at]) - float32(t.rate*v)
			}
			continue
		}
		x := t.x[row*t.cols:][:t.cols]
		for k, v := range line {
			x[k] = float32(t.shrink*x[k]) - float32(t.rate*v)
		}
	}
}
