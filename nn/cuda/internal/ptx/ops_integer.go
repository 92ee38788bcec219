package ptx

import (
	"math/bits"
)

// Arithmetic on integers and bits (sections 9.7.1 and 9.7.8).
var integerOps = map[string]builder{
	"and": bitwise(func(x, y uint64) uint64 { return x & y }, func(out, x, y *lanes) {
		for l := range out {
			out[l] = x[l] & y[l]
		}
	}),
	"or": bitwise(func(x, y uint64) uint64 { return x | y }, func(out, x, y *lanes) {
		for l := range out {
			out[l] = x[l] | y[l]
		}
	}),
	"xor": bitwise(func(x, y uint64) uint64 { return x ^ y }, func(out, x, y *lanes) {
		for l := range out {
			out[l] = x[l] ^ y[l]
		}
	}),
	"not": not, "cnot": cnot,
	"shl": shiftLeft, "shr": shiftRight, "shf": funnelShift,
	"rem":  remainder,
	"popc": count(func(x uint64, _ int) uint64 { return uint64(bits.OnesCount64(x)) }),
	"clz":  count(func(x uint64, n int) uint64 { return uint64(bits.LeadingZeros64(x) - 64 + n) }),
	"brev": reverse, "bfind": findBit,
	"bfe": extract, "bfi": insert,
	"lop3": lop3, "prmt": permute,
}

// The same names mean integers or floats; see floatOps.
func integerAdd(c *compiler, in *instruction, t typ) {
	a := c.args(3)
	mask := t.mask()
	c.warp2(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], t.bits), func(out, x, y *lanes) {
		for l := range out {
			out[l] = (x[l] + y[l]) & mask
		}
	})
}

func integerSub(c *compiler, in *instruction, t typ) {
	a := c.args(3)
	mask := t.mask()
	c.lanes2(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], t.bits),
		func(x, y uint64) uint64 { return (x - y) & mask })
}

// product returns x*y as .lo, .hi or .wide want it.
func (t typ) product(part string) func(x, y uint64) uint64 {
	mask := t.mask()
	switch {
	case part == "lo":
		return func(x, y uint64) uint64 { return x * y & mask }
	case part == "hi" && t.bits == 64 && t.class == 's':
		return func(x, y uint64) uint64 {
			hi, _ := bits.Mul64(x, y)
			return hi - uint64(int64(x)>>63)&y - uint64(int64(y)>>63)&x
		}
	case part == "hi" && t.bits == 64:
		return func(x, y uint64) uint64 { hi, _ := bits.Mul64(x, y); return hi }
	case part == "hi":
		return func(x, y uint64) uint64 { return uint64(t.signed(x)*t.signed(y)) >> t.bits & mask }
	}
	wide := typ{t.class, 2 * t.bits}.mask()
	return func(x, y uint64) uint64 { return uint64(t.signed(x)*t.signed(y)) & wide }
}

func integerMul(c *compiler, in *instruction, part string, t typ) {
	a := c.args(3)
	d := t.bits
	if part == "wide" {
		if d *= 2; d > 64 {
			c.fail("mul.wide of 64 bits")
		}
	}
	to, p, q := c.dst(a[0], d), c.src(a[1], t.bits), c.src(a[2], t.bits)
	if part == "hi" || part == "wide" && t.class == 's' {
		c.lanes2(in, "int", to, p, q, t.product(part))
		return
	}
	mask := typ{t.class, d}.mask()
	c.warp2(in, "int", to, p, q, func(out, x, y *lanes) {
		for l := range out {
			out[l] = x[l] * y[l] & mask
		}
	})
}

func integerMad(c *compiler, in *instruction, part string, t typ) {
	a := c.args(4)
	d := t
	if part == "wide" {
		if d.bits *= 2; d.bits > 64 {
			c.fail("mad.wide of 64 bits")
		}
	}
	to, p, q, r := c.dst(a[0], d.bits), c.src(a[1], t.bits), c.src(a[2], t.bits), c.src(a[3], d.bits)
	mul, mask := t.product(part), d.mask()
	if part != "lo" {
		c.lanes3(in, "int", to, p, q, r, func(x, y, z uint64) uint64 { return (mul(x, y) + z) & mask })
		return
	}
	c.warp3(in, "int", to, p, q, r, func(out, x, y, z *lanes) {
		for l := range out {
			out[l] = (x[l]*y[l] + z[l]) & mask
		}
	})
}

