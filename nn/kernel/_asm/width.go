package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// width is a vector extension to write a kernel for.
type width struct {
	suffix string // of the functions' names
	lanes  int    // float32 values in a register
}

var (
	avx2   = width{"AVX2", 8}
	avx512 = width{"AVX512", 16}
)

func (w width) wide() bool { return w.lanes == 16 }

// bytes returns the size of a register.
func (w width) bytes() int { return 4 * w.lanes }

// reg returns a new vector register.
func (w width) reg() VecVirtual {
	if w.wide() {
		return ZMM()
	}
	return YMM()
}

// function begins a function of this width that does not keep its arguments.
func (w width) function(name, signature string) {
	TEXT(name+w.suffix, NOSPLIT, "func"+signature)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s%s does as %sGeneric.", name, w.suffix, name))
}

// finish ends a function.
func finish() {
	VZEROUPPER()
	RET()
}

// argument returns the address of a scalar parameter.
func argument(name string) Op {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// broadcast returns a register filled with a parameter of 32 bits.
func (w width) broadcast(name string) VecVirtual {
	r := w.reg()
	VBROADCASTSS(argument(name), r)
	return r
}

// bits returns a register filled with a constant.
func (w width) bits(v uint32) VecVirtual {
	g, x, r := GP32(), XMM(), w.reg()
	MOVL(U32(v), g)
	VMOVD(g, x)
	VPBROADCASTD(x, r)
	return r
}

// constant returns a register filled with a float32.
func (w width) constant(v float32) VecVirtual { return w.bits(math.Float32bits(v)) }

// iota returns a register holding 0, 1, 2, ... as 32-bit integers.
func (w width) iota() VecVirtual {
	name := "lanes" + w.suffix
	data := NewDataAddr(Symbol{Name: name, Static: true}, 0)
	if !written[name] {
		written[name] = true
		GLOBL(name, RODATA|NOPTR)
		for i := range w.lanes {
			DATA(4*i, U32(uint32(i)))
		}
	}
	r := w.reg()
	VMOVUPS(data, r)
	return r
}

// written holds the names of the constants that are in the file.
var written = map[string]bool{}

// xor is dst = a ^ b.
func (w width) xor(a, b, dst Op) {
	if w.wide() {
		VPXORD(a, b, dst)
	} else {
		VPXOR(a, b, dst)
	}
}

// zero clears r.
func (w width) zero(r Op) { w.xor(r, r, r) }

// access loads and stores whole registers, or the lower lanes of one at the end
// of a slice.
type access struct {
	w    width
	mask Op // nil: all lanes
}

// load returns the values at p; lanes beyond the end are 0.
func (a access) load(p Mem) VecVirtual {
	r := a.w.reg()
	switch {
	case a.mask == nil:
		VMOVUPS(p, r)
	case a.w.wide():
		VMOVUPS_Z(p, a.mask, r)
	default:
		VMASKMOVPS(p, a.mask, r)
	}
	return r
}

// store writes r to p, no further than the end.
func (a access) store(r Op, p Mem) {
	switch {
	case a.mask == nil:
		VMOVUPS(r, p)
	case a.w.wide():
		VMOVUPS(r, a.mask, p)
	default:
		VMASKMOVPS(r, a.mask, p)
	}
}

// lowest returns an access to the lower n lanes, n a 64-bit register below the
// number of lanes.
func (w width) lowest(n Register) access {
	if w.wide() {
		bits, k := GP64(), K()
		MOVQ(I64(-1), bits)
		BZHIQ(n, bits, bits)
		KMOVW(bits.As32(), k)
		return access{w, k}
	}
	x, m := XMM(), w.reg()
	VMOVD(n.(GPVirtual).As32(), x)
	VPBROADCASTD(x, m)
	VPCMPGTD(w.iota(), m, m)
	return access{w, m}
}

// forEach runs body over slices of n elements, a register at a time, the last
// time with what is left. The slices' pointers go on by themselves.
func (w width) forEach(n GPVirtual, pointers []Register, body func(a access)) {
	Label("whole")
	CMPQ(n, Imm(uint64(w.lanes)))
	JL(LabelRef("rest"))
	body(access{w: w})
	for _, p := range pointers {
		ADDQ(Imm(uint64(w.bytes())), p)
	}
	SUBQ(Imm(uint64(w.lanes)), n)
	JMP(LabelRef("whole"))
	Label("rest")
	TESTQ(n, n)
	JE(LabelRef("done"))
	body(w.lowest(n))
	Label("done")
}

// pointers loads the addresses of slice parameters.
func pointers(names ...string) (p []Register) {
	for _, n := range names {
		p = append(p, Load(Param(n).Base(), GP64()))
	}
	return p
}
