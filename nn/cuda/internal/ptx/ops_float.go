package ptx

import (
	"math"
)

// Arithmetic whose name serves integers and floats (sections 9.7.1, 9.7.3 to
// 9.7.5), and the functions of floats. A float operation is done in float64
// and rounded once more to its own format; for +, -, *, / and the square root
// of formats of 24 bits or fewer this is the correctly rounded result.
var floatOps = map[string]builder{
	"add": arithmetic(integerAdd, floatSum), "sub": arithmetic(integerSub, floatDifference),
	"mul": multiply, "mad": multiplyAdd, "fma": fusedMultiplyAdd, "div": divide,
	"neg": sign(integerNeg, func(x, top uint64) uint64 { return x ^ top }),
	"abs": sign(integerAbs, func(x, top uint64) uint64 { return x &^ top }),
	"min": extreme(true), "max": extreme(false),
	"rcp":   function("rcp", func(x float64) float64 { return 1 / x }),
	"sqrt":  function("sqrt", math.Sqrt),
	"rsqrt": function("rsqrt", func(x float64) float64 { return 1 / math.Sqrt(x) }),
	"ex2":   function("ex2", math.Exp2),
	"lg2":   function("lg2", math.Log2),
	"sin":   function("sin", math.Sin),
	"cos":   function("cos", math.Cos),
	"tanh":  function("tanh", math.Tanh),
	"testp": testProperty, "copysign": copySign,
}

// binaryOp is a float operation of two sources, and the same of a warp's float32,
// which most are.
type binaryOp struct {
	one    func(x, y float64) float64
	single func(out, x, y *lanes)
}

var (
	floatSum = binaryOp{func(x, y float64) float64 { return x + y }, func(out, x, y *lanes) {
		for l := range out {
			out[l] = encodeSingle(decodeSingle(x[l]) + decodeSingle(y[l]))
		}
	}}
	floatDifference = binaryOp{func(x, y float64) float64 { return x - y }, func(out, x, y *lanes) {
		for l := range out {
			out[l] = encodeSingle(decodeSingle(x[l]) - decodeSingle(y[l]))
		}
	}}
	floatProduct = binaryOp{func(x, y float64) float64 { return x * y }, func(out, x, y *lanes) {
		for l := range out {
			out[l] = encodeSingle(decodeSingle(x[l]) * decodeSingle(y[l]))
		}
	}}
	floatQuotient = binaryOp{one: func(x, y float64) float64 { return x / y }}
)

// decodeSingle and encodeSingle are decode and encode of float32.
func decodeSingle(x uint64) float32 { return math.Float32frombits(uint32(x)) }

func encodeSingle(v float32) uint64 {
	if v != v {
		return 0x7fffffff
	}
	return uint64(math.Float32bits(v))
}

// decode gives a float's value, encode its bits, rounded to nearest even. Every
// NaN becomes the one that the hardware gives.
func (t typ) decode(x uint64) float64 {
	switch {
	case t.bits == 64:
		return math.Float64frombits(x)
	case t.bits == 32:
		return float64(math.Float32frombits(uint32(x)))
	case t.class == 'h':
		return float64(math.Float32frombits(uint32(x) << 16))
	}
	return halfToFloat(uint16(x))
}

func (t typ) encode(v float64) uint64 {
	switch {
	case t.bits == 64 && v != v:
		return 0x7ff8000000000000
	case t.bits == 64:
		return math.Float64bits(v)
	case t.bits == 32 && v != v:
		return 0x7fffffff
	case t.bits == 32:
		return uint64(math.Float32bits(float32(v)))
	case v != v:
		return 0x7fff
	case t.class == 'h':
		if f := float32(v); float64(f) == v { // the upper half of its bits
			b := math.Float32bits(f)
			return uint64((b + 0x7fff + b>>16&1) >> 16)
		}
		return roundBits(v, 8, -126)
	}
	return roundBits(v, 11, -14)
}

