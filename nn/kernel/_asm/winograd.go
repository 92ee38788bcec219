package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// winograd writes the transforms of winograd.go: a register of channels at a
// time, first along the columns of a tile, then along its rows. AVX-512 keeps
// what is between in registers, AVX2 on the stack.
func winograd() {
	for _, w := range []width{avx2, avx512} {
		inputTile(w)
		inputTilePooled(w)
		outputReLU(w)
		outputPool(w)
		outputMask(w)
		gradientTile(w)
		gradientTilePooled(w)
		filterTile(w)
		filterGradientTile(w)
	}
}

// The points, as in winograd.go.
const (
	pointA = 0.625
	pointB = 1.5
	a2, b2 = pointA * pointA, pointB * pointB
	a3, b3 = a2 * pointA, b2 * pointB
	normA  = 2 * a2 * (a2 - b2)
	normB  = 2 * b2 * (b2 - a2)
)

// inputLines multiplies by the transposed B: all of a line, or what makes the
// two results of one pair of rows.
type inputLines struct {
	all   line
	pairs []inputPair
}

type inputPair struct {
	results [2]int
	from    []int // the values that the results are made of
	line    line
}

func newInputLines(w width) inputLines {
	a, b := w.inRegister(pointA), w.inRegister(pointB)
	aa, bb := w.inRegister(a2), w.inRegister(b2)
	both, product := w.inRegister(a2+b2), w.inRegister(a2*b2)
	ends := func(d []VecVirtual, emit func(int, VecVirtual)) {
		both.subtract(d[2], d[4])
		product.add(d[0], d[4])
		emit(0, d[4])
		both.subtract(d[3], d[5])
		product.add(d[1], d[5])
		emit(5, d[5])
	}
	// middle makes results i and i+1, those of the points ±x.
	middle := func(i int, x, other coefficient) line {
		return func(d []VecVirtual, emit func(int, VecVirtual)) {
			t, u := w.copyOf(d[4]), w.copyOf(d[3])
			other.subtract(d[2], t)
			other.subtract(d[1], u)
			r := w.copyOf(t)
			x.add(u, r)
			x.subtract(u, t)
			emit(i, r)
			emit(i+1, t)
		}
	}
	atA, atB := middle(1, a, bb), middle(3, b, aa)
	return inputLines{
		all: func(d []VecVirtual, emit func(int, VecVirtual)) {
			atA(d, emit)
			atB(d, emit)
			ends(d, emit)
		},
		pairs: []inputPair{
			{[2]int{0, 5}, []int{0, 1, 2, 3, 4, 5}, ends},
			{[2]int{1, 2}, []int{1, 2, 3, 4}, atA},
			{[2]int{3, 4}, []int{1, 2, 3, 4}, atB},
		},
	}
}

// inputTile for AVX-512 makes two rows of results at a time: the columns are
// read again for each pair, and nothing is kept between but the pair.
func inputTile(w width) {
	w.transform("inputTile", "(v []float32, vPos int, x []float32, xRow, xCol, n int)")
	v := newTileStore("v")
	p := pass{w: w, in: 6, out: 6, src: base("x"), row: stride("xRow"), col: stride("xCol")}
	p.useStack()
	n := Load(Param("n"), GP64())
	lines := newInputLines(w)
	p.line = lines.all
	w.eachRegister("channels", n, []Register{v.base, p.src}, func() {
		if !w.wide() {
			row := p.columns(nil)
			for i := range 6 {
				v.write(i, row(i), p.line)
			}
			return
		}
		for _, pair := range lines.pairs {
			rows := map[int][]VecVirtual{}
			for _, i := range pair.results {
				rows[i] = make([]VecVirtual, 6)
			}
			at := GP64()
			MOVQ(p.src, at)
			for j := range 6 {
				place := places(at, p.row, 6)
				d := make([]VecVirtual, 6)
				for _, i := range pair.from {
					d[i] = w.reg()
					VMOVUPS(place(i), d[i])
				}
				pair.line(d, func(i int, r VecVirtual) { rows[i][j] = r })
				if j < 5 {
					ADDQ(p.col, at)
				}
			}
			for _, i := range pair.results {
				v.write(i, rows[i], p.line)
			}
		}
	})
	finish()
}

