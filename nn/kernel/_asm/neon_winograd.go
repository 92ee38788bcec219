package main

// convKernels writes the kernels of conv_arm64.go.
func (n *neon) convKernels() {
	n.gemm()
	n.gemmT()
	n.gemmFirst()
	n.inputTile()
	n.inputTilePooled()
	n.outputReLU()
	n.outputMask()
	n.outputPool()
	n.gradientTile()
	n.gradientTilePooled()
	n.filterTile()
	n.filterGradientTile()
}

// The transforms of winograd.go, four channels at a time: first along the columns
// of a tile into the stack, then along its rows.

func (n *neon) inputTile() {
	n.functionWithStack("inputTileNEON does as inputTileGeneric.", "inputTileNEON",
		"v []float32, vPos int, x []float32, xRow, xCol, n int", "", inputStack)
	x, xRow, xCol := n.load("x"), n.load("xRow"), n.load("xCol")
	n.bytesOf(xRow, xCol)
	n.inputTransform(n.plain(x, xRow, xCol, 6), []reg{x}, func() {})
}

func (n *neon) inputTilePooled() {
	n.functionWithStack("inputTilePooledNEON does as inputTilePooledGeneric.", "inputTilePooledNEON",
		"v []float32, vPos int, dp []float32, dpRow, dpCol int, arg []uint8, argRow, argCol int, n int", "", inputStack)
	n.inputTransform(n.pooled(6, 1))
}

const inputStack = 16 * 6 * 6

// inputTransform writes the rest of a function that transforms the columns;
// pointers and step go on to the next quad.
func (n *neon) inputTransform(source columns, pointers []reg, step func()) {
	const side = 6
	v, vPos, count, p := n.load("v"), n.load("vPos"), n.load("n"), n.r()
	n.bytesOf(vPos)
	ca2, cb2, ab, both := n.constant(a2), n.constant(b2), n.constant(a2*b2), n.constant(a2+b2)
	pa, pb := n.constant(pointA), n.constant(pointB)
	points := func(d []vec) []vec {
		minus := func(x, c, y vec) vec { // x - c y
			r := n.fresh(x)
			n.fmls(r, c, y)
			return r
		}
		t, s := minus(d[4], cb2, d[2]), minus(d[4], ca2, d[2])
		u, w := minus(d[3], cb2, d[1]), minus(d[3], ca2, d[1])
		n.fmul(u, u, pa)
		n.fmul(w, w, pb)
		first, last := d[4], d[5]
		n.fmla(first, ab, d[0])
		n.fmls(first, both, d[2])
		n.fmla(last, ab, d[1])
		n.fmls(last, both, d[3])
		return []vec{first, n.sum(t, u), n.difference(t, u), n.sum(s, w), n.difference(s, w), last}
	}
	n.perQuad(count, append(pointers, v), func() {
		source.start()
		for j := range side {
			n.scope(func() { n.put(points(source.next()), j, side) })
		}
		n.op("MOVD %v, %v", v, p)
		for i := range side {
			n.scope(func() { n.positions(points(n.get(i*side, side)), p, vPos) })
		}
		step()
	})
	n.ret()
}

// output holds what the three output transforms share.
type output struct {
	n                          *neon
	pa, pb, ca2, cb2, ca3, cb3 vec
}

func (n *neon) newOutput() *output {
	return &output{n, n.constant(pointA), n.constant(pointB), n.constant(a2), n.constant(b2), n.constant(a3), n.constant(b3)}
}

// points multiplies by Aᵀ.
func (o *output) points(m []vec) []vec {
	n := o.n
	p, q, r, s := n.sum(m[1], m[2]), n.difference(m[1], m[2]), n.sum(m[3], m[4]), n.difference(m[3], m[4])
	y0, y1, y2, y3 := m[0], m[1], m[2], m[5]
	n.fadd(y0, y0, p)
	n.fadd(y0, y0, r)
	n.fmul(y1, o.pa, q)
	n.fmla(y1, o.pb, s)
	n.fmul(y2, o.ca2, p)
	n.fmla(y2, o.cb2, r)
	n.fmla(y3, o.ca3, q)
	n.fmla(y3, o.cb3, s)
	return []vec{y0, y1, y2, y3}
}

