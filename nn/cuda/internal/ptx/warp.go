package ptx

import (
	"fmt"
	"math/bits"
	"strings"
)

const (
	warpSize = 32
	full     = ^uint32(0)
)

// lanes is a register: a value for each lane, zero-extended to 64 bits.
type lanes = [warpSize]uint64

// warp is 32 threads in step.
type warp struct {
	block *block
	id    int
	r     []lanes  // registers
	init  []uint32 // which lanes of each were written
	p     []uint32 // predicates, a bit for each lane
	pinit []uint32
	local [][]byte // local memory of each lane, with its written bytes behind

	threads uint32  // lanes that exist
	live    uint32  // lanes that have not returned
	stack   []frame // the last one runs
	cur     *instruction
	yield   bool  // the instruction asks to let others run
	steps   int64 // instructions until now
	tmp     lanes // result of an instruction that not all lanes do

	// clock[u] is how far this warp has seen warp u: everything that u did at
	// its times up to clock[u] came before what this warp does now. Its own
	// entry is its present time. See shared.go.
	clock []uint32

	copies   copyQueue   // cp.async in flight
	tensor   wgmmaQueue  // wgmma.mma_async in flight
	bulk     bulkQueue   // stores of boxes in flight
	unfenced bool        // it wrote global memory since its last fence of it
	fenced   uint32      // own writes up to this time are seen by the asynchronous proxy
	near     *allocation // last used, to find the next address quickly

	waiting *barrier // where it waits, nil if it runs
	count   [len(kinds)]int64
	extra   int64 // bank conflicts
}

// frame is a part of the warp that runs on its own until it meets the others at join.
type frame struct {
	pc, join int
	mask     uint32
}

// state says why a warp gave up its turn.
type state byte

const (
	ended   state = iota
	blocked       // at a barrier
	yielded       // it asked for something that has not happened yet
)

// turn is how many instructions a warp runs before another may: enough that
// the change does not cost, few enough that one that waits for another in a
// loop gets what it waits for.
const turn = 1 << 16

// run goes on until the warp ends, waits or has had its turn.
func (w *warp) run() state {
	code := w.block.prog.code
	for end := w.steps + turn; ; {
		if len(w.stack) == 0 {
			return ended
		}
		f := &w.stack[len(w.stack)-1]
		if f.pc == f.join || f.mask == 0 {
			w.stack = w.stack[:len(w.stack)-1]
			continue
		}
		if w.steps >= end {
			return yielded
		}
		in := &code[f.pc]
		w.cur = in
		w.steps++
		if w.steps > w.block.maxSteps {
			w.fault(Endless, -1, "the warp has run %d instructions", w.block.maxSteps)
		}
		w.count[in.kind]++
		active := f.mask
		if in.guard >= 0 {
			active = w.guarded(in, active)
		}
		switch in.ctl {
		case straight:
			f.pc++
			if active != 0 {
				in.run(w, active)
			}
		case branches:
			w.branch(in, f, active)
		case exits:
			f.pc++
			w.exit(active)
		case waits:
			f.pc++
			if active != 0 && in.wait(w, active) {
				return blocked
			}
		case yields:
			f.pc++
			if active != 0 {
				in.run(w, active)
			}
			if w.yield {
				w.yield = false
				return yielded
			}
		}
	}
}

// guarded returns the active lanes whose guard holds.
func (w *warp) guarded(in *instruction, active uint32) uint32 {
	if bad := active &^ w.pinit[in.guard]; bad != 0 {
		w.fault(Uninitialized, bits.TrailingZeros32(bad), "predicate %s was never written", w.block.prog.preds[in.guard])
	}
	if in.not {
		return active &^ w.p[in.guard]
	}
	return active & w.p[in.guard]
}

// branch sends the lanes in taken to the target and the rest of the frame on.
// If there are both, the frame waits where they meet, or, if it is to end there
// anyway, is replaced by the two.
func (w *warp) branch(in *instruction, f *frame, taken uint32) {
	if in.target == len(w.block.prog.code) {
		w.fault(Forbidden, -1, "a branch to nowhere")
	}
	stay := f.mask &^ taken
	switch {
	case taken == 0:
		f.pc++
	case stay == 0:
		f.pc = in.target
	default:
		next, join := f.pc+1, in.join
		if join == f.join {
			w.stack = w.stack[:len(w.stack)-1]
		} else {
			f.pc = join
		}
		if in.target != join {
			w.stack = append(w.stack, frame{in.target, join, taken})
		}
		if next != join {
			w.stack = append(w.stack, frame{next, join, stay})
		}
	}
}

// exit ends lanes, in every frame that holds them.
func (w *warp) exit(gone uint32) {
	w.live &^= gone
	for i := range w.stack {
		w.stack[i].mask &^= gone
	}
	if w.live == 0 {
		w.stack = w.stack[:0]
	}
}

// fault ends the launch. The panic is caught in block.run.
func (w *warp) fault(kind FaultKind, lane int, format string, args ...any) {
	panic(&Fault{Kind: kind, Kernel: w.block.kernel.Name, Line: w.cur.stmt.line, Text: w.cur.stmt.text(),
		Block: w.block.index, Warp: w.id, Lane: lane, What: fmt.Sprintf(format, args...)})
}