func inputTilePooled(w width) {
	w.transform("inputTilePooled", "(v []float32, vPos int, dp []float32, dpRow, dpCol int, arg []uint8, argRow, argCol int, n int)")
	v := newTileStore("v")
	p := pass{w: w, in: 6, out: 6, src: base("dp"), row: stride("dpRow"), col: stride("dpCol"), pool: newPool(1)}
	p.useStack()
	n := Load(Param("n"), GP64())
	p.line = newInputLines(w).all
	w.eachRegister("channels", n, []Register{v.base, p.src}, func() {
		row := p.columns(nil)
		for i := range 6 {
			v.write(i, row(i), p.line)
		}
		ADDQ(Imm(uint64(w.lanes)), p.pool.arg)
	})
	finish()
}

// outputLine multiplies by the transposed A.
func outputLine(w width) line {
	get := w.inMemory
	if w.wide() {
		get = w.inRegister
	}
	a, b := get(pointA), get(pointB)
	aa, bb := w.inMemory(a2), w.inMemory(b2)
	aaa, bbb := w.inMemory(a3), w.inMemory(b3)
	return func(m []VecVirtual, emit func(int, VecVirtual)) {
		q, s := w.difference(m[1], m[2]), w.difference(m[3], m[4])
		VADDPS(m[2], m[1], m[1])
		VADDPS(m[4], m[3], m[3])
		VADDPS(m[1], m[0], m[0])
		VADDPS(m[3], m[0], m[0])
		emit(0, m[0])
		aaa.add(q, m[5])
		bbb.add(s, m[5])
		emit(3, m[5])
		a.times(q, q)
		b.add(s, q)
		emit(1, q)
		aa.times(m[1], m[1])
		bb.add(m[3], m[1])
		emit(2, m[1])
	}
}

// newOutput loads what the output transforms share.
func newOutput(w width) *pass {
	p := &pass{w: w, in: 6, out: 4}
	p.useStack()
	p.src, p.col = base("m"), stride("mPos")
	p.row = six(p.col)
	p.line = outputLine(w)
	return p
}

// outputRows hands each row of four results to f, and the address of its
// values in a destination whose rows and columns are row and col apart.
func (p *pass) outputRows(dst, row, col Register, f func(v VecVirtual, place Mem)) {
	load := p.columns(nil)
	at := GP64()
	MOVQ(dst, at)
	for i := range 4 {
		place := places(at, col, 4)
		p.line(load(i), func(j int, v VecVirtual) { f(v, place(j)) })
		if i < 3 {
			ADDQ(row, at)
		}
	}
}

func outputReLU(w width) {
	w.transform("outputReLU", "(y []float32, yRow, yCol int, m []float32, mPos int, bias []float32, n int)")
	p := newOutput(w)
	y, yRow, yCol, bias := base("y"), stride("yRow"), stride("yCol"), base("bias")
	n := Load(Param("n"), GP64())
	zero := w.reg()
	w.zero(zero)
	w.eachRegister("channels", n, []Register{y, p.src, bias}, func() {
		p.outputRows(y, yRow, yCol, func(v VecVirtual, place Mem) {
			VADDPS(Mem{Base: bias}, v, v)
			VMAXPS(v, zero, v) // a NaN in v comes out
			VMOVUPS(v, place)
		})
	})
	finish()
}

const notEqual = 4 // predicate of VCMPPS, true for NaN

func outputMask(w width) {
	w.transform("outputMask", "(dx []float32, row, col int, m []float32, mPos int, mask []float32, n int)")
	p := newOutput(w)
	dx, row, col, mask := base("dx"), stride("row"), stride("col"), base("mask")
	n := Load(Param("n"), GP64())
	TESTQ(mask, mask)
	JE(LabelRef("plain"))
	SUBQ(dx, mask) // from a value of dx to its mask
	zero := w.reg()
	w.zero(zero)
	w.eachRegister("masked", n, []Register{dx, p.src}, func() {
		p.outputRows(dx, row, col, func(v VecVirtual, place Mem) {
			at := GP64()
			LEAQ(place, at)
			x := Mem{Base: at, Index: mask, Scale: 1}
			if w.wide() {
				live := K()
				VCMPPS(Imm(notEqual), x, zero, live)
				VMOVAPS_Z(v, live, v)
			} else {
				live := w.reg()
				VCMPPS(Imm(notEqual), x, zero, live)
				VANDPS(live, v, v)
			}
			VMOVUPS(v, Mem{Base: at})
		})
	})
	finish()
	w.eachRegister("plain", n, []Register{dx, p.src}, func() {
		p.outputRows(dx, row, col, func(v VecVirtual, place Mem) { VMOVUPS(v, place) })
	})
	finish()
}

