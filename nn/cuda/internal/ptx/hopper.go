package ptx

// hopperOps are the instructions of sm_90a that have no place elsewhere
// (sections 9.7.13.15 and 9.7.15).
var hopperOps = map[string]builder{
	"mbarrier": mbarrierOp, "wgmma": wgmmaOp, "stmatrix": storeMatrix, "setmaxnreg": setRegisters,
}

// mbarrier is a barrier object in shared memory. A phase ends when as many
// threads as it was made for have arrived and all bytes that were announced
// have come. Waiters then know all that who arrived knew.
type mbarrier struct {
	count, pending int
	bytes          int64 // announced and not yet there
	phase          uint64
	clock          []uint32 // of all who have arrived
	passed         []uint32 // the same when the last phase ended
	loads          []bulkLoad
}

func (b *mbarrier) join(clock []uint32) {
	for i, t := range clock {
		b.clock[i] = max(b.clock[i], t)
	}
}

// settle ends the phase if nothing is missing.
func (b *mbarrier) settle(blk *block) {
	if b.pending > 0 || b.bytes != 0 {
		return
	}
	b.phase++
	b.pending = b.count
	b.passed = append(b.passed[:0], b.clock...)
	blk.progress++
}

// mbarrierAt is the object at an address, which must have been initialised and
// be known to this warp.
func (w *warp) mbarrierAt(lane int, addr uint64) *mbarrier {
	s := &w.block.shared
	b := s.mbarriers[addr]
	if b == nil {
		w.fault(Uninitialized, lane, "there is no mbarrier at %#x", addr)
	}
	s.atomic(w, lane, addr, 8)
	return b
}

func mbarrierOp(c *compiler, in *instruction, m modifiers) {
	c.kind = "mbarrier"
	switch m.first("init", "inval", "arrive", "try_wait", "test_wait") {
	case "init":
		m.sharedB64()
		a := c.args(2)
		p, n := c.memory("shared", a[0]), c.src(a[1], 32)
		in.run = func(w *warp, active uint32) {
			w.need(active, n)
			w.each(p, active, func(lane int, addr uint64) { w.initBarrier(lane, addr, int(w.r[n][lane])) })
		}
	case "inval":
		m.sharedB64()
		p := c.memory("shared", c.args(1)[0])
		in.run = func(w *warp, active uint32) {
			w.each(p, active, func(lane int, addr uint64) {
				w.mbarrierAt(lane, addr)
				delete(w.block.shared.mbarriers, addr)
			})
		}
	case "arrive":
		arriveOp(c, in, m)
	default:
		waitBarrier(c, in, m)
	}
}

func (m *modifiers) sharedB64() {
	m.maybe("release", "acquire")
	m.maybe("cta", "cluster")
	m.first("shared::cta", "shared")
	m.first("b64")
	m.done()
}

// each calls f for each active lane with its address.
func (w *warp) each(p place, active uint32, f func(lane int, addr uint64)) {
	var addr lanes
	p.addresses(w, active, &addr)
	for l := range addr {
		if active>>l&1 != 0 {
			f(l, addr[l])
		}
	}
}

func (w *warp) initBarrier(lane int, addr uint64, count int) {
	if count < 1 || count >= 1<<20 {
		w.fault(Forbidden, lane, "an mbarrier for %d threads", count)
	}
	s := &w.block.shared
	s.write(w, lane, addr, 8, generic)
	if s.mbarriers[addr] != nil {
		w.fault(Forbidden, lane, "the mbarrier at %#x is initialised twice", addr)
	}
	s.mbarriers[addr] = &mbarrier{count: count, pending: count, clock: make([]uint32, s.warps), passed: make([]uint32, s.warps)}
}

func arriveOp(c *compiler, in *instruction, m modifiers) {
	expect := m.take("expect_tx")
	m.sharedB64()
	want := 2
	if expect {
		want = 3
	}
	a := c.args(want)
	if a[0].kind != isSink {
		c.fail("the state of an mbarrier is not in the list; write _")
	}
	p, bytes := c.memory("shared", a[1]), c.constant(0)
	if expect {
		bytes = c.src(a[2], 32)
	}
	in.run = func(w *warp, active uint32) {
		w.need(active, bytes)
		w.each(p, active, func(lane int, addr uint64) {
			b := w.mbarrierAt(lane, addr)
			b.join(w.clock)
			b.bytes += int64(w.r[bytes][lane])
			b.pending--
			b.settle(w.block)
		})
		w.clock[w.id]++
		w.block.progress++
	}
}

// waitBarrier: try_wait.parity asks whether the phase of that parity has ended.
// It comes back at once with the answer; the copies that the barrier waits for
// end when somebody asks.
func waitBarrier(c *compiler, in *instruction, m modifiers) {
	m.first("parity")
	m.sharedB64()
	a := c.args(3)
	d, p, parity := c.pred(a[0]), c.memory("shared", a[1]), c.src(a[2], 32)
	in.ctl = yields
	in.run = func(w *warp, active uint32) {
		w.need(active, parity)
		yes := uint32(0)
		w.each(p, active, func(lane int, addr uint64) {
			b := w.mbarrierAt(lane, addr)
			w.block.shared.land(w.block, b)
			if b.phase&1 == w.r[parity][lane]&1 {
				return
			}
			yes |= 1 << lane
			for i, t := range b.passed {
				w.clock[i] = max(w.clock[i], t)
			}
		})
		w.setPred(d, active, yes)
		w.yield = yes != active
	}
}

// setRegisters: setmaxnreg moves registers between warps; here there are enough.
func setRegisters(c *compiler, in *instruction, m modifiers) {
	m.first("inc", "dec")
	m.first("sync")
	m.first("aligned")
	m.first("u32")
	m.done()
	c.args(1)
	c.kind = "sleep"
	in.run = func(w *warp, active uint32) { w.present(active) }
}

// storeMatrix: stmatrix is ldmatrix's way back.
func storeMatrix(c *compiler, in *instruction, m modifiers) {
	m.first("sync")
	m.first("aligned")
	m.first("m8n8")
	n := map[string]int{"x1": 1, "x2": 2, "x4": 4}[m.first("x1", "x2", "x4")]
	trans := m.take("trans")
	m.first("shared", "shared::cta")
	m.first("b16")
	m.done()
	a := c.args(2)
	p := c.memory("shared", a[0])
	src := c.vectorOf(a[1], n, func(o operand) int { return c.src(o, 32) })
	c.kind = "st.shared"
	in.run = func(w *warp, active uint32) {
		w.whole(active)
		w.need(active, src...)
		var addr lanes
		rows := full >> (warpSize - 8*n)
		p.addresses(w, rows, &addr)
		w.extra += conflicts(&addr, rows, 16)
		s := &w.block.shared
		for l := range 8 * n {
			s.write(w, l, addr[l], 16, generic)
		}
		for i, r := range src {
			for l, v := range w.r[r] {
				row, col := l/4, 2*(l%4)
				for half := range 2 {
					to, place := row, col+half
					if trans {
						to, place = place, to
					}
					store(s.data, addr[8*i+to]+uint64(2*place), 2, v>>(16*half))
				}
			}
		}
	}
}
