package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// neon writes NEON functions as text. avo knows amd64 only, and Go's assembler
// few of the vector instructions for floats: the others are written as words,
// with the instruction in the comment.
type neon struct {
	code, stubs strings.Builder
	frame       map[string]string // "name+offset(FP)" of the current function
	vector, gp  int               // registers handed out
	stack       reg
}

// param is a parameter or result.
type param struct{ name, kind string }

// size returns its bytes, and those that it is aligned to.
func (p param) size() (bytes, align int) {
	switch {
	case strings.HasPrefix(p.kind, "[]"):
		return 24, 8
	case p.kind == "float32" || p.kind == "uint32":
		return 4, 4
	case p.kind == "bool":
		return 1, 1
	}
	return 8, 8
}

// params splits "x, g *float32, n int" into single parameters.
func params(list string) (ps []param) {
	if list == "" {
		return nil
	}
	var open []string
	for f := range strings.SplitSeq(list, ", ") {
		name, kind, ok := strings.Cut(f, " ")
		open = append(open, name)
		if !ok {
			continue
		}
		for _, n := range open {
			ps = append(ps, param{n, kind})
		}
		open = nil
	}
	return ps
}

// function begins a function; results are named. Of a slice only the address
// can be loaded, under the slice's name.
func (n *neon) function(doc, name, args, results string) {
	n.functionWithStack(doc, name, args, results, 0)
}

// functionWithStack begins a function that has stack bytes of its own, to which
// n.stack points.
func (n *neon) functionWithStack(doc, name, args, results string, stack int) {
	n.vector, n.gp = 0, 0
	n.frame = map[string]string{}
	at := 0
	place := func(p param) {
		bytes, align := p.size()
		at = (at + align - 1) / align * align
		label := p.name
		if bytes == 24 {
			label += "_base"
		}
		n.frame[p.name] = fmt.Sprintf("%s+%d(FP)", label, at)
		at += bytes
	}
	for _, p := range params(args) {
		place(p)
	}
	signature := name + "(" + args + ")"
	if results != "" {
		signature += " (" + results + ")"
		at = (at + 7) / 8 * 8
		for _, p := range params(results) {
			place(p)
		}
	}
	fmt.Fprintf(&n.code, "\n// func %s\nTEXT ·%s(SB), NOSPLIT, $%d-%d\n", signature, name, stack, at)
	fmt.Fprintf(&n.stubs, "\n// %s\n//\n//go:noescape\nfunc %s\n", doc, signature)
	if stack > 0 {
		n.stack = n.r()
		n.op("MOVD $local-%d(SP), %v", stack, n.stack)
	}
}

// op writes one instruction of Go's assembler.
func (n *neon) op(format string, args ...any) {
	fmt.Fprintf(&n.code, "\t"+format+"\n", args...)
}

func (n *neon) label(name string) { fmt.Fprintf(&n.code, "\n%s:\n", name) }

// ret ends the function.
func (n *neon) ret() { n.op("RET") }

// word writes an instruction that Go's assembler does not know.
func (n *neon) word(code uint32, format string, args ...any) {
	n.op("WORD $0x%08x // "+format, append([]any{code}, args...)...)
}

// vec and reg are a vector and a general register.
type (
	vec int
	reg int
)

func (v vec) String() string { return fmt.Sprintf("V%d", int(v)) }
func (r reg) String() string { return fmt.Sprintf("R%d", int(r)) }

// lanes is v as four float32 or 32-bit integers.
func (v vec) lanes() string { return v.String() + ".S4" }

// v hands out the next vector register, r the next general one. Vector registers
// are given back by scope, general ones by the next function.
func (n *neon) v() vec {
	if n.vector == 32 {
		panic("out of vector registers")
	}
	n.vector++
	return vec(n.vector - 1)
}

func (n *neon) r() reg {
	if n.gp == 16 { // R16 is for constants, and some of those above for Go
		panic("out of general registers")
	}
	n.gp++
	return reg(n.gp - 1)
}

// scope gives back the vector registers that body takes.
func (n *neon) scope(body func()) {
	was := n.vector
	body()
	n.vector = was
}

// load returns a parameter of 8 bytes in a register.
func (n *neon) load(name string) reg {
	r := n.r()
	n.op("MOVD %s, %v", n.frame[name], r)
	return r
}

func (n *neon) loads(names ...string) (rs []reg) {
	for _, name := range names {
		rs = append(rs, n.load(name))
	}
	return rs
}

// broadcast returns a parameter of 4 bytes in all lanes.
func (n *neon) broadcast(name string) vec {
	v := n.v()
	n.op("FMOVS %s, F%d", n.frame[name], int(v))
	n.op("VDUP %v.S[0], %v", v, v.lanes())
	return v
}

// bits returns a constant in all lanes. It uses R16.
func (n *neon) bits(b uint32) vec {
	v := n.v()
	n.op("MOVW $0x%08x, R16", b)
	n.op("VDUP R16, %v", v.lanes())
	return v
}

// read loads a register from p, write stores one there and steps over it.
func (n *neon) read(p reg) vec {
	v := n.v()
	n.op("VLD1 (%v), [%v]", p, v.lanes())
	return v
}

func (n *neon) readNext(p reg) vec {
	v := n.v()
	n.op("VLD1.P 16(%v), [%v]", p, v.lanes())
	return v
}

func (n *neon) writeNext(v vec, p reg) { n.op("VST1.P [%v], 16(%v)", v.lanes(), p) }