// outputPool compares the values as unsigned integers: after the ReLU they are
// positive, and then the order of their bits is theirs, with NaN on top.
func outputPool(w width) {
	w.transform("outputPool", "(y []float32, yRow, yCol int, arg []uint8, argRow, argCol int, m []float32, mPos int, bias []float32, n int)")
	p := newOutput(w)
	y, yRow, yCol, bias := base("y"), stride("yRow"), stride("yCol"), base("bias")
	arg := base("arg")
	n := Load(Param("n"), GP64())
	zero := w.reg()
	w.zero(zero)
	w.eachRegister("channels", n, []Register{y, p.src, bias}, func() {
		load := p.columns(nil)
		for i := range 2 {
			var v [2][4]VecVirtual
			for r := range v {
				p.line(load(2*i+r), func(j int, x VecVirtual) {
					VADDPS(Mem{Base: bias}, x, x)
					VMAXPS(x, zero, x)
					v[r][j] = x
				})
			}
			for j := range 2 {
				window := []VecVirtual{v[0][2*j], v[0][2*j+1], v[1][2*j], v[1][2*j+1]}
				most, most2 := w.reg(), w.reg()
				VPMAXUD(window[0], window[1], most)
				VPMAXUD(window[2], window[3], most2)
				VPMAXUD(most, most2, most)
				at := GP64()
				MOVQ(y, at)
				if i > 0 {
					ADDQ(yRow, at)
				}
				if j > 0 {
					ADDQ(yCol, at)
				}
				VMOVUPS(most, Mem{Base: at})
				next := fmt.Sprintf("window%d%d", i, j)
				TESTQ(arg, arg)
				JE(LabelRef(next))
				MOVQ(arg, at)
				if i > 0 {
					ADDQ(argument("argRow"), at)
				}
				if j > 0 {
					ADDQ(argument("argCol"), at)
				}
				w.storePosition(window, most, zero, at)
				Label(next)
			}
		}
		TESTQ(arg, arg)
		JE(LabelRef("next"))
		ADDQ(Imm(uint64(w.lanes)), arg)
		Label("next")
	})
	finish()
}

// storePosition writes the position of the first value that is the most, or 4
// where that is zero, as bytes.
func (w width) storePosition(window []VecVirtual, most, zero VecVirtual, at Register) {
	if w.wide() {
		pos := w.bits(3)
		choose := func(k Op, v uint32) { VMOVDQA32(w.bits(v), k, pos) }
		for i := 2; i >= 0; i-- {
			k := K()
			VPCMPEQD(window[i], most, k)
			choose(k, uint32(i))
		}
		k := K()
		VPTESTNMD(most, most, k)
		choose(k, 4)
		VPMOVDB(pos, Mem{Base: at})
		return
	}
	// All ones is -1: the position is 3 less one for each comparison that held
	// from some point on.
	held, pos := w.reg(), w.intConstant(3)
	first := w.reg()
	VPCMPEQD(window[0], most, held)
	VMOVAPS(held, first)
	sum := w.reg()
	VMOVDQU(pos, sum)
	VPADDD(first, sum, sum)
	for i := 1; i < 3; i++ {
		t := w.reg()
		VPCMPEQD(window[i], most, t)
		VPOR(t, held, held)
		VPADDD(held, sum, sum)
	}
	VPCMPEQD(zero, most, held)
	VPANDN(sum, held, sum)
	VPAND(w.intConstant(4), held, held)
	VPOR(held, sum, sum)
	upper := XMM()
	VEXTRACTI128(Imm(1), sum, upper)
	VPACKUSDW(upper, sum.AsX(), upper)
	VPACKUSWB(upper, upper, upper)
	VMOVQ(upper, Mem{Base: at})
}

func gradientTile(w width) {
	w.transform("gradientTile", "(d []float32, dPos int, dy []float32, row, col, n int, sum []float32)")
	p := &pass{src: base("dy"), row: stride("row"), col: stride("col")}
	gradient(w, p)
}

func gradientTilePooled(w width) {
	w.transform("gradientTilePooled", "(d []float32, dPos int, dp []float32, dpRow, dpCol int, arg []uint8, argRow, argCol int, n int, sum []float32)")
	p := &pass{src: base("dp"), row: stride("dpRow"), col: stride("dpCol"), pool: newPool(0)}
	gradient(w, p)
}

