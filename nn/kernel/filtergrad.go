package kernel

// filterGradient computes the gradients of the weights and of the bias by
// Winograd's algorithm (winograd.go). The tiles of the batch are cut into a few
// groups, of which as many are under way as there are workers. A stretch of each
// of these is transformed into its workspace; then its positions and chunks of
// input channels are dealt out, and each is summed over the stretch's tiles into
// the group's dU. At the end the groups' gradients are added up. So the sums'
// order is the tiles', whoever computes them, sixteen workers find work, and
// a worker multiplies mostly what it transformed: with one group for all, two
// workers without a third-level cache in common took as long as one for 64
// channels.
type filterGradient struct {
	c       *Conv
	grid    grid
	in, out int // channels, padded
	groups  int // parts of a full batch, with a dU each
	beside  int // groups under way at once, with a workspace each
	stretch int // tiles of a stretch of each group
	tiles   int // of a piece of transforms, a divisor of every stretch

	// Distances in V, in A dy Aᵀ and in dU, padded against powers of two.
	vRow, vPos     int
	dRow, dPos     int
	duPos, duPanel int
	duGroup        int
	scratch        int // of one worker

	du   []float32 // [groups][panels][positions][in+1][panel]
	sums []float32 // of the bias's gradient, one a piece of transforms

	part      part
	transform transformTask
	multiply  multiplyTask
	finish    finishTask
}

const (
	// stretchBytes is the part of the third-level cache that V and dY of a group
	// may take.
	// 2 to 6 MB are alike where the cache is the program's own, and less is better
	// where it is shared; 20 MB, which is in memory, cost 40% more.
	stretchBytes = 3 << 20
	// transformChannels bounds the tiles times channels of one piece of transforms.
	// Larger ones leave a worker waiting for the other at each stretch's end: 2048
	// cost 1.5% of a step.
	transformChannels = 512
	// depthTiles are the products that a register sums before it is added to dU.
	depthTiles = 128
	// chunkChannels are the input channels of one piece of the matrix products.
	chunkChannels = 64
)

// gradientGroups is the number of groups of so many tiles: 4, 2 or 1, so that all
// their dU are at most an eighth of all V and dY.
func gradientGroups(tiles, in, out int) int {
	groups := 4
	for groups > 1 && 8*groups*in*out > tiles*(in+out) {
		groups /= 2
	}
	return groups
}

func newFilterGradient(c *Conv) *filterGradient {
	panel := c.kernels.panel
	f := &filterGradient{c: c, grid: newGrid(c.in)}
	f.in = roundUp(c.in.C, lane)
	f.out = roundUp(c.out.C, max(lane, panel))
	f.vRow, f.dRow = f.in+lane, f.out+lane
	for f.tiles = 8; 2*f.tiles*f.in <= transformChannels && f.tiles < depthTiles; {
		f.tiles *= 2
	}
	total := f.grid.tiles(c.spec.Images)
	f.groups = gradientGroups(total, f.in, f.out)
	f.beside = min(f.groups, c.w.N())
	f.stretch = stretchBytes / 4 / (positions * (f.vRow + f.dRow)) / depthTiles * depthTiles
	f.stretch = min(max(f.stretch, depthTiles), f.groupTiles(total))
	f.vPos, f.dPos = f.stretch*f.vRow+lane, f.stretch*f.dRow+lane
	f.duPos = (f.in + 1) * panel
	f.duPanel = positions * f.duPos
	f.duGroup = f.out / panel * f.duPanel
	f.du = Alloc(f.groups * f.duGroup)
	f.sums = Alloc(divideUp(total, f.tiles) * f.out)
	f.scratch = max(positions*f.in, tileSize*tileSize*f.out)
	c.w.reserve(f.beside*positions*(f.vPos+f.dPos) + c.w.N()*f.scratch)
	f.transform.filterGradient, f.multiply.filterGradient, f.finish.filterGradient = f, f, f
	return f
}

func (f *filterGradient) run(dw, db, x, dy []float32, arg []uint8, rows int) {
	total := f.grid.tiles(rows)
	f.transform.x = source{f.c.in, x, nil, f.c}
	f.transform.dy = source{f.c.out, dy, arg, f.c}
	group := f.groupTiles(total)
	groups := divideUp(total, group) // that have tiles
	beside := min(f.beside, groups)
	f.part = part{total: total, tiles: group, groups: divideUp(groups, beside),
		pieces: divideUp(min(f.stretch, group), f.tiles), chunks: divideUp(f.in, chunkChannels)}
	for f.part.group = 0; f.part.group < f.part.groups; f.part.group++ {
		for f.part.first = 0; f.part.first < group; f.part.first += f.stretch {
			f.c.w.Do(beside*f.part.pieces, &f.transform)
			f.c.w.Do(beside*positions*f.part.chunks, &f.multiply)
		}
	}
	f.finish.dw, f.finish.groups = dw, groups
	f.c.w.Do(f.in/lane, &f.finish)

	blocks := divideUp(total, f.tiles)
	for o := range db[:f.c.spec.Out] {
		s := 0.0
		for b := range blocks {
			s += float64(f.sums[b*f.out+o])
		}
		db[o] = float32(s)
	}
}

