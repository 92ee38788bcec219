package ptx

// Branches, barriers and fences (sections 9.7.12 and 9.7.13).
var controlOps = map[string]builder{
	"bra": branchOp, "ret": exitOp, "exit": exitOp, "trap": trapOp,
	"bar": barrierOp, "barrier": barrierOp, "membar": membar, "fence": fence,
	"nanosleep": sleep, "griddepcontrol": dependency,
}

func branchOp(c *compiler, in *instruction, m modifiers) {
	uniform := m.take("uni")
	m.done()
	target := c.args(1)[0]
	i, ok := c.labels[target.name]
	if target.kind != isName || !ok {
		c.fail("there is no label %s", target)
	}
	_ = uniform // a promise to the compiler; lanes are followed one by one anyway
	in.ctl, in.target = branches, i
	c.kind = "branch"
}

func exitOp(c *compiler, in *instruction, m modifiers) {
	m.take("uni")
	m.done()
	c.args(0)
	in.ctl = exits
	c.kind = "branch"
}

func trapOp(c *compiler, in *instruction, m modifiers) {
	m.done()
	in.run = func(w *warp, active uint32) { w.fault(Forbidden, lowest(active), "the kernel ran into a trap") }
	c.kind = "branch"
}

// barrier is one of a block's 16 barriers while somebody waits at it, or a
// warp barrier's number for messages.
type barrier struct {
	id       uint64
	arrived  int // threads
	expected int
	all      bool // expected is all the threads that have not returned
	clock    []uint32
	warps    []*warp // that wait
}

// barrierOp compiles bar.sync a{, b}, bar.arrive a, b and bar.warp.sync mask.
// bar is barrier.cta with .aligned: every thread of a warp must come together.
func barrierOp(c *compiler, in *instruction, m modifiers) {
	c.kind = "barrier"
	if m.take("warp") {
		m.first("sync")
		m.done()
		warpBarrier(c, in)
		return
	}
	m.take("cta")
	how := m.first("sync", "arrive")
	m.take("aligned")
	m.done()
	a := c.stmt.args
	if len(a) < 1 || len(a) > 2 || how == "arrive" && len(a) != 2 {
		c.fail("%d arguments", len(a))
	}
	id, count := c.src(a[0], 32), -1
	if len(a) == 2 {
		count = c.src(a[1], 32)
	}
	in.ctl = waits
	in.wait = func(w *warp, active uint32) bool {
		w.present(active)
		w.need(active, id)
		want := -1
		if count >= 0 {
			w.need(active, count)
			want = int(w.same(count, active))
		}
		return w.block.arrive(w, w.same(id, active), want, how == "sync")
	}
}

// same is a value that must be equal in all active lanes.
func (w *warp) same(r int, active uint32) uint64 {
	first := w.r[r][lowest(active)]
	for l, v := range w.r[r] {
		if active>>l&1 != 0 && v != first {
			w.fault(Divergent, l, "%s is %#x here and %#x in lane %d", w.block.prog.regs[r], v, first, lowest(active))
		}
	}
	return first
}

// arrive brings a warp to a barrier and says whether it has to wait there.
func (b *block) arrive(w *warp, id uint64, want int, sync bool) bool {
	if id > 15 {
		w.fault(Forbidden, -1, "barrier %d; there are 16", id)
	}
	bar := b.barriers[id]
	if bar == nil {
		bar = &barrier{id: id, expected: want, all: want < 0, clock: make([]uint32, b.warpCount)}
		if bar.all {
			bar.expected = b.living()
		}
		b.barriers[id] = bar
	}
	if bar.all != (want < 0) || want >= 0 && want != bar.expected {
		w.fault(Forbidden, -1, "barrier %d is waited at by %d threads, and by %d", id, want, bar.expected)
	}
	if want >= 0 && (want%warpSize != 0 || want == 0) {
		w.fault(Forbidden, -1, "barrier %d for %d threads, no multiple of 32", id, want)
	}
	for i, t := range w.clock {
		bar.clock[i] = max(bar.clock[i], t)
	}
	w.clock[w.id]++
	if want >= 0 {
		bar.arrived += warpSize
	} else {
		for rest := w.threads; rest != 0; rest &= rest - 1 {
			bar.arrived++
		}
	}
	if sync {
		bar.warps = append(bar.warps, w)
		w.waiting = bar
	}
	b.open(bar)
	return w.waiting != nil
}

// living counts the threads that have not returned.
func (b *block) living() int {
	n := 0
	for _, w := range b.warps {
		for rest := w.live; rest != 0; rest &= rest - 1 {
			n++
		}
	}
	return n
}

// open lets the waiting warps go on if all have come. What everybody did until
// here is now before what they will do.
func (b *block) open(bar *barrier) {
	if bar.arrived < bar.expected {
		return
	}
	b.progress++
	for _, w := range bar.warps {
		for i, t := range bar.clock {
			w.clock[i] = max(w.clock[i], t)
		}
		w.waiting = nil
	}
	delete(b.barriers, bar.id)
}

// left is told that a warp has returned: barriers for all threads wait for fewer.
func (b *block) left(w *warp) {
	for _, bar := range b.barriers {
		if bar.all {
			bar.expected = b.living()
			b.open(bar)
		}
	}
}

// warpBarrier: bar.warp.sync. Lanes move in step here, so there is nothing to
// wait for; but a lane that the mask names must be here.
func warpBarrier(c *compiler, in *instruction) {
	mask := c.src(c.args(1)[0], 32)
	in.run = func(w *warp, active uint32) { w.members(mask, active) }
}

// members holds the lanes that are here to the mask of those that must be.
func (w *warp) members(mask int, active uint32) {
	w.need(active, mask)
	if want := uint32(w.same(mask, active)) & w.threads; want != active {
		w.fault(Divergent, -1, "lanes %#08x are here, the mask says %#08x", active, want)
	}
}

// membar orders a thread's accesses of memory; here they are in order anyway,
// but other blocks may only count on it where it stands. See publish.
func membar(c *compiler, in *instruction, m modifiers) {
	scope := m.first("cta", "gl", "sys")
	m.done()
	c.kind = "fence"
	in.run = func(w *warp, active uint32) {
		if scope != "cta" {
			w.fenceGlobal()
		}
	}
}

// fence: those of the generic proxy like membar; fence.proxy.async makes the
// warp's writes to shared memory visible to asynchronous copies and wgmma.
func fence(c *compiler, in *instruction, m modifiers) {
	c.kind = "fence"
	if m.take("proxy") {
		m.first("async")
		m.maybe("shared::cta", "global")
		m.done()
		in.run = func(w *warp, active uint32) {
			w.present(active)
			w.fenced = w.clock[w.id]
			w.clock[w.id]++
		}
		return
	}
	if m.take("mbarrier_init") {
		m.first("release")
		m.first("cluster")
		m.done()
		in.run = func(w *warp, active uint32) {}
		return
	}
	m.maybe("acq_rel", "sc")
	scope := m.first("cta", "gpu", "sys", "cluster")
	m.done()
	in.run = func(w *warp, active uint32) {
		if scope == "gpu" || scope == "sys" {
			w.fenceGlobal()
		}
	}
}

func sleep(c *compiler, in *instruction, m modifiers) {
	m.first("u32")
	m.done()
	in.ctl = yields
	c.kind = "sleep"
	in.run = func(w *warp, active uint32) { w.yield = true }
}

// dependency: launches follow each other here, so the one before has ended.
func dependency(c *compiler, in *instruction, m modifiers) {
	m.first("wait", "launch_dependents")
	m.done()
	c.kind = "fence"
	in.run = func(w *warp, active uint32) {}
}