// whole faults unless all 32 lanes are here.
func (w *warp) whole(active uint32) {
	if active != full {
		w.fault(Divergent, -1, "only lanes %#08x of the warp are here; all 32 must be", active)
	}
}

// present faults unless all the warp's threads are here that have not returned.
func (w *warp) present(active uint32) {
	if active != w.live || w.live != w.threads {
		w.fault(Divergent, -1, "only lanes %#08x of %#08x are here; all must be", active, w.threads)
	}
}

// need faults if one of the registers was not written in one of the lanes.
func (w *warp) need(active uint32, regs ...int) {
	for _, r := range regs {
		if bad := active &^ w.init[r]; bad != 0 {
			w.unwritten(bad, r)
		}
	}
}

func (w *warp) unwritten(bad uint32, regs ...int) {
	for _, r := range regs {
		if b := bad &^ w.init[r]; b != 0 {
			lane := bits.TrailingZeros32(b)
			if w.tensor.owns(r) {
				w.fault(InFlight, lane, "register %s is an accumulator of a wgmma that was not waited for", w.block.prog.regs[r])
			}
			w.fault(Uninitialized, lane, "register %s was never written", w.block.prog.regs[r])
		}
	}
	panic("ptx: unwritten without a register")
}

// set writes w.tmp to a register's active lanes.
func (w *warp) set(d int, active uint32) {
	r := &w.r[d]
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		r[l] = w.tmp[l]
	}
	w.init[d] |= active
}

// setPred writes a predicate's active lanes.
func (w *warp) setPred(d int, active, value uint32) {
	w.p[d] = w.p[d]&^active | value&active
	w.pinit[d] |= active
}

// newWarp makes warp id of a block, with its special registers.
func newWarp(b *block, id int) *warp {
	p := b.prog
	w := &warp{block: b, id: id,
		r: make([]lanes, len(p.regs)), init: make([]uint32, len(p.regs)),
		p: make([]uint32, len(p.preds)), pinit: make([]uint32, len(p.preds)),
		clock: make([]uint32, b.warpCount)}
	for r, v := range p.constants {
		for l := range w.r[r] {
			w.r[r][l] = v
		}
	}
	if p.local > 0 {
		w.local = make([][]byte, warpSize)
		for l := range w.local {
			w.local[l] = make([]byte, 2*p.local)
		}
	}
	return w
}

// start makes the warp ready for the block's next index.
func (w *warp) start() {
	b := w.block
	copy(w.init, b.prog.written)
	clear(w.pinit)
	for r, name := range b.prog.specials {
		w.special(name, &w.r[r])
		w.init[r] = full
	}
	for _, m := range w.local {
		clear(m)
	}
	w.threads = full
	if left := b.block.count() - warpSize*w.id; left < warpSize {
		w.threads = 1<<left - 1
	}
	w.live = w.threads
	w.stack = append(w.stack[:0], frame{0, len(b.prog.code), w.threads})
	clear(w.clock)
	w.clock[w.id] = 1
	w.copies.reset()
	w.tensor.reset()
	w.bulk.reset()
	w.fenced = 0
	w.unfenced, w.yield = false, false
	w.waiting = nil
	w.steps = 0
}

// specialKnown says whether name is a special register of the list.
func specialKnown(name string) bool {
	switch name {
	case "%laneid", "%warpid", "%nwarpid", "%dynamic_smem_size", "%lanemask_eq", "%lanemask_lt", "%lanemask_le",
		"%lanemask_gt", "%lanemask_ge", "%cluster_ctarank", "%cluster_nctarank":
		return true
	}
	base, axis, ok := strings.Cut(name, ".")
	return ok && (axis == "x" || axis == "y" || axis == "z") &&
		(base == "%tid" || base == "%ntid" || base == "%ctaid" || base == "%nctaid")
}

// special puts a special register's value of each lane in out (section 10).
func (w *warp) special(name string, out *lanes) {
	b := w.block
	base, axis, _ := strings.Cut(name, ".")
	pick := func(d Dim) uint64 {
		switch axis {
		case "x":
			return uint64(d.X)
		case "y":
			return uint64(d.Y)
		}
		return uint64(d.Z)
	}
	for l := range out {
		switch base {
		case "%tid":
			thread := warpSize*w.id + l
			out[l] = pick(Dim{thread % b.block.X, thread / b.block.X % b.block.Y, thread / (b.block.X * b.block.Y)})
		case "%ntid":
			out[l] = pick(b.block)
		case "%ctaid":
			out[l] = pick(b.index)
		case "%nctaid":
			out[l] = pick(b.grid)
		case "%laneid":
			out[l] = uint64(l)
		case "%warpid":
			out[l] = uint64(w.id)
		case "%nwarpid":
			out[l] = uint64(b.warpCount)
		case "%dynamic_smem_size":
			out[l] = uint64(b.dynamic)
		case "%lanemask_eq":
			out[l] = 1 << l
		case "%lanemask_lt":
			out[l] = 1<<l - 1
		case "%lanemask_le":
			out[l] = 2<<l - 1
		case "%lanemask_gt":
			out[l] = uint64(full &^ (2<<l - 1))
		case "%lanemask_ge":
			out[l] = uint64(full &^ (1<<l - 1))
		case "%cluster_ctarank":
			out[l] = 0
		case "%cluster_nctarank":
			out[l] = 1
		default:
			panic("ptx: special register " + name)
		}
	}
}
