package kernel

// product is a convolution of in.C to out.C channels by Winograd's algorithm
// (winograd.go): the forward pass, and the gradient of the data, which is the
// same with turned filters.
//
// A piece of work is a block of tiles, small enough that its V and a group of
// columns of its M stay near while the weights stream past:
//
//	V = inputTile of each tile
//	for each group of panels of output channels:
//		for each of the 36 positions, for each panel: M = V U
//		outputTile of each tile
//
// Blocks are taken backwards, where the first layer and the filter's gradient go
// forwards: a pass then begins with what the one before it left in the
// third-level cache.
type product struct {
	c                   *Conv
	in, out             Image
	grid                grid
	inPadded, outPadded int // channels of in and out, padded to lane and to panels

	// u holds the transformed weights in the order of their use: for each group
	// of panels, for each position, for each panel of the group, k rows of panel
	// values. Positions are one row more apart, so that the distance is no power
	// of two.
	u    []float32
	uPos int // distance between positions

	tiles int // of a block
	group int // panels of a group

	// Distances in V and M, padded against powers of two.
	vRow, vPos int
	mRow, mPos int
	scratch    int // for tiles and filters that are copied

	blocks  int // of the batch
	parts   int // pieces that the groups of one block are dealt to
	task    productTask
	weights weightsTask
}

const (
	// blockBytes bounds V and M of a block. More than the second-level cache
	// holds pays where there are many channels, as each block reads all of the
	// weights: with 256, 24 and 32 tiles take 8% less than 8.
	blockBytes = 2 << 20
	// blockTiles bounds them where there are few: the weights are in the cache
	// then. 24 are four blocks of gemm's rows; 16 and 32 take 1 to 2% longer.
	blockTiles = 24
)

// Transforms wait for memory, not for arithmetic, unless what they read has been
// asked for some tiles before: an input's own pixels, and the mask of an output.
const (
	inputAhead = 4
	maskAhead  = 2
)

func newProduct(c *Conv, in, out Image) *product {
	panel := c.kernels.panel
	p := &product{c: c, in: in, out: out, grid: newGrid(in)}
	p.inPadded = roundUp(in.C, lane)
	p.outPadded = roundUp(out.C, max(lane, panel))
	p.group = max(1, min(maxGroup, p.outPadded)/panel)
	p.uPos = (p.group*p.inPadded + 1) * panel
	p.u = Alloc(p.groups()*positions*p.uPos + p.inPadded*panel)
	p.vRow = p.inPadded + lane
	p.mRow = p.group * panel
	p.tiles = blockBytes / 4 / (positions * (p.vRow + p.mRow)) / 8 * 8
	p.tiles = min(max(p.tiles, 8), blockTiles, roundUp(p.grid.tiles(in.N), 4))
	p.vPos = p.tiles*p.vRow + lane
	p.mPos = p.tiles*p.mRow + lane
	p.scratch = roundUp(max(positions*p.inPadded, 2*tileSize*tileSize*p.mRow, 9*lane*panel), lane)
	p.task.product = p
	p.weights.product = p
	c.w.reserve(c.w.N() * p.workspace())
	return p
}

// workspace returns the values that one worker needs.
func (p *product) workspace() int { return positions*(p.vPos+p.mPos) + p.scratch }

// filters returns the transformed weights of one row and one panel; a position
// is uPos from the next.
func (p *product) filters(panel, row int) []float32 {
	group, q := panel/p.group, panel%p.group
	return p.u[group*positions*p.uPos+(q*p.inPadded+row)*p.c.kernels.panel:]
}

// groups returns the number of groups of panels.
func (p *product) groups() int {
	panels := p.outPadded / p.c.kernels.panel
	return (panels + p.group - 1) / p.group
}

// productTask is one pass: dst from src. In the forward pass arg receives the
// positions of maxima; in the gradient of the data srcArg gives them, and mask
// is the layer's input.
type productTask struct {
	*product
	dst, src, mask []float32
	arg, srcArg    []uint8
	total          int // tiles
	source         source
}

