package kernel

// filterGradient computes the gradients of the weights and of the bias by
// Winograd's algorithm (winograd.go). A stretch of tiles of the batch is
// transformed by all workers into a shared workspace; then the positions and
// chunks of input channels are dealt out, and each is summed over the stretch's
// tiles into the one dU. So the sums' order is the tiles', whoever computes
// them, there is nothing to add up at the end, and sixteen workers find work.
type filterGradient struct {
	c       *Conv
	grid    grid
	in, out int // channels, padded
	stretch int // tiles of a stretch
	tiles   int // of a piece of transforms, a divisor of every stretch

	// Distances in V, in A dy Aᵀ and in dU, padded against powers of two.
	vRow, vPos     int
	dRow, dPos     int
	duPos, duPanel int
	scratch        int // of one worker

	du   []float32 // [panels][positions][in+1][panel]
	sums []float32 // of the bias's gradient, one a piece of transforms

	transform transformTask
	multiply  multiplyTask
	finish    finishTask
}

const (
	// stretchBytes is the part of the third-level cache that V and dY may take.
	// 2 to 6 MB are alike where the cache is the program's own, and less is better
	// where it is shared; 20 MB, which is in memory, cost 40% more.
	stretchBytes = 3 << 20
	// transformChannels bounds the tiles times channels of one piece of transforms.
	transformChannels = 2048
	// depthTiles are the products that a register sums before it is added to dU.
	depthTiles = 128
	// chunkChannels are the input channels of one piece of the matrix products.
	chunkChannels = 64
)

func newFilterGradient(c *Conv) *filterGradient {
	panel := c.kernels.panel
	f := &filterGradient{c: c, grid: newGrid(c.in)}
	f.in = roundUp(c.in.C, lane)
	f.out = roundUp(c.out.C, max(lane, panel))
	f.vRow, f.dRow = f.in+lane, f.out+lane
	for f.tiles = 8; 2*f.tiles*f.in <= transformChannels && f.tiles < depthTiles; {
		f.tiles *= 2
	}
	f.stretch = stretchBytes / 4 / (positions * (f.vRow + f.dRow)) / depthTiles * depthTiles
	f.stretch = min(max(f.stretch, depthTiles), roundUp(f.grid.tiles(c.spec.Images), f.tiles))
	f.vPos, f.dPos = f.stretch*f.vRow+lane, f.stretch*f.dRow+lane
	f.duPos = (f.in + 1) * panel
	f.duPanel = positions * f.duPos
	f.du = Alloc(f.out / panel * f.duPanel)
	f.sums = Alloc((f.grid.tiles(c.spec.Images) + f.tiles - 1) / f.tiles * f.out)
	f.scratch = max(positions*f.in, tileSize*tileSize*f.out)
	c.w.reserve(positions*(f.vPos+f.dPos) + c.w.N()*f.scratch)
	f.transform.filterGradient, f.multiply.filterGradient, f.finish.filterGradient = f, f, f
	return f
}

func (f *filterGradient) run(dw, db, x, dy []float32, arg []uint8, rows int) {
	total := f.grid.tiles(rows)
	f.transform.x = source{f.c.in, x, nil, f.c}
	f.transform.dy = source{f.c.out, dy, arg, f.c}
	for first := 0; first < total; first += f.stretch {
		n := min(f.stretch, total-first)
		f.transform.first, f.transform.n = first, n
		f.c.w.Do((n+f.tiles-1)/f.tiles, &f.transform)
		f.multiply.n, f.multiply.add = n, first > 0
		f.c.w.Do(positions*((f.in+chunkChannels-1)/chunkChannels), &f.multiply)
	}
	f.finish.dw = dw
	f.c.w.Do(f.in/lane, &f.finish)

	blocks := (total + f.tiles - 1) / f.tiles
	for o := range db[:f.c.spec.Out] {
		s := 0.0
		for b := range blocks {
			s += float64(f.sums[b*f.out+o])
		}
		db[o] = float32(s)
	}
}

// workspace returns V, dY and one worker's scratch.
func (f *filterGradient) workspace(worker int) (v, d, scratch []float32) {
	ws := f.c.w.workspace
	v, ws = ws[:positions*f.vPos], ws[positions*f.vPos:]
	d, ws = ws[:positions*f.dPos], ws[positions*f.dPos:]
	return v, d, ws[worker*f.scratch:][:f.scratch]
}

// transformTask transforms f.tiles tiles of x and dy.
type transformTask struct {
	*filterGradient
	x, dy    source
	first, n int // tiles of the stretch
}

func (t *transformTask) Run(worker, i int) {
	f := t.filterGradient
	v, d, scratch := f.workspace(worker)
	sum := f.sums[(t.first/f.tiles+i)*f.out:][:f.out]
	clear(sum)
	first := i * t.tiles
	last := min(first+t.tiles, t.n)
	here := t.grid.at(t.first + first)
	ahead := here
	for i := first; i < last+inputAhead; i++ {
		if i < last {
			t.x.fetch(ahead.image, ahead.y+1, ahead.x+1)
			t.dy.fetch(ahead.image, ahead.y, ahead.x)
			t.grid.next(&ahead)
		}
		if tile := i - inputAhead; tile >= first {
			t.x.input(worker, v[tile*t.vRow:], t.vPos, scratch, here.image, here.y-1, here.x-1)
			t.dy.gradient(worker, d[tile*t.dRow:], t.dPos, scratch, here.image, here.y, here.x, sum)
			t.grid.next(&here)
		}
	}
}

// multiplyTask sums the products of one position and one chunk of input
// channels over the tiles of a stretch.
type multiplyTask struct {
	*filterGradient
	n   int
	add bool
}

func (t *multiplyTask) Run(_, i int) {
	f, kernels := t.filterGradient, t.c.kernels
	chunks := (f.in + chunkChannels - 1) / chunkChannels
	pos, first := i/chunks, i%chunks*chunkChannels
	rows := min(chunkChannels, f.in-first)
	v, d, _ := f.workspace(0)
	for tile := 0; tile < t.n; tile += depthTiles {
		depth := min(depthTiles, t.n-tile)
		a := v[pos*f.vPos+tile*f.vRow+first:]
		for panel := range f.out / kernels.panel {
			b := d[pos*f.dPos+tile*f.dRow+panel*kernels.panel:]
			c := f.du[panel*f.duPanel+pos*f.duPos+first*kernels.panel:]
			kernels.gemmT(c, kernels.panel, a, f.vRow, b, f.dRow, rows, depth, t.add || tile > 0)
		}
	}
}

// finishTask transforms lane rows of dU back.
type finishTask struct {
	*filterGradient
	dw []float32
}

func (t *finishTask) Run(worker, i int) {
	f, kernels := t.filterGradient, t.c.kernels
	_, _, scratch := f.workspace(worker)
	in, out := f.c.spec.In, f.c.spec.Out
	for panel := range f.out / kernels.panel {
		col := panel * kernels.panel
		n := min(kernels.panel, out-col)
		if n <= 0 {
			break
		}
		for r := i * lane; r < min((i+1)*lane, in); r++ {
			du := f.du[panel*f.duPanel+r*kernels.panel:]
			dw := t.dw[r*out+col:]
			if n%lane == 0 {
				kernels.filterGradientTile(dw, in*out, du, f.duPos, n)
				continue
			}
			w := scratch[:9*kernels.panel]
			kernels.filterGradientTile(w, kernels.panel, du, f.duPos, roundUp(n, lane))
			for tap := range 9 {
				copy(dw[tap*in*out:][:n], w[tap*kernels.panel:])
			}
		}
	}
}