// three writes an instruction of the form d = a op b on four lanes.
func (n *neon) three(code uint32, name string, d, a, b vec) {
	n.word(code|uint32(b)<<16|uint32(a)<<5|uint32(d), "%s v%d.4s, v%d.4s, v%d.4s", name, int(d), int(a), int(b))
}

func (n *neon) fadd(d, a, b vec) { n.three(0x4e20d400, "fadd", d, a, b) }
func (n *neon) fsub(d, a, b vec) { n.three(0x4ea0d400, "fsub", d, a, b) }
func (n *neon) fmul(d, a, b vec) { n.three(0x6e20dc00, "fmul", d, a, b) }
func (n *neon) fdiv(d, a, b vec) { n.three(0x6e20fc00, "fdiv", d, a, b) }

func (n *neon) fsqrt(d, a vec) {
	n.word(0x6ea1f800|uint32(a)<<5|uint32(d), "fsqrt v%d.4s, v%d.4s", int(d), int(a))
}

// fmla is d += a b, fused.
func (n *neon) fmla(d, a, b vec) { n.op("VFMLA %v, %v, %v", b.lanes(), a.lanes(), d.lanes()) }

// fmls is d -= a b, fused.
func (n *neon) fmls(d, a, b vec) { n.op("VFMLS %v, %v, %v", b.lanes(), a.lanes(), d.lanes()) }

// fmlaLane is d += a b[lane], fused: one lane of b for all.
func (n *neon) fmlaLane(d, a, b vec, lane int) {
	index := uint32(lane)&1<<21 | uint32(lane)>>1<<11
	n.word(0x4f801000|index|uint32(b)<<16|uint32(a)<<5|uint32(d), "fmla v%d.4s, v%d.4s, v%d.s[%d]", int(d), int(a), int(b), lane)
}

// fmax is NaN where one of the two is.
func (n *neon) fmax(d, a, b vec) { n.three(0x4e20f400, "fmax", d, a, b) }

// equal is all ones where a == b; insert replaces d by a where mask is ones.
func (n *neon) equal(d, a, b vec)     { n.three(0x4e20e400, "fcmeq", d, a, b) }
func (n *neon) insert(d, a, mask vec) { n.op("VBIT %v.B16, %v.B16, %v.B16", mask, a, d) }

func (n *neon) move(d, a vec) { n.op("VMOV %v.B16, %v.B16", a, d) }

// orNot is d = a or not b.
func (n *neon) orNot(d, a, b vec) {
	n.word(0x4ee01c00|uint32(b)<<16|uint32(a)<<5|uint32(d), "orn v%d.16b, v%d.16b, v%d.16b", int(d), int(a), int(b))
}

// bytes packs the four integers of a into the lowest four bytes of d.
func (n *neon) bytes(d, a vec) {
	n.word(0x0e612800|uint32(a)<<5|uint32(d), "xtn v%d.4h, v%d.4s", int(d), int(a))
	n.word(0x0e212800|uint32(d)<<5|uint32(d), "xtn v%d.8b, v%d.8h", int(d), int(d))
}

// mul multiplies integers; hs compares them unsigned, all ones for a >= b.
func (n *neon) mul(d, a, b vec) { n.three(0x4ea09c00, "mul", d, a, b) }
func (n *neon) hs(d, a, b vec)  { n.three(0x6ea03c00, "cmhs", d, a, b) }

// zeros is all ones where the float a is 0, of either sign.
func (n *neon) zeros(d, a vec) {
	n.word(0x4ea0d800|uint32(a)<<5|uint32(d), "fcmeq v%d.4s, v%d.4s, #0.0", int(d), int(a))
}

// bic is d = a and not b.
func (n *neon) bic(d, a, b vec) {
	n.word(0x4e601c00|uint32(b)<<16|uint32(a)<<5|uint32(d), "bic v%d.16b, v%d.16b, v%d.16b", int(d), int(a), int(b))
}

// and and xor combine bits.
func (n *neon) and(d, a, b vec) { n.op("VAND %v.B16, %v.B16, %v.B16", b, a, d) }
func (n *neon) xor(d, a, b vec) { n.op("VEOR %v.B16, %v.B16, %v.B16", b, a, d) }

// zero clears a new register.
func (n *neon) zero() vec {
	v := n.v()
	n.xor(v, v, v)
	return v
}

// times runs body count times; count is a register that it uses up. Registers
// that body takes are free again behind it.
func (n *neon) times(name string, count reg, body func()) {
	n.op("CBZ %v, %sDone", count, name)
	n.label(name)
	n.scope(body)
	n.op("SUBS $1, %v, %v", count, count)
	n.op("BNE %s", name)
	n.label(name + "Done")
}

// save writes the two files that the flags name, as avo does.
func (n *neon) save() error {
	f := flag.NewFlagSet("neon", flag.ExitOnError) // avo has taken the names in the usual one
	out := f.String("out", "", "assembly file")
	stubs := f.String("stubs", "", "Go file with the declarations")
	pkg := f.String("pkg", "", "package of the declarations")
	f.Parse(os.Args[1:])
	head := fmt.Sprintf("// Code generated by command: go run . %s. DO NOT EDIT.\n\n//go:build !purego\n\n", strings.Join(os.Args[1:], " "))
	if err := os.WriteFile(*out, []byte(head+"#include \"textflag.h\"\n"+n.code.String()), 0o666); err != nil {
		return err
	}
	return os.WriteFile(*stubs, []byte(head+"package "+*pkg+"\n"+n.stubs.String()), 0o666)
}