func (p *product) run(t productTask, rows int) {
	t.product = p
	t.total = p.grid.tiles(rows)
	t.source = source{p.in, t.src, t.srcArg, p.c}
	p.task = t
	// With few blocks, as for a single image, a block's panels are dealt out too.
	p.blocks = (t.total + p.tiles - 1) / p.tiles
	p.parts = 1
	for p.parts < p.groups() && p.blocks*p.parts < 2*p.c.w.N() {
		p.parts *= 2
	}
	p.parts = min(p.parts, p.groups())
	p.c.w.DoBackwards(p.blocks*p.parts, &p.task)
}

func (t *productTask) Run(worker, i int) {
	p, kernels := t.product, t.c.kernels
	block, part := i/t.parts, i%t.parts
	first := block * t.tiles
	last := min(first+t.tiles, t.total)
	ws := t.c.w.workspace[worker*p.workspace():][:p.workspace()]
	v, m, scratch := ws[:positions*p.vPos], ws[positions*p.vPos:][:positions*p.mPos], ws[positions*(p.vPos+p.mPos):]

	here := t.grid.at(first)
	ahead := here
	for i := first; i < last+inputAhead; i++ {
		if i < last {
			t.source.fetch(ahead.image, ahead.y+1, ahead.x+1)
			t.grid.next(&ahead)
		}
		if tile := i - inputAhead; tile >= first {
			t.source.input(worker, v[(tile-first)*p.vRow:], p.vPos, scratch, here.image, here.y-1, here.x-1)
			t.grid.next(&here)
		}
	}
	// The rows past the last tile hold what was there before; nobody reads them.
	rows := roundUp(last-first, 4)
	for g := part; g < p.groups(); g += t.parts {
		col := g * p.mRow
		columns := min(p.mRow, p.outPadded-col)
		for pos := range positions {
			u := p.u[(g*positions+pos)*p.uPos:]
			for q := 0; q < columns; q += kernels.panel {
				kernels.gemm(m[pos*p.mPos+q:], p.mRow, v[pos*p.vPos:], p.vRow, u[q*p.inPadded:], rows, p.inPadded)
			}
		}
		n := min(columns, p.out.C-col) // channels of the group that exist
		here := t.grid.at(first)
		ahead := here
		for i := first; i < last+maskAhead; i++ {
			if t.mask != nil && i < last {
				t.fetchMask(ahead, col, n)
				t.grid.next(&ahead)
			}
			if tile := i - maskAhead; tile >= first {
				t.output(worker, here, m[(tile-first)*p.mRow:], scratch, col, n)
				t.grid.next(&here)
			}
		}
	}
}

// output writes channels first to first+n of a tile.
func (t *productTask) output(worker int, tile place, m, scratch []float32, first, n int) {
	p, kernels := t.product, t.c.kernels
	image, y, x := tile.image, tile.y, tile.x
	whole := n%lane == 0 && y+tileSize <= p.out.H && x+tileSize <= p.out.W
	padded := roundUp(n, lane)
	bias := t.c.bias
	row := p.out.rowLen()
	switch {
	case p == t.c.data && whole:
		at := p.out.At(image, y, x) + first
		var mask []float32
		if t.mask != nil {
			mask = t.mask[at:]
		}
		kernels.outputMask(t.dst[at:], row, p.out.C, m, p.mPos, mask, n)
	case p == t.c.data:
		var mask []float32
		if t.mask != nil {
			mask = scratch[tileSize*tileSize*padded:]
			gather(p.out, mask, t.mask, image, y, x, tileSize, padded, first, n)
		}
		kernels.outputMask(scratch, tileSize*padded, padded, m, p.mPos, mask, padded)
		scatter(p.out, t.dst, scratch, image, y, x, tileSize, padded, first, n)
	case t.c.spec.Pool:
		t.outputPool(worker, m, scratch, image, y/2, x/2, first, n, whole)
	case whole:
		kernels.outputReLU(t.dst[p.out.At(image, y, x)+first:], row, p.out.C, m, p.mPos, bias[first:], n)
	default:
		kernels.outputReLU(scratch, tileSize*padded, padded, m, p.mPos, bias[first:], padded)
		scatter(p.out, t.dst, scratch, image, y, x, tileSize, padded, first, n)
	}
}

