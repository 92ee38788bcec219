package ptx

// Comparisons (section 9.7.7).
var compareOps = map[string]builder{"setp": setPredicate}

// comparison is the function of a comparison's name for numbers of type t.
func (c *compiler) comparison(name string, t typ) func(x, y uint64) bool {
	if t.float() {
		base, unordered := name, false
		if n := len(name); n == 3 && name != "num" && name != "nan" {
			base, unordered = name[:2], name[2] == 'u'
			if !unordered {
				c.fail("the comparison %s is not in the list", name)
			}
		}
		is := ordered[float64](base)
		return func(p, q uint64) bool {
			x, y := t.decode(p), t.decode(q)
			if x == x && y == y {
				return base == "num" || base != "nan" && is(x, y)
			}
			return base == "nan" || base != "num" && unordered
		}
	}
	if t.class == 'b' && name != "eq" && name != "ne" {
		c.fail("bits have no order")
	}
	if alias, ok := map[string]string{"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}[name]; ok {
		if t.class != 'u' {
			c.fail("the comparison %s is for unsigned integers", name)
		}
		name = alias
	}
	if t.class == 's' {
		is := ordered[int64](name)
		return func(x, y uint64) bool { return is(t.signed(x), t.signed(y)) }
	}
	return ordered[uint64](name)
}

// ordered is the function of an order's name.
func ordered[T uint64 | int64 | float64](name string) func(x, y T) bool {
	switch name {
	case "eq":
		return func(x, y T) bool { return x == y }
	case "ne":
		return func(x, y T) bool { return x != y }
	case "lt":
		return func(x, y T) bool { return x < y }
	case "le":
		return func(x, y T) bool { return x <= y }
	case "gt":
		return func(x, y T) bool { return x > y }
	}
	return func(x, y T) bool { return x >= y }
}

// setPredicate: setp.lt.and.f32 p|q, a, b, c sets p to (a<b)&c and q to !(a<b)&c.
func setPredicate(c *compiler, in *instruction, m modifiers) {
	cmp := m.first("eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan")
	join := m.maybe("and", "or", "xor")
	ftz := m.take("ftz")
	t := m.typed("usbfh")
	m.done()
	n := 3
	if join != "" {
		n = 4
	}
	a := c.args(n)
	d, other := c.pred(a[0]), -1
	if a[0].pair != nil {
		other = c.pred(*a[0].pair)
	}
	x, y := c.src(a[1], t.bits), c.src(a[2], t.bits)
	third := func(*warp, uint32) uint32 { return full }
	if join != "" {
		third = c.predSource(a[3])
	}
	f := c.comparison(cmp, t)
	if ftz {
		form := floatForm{t: t, ftz: true}
		g := f
		f = func(x, y uint64) bool { return g(t.encode(form.in(x)), t.encode(form.in(y))) }
	}
	c.kind = "pred"
	in.run = func(w *warp, active uint32) {
		w.need(active, x, y)
		with := third(w, active)
		r := uint32(0)
		p, q := &w.r[x], &w.r[y]
		for l := range p {
			if f(p[l], q[l]) {
				r |= 1 << l
			}
		}
		combine := func(r uint32) uint32 {
			switch join {
			case "or":
				return r | with
			case "xor":
				return r ^ with
			}
			return r & with
		}
		w.setPred(d, active, combine(r))
		if other >= 0 {
			w.setPred(other, active, combine(^r))
		}
	}
}

// predSource reads a predicate, its complement, or a constant.
func (c *compiler) predSource(o operand) func(w *warp, active uint32) uint32 {
	if o.kind == isNumber {
		v := uint32(0)
		if o.bits != 0 {
			v = full
		}
		return func(*warp, uint32) uint32 { return v }
	}
	p, flip := c.pred(o), uint32(0)
	if o.not {
		flip = full
	}
	return func(w *warp, active uint32) uint32 {
		if bad := active &^ w.pinit[p]; bad != 0 {
			w.fault(Uninitialized, lowest(bad), "predicate %s was never written", o.name)
		}
		return w.p[p] ^ flip
	}
}