func gradient(w width, p *pass) {
	p.w, p.in, p.out = w, 4, 6
	p.useStack()
	d := newTileStore("d")
	n, sum := Load(Param("n"), GP64()), base("sum")
	a, b := w.inRegister(pointA), w.inRegister(pointB)
	aa, bb := w.inRegister(a2), w.inRegister(b2)
	p.line = func(d []VecVirtual, emit func(int, VecVirtual)) {
		for i, c := range []struct{ x, square coefficient }{{a, aa}, {b, bb}} {
			t, u := w.copyOf(d[0]), w.copyOf(d[1])
			c.square.add(d[2], t)
			c.square.add(d[3], u)
			r := w.copyOf(t)
			c.x.add(u, r)
			c.x.subtract(u, t)
			emit(2*i+1, r)
			emit(2*i+2, t)
		}
		emit(0, d[0])
		emit(5, d[3])
	}
	w.eachRegister("channels", n, []Register{d.base, p.src, sum}, func() {
		total := w.reg()
		VMOVUPS(Mem{Base: sum}, total)
		row := p.columns(func(d []VecVirtual) {
			t, u := w.sum(d[0], d[1]), w.sum(d[2], d[3])
			VADDPS(u, t, t)
			VADDPS(t, total, total)
		})
		VMOVUPS(total, Mem{Base: sum})
		for i := range 6 {
			d.write(i, row(i), p.line)
		}
		if p.pool != nil {
			ADDQ(Imm(uint64(w.lanes)), p.pool.arg)
		}
	})
	finish()
}

// filterTile's and filterGradientTile's coefficients are those of G.
type filterCoefficients struct{ one, a, b, xa, xb, xxa, xxb coefficient }

func newFilterCoefficients(w width) filterCoefficients {
	return filterCoefficients{
		w.inRegister(1 / (a2 * b2)), w.inRegister(1 / normA), w.inRegister(1 / normB),
		w.inMemory(pointA / normA), w.inMemory(pointB / normB), w.inMemory(a2 / normA), w.inMemory(b2 / normB),
	}
}

func filterTile(w width) {
	w.transform("filterTile", "(u []float32, uPos int, w []float32, tap, n int)")
	u := newTileStore("u")
	p := pass{w: w, in: 3, out: 6, src: base("w"), col: stride("tap")}
	p.useStack()
	row := GP64()
	LEAQ(Mem{Base: p.col, Index: p.col, Scale: 2}, row)
	p.row = row
	n := Load(Param("n"), GP64())
	c := newFilterCoefficients(w)
	p.line = func(d []VecVirtual, emit func(int, VecVirtual)) {
		emit(5, d[2])
		for i, k := range []struct{ one, x, xx coefficient }{{c.a, c.xa, c.xxa}, {c.b, c.xb, c.xxb}} {
			t := w.reg()
			k.one.times(d[0], t)
			k.xx.add(d[2], t)
			r := w.copyOf(t)
			k.x.add(d[1], r)
			k.x.subtract(d[1], t)
			emit(2*i+1, r)
			emit(2*i+2, t)
		}
		t := w.reg()
		c.one.times(d[0], t)
		emit(0, t)
	}
	w.eachRegister("filters", n, []Register{u.base, p.src}, func() {
		row := p.columns(nil)
		for i := range 6 {
			u.write(i, row(i), p.line)
		}
	})
	finish()
}

func filterGradientTile(w width) {
	w.transform("filterGradientTile", "(dw []float32, tap int, du []float32, uPos, n int)")
	dw, tap := base("dw"), stride("tap")
	p := pass{w: w, in: 6, out: 3, src: base("du"), col: stride("uPos")}
	p.useStack()
	p.row = six(p.col)
	n := Load(Param("n"), GP64())
	c := newFilterCoefficients(w)
	p.line = func(m []VecVirtual, emit func(int, VecVirtual)) {
		q, s := w.difference(m[1], m[2]), w.difference(m[3], m[4])
		VADDPS(m[2], m[1], m[1])
		VADDPS(m[4], m[3], m[3])
		c.one.times(m[0], m[0])
		c.a.add(m[1], m[0])
		c.b.add(m[3], m[0])
		emit(0, m[0])
		c.xa.times(q, q)
		c.xb.add(s, q)
		emit(1, q)
		c.xxa.add(m[1], m[5])
		c.xxb.add(m[3], m[5])
		emit(2, m[5])
	}
	w.eachRegister("filters", n, []Register{dw, p.src}, func() {
		load := p.columns(nil)
		at := GP64()
		MOVQ(dw, at)
		for i := range 3 {
			place := places(at, tap, 3)
			p.line(load(i), func(j int, v VecVirtual) { VMOVUPS(v, place(j)) })
			if i < 2 {
				for range 3 {
					ADDQ(tap, at)
				}
			}
		}
	})
	finish()
}
