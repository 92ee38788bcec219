package main

// vectorKernels writes the kernels of vector_arm64.go: those of vector, for whole
// registers only. The Go functions round them see to what is left.
func (n *neon) vectorKernels() {
	n.pause()
	n.adadelta()
	n.sgd()
	n.sgdMomentum()
	n.adam()
	n.dropout()
	n.dropoutBackward()
	n.dot()
	n.combine()
	n.multiplyAdd()
}

func (n *neon) pause() {
	n.function("pause tells the processor that this is a waiting loop.", "pause", "", "")
	n.op("YIELD")
	n.ret()
}

const oneBits = 0x3f800000

func (n *neon) adadelta() {
	n.function("adadeltaNEON does as adadeltaGeneric for 4 quads elements.",
		"adadeltaNEON", "x, grad, eg2, ed2 *float32, quads int, lr, rho, eps float32", "")
	p := n.loads("x", "grad", "eg2", "ed2")
	count := n.load("quads")
	lr, rho, eps, rest := n.broadcast("lr"), n.broadcast("rho"), n.broadcast("eps"), n.bits(oneBits)
	n.fsub(rest, rest, rho)
	n.times("loop", count, func() {
		x, g, e, d, t := n.read(p[0]), n.readNext(p[1]), n.read(p[2]), n.read(p[3]), n.v()
		decay := func(acc vec) { // acc = rho acc + rest g g
			n.fmul(t, rest, g)
			n.fmul(t, t, g)
			n.fmul(acc, rho, acc)
			n.fadd(acc, acc, t)
		}
		decay(e)
		n.writeNext(e, p[2])
		n.fadd(t, d, eps)
		n.fadd(e, e, eps)
		n.fdiv(t, t, e)
		n.fsqrt(t, t)
		n.fmul(g, g, t)
		decay(d)
		n.writeNext(d, p[3])
		n.fmul(g, lr, g)
		n.fsub(x, x, g)
		n.writeNext(x, p[0])
	})
	n.ret()
}

func (n *neon) sgd() {
	n.function("sgdNEON does as sgdGeneric for 4 quads elements.",
		"sgdNEON", "x, grad *float32, quads int, lr, decay float32", "")
	p := n.loads("x", "grad")
	count := n.load("quads")
	lr, decay := n.broadcast("lr"), n.broadcast("decay")
	n.times("loop", count, func() {
		x, g, t := n.read(p[0]), n.readNext(p[1]), n.v()
		n.fmul(t, decay, x)
		n.fadd(g, g, t)
		n.fmul(g, lr, g)
		n.fsub(x, x, g)
		n.writeNext(x, p[0])
	})
	n.ret()
}

func (n *neon) sgdMomentum() {
	n.function("sgdMomentumNEON does as sgdMomentumGeneric for 4 quads elements.",
		"sgdMomentumNEON", "x, grad, m *float32, quads int, lr, momentum, decay float32", "")
	p := n.loads("x", "grad", "m")
	count := n.load("quads")
	lr, momentum, decay := n.broadcast("lr"), n.broadcast("momentum"), n.broadcast("decay")
	n.times("loop", count, func() {
		x, g, m, t := n.read(p[0]), n.readNext(p[1]), n.read(p[2]), n.v()
		n.fmul(t, decay, x)
		n.fadd(g, g, t)
		n.fmul(m, momentum, m)
		n.fadd(m, m, g)
		n.writeNext(m, p[2])
		n.fmul(m, momentum, m)
		n.fadd(g, g, m)
		n.fmul(g, lr, g)
		n.fsub(x, x, g)
		n.writeNext(x, p[0])
	})
	n.ret()
}

func (n *neon) adam() {
	n.function("adamNEON does as adamGeneric for 4 quads elements.",
		"adamNEON", "x, grad, m, v *float32, quads int, beta1, beta2, shrink, decay, rate, root, eps float32", "")
	p := n.loads("x", "grad", "m", "v")
	count := n.load("quads")
	beta1, beta2, shrink, decay := n.broadcast("beta1"), n.broadcast("beta2"), n.broadcast("shrink"), n.broadcast("decay")
	rate, root, eps := n.broadcast("rate"), n.broadcast("root"), n.broadcast("eps")
	rest1, rest2 := n.bits(oneBits), n.bits(oneBits)
	n.fsub(rest1, rest1, beta1)
	n.fsub(rest2, rest2, beta2)
	n.times("loop", count, func() {
		x, g, m, v, t := n.read(p[0]), n.readNext(p[1]), n.read(p[2]), n.read(p[3]), n.v()
		n.fmul(t, decay, x)
		n.fadd(g, g, t)
		n.fmul(m, beta1, m)
		n.fmul(t, rest1, g)
		n.fadd(m, m, t)
		n.writeNext(m, p[2])
		n.fmul(v, beta2, v)
		n.fmul(t, rest2, g)
		n.fmul(t, t, g)
		n.fadd(v, v, t)
		n.writeNext(v, p[3])
		n.fsqrt(v, v)
		n.fmul(v, v, root)
		n.fadd(v, v, eps)
		n.fdiv(m, m, v)
		n.fmul(m, rate, m)
		n.fmul(x, shrink, x)
		n.fsub(x, x, m)
		n.writeNext(x, p[0])
	})
	n.ret()
}