// roundBits rounds to a format of 16 bits whose significand has p bits and
// whose smallest normal number is 2^least: bfloat16 and half.
func roundBits(v float64, p, least int) uint64 {
	sign := uint64(0)
	if math.Signbit(v) {
		sign, v = 0x8000, -v
	}
	infinity := uint64(1)<<15 - 1<<(p-1)
	if math.IsInf(v, 0) {
		return sign | infinity
	}
	if v == 0 {
		return sign
	}
	_, e := math.Frexp(v) // v is in [2^(e-1), 2^e)
	e = max(e-1, least)
	units := math.RoundToEven(math.Ldexp(v, p-1-e)) // of 2^(e-p+1)
	r := uint64(units) + uint64(e-least)<<(p-1)     // a carry goes into the exponent
	return sign | min(r, infinity)
}

func halfToFloat(x uint16) float64 {
	e, m := int(x>>10&31), float64(x&0x3ff)
	v := 0.0
	switch {
	case e == 31 && m != 0:
		return math.NaN()
	case e == 31:
		v = math.Inf(1)
	case e == 0:
		v = math.Ldexp(m, -24)
	default:
		v = math.Ldexp(1024+m, e-25)
	}
	if x&0x8000 != 0 {
		v = -v
	}
	return v
}

// pairs applies f to both halves of a packed type.
func pairs2(f func(x, y uint64) uint64) func(x, y uint64) uint64 {
	return func(x, y uint64) uint64 { return f(x&0xffff, y&0xffff) | f(x>>16, y>>16)<<16 }
}

// floatForm reads what float operations have in common: rounding, .ftz, .sat
// and the type, which may be packed.
type floatForm struct {
	t      typ
	packed bool
	ftz    bool
	sat    bool
}

func (m *modifiers) floatForm(rounding ...string) floatForm {
	var f floatForm
	m.maybe(rounding...)
	f.ftz, f.sat = m.take("ftz"), m.take("sat")
	switch m.maybe("bf16x2", "f16x2") {
	case "bf16x2":
		f.t, f.packed = typ{'h', 16}, true
	case "f16x2":
		f.t, f.packed = typ{'f', 16}, true
	default:
		f.t = m.typed("fh")
	}
	m.done()
	return f
}

// bits is the size of the registers of the form.
func (f floatForm) bits() int {
	if f.packed {
		return 32
	}
	return f.t.bits
}

// in decodes a source, out encodes a result.
func (f floatForm) in(x uint64) float64 {
	v := f.t.decode(x)
	if f.ftz && math.Abs(v) < 0x1p-126 {
		return math.Copysign(0, v)
	}
	return v
}

func (f floatForm) out(v float64) uint64 {
	if f.sat && !(v >= 0) {
		v = 0 // NaN, too
	}
	if f.sat && v > 1 {
		v = 1
	}
	if f.ftz && math.Abs(v) < 0x1p-126 {
		v = math.Copysign(0, v)
	}
	return f.t.encode(v)
}

// plainSingle is float32 without anything.
var plainSingle = floatForm{t: typ{'f', 32}}

// binary compiles a float operation of two sources.
func (f floatForm) binary(c *compiler, in *instruction, op binaryOp) {
	a := c.args(3)
	d, p, q := c.dst(a[0], f.bits()), c.src(a[1], f.bits()), c.src(a[2], f.bits())
	if f == plainSingle && op.single != nil {
		c.warp2(in, f.kind(), d, p, q, op.single)
		return
	}
	g := func(x, y uint64) uint64 { return f.out(op.one(f.in(x), f.in(y))) }
	if f.packed {
		g = pairs2(g)
	}
	c.lanes2(in, f.kind(), d, p, q, g)
}

func (f floatForm) kind() string {
	if f.t.bits == 64 {
		return "double"
	}
	return "float"
}

