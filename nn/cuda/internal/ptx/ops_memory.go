package ptx

import (
	"cmp"
	"math/bits"
	"slices"
	"sync"
)

// Loads, stores and atomic operations (sections 9.7.9.8 to 9.7.9.12, 9.7.13).
var memoryOps = map[string]builder{
	"ld": loadOp, "ldu": loadOp, "st": storeOp, "atom": atomic1, "red": reduction, "prefetch": prefetch,
}

// cacheHints change speed only.
var cacheHints = []string{"ca", "cg", "cs", "cv", "lu", "wb", "wt", "L1::no_allocate", "L1::evict_last", "L1::evict_first",
	"L2::64B", "L2::128B", "L2::256B", "volatile", "weak", "relaxed", "acquire", "release", "cta", "gpu", "sys"}

func (m *modifiers) hints() {
	for _, h := range cacheHints {
		m.take(h)
	}
}

// place is a compiled memory operand: a register and an offset.
type place struct {
	space string
	reg   int
	plus  uint64
}

// memory compiles [reg+n] or [name+n]. Shared, local and parameter addresses
// may have 32 bits.
func (c *compiler) memory(space string, o operand) place {
	if o.kind != isMemory || len(o.list) != 1 {
		c.fail("%s is no address", o)
	}
	x := o.list[0]
	p := place{space: space, plus: uint64(o.plus)}
	if x.kind == isNumber {
		p.reg = c.constant(x.bits)
		return p
	}
	bits := 64
	if have, ok := c.bits[x.name]; ok && have == 32 {
		if space != "shared" && space != "local" && space != "param" {
			c.fail("an address of 32 bits in %s memory", space)
		}
		bits = 32
	}
	p.reg = c.src(x, bits)
	return p
}

// addresses puts the addresses of the active lanes in out.
func (p *place) addresses(w *warp, active uint32, out *lanes) {
	if bad := active &^ w.init[p.reg]; bad != 0 {
		w.unwritten(bad, p.reg)
	}
	for l, a := range w.r[p.reg] {
		out[l] = a + p.plus
	}
}

// form reads the rest of a load's or store's opcode.
func (m *modifiers) vector() (int, typ) {
	n := map[string]int{"": 1, "v2": 2, "v4": 4}[m.maybe("v2", "v4")]
	t := m.typed("usbf")
	m.done()
	if n*t.bits > 128 {
		m.c.fail("more than 128 bits at once")
	}
	return n, t
}

// registers compiles the list of a vector, or a single register.
func (c *compiler) vectorOf(o operand, n int, one func(o operand) int) []int {
	list := []operand{o}
	if o.kind == isVector {
		list = o.list
	}
	if len(list) != n {
		c.fail("%d registers where %d were expected", len(list), n)
	}
	out := make([]int, n)
	for i, x := range list {
		out[i] = -1
		if x.kind != isSink {
			out[i] = one(x)
		}
	}
	return out
}

func (m *modifiers) space() string {
	s := m.maybe("global", "shared", "shared::cta", "local", "const", "param", "param::entry")
	switch s {
	case "":
		return "generic"
	case "shared::cta":
		return "shared"
	case "param::entry":
		return "param"
	}
	return s
}

func loadOp(c *compiler, in *instruction, m modifiers) {
	nc := m.take("nc")
	acquire := slices.Contains(m.left, "acquire") && !slices.Contains(m.left, "cta")
	m.hints()
	space := m.space()
	n, t := m.vector()
	a := c.args(2)
	p := c.memory(space, a[1])
	dst := c.vectorOf(a[0], n, func(o operand) int {
		d := c.dst(o, 0)
		if have := c.bits[o.name]; have < t.bits {
			c.fail("%s has %d bits where %d were expected", o.name, have, t.bits)
		}
		return d
	})
	wide := c.extensions(a[0], n, t)
	c.kind = "ld." + space
	size := t.bits / 8
	if acquire && space == "global" && n == 1 && t.bits >= 32 {
		c.acquireLoad(in, p, dst[0], size)
		return
	}
	in.run = func(w *warp, active uint32) {
		var addr, values lanes
		p.addresses(w, active, &addr)
		if space == "shared" {
			w.extra += conflicts(&addr, active, size*n)
		}
		for rest := active; rest != 0; rest &= rest - 1 {
			l := bits.TrailingZeros32(rest) & 31
			data, at := w.readAt(space, l, addr[l], size*n, nc)
			for i, d := range dst {
				if d < 0 {
					continue
				}
				v := load(data, at+uint64(i*size), size)
				if wide[i] != 0 {
					v = uint64(t.signed(v)) & wide[i]
				}
				if n == 1 {
					values[l] = v // the address register may be the result's
				} else {
					w.r[d][l] = v
				}
			}
		}
		for _, d := range dst {
			if d >= 0 && n == 1 {
				w.tmp = values
				w.set(d, active)
			} else if d >= 0 {
				w.init[d] |= active
			}
		}
	}
}