// columns writes the first half: from the positions at m, mPos bytes apart, to
// the stack. p, column and six are registers to work with; six holds 6 mPos.
func (o *output) columns(m, mPos, six, p, column reg) {
	n := o.n
	n.op("MOVD %v, %v", m, column)
	for j := range 6 {
		n.scope(func() {
			n.op("MOVD %v, %v", column, p)
			n.put(o.points(n.readColumn(p, six, 6)), j, 6)
			n.op("ADD %v, %v, %v", mPos, column, column)
		})
	}
}

// row returns the four outputs of row i.
func (o *output) row(i int) []vec { return o.points(o.n.get(6*i, 6)) }

func (n *neon) timesSix(x reg) reg {
	six := n.r()
	n.op("ADD %v<<1, %v, %v", x, x, six)
	n.op("LSL $1, %v, %v", six, six)
	return six
}

const outputStack = 16 * 4 * 6

func (n *neon) outputReLU() {
	n.functionWithStack("outputReLUNEON does as outputReLUGeneric.", "outputReLUNEON",
		"y []float32, yRow, yCol int, m []float32, mPos int, bias []float32, n int", "", outputStack)
	y, yRow, yCol, m, mPos := n.load("y"), n.load("yRow"), n.load("yCol"), n.load("m"), n.load("mPos")
	bias, count := n.load("bias"), n.load("n")
	n.bytesOf(yRow, yCol, mPos)
	six, p, column := n.timesSix(mPos), n.r(), n.r()
	o, zero := n.newOutput(), n.zero()
	n.perQuad(count, []reg{y, m, bias}, func() {
		o.columns(m, mPos, six, p, column)
		b := n.read(bias)
		n.op("MOVD %v, %v", y, column)
		for i := range 4 {
			n.scope(func() {
				n.op("MOVD %v, %v", column, p)
				for _, v := range o.row(i) {
					n.fadd(v, v, b)
					n.fmax(v, v, zero)
					n.positions([]vec{v}, p, yCol)
				}
				n.op("ADD %v, %v, %v", yRow, column, column)
			})
		}
	})
	n.ret()
}

func (n *neon) outputMask() {
	n.functionWithStack("outputMaskNEON does as outputMaskGeneric.", "outputMaskNEON",
		"dx []float32, row, col int, m []float32, mPos int, mask []float32, n int", "", outputStack)
	dx, row, col, m, mPos := n.load("dx"), n.load("row"), n.load("col"), n.load("m"), n.load("mPos")
	mask, count := n.load("mask"), n.load("n")
	n.bytesOf(row, col, mPos)
	// Without a mask, keep holds ones and dx itself is read in the mask's place.
	away, keep := n.r(), n.zero()
	n.op("SUB %v, %v, %v", dx, mask, away)
	n.op("CBNZ %v, masked", mask)
	n.op("MOVD $0, %v", away)
	n.orNot(keep, keep, keep)
	n.label("masked")
	six, p, column := n.timesSix(mPos), n.r(), n.r()
	o := n.newOutput()
	n.perQuad(count, []reg{dx, m}, func() {
		o.columns(m, mPos, six, p, column)
		n.op("MOVD %v, %v", dx, column)
		for i := range 4 {
			n.scope(func() {
				n.op("MOVD %v, %v", column, p)
				for _, v := range o.row(i) {
					n.scope(func() {
						n.op("ADD %v, %v, R16", away, p)
						zeros := n.read(16)
						n.zeros(zeros, zeros)
						n.bic(zeros, zeros, keep)
						n.bic(v, v, zeros)
						n.positions([]vec{v}, p, col)
					})
				}
				n.op("ADD %v, %v, %v", row, column, column)
			})
		}
	})
	n.ret()
}

