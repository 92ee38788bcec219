package ptx

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// block runs one block of threads after another, on one goroutine.
type block struct {
	kernel    *Kernel
	prog      *program
	mem       *Memory
	grid      Dim
	block     Dim
	dynamic   int // bytes of shared memory that the launch asked for
	params    []byte
	maxSteps  int64
	index     Dim
	number    uint64 // index as one number, from 0
	warpCount int
	warps     []*warp
	shared    shared
	barriers  map[uint64]*barrier
	told      map[uint64]bool // blocks that have published to one of its atomic operations
	known     map[uint64]bool // those after a fence: what they wrote may be read
	progress  uint64          // rises whenever something happened that a warp may wait for
}

// maxBlocks is what a shadow has room for; see global.go.
const maxBlocks = 1 << 20

// Run launches the kernel and waits for its end. The error is a *Fault if the
// kernel broke a rule; memory then holds what was written until that.
func (k *Kernel) Run(l Launch) (*Stats, error) {
	grid, dim := l.Grid.or1(), l.Block.or1()
	switch {
	case len(l.Params) != k.ParamBytes():
		return nil, fmt.Errorf("ptx: %s: %d bytes of parameters, it takes %d", k.Name, len(l.Params), k.ParamBytes())
	case dim.count() > 1024 || k.MaxThreads > 0 && dim.count() > k.MaxThreads:
		return nil, fmt.Errorf("ptx: %s: a block of %d threads, at most %d are possible", k.Name, dim.count(), max(k.MaxThreads, 1024))
	case grid.count() > maxBlocks || grid.Y > 65535 || grid.Z > 65535:
		return nil, fmt.Errorf("ptx: %s: a grid of %d x %d x %d blocks", k.Name, grid.X, grid.Y, grid.Z)
	case l.Shared < 0 || k.prog.dynamic+l.Shared > 256<<10:
		return nil, fmt.Errorf("ptx: %s: %d bytes of shared memory", k.Name, l.Shared)
	}
	workers := l.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, grid.count())
	maxSteps := l.MaxInstructions
	if maxSteps <= 0 {
		maxSteps = 1 << 28
	}
	mem := k.module.mem
	mem.begin()
	defer mem.end()

	if k.prog.together {
		return k.runAll(l, grid, dim, maxSteps)
	}
	var next atomic.Int64
	var failed atomic.Int64 // the lowest block with a fault, plus 1
	blocks := make([]*block, workers)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		b := k.newBlock(l, grid, dim, maxSteps)
		blocks[i] = b
		wg.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= int64(grid.count()) || errs[i] != nil || failed.Load() != 0 && failed.Load() <= n {
					return
				}
				b.place(int(n))
				if errs[i] = b.run(); errs[i] != nil {
					for {
						low := failed.Load()
						if low != 0 && low <= n+1 || failed.CompareAndSwap(low, n+1) {
							break
						}
					}
				}
			}
		})
	}
	wg.Wait()
	return collect(blocks, errs)
}

// runAll runs all blocks of a grid at once.
func (k *Kernel) runAll(l Launch, grid, dim Dim, maxSteps int64) (*Stats, error) {
	blocks := make([]*block, grid.count())
	for i := range blocks {
		blocks[i] = k.newBlock(l, grid, dim, maxSteps)
		blocks[i].place(i)
	}
	errs := make([]error, len(blocks))
	errs[0] = runTogether(blocks)
	return collect(blocks, errs)
}

// newBlock makes a block for a launch, of one that has run if there is one of its size.
func (k *Kernel) newBlock(l Launch, grid, dim Dim, maxSteps int64) *block {
	b, _ := k.prog.idle.Get().(*block)
	made := b != nil && b.block == dim && b.dynamic == l.Shared
	if !made {
		b = &block{block: dim, dynamic: l.Shared, prog: k.prog}
	}
	b.kernel, b.mem, b.grid, b.params, b.maxSteps = k, k.module.mem, grid, l.Params, maxSteps
	if !made {
		b.make()
	}
	return b
}