// quotient compiles div and rem. What they give for a divisor of 0 is not
// specified, so it is a fault.
func quotient(c *compiler, in *instruction, t typ, f func(x, y uint64) uint64) {
	a := c.args(3)
	divisor := c.src(a[2], t.bits)
	c.lanes2(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), divisor, func(x, y uint64) uint64 {
		if y == 0 {
			return 0 // of a lane that is not active
		}
		return f(x, y)
	})
	run := in.run
	in.run = func(w *warp, active uint32) {
		for m := active & w.init[divisor]; m != 0; m &= m - 1 {
			if l := bits.TrailingZeros32(m); w.r[divisor][l] == 0 {
				w.fault(Forbidden, l, "division by zero")
			}
		}
		run(w, active)
	}
}

func integerDiv(c *compiler, in *instruction, t typ) {
	mask := t.mask()
	quotient(c, in, t, func(x, y uint64) uint64 {
		if t.class == 's' {
			return uint64(t.signed(x)/t.signed(y)) & mask
		}
		return x / y
	})
}

func remainder(c *compiler, in *instruction, m modifiers) {
	t := m.typed("us")
	m.done()
	mask := t.mask()
	quotient(c, in, t, func(x, y uint64) uint64 {
		if t.class == 's' {
			return uint64(t.signed(x)%t.signed(y)) & mask
		}
		return x % y
	})
}

func integerNeg(c *compiler, in *instruction, t typ) {
	a := c.args(2)
	mask := t.mask()
	c.lanes1(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), func(x uint64) uint64 { return -x & mask })
}

func integerAbs(c *compiler, in *instruction, t typ) {
	a := c.args(2)
	mask := t.mask()
	c.lanes1(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), func(x uint64) uint64 {
		if v := t.signed(x); v < 0 {
			return uint64(-v) & mask
		}
		return x
	})
}

// integerExtreme compiles min and max.
func integerExtreme(c *compiler, in *instruction, t typ, least bool) {
	a := c.args(3)
	c.lanes2(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], t.bits), func(x, y uint64) uint64 {
		less := x < y
		if t.class == 's' {
			less = t.signed(x) < t.signed(y)
		}
		if less == least {
			return x
		}
		return y
	})
}

// bitwise compiles and, or and xor, of a lane's predicates and of a warp's registers.
func bitwise(f func(x, y uint64) uint64, all func(out, x, y *lanes)) builder {
	return func(c *compiler, in *instruction, m modifiers) {
		a := c.args(3)
		if m.take("pred") {
			m.done()
			c.kind = "pred"
			d, x, y := c.pred(a[0]), c.predSource(a[1]), c.predSource(a[2])
			in.run = func(w *warp, active uint32) {
				w.setPred(d, active, uint32(f(uint64(x(w, active)), uint64(y(w, active)))))
			}
			return
		}
		t := m.typed("b")
		m.done()
		c.warp2(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], t.bits), all)
	}
}

func not(c *compiler, in *instruction, m modifiers) {
	a := c.args(2)
	if m.take("pred") {
		m.done()
		c.kind = "pred"
		d, x := c.pred(a[0]), c.predSource(a[1])
		in.run = func(w *warp, active uint32) { w.setPred(d, active, ^x(w, active)) }
		return
	}
	t := m.typed("b")
	m.done()
	mask := t.mask()
	c.lanes1(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), func(x uint64) uint64 { return ^x & mask })
}

func cnot(c *compiler, in *instruction, m modifiers) {
	t := m.typed("b")
	m.done()
	a := c.args(2)
	c.lanes1(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), func(x uint64) uint64 {
		if x == 0 {
			return 1
		}
		return 0
	})
}

// shiftLeft and shiftRight: an amount past the width counts as the width.
func shiftLeft(c *compiler, in *instruction, m modifiers) {
	t := m.typed("b")
	m.done()
	a := c.args(3)
	mask := t.mask()
	c.warp2(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], 32), func(out, x, n *lanes) {
		for l := range out {
			out[l] = x[l] << n[l] & mask
		}
	})
}

func shiftRight(c *compiler, in *instruction, m modifiers) {
	t := m.typed("bus")
	m.done()
	a := c.args(3)
	mask := t.mask()
	c.lanes2(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], 32), func(x, n uint64) uint64 {
		if t.class == 's' {
			return uint64(t.signed(x)>>n) & mask
		}
		return x >> n
	})
}

// funnelShift: shf.l and shf.r of the 64 bits {b, a}.
func funnelShift(c *compiler, in *instruction, m modifiers) {
	dir, mode := m.first("l", "r"), m.first("wrap", "clamp")
	m.first("b32")
	m.done()
	a := c.args(4)
	c.lanes3(in, "int", c.dst(a[0], 32), c.src(a[1], 32), c.src(a[2], 32), c.src(a[3], 32), func(lo, hi, n uint64) uint64 {
		if mode == "wrap" {
			n &= 31
		} else {
			n = min(n, 32)
		}
		both := hi<<32 | lo
		if dir == "l" {
			return both << n >> 32
		}
		return both >> n & 0xffffffff
	})
}

