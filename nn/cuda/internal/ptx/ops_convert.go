package ptx

import "math"

// Conversions (section 9.7.9.21).
var convertOps = map[string]builder{"cvt": convert}

func convert(c *compiler, in *instruction, m modifiers) {
	round := m.maybe("rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi")
	relu := m.take("relu")
	sat := m.take("sat")
	ftz := m.take("ftz")
	if packed := m.maybe("bf16x2", "f16x2"); packed != "" {
		convertPair(c, in, m, packed, round, relu)
		return
	}
	d, s := m.typed("usfh"), m.typed("usfh")
	m.done()
	a := c.args(2)
	dst := c.dst(a[0], 0)
	if have := c.bits[a[0].name]; have < d.bits || d.bits >= 16 && have != d.bits && d.float() {
		c.fail("%s has %d bits where %d were expected", a[0].name, have, d.bits)
	}
	src := c.wideSource(a[1], s.bits)
	if d.class == 'u' && s.class == 'u' && !sat {
		keep := d.mask() & s.mask()
		c.warp1(in, "convert", dst, src, func(out, x *lanes) {
			for l := range out {
				out[l] = x[l] & keep
			}
		})
		return
	}
	var f func(x uint64) uint64
	switch {
	case !d.float() && !s.float():
		f = integerToInteger(d, s, sat)
	case d.float() && !s.float():
		if round != "rn" && round != "rz" {
			c.fail("the rounding %q is not in the list here", round)
		}
		f = integerToFloat(d, s, round)
	case !d.float():
		f = floatToInteger(c, d, s, round, ftz)
	default:
		f = floatToFloat(c, d, s, round, relu, sat, ftz)
	}
	// A destination wider than the type is extended with the type's sign.
	wide := typ{d.class, c.bits[a[0].name]}
	if !d.float() && wide.bits > d.bits {
		g := f
		f = func(x uint64) uint64 { return uint64(d.signed(g(x))) & wide.mask() }
	}
	c.lanes1(in, "convert", dst, src, f)
}

// wideSource is a source register of at least that many bits.
func (c *compiler) wideSource(o operand, bits int) int {
	if have, ok := c.bits[o.name]; ok && o.kind == isName && have < bits {
		c.fail("%s has %d bits where %d were expected", o.name, have, bits)
	} else if ok {
		bits = have
	}
	return c.src(o, bits)
}

func integerToInteger(d, s typ, sat bool) func(uint64) uint64 {
	return func(x uint64) uint64 {
		v := s.signed(x)
		if sat {
			low, high := d.limits()
			switch {
			case s.class == 'u' && uint64(v) > high:
				v = int64(high)
			case s.class == 's' && v < low:
				v = low
			case s.class == 's' && v > 0 && uint64(v) > high:
				v = int64(high)
			}
		}
		return uint64(v) & d.mask()
	}
}

// limits are the least and the greatest integer of a type.
func (t typ) limits() (int64, uint64) {
	if t.class == 's' {
		return -1 << (t.bits - 1), 1<<(t.bits-1) - 1
	}
	return 0, t.mask()
}

func integerToFloat(d, s typ, round string) func(uint64) uint64 {
	return func(x uint64) uint64 {
		v := s.signed(x)
		if s.bits == 64 && d.bits < 64 {
			// Two roundings may differ from one: sticky bits keep the way to go.
			return d.encode(oddFromInteger(v, s.class == 'u'))
		}
		f := float64(v)
		if s.class == 'u' && s.bits == 64 {
			f = float64(uint64(v))
		}
		if round == "rz" && d.bits == 32 {
			return uint64(math.Float32bits(towardZero(f)))
		}
		return d.encode(f)
	}
}

// oddFromInteger converts to a float64 whose last bit stands for all that it
// could not hold.
func oddFromInteger(v int64, unsigned bool) float64 {
	neg := !unsigned && v < 0
	u := uint64(v)
	if neg {
		u = -u
	}
	for shift := 0; ; shift++ {
		if u < 1<<53 {
			f := math.Ldexp(float64(u), shift)
			if neg {
				f = -f
			}
			return f
		}
		u = u>>1 | u&1
	}
}

func towardZero(v float64) float32 {
	r := float32(v)
	if math.Abs(float64(r)) > math.Abs(v) {
		return math.Float32frombits(math.Float32bits(r) - 1)
	}
	return r
}

// integral rounds to a whole number as the modifier says.
func integral(round string) func(float64) float64 {
	return map[string]func(float64) float64{"rni": math.RoundToEven, "rzi": math.Trunc, "rmi": math.Floor, "rpi": math.Ceil}[round]
}

// floatToInteger clamps to the type's range; NaN gives 0.
func floatToInteger(c *compiler, d, s typ, round string, ftz bool) func(uint64) uint64 {
	whole := integral(round)
	if whole == nil {
		c.fail("a float becomes an integer by rni, rzi, rmi or rpi, not %q", round)
	}
	low, high := d.limits()
	form := floatForm{t: s, ftz: ftz}
	return func(x uint64) uint64 {
		v := whole(form.in(x))
		switch {
		case v != v:
			return 0
		case v <= float64(low):
			return uint64(low) & d.mask()
		case v >= float64(high):
			return high
		case d.class == 'u':
			return uint64(v)
		}
		return uint64(int64(v)) & d.mask()
	}
}

func floatToFloat(c *compiler, d, s typ, round string, relu, sat, ftz bool) func(uint64) uint64 {
	if whole := integral(round); whole != nil {
		if d != s {
			c.fail("%s with two types is not in the list", round)
		}
		form := floatForm{t: d, ftz: ftz, sat: sat}
		return func(x uint64) uint64 { return form.out(whole(form.in(x))) }
	}
	if narrower := d.bits < s.bits; narrower && round != "rn" || !narrower && round != "" && d.class == s.class {
		c.fail("the rounding %q is not in the list here", round)
	}
	in, out := floatForm{t: s, ftz: ftz}, floatForm{t: d, ftz: ftz, sat: sat}
	return func(x uint64) uint64 {
		v := in.in(x)
		if relu && v < 0 {
			v = 0
		}
		return out.out(v)
	}
}

// convertPair: cvt.rn.bf16x2.f32 d, a, b puts a in the upper half, b in the lower.
func convertPair(c *compiler, in *instruction, m modifiers, packed, round string, relu bool) {
	m.first("f32")
	m.done()
	if round != "rn" {
		c.fail("the rounding %q is not in the list here", round)
	}
	t := typ{'h', 16}
	if packed == "f16x2" {
		t.class = 'f'
	}
	one := floatToFloat(c, t, typ{'f', 32}, round, relu, false, false)
	a := c.args(3)
	c.lanes2(in, "convert", c.dst(a[0], 32), c.src(a[1], 32), c.src(a[2], 32),
		func(x, y uint64) uint64 { return one(x)<<16 | one(y) })
}