func (n *neon) outputPool() {
	n.functionWithStack("outputPoolNEON does as outputPoolGeneric.", "outputPoolNEON",
		"y []float32, yRow, yCol int, arg []uint8, argRow, argCol int, m []float32, mPos int, bias []float32, n int", "", outputStack)
	y, yRow, yCol, m, mPos := n.load("y"), n.load("yRow"), n.load("yCol"), n.load("m"), n.load("mPos")
	arg, argRow, argCol := n.load("arg"), n.load("argRow"), n.load("argCol")
	bias, count := n.load("bias"), n.load("n")
	n.bytesOf(yRow, yCol, mPos)
	six, p, column := n.timesSix(mPos), n.r(), n.r()
	o, zero := n.newOutput(), n.zero()
	n.perQuad(count, []reg{y, m, bias}, func() {
		o.columns(m, mPos, six, p, column)
		b := n.read(bias)
		rows := func(i int) (v []vec) {
			was := n.vector
			r := o.row(i)
			// Only the four outputs stay; they go to where they are not in the way.
			n.vector = was
			keep := n.four()
			for k := range r {
				n.fadd(r[k], r[k], b)
				n.fmax(r[k], r[k], zero)
			}
			for k := range r { // r[k] is never below keep[k]
				if r[k] != keep[k] {
					n.move(keep[k], r[k])
				}
			}
			return keep
		}
		for i := range 2 {
			n.scope(func() {
				top, bottom := rows(2*i), rows(2*i+1)
				n.op("MOVD %v, %v", y, p)
				n.op("MOVD %v, %v", arg, column)
				if i == 1 {
					n.op("ADD %v, %v, %v", yRow, p, p)
					n.op("ADD %v, %v, %v", argRow, column, column)
				}
				for j := range 2 {
					n.window([]vec{top[2*j], top[2*j+1], bottom[2*j], bottom[2*j+1]}, p, arg, column, "argDone"+string(rune('0'+2*i+j)))
					n.op("ADD %v, %v, %v", yCol, p, p)
					n.op("ADD %v, %v, %v", argCol, column, column)
				}
			})
		}
		n.op("CBZ %v, argNone", arg)
		n.op("ADD $4, %v, %v", arg, arg)
		n.label("argNone")
	})
	n.ret()
}

// window stores the maximum of four values at y and, unless arg is 0, its
// position at place.
func (n *neon) window(v []vec, y, arg, place reg, done string) {
	n.scope(func() {
		best, pair := n.v(), n.v()
		n.fmax(best, v[0], v[1])
		n.fmax(pair, v[2], v[3])
		n.fmax(best, best, pair)
		n.op("VST1 [%v], (%v)", best.lanes(), y)
		n.op("CBZ %v, %s", arg, done)
		position, mask, k := n.v(), n.v(), n.v()
		n.op("VMOVI $0, %v.B16", position)
		set := func(i int) {
			n.op("MOVW $%d, R16", i)
			n.op("VDUP R16, %v", k.lanes())
			n.insert(position, k, mask)
		}
		n.orNot(mask, best, best)
		set(3)
		for i := 2; i >= 0; i-- {
			// The maximum, or a NaN: then it is the maximum.
			n.equal(mask, v[i], best)
			n.equal(pair, v[i], v[i])
			n.orNot(mask, mask, pair)
			set(i)
		}
		n.zeros(mask, best)
		set(4)
		n.bytes(position, position)
		n.op("FMOVS F%d, (%v)", int(position), place)
		n.label(done)
	})
}

func (n *neon) gradientTile() {
	n.functionWithStack("gradientTileNEON does as gradientTileGeneric.", "gradientTileNEON",
		"d []float32, dPos int, dy []float32, row, col, n int, sum []float32", "", gradientStack)
	dy, row, col := n.load("dy"), n.load("row"), n.load("col")
	n.bytesOf(row, col)
	n.gradientTransform(n.plain(dy, row, col, 4), []reg{dy}, func() {})
}

func (n *neon) gradientTilePooled() {
	n.functionWithStack("gradientTilePooledNEON does as gradientTilePooledGeneric.", "gradientTilePooledNEON",
		"d []float32, dPos int, dp []float32, dpRow, dpCol int, arg []uint8, argRow, argCol int, n int, sum []float32", "", gradientStack)
	n.gradientTransform(n.pooled(4, 0))
}

const gradientStack = 16 * 6 * 4

// gradientTransform is to these what inputTransform is to the others.
func (n *neon) gradientTransform(source columns, pointers []reg, step func()) {
	d, dPos, count, sum, p := n.load("d"), n.load("dPos"), n.load("n"), n.load("sum"), n.r()
	n.bytesOf(dPos)
	pa, pb, ca2, cb2 := n.constant(pointA), n.constant(pointB), n.constant(a2), n.constant(b2)
	points := func(d []vec) []vec {
		plus := func(x, c, y vec) vec { // x + c y
			r := n.fresh(x)
			n.fmla(r, c, y)
			return r
		}
		p, q := plus(d[0], ca2, d[2]), plus(d[1], ca2, d[3])
		r, s := plus(d[0], cb2, d[2]), plus(d[1], cb2, d[3])
		n.fmul(q, q, pa)
		n.fmul(s, s, pb)
		return []vec{d[0], n.sum(p, q), n.difference(p, q), n.sum(r, s), n.difference(r, s), d[3]}
	}
	n.perQuad(count, append(pointers, d), func() {
		total := n.read(sum)
		source.start()
		for j := range 4 {
			n.scope(func() {
				v := source.next()
				for _, x := range v {
					n.fadd(total, total, x)
				}
				n.put(points(v), j, 4)
			})
		}
		n.writeNext(total, sum)
		n.op("MOVD %v, %v", d, p)
		for i := range 6 {
			n.scope(func() { n.positions(points(n.get(4*i, 4)), p, dPos) })
		}
		step()
	})
	n.ret()
}

