package ptx

import (
	"errors"
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

	var next atomic.Int64
	var failed atomic.Int64 // the lowest block with a fault, plus 1
	blocks := make([]*block, workers)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		b := &block{kernel: k, prog: k.prog, mem: mem, grid: grid, block: dim, dynamic: l.Shared,
			params: l.Params, maxSteps: maxSteps}
		blocks[i] = b
		b.make()
		wg.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= int64(grid.count()) || errs[i] != nil || failed.Load() != 0 && failed.Load() <= n {
					return
				}
				b.number = uint64(n)
				b.index = Dim{int(n) % grid.X, int(n) / grid.X % grid.Y, int(n) / (grid.X * grid.Y)}
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

// collect adds the workers' counts and finds the fault of the lowest block.
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

// run runs one block. Warps take turns; which comes first is of no matter to
// a right kernel, and a wrong one is found by its accesses, not by luck.
func (b *block) run() (err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*Fault)
			if !ok {
				panic(r)
			}
			err = f
		}
	}()
	b.shared.reset()
	b.barriers = map[uint64]*barrier{}
	b.told, b.known = nil, nil
	for _, w := range b.warps {
		w.start()
	}
	idle := 0
	for {
		before, living, polling := b.progress, 0, 0
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
		if living == 0 {
			return b.shared.settled(b)
		}
		if b.progress != before {
			idle = 0
			continue
		}
		if idle++; polling == 0 || idle > 3 {
			return b.deadlock()
		}
	}
}

// deadlock describes the warps that wait for what nobody will do.
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
	return errors.New("ptx: a deadlock of nobody")
}