// release leaves a block to the next launch, without what belongs to this one.
func (b *block) release() {
	b.kernel, b.mem, b.params = nil, nil, nil
	b.shared.uses = 0
	for _, w := range b.warps {
		w.near, w.cur = nil, nil
		w.count, w.extra = [len(kinds)]int64{}, 0
		w.copies.reset()
	}
	b.prog.idle.Put(b)
}

// place says which block of the grid this is.
func (b *block) place(n int) {
	b.number = uint64(n)
	b.index = Dim{n % b.grid.X, n / b.grid.X % b.grid.Y, n / (b.grid.X * b.grid.Y)}
}

// collect adds the workers' counts and finds the fault of the lowest block; if
// there is none it releases the blocks.
func collect(blocks []*block, errs []error) (*Stats, error) {
	s := &Stats{Instructions: map[string]int64{}}
	var worst error
	low := uint64(0)
	for i, b := range blocks {
		for _, w := range b.warps {
			for k, n := range w.count {
				if n > 0 {
					s.Instructions[kinds[k]] += n
				}
			}
			s.BankConflicts += w.extra
		}
		s.Blocks += int64(b.shared.uses)
		s.Warps += int64(b.shared.uses * b.warpCount)
		if errs[i] != nil && (worst == nil || b.number < low) {
			worst, low = errs[i], b.number
		}
	}
	if worst == nil {
		for _, b := range blocks {
			b.release()
		}
	}
	return s, worst
}

// make allocates what the blocks of this worker use one after another.
func (b *block) make() {
	b.warpCount = (b.block.count() + warpSize - 1) / warpSize
	b.shared.make(b.prog.dynamic+b.dynamic, b.warpCount)
	b.warps = make([]*warp, b.warpCount)
	for i := range b.warps {
		b.warps[i] = newWarp(b, i)
	}
}

// run runs one block.
func (b *block) run() error {
	return runTogether([]*block{b})
}

// runTogether runs some blocks to their ends. Warps take turns; which comes
// first is of no matter to a right kernel, and a wrong one is found by its
// accesses, not by luck.
func runTogether(blocks []*block) (err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*Fault)
			if !ok {
				panic(r)
			}
			err = f
		}
	}()
	for _, b := range blocks {
		b.start()
	}
	for idle := 0; ; {
		living, polling, moved := 0, 0, false
		for _, b := range blocks {
			l, p, m := b.round()
			living, polling, moved = living+l, polling+p, moved || m
		}
		if living == 0 {
			break
		}
		if moved {
			idle = 0
			continue
		}
		if idle++; polling == 0 || idle > 3 {
			for _, b := range blocks {
				if err := b.deadlock(); err != nil {
					return err
				}
			}
		}
	}
	for _, b := range blocks {
		if err := b.shared.settled(b); err != nil {
			return err
		}
	}
	return nil
}

// start makes everything as new.
func (b *block) start() {
	b.shared.reset()
	b.barriers = map[uint64]*barrier{}
	b.told, b.known = nil, nil
	for _, w := range b.warps {
		w.start()
	}
}

// round gives each warp that can go on a turn. It returns how many warps are
// not at their end, how many of them ask for something in a loop, and whether
// anything happened that a warp may wait for.
func (b *block) round() (living, polling int, moved bool) {
	before := b.progress
	for _, w := range b.warps {
		if w.live == 0 {
			continue
		}
		living++
		if w.waiting != nil {
			continue
		}
		steps := w.steps
		switch w.run() {
		case ended:
			b.progress++
			b.left(w)
		case yielded:
			polling++
			if w.steps-steps >= turn {
				b.progress++ // it computes
			}
		}
	}
	return living, polling, b.progress != before
}

// deadlock describes a warp that waits for what nobody will do, if there is one.
func (b *block) deadlock() error {
	for _, w := range b.warps {
		if w.live == 0 {
			continue
		}
		what := "it asks for what no other warp will do any more"
		if w.waiting != nil {
			what = fmt.Sprintf("it waits at barrier %d, where %d of %d threads have come",
				w.waiting.id, w.waiting.arrived, w.waiting.expected)
		}
		return &Fault{Kind: Deadlock, Kernel: b.kernel.Name, Line: w.cur.stmt.line, Text: w.cur.stmt.text(),
			Block: b.index, Warp: w.id, Lane: -1, What: what}
	}
	return nil
}
