package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vector writes the kernels of optim.go, elementwise.go, dense.go and peak.go.
func vector() {
	pause()
	padPixels()
	for _, w := range []width{avx2, avx512} {
		adadelta(w)
		sgd(w)
		sgdMomentum(w)
		adam(w)
		dropout(w)
		dropoutBackward(w)
		dot(w)
		combine(w)
		multiplyAdd(w)
	}
}

func pause() {
	TEXT("pause", NOSPLIT, "func()")
	Doc("pause tells the processor that this is a waiting loop.")
	PAUSE()
	RET()
}

// length loads the length of a slice parameter.
func length(name string) GPVirtual {
	n := GP64()
	Load(Param(name).Len(), n)
	return n
}

// The optimisers round each product and each sum by itself, as the generic ones
// do: no fused multiply-add here.

func adadelta(w width) {
	w.function("adadelta", "(x, g, eg2, ed2 []float32, lr, rho, eps float32)")
	p := pointers("x", "g", "eg2", "ed2")
	lr, rho, eps, rest := w.broadcast("lr"), w.broadcast("rho"), w.broadcast("eps"), w.constant(1)
	VSUBPS(rho, rest, rest)
	// decay is acc = rho acc + rest v v.
	decay := func(acc, v Op) {
		t := w.reg()
		VMULPS(v, rest, t)
		VMULPS(v, t, t)
		VMULPS(acc, rho, acc)
		VADDPS(t, acc, acc)
	}
	w.forEach(length("x"), p, func(a access) {
		x, g, e, d := a.load(Mem{Base: p[0]}), a.load(Mem{Base: p[1]}), a.load(Mem{Base: p[2]}), a.load(Mem{Base: p[3]})
		decay(e, g)
		a.store(e, Mem{Base: p[2]})
		num, den := w.reg(), w.reg()
		VADDPS(eps, d, num)
		VADDPS(eps, e, den)
		VDIVPS(den, num, num)
		VSQRTPS(num, num)
		VMULPS(num, g, g) // the step before the learning rate
		decay(d, g)
		a.store(d, Mem{Base: p[3]})
		VMULPS(lr, g, g)
		VSUBPS(g, x, x)
		a.store(x, Mem{Base: p[0]})
	})
	finish()
}

func sgd(w width) {
	w.function("sgd", "(x, g []float32, lr, decay float32)")
	p := pointers("x", "g")
	lr, decay := w.broadcast("lr"), w.broadcast("decay")
	w.forEach(length("x"), p, func(a access) {
		x, g, t := a.load(Mem{Base: p[0]}), a.load(Mem{Base: p[1]}), w.reg()
		VMULPS(decay, x, t)
		VADDPS(t, g, g)
		VMULPS(lr, g, g)
		VSUBPS(g, x, x)
		a.store(x, Mem{Base: p[0]})
	})
	finish()
}

func sgdMomentum(w width) {
	w.function("sgdMomentum", "(x, g, m []float32, lr, momentum, decay float32)")
	p := pointers("x", "g", "m")
	lr, momentum, decay := w.broadcast("lr"), w.broadcast("momentum"), w.broadcast("decay")
	w.forEach(length("x"), p, func(a access) {
		x, g, m, t := a.load(Mem{Base: p[0]}), a.load(Mem{Base: p[1]}), a.load(Mem{Base: p[2]}), w.reg()
		VMULPS(decay, x, t)
		VADDPS(t, g, g)
		VMULPS(momentum, m, m)
		VADDPS(g, m, m)
		a.store(m, Mem{Base: p[2]})
		VMULPS(momentum, m, m)
		VADDPS(m, g, g)
		VMULPS(lr, g, g)
		VSUBPS(g, x, x)
		a.store(x, Mem{Base: p[0]})
	})
	finish()
}

func adam(w width) {
	w.function("adam", "(x, g, m, v []float32, beta1, beta2, shrink, decay, rate, root, eps float32)")
	p := pointers("x", "g", "m", "v")
	beta1, beta2, rest1, rest2 := w.broadcast("beta1"), w.broadcast("beta2"), w.constant(1), w.constant(1)
	VSUBPS(beta1, rest1, rest1)
	VSUBPS(beta2, rest2, rest2)
	// The constants that are used once stay in memory.
	once := func(name string) Op {
		t := w.reg()
		VBROADCASTSS(argument(name), t)
		return t
	}
	w.forEach(length("x"), p, func(a access) {
		x, g, t := a.load(Mem{Base: p[0]}), a.load(Mem{Base: p[1]}), w.reg()
		VMULPS(once("decay"), x, t)
		VADDPS(t, g, g)
		m := a.load(Mem{Base: p[2]})
		VMULPS(beta1, m, m)
		VMULPS(rest1, g, t)
		VADDPS(t, m, m)
		a.store(m, Mem{Base: p[2]})
		v := a.load(Mem{Base: p[3]})
		VMULPS(beta2, v, v)
		VMULPS(rest2, g, t)
		VMULPS(g, t, t)
		VADDPS(t, v, v)
		a.store(v, Mem{Base: p[3]})
		VSQRTPS(v, v)
		VMULPS(once("root"), v, v)
		VADDPS(once("eps"), v, v)
		VDIVPS(v, m, m)
		VMULPS(once("rate"), m, m)
		VMULPS(once("shrink"), x, x)
		VSUBPS(m, x, x)
		a.store(x, Mem{Base: p[0]})
	})
	finish()
}