// fetchMask asks for the mask of a tile.
func (t *productTask) fetchMask(tile place, first, n int) {
	for i := range min(tileSize, t.out.H-tile.y) {
		t.c.kernels.prefetch(t.mask[t.out.At(tile.image, tile.y+i, tile.x)+first:], t.out.C, tileSize, n)
	}
}

// outputPool writes the 2x2 pooled pixels of a tile, the first of them (y, x).
func (t *productTask) outputPool(worker int, m, scratch []float32, image, y, x, first, n int, whole bool) {
	p, kernels, out := t.product, t.c.kernels, t.c.pooled
	bias := t.c.bias[first:]
	argAt := func(i, j int) int { return ((image*out.H+y+i)*out.W+x+j)*out.C + first }
	if whole {
		var arg []uint8
		if t.arg != nil {
			arg = t.arg[argAt(0, 0):]
		}
		kernels.outputPool(t.dst[out.At(image, y, x)+first:], out.rowLen(), out.C, arg, out.W*out.C, out.C, m, p.mPos, bias, n)
		return
	}
	padded := roundUp(n, lane)
	arg := t.c.positions[worker*tilePositions:][:4*padded]
	kernels.outputPool(scratch, 2*padded, padded, arg, 2*padded, padded, m, p.mPos, bias, padded)
	scatter(out, t.dst, scratch, image, y, x, 2, padded, first, n)
	if t.arg == nil {
		return
	}
	for i := range min(2, out.H-y) {
		for j := range min(2, out.W-x) {
			copy(t.arg[argAt(i, j):][:n], arg[(2*i+j)*padded:])
		}
	}
}

// weightsTask transforms the weights, lane rows of U a piece.
type weightsTask struct {
	*product
	w      []float32
	turned bool // filters turned by 180 degrees, channels swapped
}

func (p *product) setWeights(w []float32, turned bool) {
	p.weights.w, p.weights.turned = w, turned
	p.c.w.Do(p.inPadded/lane, &p.weights)
}

func (t *weightsTask) Run(worker, i int) {
	p, kernels := t.product, t.c.kernels
	in, out := p.in.C, p.out.C
	rows := min(lane, in-i*lane)
	for panel := range p.outPadded / kernels.panel {
		col := panel * kernels.panel
		n := min(kernels.panel, out-col)
		if n <= 0 {
			break
		}
		if !t.turned && n%lane == 0 {
			for r := i * lane; r < i*lane+rows; r++ {
				kernels.filterTile(p.filters(panel, r), p.uPos, t.w[r*out+col:], in*out, n)
			}
			continue
		}
		// Filters of lane rows and one panel of columns.
		w := t.c.w.workspace[worker*9*lane*kernels.panel:][:9*lane*kernels.panel]
		for tap := range 9 {
			w := w[tap*lane*kernels.panel:]
			if !t.turned {
				for r := range rows {
					copy(w[r*kernels.panel:][:n], t.w[(tap*in+i*lane+r)*out+col:])
				}
				continue
			}
			// The row of t.w is this product's column.
			for c := range n {
				for r, v := range t.w[((8-tap)*out+col+c)*in+i*lane:][:rows] {
					w[r*kernels.panel+c] = v
				}
			}
		}
		for r := range rows {
			kernels.filterTile(p.filters(panel, i*lane+r), p.uPos, w[r*kernels.panel:], lane*kernels.panel, roundUp(n, lane))
		}
	}
}
