package main

import (
	"fmt"
	"math/bits"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// gemmKernels writes the matrix products of gemm.go. A kernel keeps a block of
// rows by one panel of two registers of sums: 6 rows in AVX2's 16 registers. In
// AVX-512's 32 there is room for 12, but 8 are as fast (98% of the measured peak
// each) and leave less to the kernel of 4 rows, which does the rest.
//
// On Zen 5 a broadcast of its own for each row is faster than one in each
// multiplication's memory operand: 245 GFLOP/s against 215.
func gemmKernels() {
	for _, w := range []width{avx2, avx512} {
		gemm(w)
		gemmT(w)
		gemmFirst(w)
	}
	prefetch()
}

// blockRows are the rows of the blocks that the rows of a product are cut into.
func (w width) blockRows() []int {
	if w.wide() {
		return []int{8, 4}
	}
	return []int{6, 4}
}

// sums are the registers of a block: rows by two.
type sums struct {
	w   width
	sum [][2]VecVirtual
}

func newSums(w width, rows int) sums {
	s := sums{w, make([][2]VecVirtual, rows)}
	for i := range s.sum {
		for j := range s.sum[i] {
			s.sum[i][j] = w.reg()
			w.zero(s.sum[i][j])
		}
	}
	return s
}

// multiply adds the product of a column of a, one place a row, and a row of b.
func (s sums) multiply(a func(row int) Mem, b Mem) {
	b0, b1 := s.w.reg(), s.w.reg()
	VMOVUPS(b, b0)
	VMOVUPS(b.Offset(s.w.bytes()), b1)
	for i, sum := range s.sum {
		v := s.w.reg()
		VBROADCASTSS(a(i), v)
		VFMADD231PS(b0, v, sum[0])
		VFMADD231PS(b1, v, sum[1])
	}
}

// eachRow calls f with the place of each row of c and its sums, and leaves c
// behind the last row.
func (s sums) eachRow(c, ldc Register, f func(c Mem, sum [2]VecVirtual)) {
	for _, sum := range s.sum {
		f(Mem{Base: c}, sum)
		ADDQ(ldc, c)
	}
}

func (s sums) store(c Mem, sum [2]VecVirtual) {
	VMOVUPS(sum[0], c)
	VMOVUPS(sum[1], c.Offset(s.w.bytes()))
}

// stride loads a distance in values as one in bytes.
func stride(name string) GPVirtual {
	r := Load(Param(name), GP64()).(GPVirtual)
	SHLQ(Imm(2), r)
	return r
}

// blocks writes a loop for each size of block. For AVX2 the rows are cut so that
// blocks of 4 take up the remainder of those of 6.
func (w width) blocks(body func(label string, rows int)) {
	left := Load(Param("rows"), GP64()).(GPVirtual)
	for _, n := range w.blockRows() {
		label := fmt.Sprintf("rows%d", n)
		Label(label)
		if n == 6 {
			// 8 rows, and 4, are left to blocks of 4.
			CMPQ(left, Imm(8))
			JE(LabelRef("rows4"))
		}
		CMPQ(left, Imm(uint64(n)))
		JL(LabelRef(label + "done"))
		body(label, n)
		SUBQ(Imm(uint64(n)), left)
		JMP(LabelRef(label))
		Label(label + "done")
	}
	finish()
}

// rowBases returns the places of the rows of a, for rows lda apart: each third
// row has a register.
func rowBases(a, lda Register, rows int) (bases []Register, place func(row int) Mem) {
	for i := 0; i < rows; i += 3 {
		r := GP64()
		if i == 0 {
			MOVQ(a, r)
		} else {
			LEAQ(Mem{Base: bases[len(bases)-1], Index: lda, Scale: 2}, r)
			ADDQ(lda, r)
		}
		bases = append(bases, r)
	}
	return bases, func(row int) Mem {
		m := Mem{Base: bases[row/3]}
		if row%3 > 0 {
			m.Index, m.Scale = lda, uint8(row%3)
		}
		return m
	}
}

// advance moves a past rows rows.
func advance(a, lda Register, rows int) {
	LEAQ(Mem{Base: a, Index: lda, Scale: 4}, a)
	switch rows {
	case 6:
		LEAQ(Mem{Base: a, Index: lda, Scale: 2}, a)
	case 8:
		LEAQ(Mem{Base: a, Index: lda, Scale: 4}, a)
	}
}

// unrolled is the number of steps of k in one round of the loops of gemm and
// gemmT.
const unrolled = 4

// shares is the number of blocks that the request for gemm's next panel is
// spread over. On Zen 3 a whole panel asked for in every block fills the queue
// of what is under way, and the block's own reads wait: 66 GFLOP/s for 32 rows of
// 128 values, against 87 where each of the first four blocks asks for a quarter.
func (w width) shares() int {
	if w.wide() {
		return 1
	}
	return 4
}

func gemm(w width) {
	w.function("gemm", "(c []float32, ldc int, a []float32, lda int, b []float32, rows, k int)")
	c, a := base("c"), base("a")
	ldc, lda := stride("ldc"), stride("lda")
	// The panel behind b is what the next call will want.
	size, ahead := Load(Param("k"), GP64()), GP64()
	SHLQ(Imm(uint64(bits.Len(uint(2*w.bytes()))-1)), size)
	MOVQ(base("b"), ahead)
	ADDQ(size, ahead)
	w.blocks(func(label string, rows int) {
		s := newSums(w, rows)
		bases, row := rowBases(a, lda, rows)
		b, k := base("b"), Load(Param("k"), GP64())
		step := 2 * w.bytes()
		Label(label + "k")
		for line := 0; line < step*unrolled/w.shares(); line += 64 {
			PREFETCHT1(Mem{Base: ahead, Disp: line})
		}
		for u := range unrolled {
			s.multiply(func(i int) Mem { return row(i).Offset(4 * u) }, Mem{Base: b, Disp: u * step})
		}
		for _, r := range bases {
			ADDQ(Imm(4*unrolled), r)
		}
		ADDQ(I32(int32(step*unrolled)), b)
		ADDQ(I32(int32(step*unrolled/w.shares())), ahead)
		SUBQ(Imm(unrolled), k)
		JG(LabelRef(label + "k"))
		if w.shares() == 1 {
			SUBQ(size, ahead) // later blocks ask again for the same
		}
		s.eachRow(c, ldc, s.store)
		advance(a, lda, rows)
	})
}

func gemmFirst(w width) {
	w.function("gemmFirst", "(c []float32, ldc int, a []float32, aRow int, b []float32, rows int)")
	c, a := Load(Param("c").Base(), GP64()), Load(Param("a").Base(), GP64())
	ldc, aRow := stride("ldc"), stride("aRow")
	zero := w.reg()
	w.zero(zero)
	w.blocks(func(label string, rows int) {
		const run = 12
		s := newSums(w, rows)
		b, p, run3 := Load(Param("b").Base(), GP64()), GP64(), GP64()
		MOVQ(a, p)
		MOVQ(I32(3), run3)
		Label(label + "run")
		for k := range run {
			s.multiply(func(i int) Mem { return Mem{Base: p, Disp: 16*i + 4*k} }, Mem{Base: b, Disp: 2 * w.bytes() * k})
		}
		ADDQ(aRow, p)
		ADDQ(I32(int32(2*w.bytes()*run)), b)
		DECQ(run3)
		JNE(LabelRef(label + "run"))
		s.eachRow(c, ldc, func(c Mem, sum [2]VecVirtual) {
			for _, v := range sum {
				VMAXPS(v, zero, v) // a NaN in v comes out
			}
			s.store(c, sum)
		})
		ADDQ(Imm(uint64(16*rows)), a)
	})
}

// gemmT reads a and b from the third-level cache, row by row with gaps between
// that the processor does not see through by itself. So while a block is
// multiplied, the values of a that the next block begins with are asked for, and
// rows of the next panel of b: 1.2 to 1.45 times as fast on Zen 3.
func gemmT(w width) {
	w.function("gemmT", "(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, rows, k int, add bool)")
	c, a := Load(Param("c").Base(), GP64()), Load(Param("a").Base(), GP64())
	ldc, lda, ldb := stride("ldc"), stride("lda"), stride("ldb")
	panel := 2 * w.bytes()
	ahead := base("b")
	ADDQ(Imm(uint64(panel)), ahead)
	w.blocks(func(label string, rows int) {
		s := newSums(w, rows)
		p := GP64()
		// c is wanted at the end of the loop: now is the time to fetch it.
		MOVQ(c, p)
		for range rows {
			for line := 0; line < panel; line += 64 {
				PREFETCHT0(Mem{Base: p, Disp: line})
			}
			ADDQ(ldc, p)
		}
		MOVQ(a, p)
		b, k := Load(Param("b").Base(), GP64()), Load(Param("k"), GP64())
		step := func() {
			PREFETCHT0(Mem{Base: p, Disp: 64})
			s.multiply(func(i int) Mem { return Mem{Base: p, Disp: 4 * i} }, Mem{Base: b})
			ADDQ(lda, p)
			ADDQ(ldb, b)
		}
		SUBQ(Imm(unrolled), k)
		JL(LabelRef(label + "rest"))
		Label(label + "k")
		for line := 0; line < panel; line += 64 {
			PREFETCHT1(Mem{Base: ahead, Disp: line})
		}
		ADDQ(ldb, ahead)
		for range unrolled {
			step()
		}
		SUBQ(Imm(unrolled), k)
		JGE(LabelRef(label + "k"))
		Label(label + "rest")
		ADDQ(Imm(unrolled), k)
		JE(LabelRef(label + "sums"))
		Label(label + "last")
		step()
		DECQ(k)
		JNE(LabelRef(label + "last"))
		Label(label + "sums")
		add := GP8()
		Load(Param("add"), add)
		TESTB(add, add)
		JE(LabelRef(label + "store"))
		MOVQ(c, p)
		s.eachRow(p, ldc, func(c Mem, sum [2]VecVirtual) {
			VADDPS(c, sum[0], sum[0])
			VADDPS(c.Offset(w.bytes()), sum[1], sum[1])
		})
		Label(label + "store")
		s.eachRow(c, ldc, s.store)
		ADDQ(Imm(uint64(4*rows)), a)
	})
}

// prefetch asks for rows of values.
func prefetch() {
	TEXT("prefetchAMD64", NOSPLIT, "func(p []float32, row, rows, n int)")
	Pragma("noescape")
	Doc("prefetchAMD64 does as prefetchGeneric.")
	p, row := base("p"), stride("row")
	rows := Load(Param("rows"), GP64())
	Label("row")
	at, n := GP64(), GP64()
	MOVQ(p, at)
	Load(Param("n"), n)
	Label("line")
	PREFETCHT0(Mem{Base: at})
	ADDQ(Imm(64), at)
	SUBQ(Imm(16), n)
	JG(LabelRef("line"))
	ADDQ(row, p)
	DECQ(rows)
	JNE(LabelRef("row"))
	RET()
}
