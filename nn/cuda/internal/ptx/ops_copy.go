package ptx

import "math/bits"

// Asynchronous copies of sm_80 (section 9.7.9.25).
var copyOps = map[string]builder{"cp": copyAsync}

// copyQueue holds a warp's copies that were begun and not waited for. The bytes
// move when the warp waits, the last begun first: so a kernel that reads too
// early, or overwrites what is still to be copied, does not get away with it.
type copyQueue struct {
	list   []pendingCopy
	groups lanesInt // groups that each lane has committed
}

type lanesInt = [warpSize]int

type pendingCopy struct {
	lane, group int
	to          uint64 // shared
	size, bytes int    // bytes of the target, and how many come from memory; the rest become 0
	from        *allocation
	off         uint64
}

func (q *copyQueue) reset() {
	q.list = q.list[:0]
	q.groups = lanesInt{}
}

func copyAsync(c *compiler, in *instruction, m modifiers) {
	m.first("async")
	c.kind = "cp.async"
	switch m.maybe("commit_group", "wait_group", "wait_all", "bulk") {
	case "commit_group":
		m.done()
		c.args(0)
		in.run = func(w *warp, active uint32) {
			for rest := active; rest != 0; rest &= rest - 1 {
				w.copies.groups[bits.TrailingZeros32(rest)]++
			}
		}
	case "wait_group":
		m.done()
		a := c.args(1)
		if a[0].kind != isNumber {
			c.fail("the number of groups must be a constant")
		}
		n := int(a[0].bits)
		in.run = func(w *warp, active uint32) { w.waitCopies(active, n, false) }
	case "wait_all":
		m.done()
		c.args(0)
		in.run = func(w *warp, active uint32) { w.waitCopies(active, 0, true) }
	case "bulk":
		copyBulk(c, in, m)
	default:
		copyThread(c, in, m)
	}
}

// copyThread: cp.async.cg.shared.global [to], [from], size{, bytes}.
func copyThread(c *compiler, in *instruction, m modifiers) {
	level := m.first("ca", "cg")
	m.first("shared", "shared::cta")
	m.first("global")
	m.hints()
	m.done()
	a := c.stmt.args
	if len(a) < 3 || len(a) > 4 || a[2].kind != isNumber {
		c.fail("%d arguments", len(a))
	}
	size := int(a[2].bits)
	if size != 16 && (level == "cg" || size != 4 && size != 8) {
		c.fail("a copy of %d bytes", size)
	}
	to, from := c.memory("shared", a[0]), c.memory("global", a[1])
	bytes := c.constant(uint64(size))
	if len(a) == 4 {
		bytes = c.src(a[3], 32)
	}
	in.run = func(w *warp, active uint32) {
		var dst, src lanes
		to.addresses(w, active, &dst)
		from.addresses(w, active, &src)
		w.need(active, bytes)
		w.extra += conflicts(&dst, active, size)
		s := &w.block.shared
		for rest := active; rest != 0; rest &= rest - 1 {
			l := bits.TrailingZeros32(rest)
			n := int(w.r[bytes][l])
			if n > size {
				w.fault(Forbidden, l, "%d bytes of a copy of %d", n, size)
			}
			p := pendingCopy{lane: l, group: w.copies.groups[l], to: dst[l], size: size, bytes: n}
			if src[l]%uint64(size) != 0 {
				w.fault(Misaligned, l, "global address %#x is no multiple of %d", src[l], size)
			}
			if n > 0 {
				a, off := w.global(l, src[l], 1)
				if off+uint64(n) > a.size {
					w.fault(Foreign, l, "%d bytes at %#x end past the allocation of %d bytes at %#x", n, src[l], a.size, a.base)
				}
				w.readGlobal(a, l, off, n, false)
				p.from, p.off = a, off
			}
			line, mask := s.claim(w, l, dst[l], size, generic)
			line.flight |= mask
			w.copies.list = append(w.copies.list, p)
		}
	}
}

// waitCopies ends the copies of the active lanes but for those of their last n
// groups; all also ends what was not committed to a group.
func (w *warp) waitCopies(active uint32, n int, all bool) {
	q, s := &w.copies, &w.block.shared
	kept := len(q.list)
	for i := len(q.list) - 1; i >= 0; i-- {
		p := q.list[i]
		if active>>p.lane&1 == 0 || !all && p.group >= q.groups[p.lane]-n {
			kept--
			q.list[kept] = p
			continue
		}
		to := s.data[p.to : p.to+uint64(p.size)]
		clear(to)
		if p.bytes > 0 {
			copy(to, p.from.data[p.off:p.off+uint64(p.bytes)])
		}
		line := &s.lines[p.to/16]
		mask := uint16(1<<p.size-1) << (p.to % 16)
		line.flight &^= mask
		line.written |= mask
		s.wrote(line, mask, w, generic)
	}
	q.list = q.list[:copy(q.list, q.list[kept:])]
}