// groupTiles returns how many of a batch's tiles a group has, but for the last,
// which may have fewer.
func (f *filterGradient) groupTiles(total int) int {
	return roundUp(divideUp(total, gradientGroups(total, f.in, f.out)), f.tiles)
}

// part is what a pass is at: a stretch of each group that is under way. These
// are the group-th ones of as many runs of groups.
type part struct {
	total  int // tiles of the batch
	tiles  int // of a group
	groups int // of a run
	group  int // of each run
	first  int // tile of each group
	pieces int // of transforms of a group's stretch
	chunks int // of input channels
}

// at returns the group of a run that is under way, the first tile of its
// stretch, and how many it has: none, or fewer, where the group is at its end.
func (f *filterGradient) at(run int) (group, first, n int) {
	p := &f.part
	group = run*p.groups + p.group
	first = group*p.tiles + p.first
	return group, first, min(f.stretch, p.tiles-p.first, p.total-first)
}

// workspace returns V and dY of a run's group.
func (f *filterGradient) workspace(run int) (v, d []float32) {
	ws := f.c.w.workspace[run*positions*(f.vPos+f.dPos):][:positions*(f.vPos+f.dPos)]
	return ws[:positions*f.vPos], ws[positions*f.vPos:]
}

// scratchOf returns a worker's scratch.
func (f *filterGradient) scratchOf(worker int) []float32 {
	return f.c.w.workspace[f.beside*positions*(f.vPos+f.dPos)+worker*f.scratch:][:f.scratch]
}

// transformTask transforms f.tiles tiles of x and dy.
type transformTask struct {
	*filterGradient
	x, dy source
}

func (t *transformTask) Run(worker, i int) {
	f := t.filterGradient
	run, piece := i/f.part.pieces, i%f.part.pieces
	_, start, n := f.at(run)
	if piece*f.tiles >= n {
		return
	}
	v, d := f.workspace(run)
	scratch := f.scratchOf(worker)
	sum := f.sums[(start/f.tiles+piece)*f.out:][:f.out]
	clear(sum)
	first := piece * t.tiles
	last := min(first+t.tiles, n)
	here := t.grid.at(start + first)
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
// channels over the tiles of a group's stretch.
type multiplyTask struct {
	*filterGradient
}

func (t *multiplyTask) Run(_, i int) {
	f, kernels := t.filterGradient, t.c.kernels
	chunk, i := i%f.part.chunks, i/f.part.chunks
	pos, run := i%positions, i/positions
	first := chunk * chunkChannels
	rows := min(chunkChannels, f.in-first)
	group, _, n := f.at(run)
	if n <= 0 {
		return
	}
	v, d := f.workspace(run)
	du := f.du[group*f.duGroup:]
	for tile := 0; tile < n; tile += depthTiles {
		depth := min(depthTiles, n-tile)
		a := v[pos*f.vPos+tile*f.vRow+first:]
		for panel := range f.out / kernels.panel {
			b := d[pos*f.dPos+tile*f.dRow+panel*kernels.panel:]
			c := du[panel*f.duPanel+pos*f.duPos+first*kernels.panel:]
			kernels.gemmT(c, kernels.panel, a, f.vRow, b, f.dRow, rows, depth, f.part.first > 0 || tile > 0)
		}
	}
}

// finishTask transforms lane rows of dU back, and adds up those of the groups.
type finishTask struct {
	*filterGradient
	groups int
	dw     []float32
}

func (t *finishTask) Run(worker, i int) {
	f, kernels := t.filterGradient, t.c.kernels
	w := f.scratchOf(worker)[:9*kernels.panel]
	in, out := f.c.spec.In, f.c.spec.Out
	for panel := range f.out / kernels.panel {
		col := panel * kernels.panel
		n := min(kernels.panel, out-col)
		if n <= 0 {
			break
		}
		for r := i * lane; r < min((i+1)*lane, in); r++ {
			dw := t.dw[r*out+col:]
			for group := range t.groups {
				du := f.du[group*f.duGroup+panel*f.duPanel+r*kernels.panel:]
				if group == 0 && n%lane == 0 {
					kernels.filterGradientTile(dw, in*out, du, f.duPos, n)
					continue
				}
				kernels.filterGradientTile(w, kernels.panel, du, f.duPos, roundUp(n, lane))
				for tap := range 9 {
					sum := dw[tap*in*out:][:n]
					for k, v := range w[tap*kernels.panel:][:n] {
						if group == 0 {
							sum[k] = v
						} else {
							sum[k] += v
						}
					}
				}
			}
		}
	}
}