func (n *neon) filterTile() {
	n.functionWithStack("filterTileNEON does as filterTileGeneric.", "filterTileNEON",
		"u []float32, uPos int, w []float32, tap, n int", "", 16*6*3)
	u, uPos, w, tap, count := n.load("u"), n.load("uPos"), n.load("w"), n.load("tap"), n.load("n")
	n.bytesOf(uPos, tap)
	p, column, three := n.r(), n.r(), n.r()
	n.op("ADD %v<<1, %v, %v", tap, tap, three)
	inverse, na, nb := n.constant(1/(a2*b2)), n.constant(1/normA), n.constant(1/normB)
	paNA, pbNB, a2NA, b2NB := n.constant(pointA/normA), n.constant(pointB/normB), n.constant(a2/normA), n.constant(b2/normB)
	points := func(g []vec) []vec {
		p, r := n.product(na, g[0]), n.product(nb, g[0])
		n.fmla(p, a2NA, g[2])
		n.fmla(r, b2NB, g[2])
		q, s := n.product(paNA, g[1]), n.product(pbNB, g[1])
		return []vec{n.product(inverse, g[0]), n.sum(p, q), n.difference(p, q), n.sum(r, s), n.difference(r, s), g[2]}
	}
	n.perQuad(count, []reg{u, w}, func() {
		n.op("MOVD %v, %v", w, column)
		for j := range 3 {
			n.scope(func() {
				n.op("MOVD %v, %v", column, p)
				n.put(points(n.readColumn(p, three, 3)), j, 3)
				n.op("ADD %v, %v, %v", tap, column, column)
			})
		}
		n.op("MOVD %v, %v", u, p)
		for i := range 6 {
			n.scope(func() { n.positions(points(n.get(3*i, 3)), p, uPos) })
		}
	})
	n.ret()
}

func (n *neon) filterGradientTile() {
	n.functionWithStack("filterGradientTileNEON does as filterGradientTileGeneric.", "filterGradientTileNEON",
		"dw []float32, tap int, du []float32, uPos, n int", "", 16*3*6)
	dw, tap, du, uPos, count := n.load("dw"), n.load("tap"), n.load("du"), n.load("uPos"), n.load("n")
	n.bytesOf(tap, uPos)
	six, p, column := n.timesSix(uPos), n.r(), n.r()
	inverse, na, nb := n.constant(1/(a2*b2)), n.constant(1/normA), n.constant(1/normB)
	paNA, pbNB, a2NA, b2NB := n.constant(pointA/normA), n.constant(pointB/normB), n.constant(a2/normA), n.constant(b2/normB)
	points := func(m []vec) []vec {
		p, q, r, s := n.sum(m[1], m[2]), n.difference(m[1], m[2]), n.sum(m[3], m[4]), n.difference(m[3], m[4])
		w0, w1, w2 := m[0], m[1], m[5]
		n.fmul(w0, inverse, w0)
		n.fmla(w0, na, p)
		n.fmla(w0, nb, r)
		n.fmul(w1, paNA, q)
		n.fmla(w1, pbNB, s)
		n.fmla(w2, a2NA, p)
		n.fmla(w2, b2NB, r)
		return []vec{w0, w1, w2}
	}
	n.perQuad(count, []reg{dw, du}, func() {
		n.op("MOVD %v, %v", du, column)
		for j := range 6 {
			n.scope(func() {
				n.op("MOVD %v, %v", column, p)
				n.put(points(n.readColumn(p, six, 6)), j, 6)
				n.op("ADD %v, %v, %v", uPos, column, column)
			})
		}
		n.op("MOVD %v, %v", dw, p)
		for i := range 3 {
			n.scope(func() { n.positions(points(n.get(6*i, 6)), p, tap) })
		}
	})
	n.ret()
}
