package ptx

import "slices"

// Copies of whole boxes by the tensor memory accelerator (section 9.7.9.25.5).
// Loads land when somebody asks the mbarrier that they were begun with; stores
// are done at once, but their source is theirs until it was waited for.

// bulkLoad is a box on its way to shared memory.
type bulkLoad struct {
	warp   int
	time   uint32 // of the warp when it began
	bytes  int64
	chunks []bulkChunk
}

// bulkChunk is 16 bytes of a box: where they go, and the part of them that
// comes from memory; the rest is outside of the tensor and becomes 0.
type bulkChunk struct {
	shared   uint64
	from     *allocation
	off      uint64
	skip, of int // first byte that comes from memory, and how many do
}

// bulkQueue holds a warp's groups of stores. One that was waited for has read its
// source.
type bulkQueue struct {
	groups
	open bool // a store was not committed yet
}

func (q *bulkQueue) reset() {
	q.groups.reset()
	q.open = false
}

// groups are those that a warp makes of what it begins and does not wait for at
// once, in their order, by the times of its clock.
type groups struct {
	committed []uint32
	waited    []uint32 // for each of the first ones, when the warp had waited for it
}

func (g *groups) reset() { g.committed, g.waited = g.committed[:0], g.waited[:0] }

// commit ends a group.
func (g *groups) commit(w *warp) {
	g.committed = append(g.committed, w.clock[w.id])
	w.clock[w.id]++
}

// wait says that all groups but the last n have ended, and reports whether that is new
// of one.
func (g *groups) wait(w *warp, n int) bool {
	before := len(g.waited)
	for len(g.waited) < len(g.committed)-n {
		g.waited = append(g.waited, w.clock[w.id])
	}
	return len(g.waited) > before
}

// end is when the warp had waited for what it began at a time, 0 if it has not.
func (g *groups) end(time uint32) uint32 {
	if i, _ := slices.BinarySearch(g.committed, time); i < len(g.waited) {
		return g.waited[i]
	}
	return 0
}

func copyBulk(c *compiler, in *instruction, m modifiers) {
	c.kind = "cp.async.bulk"
	switch m.first("tensor", "commit_group", "wait_group") {
	case "commit_group":
		m.done()
		in.run = func(w *warp, active uint32) {
			w.bulk.commit(w)
			w.bulk.open = false
		}
	case "wait_group":
		m.maybe("read")
		m.done()
		n := int(c.args(1)[0].bits)
		in.run = func(w *warp, active uint32) { w.bulk.wait(w, n) }
	case "tensor":
		copyTensor(c, in, m)
	}
}

func copyTensor(c *compiler, in *instruction, m modifiers) {
	rank := int(m.first("1d", "2d", "3d", "4d", "5d")[0] - '0')
	if m.maybe("global") == "" { // a load
		a := c.args(3)
		m.first("shared::cluster", "shared::cta")
		m.first("global")
		m.maybe("tile")
		m.first("mbarrier::complete_tx::bytes")
		m.done()
		to, from, bar := c.memory("shared", a[0]), c.tensorOperand(a[1], rank), c.memory("shared", a[2])
		in.run = func(w *warp, active uint32) {
			var barriers lanes
			bar.addresses(w, active, &barriers)
			w.each(to, active, func(lane int, addr uint64) {
				w.beginLoad(lane, addr, barriers[lane], from.read(w, lane, active))
			})
		}
		return
	}
	m.first("shared::cta")
	m.maybe("tile")
	m.first("bulk_group")
	m.done()
	a := c.args(2)
	to, from := c.tensorOperand(a[0], rank), c.memory("shared", a[1])
	in.run = func(w *warp, active uint32) {
		w.each(from, active, func(lane int, addr uint64) { w.storeBox(lane, addr, to.read(w, lane, active)) })
	}
}

// tensorOperand is [map, {coordinates}].
type tensorOperand struct {
	where  place
	coords []int
}

func (c *compiler) tensorOperand(o operand, rank int) tensorOperand {
	if o.kind != isMemory || len(o.list) != 2 || o.list[1].kind != isVector || len(o.list[1].list) != rank {
		c.fail("%s is no tensor with %d coordinates", o, rank)
	}
	t := tensorOperand{where: c.memory("generic", operand{kind: isMemory, list: o.list[:1], plus: o.plus})}
	for _, x := range o.list[1].list {
		t.coords = append(t.coords, c.src(x, 32))
	}
	return t
}

// box is a tensor map with the corner of a box.
type box struct {
	TensorMap
	at []int64
}

// read fetches the map from memory.
func (t tensorOperand) read(w *warp, lane int, active uint32) box {
	var addr lanes
	t.where.addresses(w, active, &addr)
	w.need(active, t.coords...)
	if addr[lane]%64 != 0 {
		w.fault(Misaligned, lane, "a tensor map at %#x, no multiple of 64", addr[lane])
	}
	packed := make([]byte, 0, TensorMapBytes)
	for i := uint64(0); i < TensorMapBytes; i += 16 {
		data, at := w.readAt("generic", lane, addr[lane]+i, 16, false)
		packed = append(packed, data[at:at+16]...)
	}
	m, ok := decodeTensorMap(packed)
	if !ok {
		w.fault(Forbidden, lane, "there is no tensor map at %#x", addr[lane])
	}
	if len(m.Dims) != len(t.coords) {
		w.fault(Forbidden, lane, "a map of %d dimensions with %d coordinates", len(m.Dims), len(t.coords))
	}
	if inner := int(m.Box[0]) * m.ElemSize; m.Swizzle > 0 && inner != m.Swizzle {
		w.fault(Forbidden, lane, "a box of %d bytes across with a swizzle of %d: not in the list", inner, m.Swizzle)
	}
	b := box{TensorMap: m}
	for _, r := range t.coords {
		b.at = append(b.at, int64(int32(uint32(w.r[r][lane]))))
	}
	return b
}