// keep returns a function that gives the masks of mask.keep for consecutive
// quads, and the factor for what is kept.
func (n *neon) keep() (next func() vec, scale vec) {
	index, step := n.v(), n.bits(4)
	for i := range 4 {
		n.op("MOVD $%d, R16", i)
		n.op("VMOV R16, %v.S[%d]", index, i)
	}
	add := func(d, a, b vec) { n.op("VADD %v, %v, %v", b.lanes(), a.lanes(), d.lanes()) }
	add(index, index, n.broadcast("first"))
	k0, k1, threshold := n.broadcast("k0"), n.broadcast("k1"), n.broadcast("threshold")
	multiply0, multiply1 := n.bits(0x7feb352d), n.bits(0x846ca68b)
	return func() vec {
		h, t := n.v(), n.v()
		shift := func(d, a vec, by int) { n.op("VUSHR $%d, %v, %v", by, a.lanes(), d.lanes()) }
		fold := func(by int) {
			shift(t, h, by)
			n.xor(h, h, t)
		}
		n.xor(h, index, k0)
		fold(16)
		n.mul(h, h, multiply0)
		add(h, h, k1)
		fold(15)
		n.mul(h, h, multiply1)
		fold(16)
		shift(h, h, 8)
		n.hs(h, h, threshold)
		add(index, index, step)
		return h
	}, n.broadcast("scale")
}

func (n *neon) dropout() {
	n.function("dropoutNEON does as dropoutGeneric for 4 quads elements.",
		"dropoutNEON", "dst, src *float32, quads int, k0, k1, threshold uint32, scale float32, first uint32", "")
	p := n.loads("dst", "src")
	count := n.load("quads")
	keep, scale := n.keep()
	n.times("loop", count, func() {
		k, v := keep(), n.readNext(p[1])
		n.fmul(v, v, scale)
		n.and(v, v, k)
		n.writeNext(v, p[0])
	})
	n.ret()
}

func (n *neon) dropoutBackward() {
	n.function("dropoutBackwardNEON does as dropoutBackwardGeneric for 4 quads elements.",
		"dropoutBackwardNEON", "dst, grad, src *float32, quads int, k0, k1, threshold uint32, scale float32, first uint32", "")
	p := n.loads("dst", "grad", "src")
	count := n.load("quads")
	keep, scale := n.keep()
	n.times("loop", count, func() {
		k, v, src := keep(), n.readNext(p[1]), n.readNext(p[2])
		n.fmul(v, v, scale)
		n.and(v, v, k)
		n.zeros(src, src)
		n.bic(v, v, src)
		n.writeNext(v, p[0])
	})
	n.ret()
}

// fours is "[V0.S4, ...]" for loads of four registers, which must follow each
// other.
func fours(v []vec) string {
	return "[" + v[0].lanes() + ", " + v[1].lanes() + ", " + v[2].lanes() + ", " + v[3].lanes() + "]"
}

func (n *neon) four() []vec { return []vec{n.v(), n.v(), n.v(), n.v()} }

func (n *neon) dot() {
	n.function("dotNEON returns the dot product of 16 blocks elements.",
		"dotNEON", "x, y *float32, blocks int", "sum float32")
	p := n.loads("x", "y")
	count := n.load("blocks")
	sum := []vec{n.zero(), n.zero(), n.zero(), n.zero()}
	n.times("loop", count, func() {
		x, y := n.four(), n.four()
		n.op("VLD1.P 64(%v), %s", p[0], fours(x))
		n.op("VLD1.P 64(%v), %s", p[1], fours(y))
		for i := range sum {
			n.fmla(sum[i], x[i], y[i])
		}
	})
	n.fadd(sum[0], sum[0], sum[1])
	n.fadd(sum[2], sum[2], sum[3])
	n.fadd(sum[0], sum[0], sum[2])
	for range 2 { // the second leaves the sum of all lanes in each
		n.three(0x6e20d400, "faddp", sum[0], sum[0], sum[0])
	}
	n.op("FMOVS F%d, %s", int(sum[0]), n.frame["sum"])
	n.ret()
}

func (n *neon) combine() {
	n.function("combineNEON does as combineGeneric for 16 blocks elements of dst; strides in bytes.",
		"combineNEON", "dst *float32, blocks int, coef *float32, coefStride int, src *float32, srcStride, n int", "")
	dst, count := n.load("dst"), n.load("blocks")
	coef, coefStride := n.load("coef"), n.load("coefStride")
	src, srcStride := n.load("src"), n.load("srcStride")
	c, row, k := n.r(), n.r(), n.r()
	n.times("block", count, func() {
		sum := []vec{n.zero(), n.zero(), n.zero(), n.zero()}
		n.op("MOVD %v, %v", coef, c)
		n.op("MOVD %v, %v", src, row)
		n.op("MOVD %s, %v", n.frame["n"], k)
		n.times("row", k, func() {
			v, f := n.four(), n.v()
			n.op("FMOVS (%v), F%d", c, int(f))
			n.op("VLD1 (%v), %s", row, fours(v))
			for i := range sum {
				n.fmlaLane(sum[i], v[i], f, 0)
			}
			n.op("ADD %v, %v, %v", coefStride, c, c)
			n.op("ADD %v, %v, %v", srcStride, row, row)
		})
		n.op("VST1.P %s, 64(%v)", fours(sum), dst)
		n.op("ADD $64, %v, %v", src, src)
	})
	n.ret()
}

// multiplyAdd has sums for four units with a latency of four, and more.
func (n *neon) multiplyAdd() {
	n.function("multiplyAddNEON does as multiplyAddGeneric.", "multiplyAddNEON", "n int", "flops int")
	count := n.load("n")
	const sums = 24
	a, b := n.bits(0x3f000000), n.bits(0x3e800000)
	var sum [sums]vec
	for i := range sum {
		sum[i] = n.zero()
	}
	n.times("loop", count, func() {
		for _, s := range sum {
			n.fmla(s, a, b)
		}
	})
	n.op("MOVD $%d, R16", 2*4*sums)
	n.op("MOVD R16, %s", n.frame["flops"])
	n.ret()
}