// extensions says how far each of n results of a load of type t is extended: the
// mask of its register where t is signed, else 0.
func (c *compiler) extensions(dst operand, n int, t typ) []uint64 {
	wide := make([]uint64, n)
	for i, o := range append([]operand{dst}, dst.list...) {
		if have, ok := c.bits[o.name]; ok && t.class == 's' {
			wide[max(i-1, 0)] = typ{'b', have}.mask()
		}
	}
	return wide
}

// acquireLoad is a load in a loop that waits for another block: it goes together
// with atomic operations there, and gives others their turn. All blocks of the
// grid must run at once.
func (c *compiler) acquireLoad(in *instruction, p place, d, size int) {
	c.prog.together = true
	in.ctl = yields
	in.run = func(w *warp, active uint32) {
		var addr lanes
		p.addresses(w, active, &addr)
		for rest := active; rest != 0; rest &= rest - 1 {
			l := bits.TrailingZeros32(rest) & 31
			a, off := w.global(l, addr[l], size)
			atomics.Lock()
			w.atomicGlobal(a, l, off, size)
			w.tmp[l] = load(a.data, off, size)
			w.adopt(addr[l])
			atomics.Unlock()
		}
		w.fenceGlobal()
		w.set(d, active)
		w.yield = true
	}
}

// readAt checks a lane's read and returns where the bytes are.
func (w *warp) readAt(space string, lane int, addr uint64, n int, nc bool) ([]byte, uint64) {
	if space == "generic" {
		space = spaceOf(addr)
		addr -= windowOf(space)
	}
	switch space {
	case "shared":
		w.block.shared.read(w, lane, addr, n, generic)
		return w.block.shared.data, addr
	case "local":
		at := w.localAt(lane, addr, n)
		for i := range uint64(n) {
			if w.local[lane][uint64(w.block.prog.local)+at+i] == 0 {
				w.fault(Uninitialized, lane, "local address %#x was never written", addr+i)
			}
		}
		return w.local[lane], at
	case "param":
		if addr%uint64(n) != 0 || addr+uint64(n) > uint64(len(w.block.params)) {
			w.fault(Foreign, lane, "parameter address %#x of %d bytes, of %d", addr, n, len(w.block.params))
		}
		return w.block.params, addr
	}
	a, off := w.global(lane, addr, n)
	w.readGlobal(a, lane, off, n, nc || space == "const")
	return a.data, off
}

func (w *warp) localAt(lane int, addr uint64, n int) uint64 {
	if addr%uint64(n) != 0 {
		w.fault(Misaligned, lane, "local address %#x is no multiple of %d", addr, n)
	}
	if addr+uint64(n) > uint64(w.block.prog.local) {
		w.fault(Foreign, lane, "local address %#x is outside of the %d bytes", addr, w.block.prog.local)
	}
	return addr
}

func storeOp(c *compiler, in *instruction, m modifiers) {
	m.hints()
	space := m.space()
	if space == "const" || space == "param" {
		c.fail("a store to %s memory", space)
	}
	n, t := m.vector()
	a := c.args(2)
	p := c.memory(space, a[0])
	src := c.vectorOf(a[1], n, func(o operand) int { return c.wideSource(o, t.bits) })
	c.kind = "st." + space
	size := t.bits / 8
	in.run = func(w *warp, active uint32) {
		var addr lanes
		p.addresses(w, active, &addr)
		w.need(active, src...)
		if space == "shared" {
			w.extra += conflicts(&addr, active, size*n)
		}
		for rest := active; rest != 0; rest &= rest - 1 {
			l := bits.TrailingZeros32(rest) & 31
			data, at := w.writeAt(space, l, addr[l], size*n)
			for i, s := range src {
				store(data, at+uint64(i*size), size, w.r[s][l])
			}
		}
	}
}

// writeAt checks a lane's write and returns where the bytes are.
func (w *warp) writeAt(space string, lane int, addr uint64, n int) ([]byte, uint64) {
	if space == "generic" {
		space = spaceOf(addr)
		addr -= windowOf(space)
	}
	switch space {
	case "shared":
		w.block.shared.write(w, lane, addr, n, generic)
		return w.block.shared.data, addr
	case "local":
		at := w.localAt(lane, addr, n)
		for i := range uint64(n) {
			w.local[lane][uint64(w.block.prog.local)+at+i] = 1
		}
		return w.local[lane], at
	case "param":
		w.fault(Forbidden, lane, "a store to a parameter")
	}
	a, off := w.global(lane, addr, n)
	w.writeGlobal(a, lane, off, n)
	return a.data, off
}