// hash computes the random bits of mask.keep for registers of consecutive
// elements.
type hash struct {
	w                    width
	index, step          VecVirtual // elements of the next register
	k0, k1               VecVirtual
	multiply0, multiply1 VecVirtual
	threshold, scale     VecVirtual
}

func newHash(w width) *hash {
	h := &hash{
		w: w, index: w.iota(), step: w.bits(uint32(w.lanes)),
		k0: w.broadcast("k0"), k1: w.broadcast("k1"),
		multiply0: w.bits(0x7feb352d), multiply1: w.bits(0x846ca68b),
		threshold: w.broadcast("threshold"), scale: w.broadcast("scale"),
	}
	VPADDD(w.broadcast("first"), h.index, h.index)
	return h
}

// next returns the 24 random bits of the next elements.
func (h *hash) next() VecVirtual {
	r, t := h.w.reg(), h.w.reg()
	fold := func(shift uint64) {
		VPSRLD(Imm(shift), r, t)
		h.w.xor(t, r, r)
	}
	h.w.xor(h.k0, h.index, r)
	fold(16)
	VPMULLD(h.multiply0, r, r)
	VPADDD(h.k1, r, r)
	fold(15)
	VPMULLD(h.multiply1, r, r)
	fold(16)
	VPSRLD(Imm(8), r, r)
	VPADDD(h.step, h.index, h.index)
	return r
}

func dropout(w width) {
	w.function("dropout", "(dst, src []float32, k0, k1, threshold uint32, scale float32, first uint32)")
	p := pointers("dst", "src")
	h := newHash(w)
	w.forEach(length("src"), p, func(a access) {
		r, v := h.next(), a.load(Mem{Base: p[1]})
		if w.wide() {
			keep := K()
			VPCMPUD(Imm(5), h.threshold, r, keep) // r >= threshold
			VMULPS_Z(h.scale, v, keep, v)
		} else {
			VPCMPGTD(r, h.threshold, r) // threshold > r
			VMULPS(h.scale, v, v)
			VANDNPS(v, r, v)
		}
		a.store(v, Mem{Base: p[0]})
	})
	finish()
}

func dropoutBackward(w width) {
	w.function("dropoutBackward", "(dst, grad, src []float32, k0, k1, threshold uint32, scale float32, first uint32)")
	p := pointers("dst", "grad", "src")
	h := newHash(w)
	zero := w.reg()
	w.zero(zero)
	w.forEach(length("src"), p, func(a access) {
		r, v, src := h.next(), a.load(Mem{Base: p[1]}), a.load(Mem{Base: p[2]})
		const notEqual = 4 // true for NaN
		if w.wide() {
			keep, live := K(), K()
			VPCMPUD(Imm(5), h.threshold, r, keep)
			VCMPPS(Imm(notEqual), zero, src, keep, live)
			VMULPS_Z(h.scale, v, live, v)
		} else {
			VPCMPGTD(r, h.threshold, r)
			VCMPPS(Imm(notEqual), zero, src, src)
			VMULPS(h.scale, v, v)
			VANDPS(src, v, v)
			VANDNPS(v, r, v)
		}
		a.store(v, Mem{Base: p[0]})
	})
	finish()
}

func padPixels() {
	avx2.function("padPixels", "(dst, src []float32)")
	p := pointers("dst", "src")
	n := length("dst")
	three, one := XMM(), XMM()
	VMOVUPS(pixelData("pixelMask", ^uint32(0), ^uint32(0), ^uint32(0), 0), three)
	VMOVUPS(pixelData("pixelOne", 0, 0, 0, 0x3f800000), one)
	Label("pixel")
	SUBQ(Imm(4), n)
	JL(LabelRef("done"))
	v := XMM()
	VMASKMOVPS(Mem{Base: p[1]}, three, v)
	VORPS(one, v, v)
	VMOVUPS(v, Mem{Base: p[0]})
	ADDQ(Imm(16), p[0])
	ADDQ(Imm(12), p[1])
	JMP(LabelRef("pixel"))
	Label("done")
	finish()
}

func pixelData(name string, values ...uint32) Mem {
	data := GLOBL(name, RODATA|NOPTR)
	for i, v := range values {
		DATA(4*i, U32(v))
	}
	return data
}