// count compiles popc and clz, whose result has 32 bits.
func count(f func(x uint64, bits int) uint64) builder {
	return func(c *compiler, in *instruction, m modifiers) {
		t := m.typed("b")
		m.done()
		a := c.args(2)
		c.lanes1(in, "int", c.dst(a[0], 32), c.src(a[1], t.bits), func(x uint64) uint64 { return f(x, t.bits) })
	}
}

func reverse(c *compiler, in *instruction, m modifiers) {
	t := m.typed("b")
	m.done()
	a := c.args(2)
	c.lanes1(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), func(x uint64) uint64 {
		return bits.Reverse64(x) >> (64 - t.bits)
	})
}

// findBit: the highest bit that is not the sign's, 0xffffffff if there is none.
func findBit(c *compiler, in *instruction, m modifiers) {
	amount := m.take("shiftamt")
	t := m.typed("us")
	m.done()
	a := c.args(2)
	c.lanes1(in, "int", c.dst(a[0], 32), c.src(a[1], t.bits), func(x uint64) uint64 {
		if t.class == 's' && t.signed(x) < 0 {
			x = ^x & t.mask()
		}
		if x == 0 {
			return 0xffffffff
		}
		n := bits.Len64(x) - 1
		if amount {
			n = t.bits - 1 - n
		}
		return uint64(n)
	})
}

// extract: bfe. Position and length are taken modulo 256 (section 9.7.1.15).
func extract(c *compiler, in *instruction, m modifiers) {
	t := m.typed("us")
	m.done()
	a := c.args(4)
	c.lanes3(in, "int", c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], 32), c.src(a[3], 32),
		func(x, pos, n uint64) uint64 {
			pos, n = pos&255, n&255
			sign := uint64(0)
			if t.class == 's' && n > 0 {
				sign = x >> min(pos+n-1, uint64(t.bits-1)) & 1
			}
			r := x >> pos & (1<<n - 1)
			if have := min(n, uint64(max(t.bits-int(pos), 0))); sign == 1 {
				r |= ^uint64(0) << have
			}
			return r & t.mask()
		})
}

// insert: bfi puts the lower n bits of x into y at pos.
func insert(c *compiler, in *instruction, m modifiers) {
	t := m.typed("b")
	m.done()
	a := c.args(5)
	n, x, y := c.src(a[4], 32), c.src(a[1], t.bits), c.src(a[2], t.bits)
	d, pos := c.dst(a[0], t.bits), c.src(a[3], 32)
	c.kind = "int"
	in.run = func(w *warp, active uint32) {
		w.need(active, n, x, y, pos)
		for l := range w.tmp {
			mask := (uint64(1)<<(w.r[n][l]&255) - 1) << (w.r[pos][l] & 255) & t.mask()
			w.tmp[l] = w.r[y][l]&^mask | w.r[x][l]<<(w.r[pos][l]&255)&mask
		}
		w.set(d, active)
	}
}

// lop3 looks each bit up in a table of 8.
func lop3(c *compiler, in *instruction, m modifiers) {
	m.first("b32")
	m.done()
	a := c.args(5)
	if a[4].kind != isNumber {
		c.fail("the table must be a number")
	}
	table := a[4].bits
	c.lanes3(in, "int", c.dst(a[0], 32), c.src(a[1], 32), c.src(a[2], 32), c.src(a[3], 32), func(x, y, z uint64) uint64 {
		r := uint64(0)
		for i := range uint64(8) {
			if table>>i&1 == 0 {
				continue
			}
			term := ^uint64(0)
			for j, v := range [3]uint64{z, y, x} {
				if i>>j&1 == 0 {
					v = ^v
				}
				term &= v
			}
			r |= term
		}
		return r & 0xffffffff
	})
}

// permute: prmt picks 4 of 8 bytes, and repeats a byte's sign if told so.
func permute(c *compiler, in *instruction, m modifiers) {
	m.first("b32")
	m.done() // the special modes f4e and so on are not in the list
	a := c.args(4)
	c.lanes3(in, "int", c.dst(a[0], 32), c.src(a[1], 32), c.src(a[2], 32), c.src(a[3], 32), func(x, y, sel uint64) uint64 {
		all := y<<32 | x
		r := uint64(0)
		for i := range 4 {
			s := sel >> (4 * i)
			b := all >> (8 * (s & 7)) & 0xff
			if s&8 != 0 {
				b = uint64(int8(b)>>7) & 0xff
			}
			r |= b << (8 * i)
		}
		return r
	})
}