// integerType takes an integer type if the opcode has one.
func (m *modifiers) integerType() (typ, bool) {
	if len(m.left) == 1 {
		if t, ok := typeOf(m.left[0]); ok && (t.class == 'u' || t.class == 's') && t.bits >= 16 {
			m.left = nil
			return t, true
		}
	}
	return typ{}, false
}

func arithmetic(integer func(*compiler, *instruction, typ), op binaryOp) builder {
	return func(c *compiler, in *instruction, m modifiers) {
		if t, ok := m.integerType(); ok {
			integer(c, in, t)
			return
		}
		m.floatForm("rn").binary(c, in, op)
	}
}

func multiply(c *compiler, in *instruction, m modifiers) {
	if part := m.maybe("lo", "hi", "wide"); part != "" {
		t, ok := m.integerType()
		if !ok {
			m.done()
		}
		integerMul(c, in, part, t)
		return
	}
	m.floatForm("rn").binary(c, in, floatProduct)
}

func multiplyAdd(c *compiler, in *instruction, m modifiers) {
	if part := m.maybe("lo", "hi", "wide"); part != "" {
		t, ok := m.integerType()
		if !ok {
			m.done()
		}
		integerMad(c, in, part, t)
		return
	}
	fusedMultiplyAdd(c, in, m)
}

// fusedMultiplyAdd rounds once. In float64 the product of two shorter formats
// is exact; the sum is rounded to odd, after which rounding to fewer bits gives
// what one rounding would have (Boldo and Melquiond, "Emulation of a FMA and
// Correctly Rounded Sums").
func fusedMultiplyAdd(c *compiler, in *instruction, m modifiers) {
	relu := m.take("relu")
	f := m.floatForm("rn")
	a := c.args(4)
	to, x, y, z := c.dst(a[0], f.bits()), c.src(a[1], f.bits()), c.src(a[2], f.bits()), c.src(a[3], f.bits())
	if f == plainSingle && !relu {
		c.warp3(in, f.kind(), to, x, y, z, func(out, x, y, z *lanes) {
			for l := range out {
				out[l] = fusedSingle(x[l], y[l], z[l])
			}
		})
		return
	}
	g := func(x, y, z uint64) uint64 {
		p, q, r := f.in(x), f.in(y), f.in(z)
		var v float64
		if f.t.bits == 64 {
			v = math.FMA(p, q, r)
		} else {
			v = addOdd(p*q, r)
		}
		if relu && v < 0 {
			v = 0
		}
		return f.out(v)
	}
	one := g
	if f.packed {
		g = func(x, y, z uint64) uint64 {
			return one(x&0xffff, y&0xffff, z&0xffff) | one(x>>16, y>>16, z>>16)<<16
		}
	}
	c.lanes3(in, f.kind(), to, x, y, z, g)
}

// fusedSingle is x*y+z of float32. What float64 makes of the sum rounds to the
// right float32 but for a number in the middle between two, and for those so small
// that float32 has fewer bits for them.
func fusedSingle(x, y, z uint64) uint64 {
	product, r := float64(decodeSingle(x))*float64(decodeSingle(y)), float64(decodeSingle(z))
	s := product + r
	b := math.Float64bits(s)
	const middle, below, least = 1 << 28, 1<<29 - 1, (1023 - 126) << 52
	if s != 0 && (b&below == middle || b&^(1<<63) < least) {
		s = addOdd(product, r)
	}
	return encodeSingle(float32(s))
}

// addOdd is x+y, rounded to odd: exact, or the neighbour whose last bit is 1.
func addOdd(x, y float64) float64 {
	s := x + y
	if math.IsInf(s, 0) || s != s {
		return s
	}
	t := s - x
	lost := (x - (s - t)) + (y - t) // Knuth's two-sum
	b := math.Float64bits(s)
	if lost == 0 || b&1 == 1 {
		return s
	}
	if (lost > 0) == (s > 0) {
		return math.Float64frombits(b + 1)
	}
	return math.Float64frombits(b - 1)
}