// atomics holds every atomic operation on global memory apart.
var atomics sync.Mutex

// atomic1 compiles atom. Only integers: the order in which blocks come would
// show in a sum of floats, and two runs must have the same bits.
func atomic1(c *compiler, in *instruction, m modifiers) { atomicOp(c, in, m, true) }

// reduction compiles red, an atomic operation without a result.
func reduction(c *compiler, in *instruction, m modifiers) { atomicOp(c, in, m, false) }

func atomicOp(c *compiler, in *instruction, m modifiers, result bool) {
	m.hints()
	space := m.space()
	if !slices.Contains([]string{"generic", "global", "shared"}, space) {
		c.fail("atomic operations on %s memory are not in the list", space)
	}
	name := m.first("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
	ordered := m.take("acq_rel") && !slices.Contains(m.left, "cta")
	m.hints()
	space = cmp.Or(m.maybe("global", "shared"), space)
	t := m.typed("usb")
	m.done()
	if t.bits < 32 {
		c.fail("atomic operations on %d bits are not in the list", t.bits)
	}
	a := c.stmt.args
	if !result {
		a = append([]operand{{kind: isSink}}, a...)
	}
	want := 3
	if name == "cas" {
		want = 4
	}
	if len(a) != want {
		c.fail("%d arguments where %d were expected", len(a), want)
	}
	d := -1
	if a[0].kind != isSink {
		d = c.dst(a[0], t.bits)
	}
	p, x := c.memory(space, a[1]), c.src(a[2], t.bits)
	y := x
	if name == "cas" {
		y = c.src(a[3], t.bits)
	}
	f := t.atomic(name)
	c.kind = "atom"
	in.run = func(w *warp, active uint32) {
		var addr lanes
		p.addresses(w, active, &addr)
		w.need(active, x, y)
		if ordered {
			w.fenceGlobal()
		}
		for rest := active; rest != 0; rest &= rest - 1 {
			l := bits.TrailingZeros32(rest) & 31
			w.tmp[l] = w.atomic(space, l, addr[l], t.bits/8, func(old uint64) uint64 { return f(old, w.r[x][l], w.r[y][l]) })
		}
		if ordered {
			w.fenceGlobal()
		}
		w.block.progress++
		if d >= 0 {
			w.set(d, active)
		}
	}
}

// atomic changes one place and returns what was there.
func (w *warp) atomic(space string, lane int, addr uint64, n int, f func(old uint64) uint64) uint64 {
	if space == "generic" {
		space = spaceOf(addr)
		addr -= windowOf(space)
	}
	if space == "shared" {
		s := &w.block.shared
		s.atomic(w, lane, addr, n)
		old := load(s.data, addr, n)
		store(s.data, addr, n, f(old)&typ{'b', 8 * n}.mask())
		return old
	}
	a, off := w.global(lane, addr, n)
	atomics.Lock()
	defer atomics.Unlock()
	w.atomicGlobal(a, lane, off, n)
	w.publish(addr)
	old := load(a.data, off, n)
	store(a.data, off, n, f(old)&typ{'b', 8 * n}.mask())
	return old
}

// atomic is the function of an atomic operation's name.
func (t typ) atomic(name string) func(old, x, y uint64) uint64 {
	less := func(p, q uint64) bool {
		if t.class == 's' {
			return t.signed(p) < t.signed(q)
		}
		return p < q
	}
	switch name {
	case "add":
		return func(old, x, _ uint64) uint64 { return old + x }
	case "min":
		return func(old, x, _ uint64) uint64 {
			if less(x, old) {
				return x
			}
			return old
		}
	case "max":
		return func(old, x, _ uint64) uint64 {
			if less(old, x) {
				return x
			}
			return old
		}
	case "and":
		return func(old, x, _ uint64) uint64 { return old & x }
	case "or":
		return func(old, x, _ uint64) uint64 { return old | x }
	case "xor":
		return func(old, x, _ uint64) uint64 { return old ^ x }
	case "exch":
		return func(_, x, _ uint64) uint64 { return x }
	case "inc":
		return func(old, x, _ uint64) uint64 {
			if old >= x {
				return 0
			}
			return old + 1
		}
	case "dec":
		return func(old, x, _ uint64) uint64 {
			if old == 0 || old > x {
				return x
			}
			return old - 1
		}
	}
	return func(old, x, y uint64) uint64 {
		if old == x {
			return y
		}
		return old
	}
}

// prefetch has no effect but on time.
func prefetch(c *compiler, in *instruction, m modifiers) {
	m.left = nil
	c.kind = "prefetch"
	in.run = func(*warp, uint32) {}
}