// swizzled is the address at which the byte of a box lies whose plain address
// is addr: within 8 rows, a row's number is xored to the chunk's.
func swizzled(addr uint64, width int) uint64 {
	switch width {
	case 128:
		return addr ^ addr>>7&7<<4
	case 64:
		return addr ^ addr>>7&3<<4
	case 32:
		return addr ^ addr>>7&1<<4
	}
	return addr
}

// chunks calls f for each 16 bytes of the box: its plain offset in shared
// memory, the address in global memory of its first byte, and which bytes of it
// are within the tensor.
func (b box) chunks(f func(offset uint64, global uint64, skip, of int)) {
	inner := int(b.Box[0]) * b.ElemSize
	rows := 1
	for _, n := range b.Box[1:] {
		rows *= int(n)
	}
	for row := range rows {
		addr, inside, rest := b.Address, true, row
		for d := 1; d < len(b.Box); d++ {
			at := b.at[d] + int64(rest%int(b.Box[d]))
			rest /= int(b.Box[d])
			inside = inside && at >= 0 && at < int64(b.Dims[d])
			addr += uint64(at) * b.Strides[d-1]
		}
		for x := 0; x < inner; x += 16 {
			first := b.at[0]*int64(b.ElemSize) + int64(x) // byte in the tensor's row
			low, high := max(0, -first), min(16, int64(b.Dims[0])*int64(b.ElemSize)-first)
			if !inside || high < low {
				low, high = 0, 0
			}
			f(uint64(row*inner+x), addr+uint64(first), int(low), int(high-low))
		}
	}
}

// target checks the shared address of a box.
func (w *warp) target(lane int, addr uint64, b box) {
	align := uint64(128)
	if b.Swizzle > 0 {
		align = uint64(8 * b.Swizzle) // the pattern begins there
	}
	if addr%align != 0 {
		w.fault(Misaligned, lane, "a box with a swizzle of %d bytes at shared address %#x, no multiple of %d", b.Swizzle, addr, align)
	}
}

func (w *warp) beginLoad(lane int, addr, barrier uint64, b box) {
	w.target(lane, addr, b)
	bar := w.mbarrierAt(lane, barrier)
	s := &w.block.shared
	load := bulkLoad{warp: w.id, time: w.clock[w.id]}
	b.chunks(func(offset, global uint64, skip, of int) {
		c := bulkChunk{shared: swizzled(addr+offset, b.Swizzle), skip: skip, of: of}
		l, mask := s.claim(w, lane, c.shared, 16, asynchronous)
		l.flight |= mask
		if of > 0 {
			a, off := w.global(lane, global+uint64(skip), 1)
			if off+uint64(of) > a.size {
				w.fault(Foreign, lane, "the tensor ends %d bytes past the allocation of %d bytes at %#x", off+uint64(of)-a.size, a.size, a.base)
			}
			w.readGlobal(a, lane, off, of, false)
			c.from, c.off = a, off
		}
		load.chunks = append(load.chunks, c)
		load.bytes += 16
	})
	bar.loads = append(bar.loads, load)
	w.clock[w.id]++
	w.block.progress++
}

// land ends the loads that a barrier waits for, the last begun first.
func (s *shared) land(blk *block, b *mbarrier) {
	if len(b.loads) == 0 {
		return
	}
	for i := len(b.loads) - 1; i >= 0; i-- {
		load := b.loads[i]
		for _, c := range load.chunks {
			to := s.data[c.shared : c.shared+16]
			clear(to)
			if c.of > 0 {
				copy(to[c.skip:c.skip+c.of], c.from.data[c.off:])
			}
			l := &s.lines[c.shared/16]
			l.flight, l.written = 0, 0xffff
			l.writes = append(l.writes[:0], access{load.time, 0xffff, uint8(load.warp), asynchronous})
			l.reads = l.reads[:0]
		}
		b.bytes -= load.bytes
		b.clock[load.warp] = max(b.clock[load.warp], load.time)
	}
	b.loads = b.loads[:0]
	b.settle(blk)
}

func (w *warp) storeBox(lane int, addr uint64, b box) {
	w.target(lane, addr, b)
	s := &w.block.shared
	b.chunks(func(offset, global uint64, skip, of int) {
		if of == 0 {
			return
		}
		from := swizzled(addr+offset, b.Swizzle)
		s.read(w, lane, from, 16, storing)
		a, off := w.global(lane, global+uint64(skip), 1)
		if off+uint64(of) > a.size {
			w.fault(Foreign, lane, "the tensor ends %d bytes past the allocation of %d bytes at %#x", off+uint64(of)-a.size, a.size, a.base)
		}
		w.writeGlobal(a, lane, off, of)
		copy(a.data[off:off+uint64(of)], s.data[from+uint64(skip):])
	})
	w.bulk.open = true
}

// settled checks what must not be left when a block ends: its shared memory
// goes to another one.
func (s *shared) settled(b *block) error {
	for _, w := range b.warps {
		if w.bulk.open || len(w.bulk.waited) < len(w.bulk.committed) {
			return b.leftOver(w, "a store from shared memory was not waited for")
		}
	}
	for _, bar := range s.mbarriers {
		if len(bar.loads) > 0 {
			return b.leftOver(b.warps[bar.loads[0].warp], "a load to shared memory was not waited for")
		}
	}
	return nil
}

func (b *block) leftOver(w *warp, what string) error {
	return &Fault{Kind: InFlight, Kernel: b.kernel.Name, Line: w.cur.stmt.line, Text: w.cur.stmt.text(),
		Block: b.index, Warp: w.id, Lane: -1, What: "the block has ended: " + what}
}