func divide(c *compiler, in *instruction, m modifiers) {
	if t, ok := m.integerType(); ok {
		integerDiv(c, in, t)
		return
	}
	m.floatForm("rn", "approx", "full").binary(c, in, floatQuotient)
}

// sign compiles neg and abs, which change only a float's first bit.
func sign(integer func(*compiler, *instruction, typ), f func(x, top uint64) uint64) builder {
	return func(c *compiler, in *instruction, m modifiers) {
		if t, ok := m.integerType(); ok && t.class == 's' {
			integer(c, in, t)
			return
		}
		form := m.floatForm()
		a := c.args(2)
		top := uint64(1) << (form.t.bits - 1)
		if form.packed {
			top |= top << 16
		}
		c.lanes1(in, form.kind(), c.dst(a[0], form.bits()), c.src(a[1], form.bits()), func(x uint64) uint64 { return f(x, top) })
	}
}

// extreme compiles min and max. Of a number and a NaN the number is taken,
// unless .NaN is given; -0 is less than +0.
func extreme(least bool) builder {
	return func(c *compiler, in *instruction, m modifiers) {
		if t, ok := m.integerType(); ok {
			integerExtreme(c, in, t, least)
			return
		}
		ftz, nan := m.take("ftz"), m.take("NaN")
		f := m.floatForm()
		f.ftz = ftz
		pick := math.Max
		if least {
			pick = math.Min
		}
		f.binary(c, in, binaryOp{one: func(x, y float64) float64 {
			switch {
			case x != x && y != y || nan && (x != x || y != y):
				return math.NaN()
			case x != x:
				return y
			case y != y:
				return x
			}
			return pick(x, y)
		}})
	}
}

// function compiles a function of one float. The approximate ones are rounded
// correctly here; the hardware's differ in the last bits.
func function(name string, f func(float64) float64) builder {
	return func(c *compiler, in *instruction, m modifiers) {
		rounding := []string{"approx"}
		if name == "rcp" || name == "sqrt" {
			rounding = append(rounding, "rn")
		}
		form := m.floatForm(rounding...)
		a := c.args(2)
		if form.packed || form.t.bits == 16 && name != "ex2" && name != "tanh" {
			c.fail("%s of this type is not in the list", name)
		}
		kind := "special"
		if form.t.bits == 64 {
			kind = "double"
		}
		c.lanes1(in, kind, c.dst(a[0], form.t.bits), c.src(a[1], form.t.bits),
			func(x uint64) uint64 { return form.out(f(form.in(x))) })
	}
}

// testProperty: testp asks what sort of float a is.
func testProperty(c *compiler, in *instruction, m modifiers) {
	what := m.first("finite", "infinite", "number", "notanumber", "normal", "subnormal")
	t := m.typed("f")
	m.done()
	a := c.args(2)
	d, x := c.pred(a[0]), c.src(a[1], t.bits)
	least := 0x1p-126
	if t.bits == 64 {
		least = 0x1p-1022
	}
	c.kind = "pred"
	in.run = func(w *warp, active uint32) {
		w.need(active, x)
		r := uint32(0)
		for l, b := range w.r[x] {
			v := math.Abs(t.decode(b))
			yes := map[string]bool{"finite": v <= math.MaxFloat64, "infinite": math.IsInf(v, 0), "number": v == v,
				"notanumber": v != v, "normal": v >= least && v <= math.MaxFloat64, "subnormal": v < least && v > 0}[what]
			if yes {
				r |= 1 << l
			}
		}
		w.setPred(d, active, r)
	}
}

// copySign: the sign of the first source on the second.
func copySign(c *compiler, in *instruction, m modifiers) {
	t := m.typed("f")
	m.done()
	a := c.args(3)
	top := uint64(1) << (t.bits - 1)
	c.lanes2(in, "float", c.dst(a[0], t.bits), c.src(a[1], t.bits), c.src(a[2], t.bits),
		func(x, y uint64) uint64 { return y&^top | x&top })
}
