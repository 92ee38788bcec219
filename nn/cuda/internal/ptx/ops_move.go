package ptx

import "math/bits"

// Moves and choices (sections 9.7.6, 9.7.9).
var moveOps = map[string]builder{
	"mov": move, "selp": selectByPredicate, "slct": selectBySign, "cvta": convertAddress, "isspacep": inSpace,
}

func lowest(mask uint32) int { return bits.TrailingZeros32(mask) }

// move copies a register, an address or a constant, and packs and unpacks.
func move(c *compiler, in *instruction, m modifiers) {
	a := c.args(2)
	if m.take("pred") {
		m.done()
		c.kind = "pred"
		d, x := c.pred(a[0]), c.predSource(a[1])
		in.run = func(w *warp, active uint32) { w.setPred(d, active, x(w, active)) }
		return
	}
	t := m.typed("usbf")
	m.done()
	c.kind = "move"
	switch {
	case a[1].kind == isVector:
		c.pack(in, t, a[0], a[1].list)
	case a[0].kind == isVector:
		c.unpack(in, t, a[0].list, a[1])
	default:
		d, s := c.dst(a[0], t.bits), c.src(a[1], t.bits)
		in.run = func(w *warp, active uint32) {
			if w.tensor.move(w, active, d, s) {
				return
			}
			if bad := active &^ w.init[s]; bad != 0 {
				w.unwritten(bad, s)
			}
			if active == full {
				w.r[d] = w.r[s]
				w.init[d] = full
				return
			}
			w.tmp = w.r[s]
			w.set(d, active)
		}
	}
}

// pack: the first of the list comes lowest.
func (c *compiler) pack(in *instruction, t typ, to operand, list []operand) {
	part := t.bits / len(list)
	d := c.dst(to, t.bits)
	src := make([]int, len(list))
	for i, o := range list {
		src[i] = c.src(o, part)
	}
	in.run = func(w *warp, active uint32) {
		w.need(active, src...)
		for l := range w.tmp {
			v := uint64(0)
			for i, s := range src {
				v |= w.r[s][l] << (i * part)
			}
			w.tmp[l] = v
		}
		w.set(d, active)
	}
}

func (c *compiler) unpack(in *instruction, t typ, list []operand, from operand) {
	part := t.bits / len(list)
	s := c.src(from, t.bits)
	dst := make([]int, len(list))
	for i, o := range list {
		dst[i] = -1
		if o.kind != isSink {
			dst[i] = c.dst(o, part)
		}
	}
	mask := typ{'b', part}.mask()
	in.run = func(w *warp, active uint32) {
		w.need(active, s)
		from := w.r[s]
		for i, d := range dst {
			if d < 0 {
				continue
			}
			for l := range w.tmp {
				w.tmp[l] = from[l] >> (i * part) & mask
			}
			w.set(d, active)
		}
	}
}

func selectByPredicate(c *compiler, in *instruction, m modifiers) {
	t := m.typed("usbfh")
	m.done()
	a := c.args(4)
	d, x, y, p := c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], t.bits), c.predSource(a[3])
	c.kind = "move"
	in.run = func(w *warp, active uint32) {
		which := p(w, active)
		// A value that is not chosen need not be there.
		if bad := active & which &^ w.init[x]; bad != 0 {
			w.unwritten(bad, x)
		}
		if bad := active &^ which &^ w.init[y]; bad != 0 {
			w.unwritten(bad, y)
		}
		u, v := &w.r[x], &w.r[y]
		for l := range w.tmp {
			if which>>l&1 != 0 {
				w.tmp[l] = u[l]
			} else {
				w.tmp[l] = v[l]
			}
		}
		w.set(d, active)
	}
}

// selectBySign: slct takes the first source if the third is not negative.
func selectBySign(c *compiler, in *instruction, m modifiers) {
	t := m.typed("usbf")
	sign := m.first("s32", "f32")
	m.done()
	a := c.args(4)
	c.lanes3(in, "move", c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], t.bits), c.src(a[3], 32), func(x, y, z uint64) uint64 {
		if z>>31 == 0 || sign == "f32" && z == 1<<31 {
			return x
		}
		return y
	})
}

// Generic addresses of other spaces than global lie in windows below all
// global ones.
const (
	window       = 1 << 28
	sharedWindow = 1 << 32
	localWindow  = 2 << 32
	paramWindow  = 3 << 32
)

func windowOf(space string) uint64 {
	switch space {
	case "shared":
		return sharedWindow
	case "local":
		return localWindow
	case "param":
		return paramWindow
	}
	return 0 // global and const addresses are generic ones as they are
}

// convertAddress: cvta from a space to generic, or back with .to.
func convertAddress(c *compiler, in *instruction, m modifiers) {
	to := m.take("to")
	base := windowOf(m.first("global", "shared", "shared::cta", "local", "const", "param"))
	m.first("u64")
	m.done()
	a := c.args(2)
	if to {
		base = -base
	}
	c.lanes1(in, "int", c.dst(a[0], 64), c.src(a[1], 64), func(x uint64) uint64 { return x + base })
}

func inSpace(c *compiler, in *instruction, m modifiers) {
	space := m.first("global", "shared", "local")
	m.done()
	a := c.args(2)
	d, x := c.pred(a[0]), c.src(a[1], 64)
	c.kind = "pred"
	in.run = func(w *warp, active uint32) {
		w.need(active, x)
		r := uint32(0)
		for l, addr := range w.r[x] {
			if spaceOf(addr) == space {
				r |= 1 << l
			}
		}
		w.setPred(d, active, r)
	}
}

// spaceOf tells a generic address's space.
func spaceOf(addr uint64) string {
	switch {
	case addr-sharedWindow < window:
		return "shared"
	case addr-localWindow < window:
		return "local"
	case addr-paramWindow < window:
		return "param"
	}
	return "global"
}