// dot sums into four registers, so that the additions overlap.
func dot(w width) {
	w.function("dot", "(x, y []float32) float32")
	p := pointers("x", "y")
	n := length("x")
	const sums = 4
	var sum [sums]VecVirtual
	for i := range sum {
		sum[i] = w.reg()
		w.zero(sum[i])
	}
	Label("block")
	CMPQ(n, Imm(uint64(sums*w.lanes)))
	JL(LabelRef("whole"))
	for i, s := range sum {
		v := w.reg()
		VMOVUPS(Mem{Base: p[0], Disp: i * w.bytes()}, v)
		VFMADD231PS(Mem{Base: p[1], Disp: i * w.bytes()}, v, s)
	}
	for _, q := range p {
		ADDQ(I32(int32(sums*w.bytes())), q)
	}
	SUBQ(Imm(uint64(sums*w.lanes)), n)
	JMP(LabelRef("block"))
	w.forEach(n, p, func(a access) {
		VFMADD231PS(a.load(Mem{Base: p[1]}), a.load(Mem{Base: p[0]}), sum[0])
	})
	VADDPS(sum[1], sum[0], sum[0])
	VADDPS(sum[3], sum[2], sum[2])
	VADDPS(sum[2], sum[0], sum[0])
	Store(w.total(sum[0]), ReturnIndex(0))
	finish()
}

// total returns the sum of the lanes of r.
func (w width) total(r VecVirtual) VecVirtual {
	half := YMM()
	if w.wide() {
		VEXTRACTF64X4(Imm(1), r, half)
		VADDPS(half, r.AsY(), r.AsY())
	}
	VEXTRACTF128(Imm(1), r.AsY(), half.AsX())
	x := r.AsX()
	VADDPS(half.AsX(), x, x)
	VHADDPS(x, x, x)
	VHADDPS(x, x, x)
	return x.(VecVirtual)
}

// combine keeps four registers of dst while it runs through the rows of src.
func combine(w width) {
	w.function("combine", "(dst, coef []float32, coefStride int, src []float32, srcStride, n int)")
	dst := Load(Param("dst").Base(), GP64())
	left := length("dst")
	src := Load(Param("src").Base(), GP64())
	coefStride, srcStride := Load(Param("coefStride"), GP64()), Load(Param("srcStride"), GP64())
	SHLQ(Imm(2), coefStride)
	SHLQ(Imm(2), srcStride)
	// rows adds up count registers of dst from the rows of src.
	rows := func(label string, count int, a access) {
		sum := make([]VecVirtual, count)
		for i := range sum {
			sum[i] = w.reg()
			w.zero(sum[i])
		}
		coef, row, k := GP64(), GP64(), GP64()
		Load(Param("coef").Base(), coef)
		MOVQ(src, row)
		Load(Param("n"), k)
		TESTQ(k, k)
		JLE(LabelRef(label + "store"))
		Label(label)
		c := w.reg()
		VBROADCASTSS(Mem{Base: coef}, c)
		for i := range sum {
			VFMADD231PS(a.load(Mem{Base: row, Disp: i * w.bytes()}), c, sum[i])
		}
		ADDQ(coefStride, coef)
		ADDQ(srcStride, row)
		DECQ(k)
		JNE(LabelRef(label))
		Label(label + "store")
		for i := range sum {
			a.store(sum[i], Mem{Base: dst, Disp: i * w.bytes()})
		}
	}
	const block = 4
	Label("block")
	CMPQ(left, Imm(uint64(block*w.lanes)))
	JL(LabelRef("whole"))
	rows("blockRow", block, access{w: w})
	ADDQ(I32(int32(block*w.bytes())), dst)
	ADDQ(I32(int32(block*w.bytes())), src)
	SUBQ(Imm(uint64(block*w.lanes)), left)
	JMP(LabelRef("block"))
	part := 0
	w.forEach(left, []Register{dst, src}, func(a access) {
		rows([]string{"wholeRow", "restRow"}[part], 1, a)
		part++
	})
	finish()
}

// multiplyAdd needs latency times units independent sums: 8 to 10 on processors
// with two units.
func multiplyAdd(w width) {
	w.function("multiplyAdd", "(n int) (flops int)")
	n := Load(Param("n"), GP64())
	const sums = 12
	a, b := w.constant(0.5), w.constant(0.25)
	var sum [sums]VecVirtual
	for i := range sum {
		sum[i] = w.constant(float32(i))
	}
	Label("round")
	SUBQ(Imm(1), n)
	JL(LabelRef("done"))
	for _, s := range sum {
		VFMADD213PS(b, a, s)
	}
	JMP(LabelRef("round"))
	Label("done")
	flops := GP64()
	MOVQ(I32(2*sums*int32(w.lanes)), flops)
	Store(flops, ReturnIndex(0))
	finish()
}
