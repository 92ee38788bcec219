package ptx

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// scalar runs one instruction on a thread. ins are the values of its sources
// %a, %b, %c, of the bits that sizes says; the result %d has the first size.
func scalar(t *testing.T, op string, sizes []int, ins ...uint64) uint64 {
	t.Helper()
	name := map[int]string{1: "%p", 16: "%rs", 32: "%r", 64: "%rd"}
	var body strings.Builder
	for i, v := range ins {
		n := sizes[i+1]
		if n == 1 {
			fmt.Fprintf(&body, "setp.ne.u32 %%p%d, %d, 0;\n", i+1, v)
			continue
		}
		fmt.Fprintf(&body, "mov.b%d %s%d, 0x%x;\n", n, name[n], i+1, v)
	}
	for i, letter := range []string{"%d", "%a", "%b", "%c"} {
		if i < len(sizes) {
			op = strings.ReplaceAll(op, letter, fmt.Sprintf("%s%d", name[sizes[i]], i))
		}
	}
	body.WriteString(op + ";\n")
	switch sizes[0] {
	case 1:
		body.WriteString("selp.b32 %r40, 1, 0, %p0; cvt.u64.u32 %rd40, %r40;\n")
	case 16:
		body.WriteString("cvt.u64.u16 %rd40, %rs0;\n")
	case 32:
		body.WriteString("cvt.u64.u32 %rd40, %r0;\n")
	case 64:
		body.WriteString("mov.b64 %rd40, %rd0;\n")
	}
	body.WriteString("st.global.b64 [%rd50], %rd40;\n")
	r := newRig(t, 1, "", body.String())
	out := r.alloc(8)
	r.must(1, 1, 0)
	w := r.read(out, 2)
	return uint64(w[1])<<32 | uint64(w[0])
}

// Each line is worked out by hand from the manual's definition.
func TestInstructionsDoWhatTheManualSays(t *testing.T) {
	b32, b64, b16 := []int{32, 32, 32, 32}, []int{64, 64, 64, 64}, []int{16, 16, 16, 16}
	to64 := []int{64, 32, 32, 64}
	pred := []int{1, 32, 32, 1}
	half := []int{16, 32}
	pair := []int{32, 32, 32}
	f := func(v float64) uint64 { return uint64(f32(v)) }
	d := math.Float64bits
	nan, inf := f(math.NaN()), f(math.Inf(1))
	neg := func(v int64) uint64 { return uint64(v) & 0xffffffff }
	for _, c := range []struct {
		op    string
		sizes []int
		want  uint64
		in    []uint64
	}{
		{"add.s32 %d, %a, %b", b32, 0, []uint64{0xffffffff, 1}},
		{"add.u64 %d, %a, %b", b64, 1 << 32, []uint64{0xffffffff, 1}},
		{"add.s16 %d, %a, %b", b16, 0x8000, []uint64{0x7fff, 1}},
		{"sub.s32 %d, %a, %b", b32, neg(-2), []uint64{3, 5}},
		{"mul.lo.s32 %d, %a, %b", b32, neg(-6), []uint64{neg(-2), 3}},
		{"mul.hi.u32 %d, %a, %b", b32, 1, []uint64{0x80000000, 2}},
		{"mul.hi.s32 %d, %a, %b", b32, neg(-1), []uint64{0x80000000, 2}},
		{"mul.hi.u64 %d, %a, %b", b64, 1, []uint64{1 << 63, 2}},
		{"mul.hi.s64 %d, %a, %b", b64, ^uint64(0), []uint64{1 << 63, 2}},
		{"mul.wide.u32 %d, %a, %b", to64, 0x1fffffffe, []uint64{0xffffffff, 2}},
		{"mul.wide.s32 %d, %a, %b", to64, ^uint64(1), []uint64{0xffffffff, 2}},
		{"mul.wide.u16 %d, %a, %b", []int{32, 16, 16}, 0x1fffe, []uint64{0xffff, 2}},
		{"mad.lo.s32 %d, %a, %b, %c", b32, 17, []uint64{3, 4, 5}},
		{"mad.wide.u32 %d, %a, %b, %c", to64, 0x1ffffffff, []uint64{0xffffffff, 2, 1}},
		{"mad.wide.s32 %d, %a, %b, %c", to64, ^uint64(0), []uint64{0xffffffff, 2, 1}},
		{"div.s32 %d, %a, %b", b32, neg(-3), []uint64{neg(-7), 2}},
		{"div.u32 %d, %a, %b", b32, 0x7ffffffc, []uint64{neg(-7), 2}},
		{"rem.s32 %d, %a, %b", b32, neg(-1), []uint64{neg(-7), 2}},
		{"rem.u64 %d, %a, %b", b64, 1, []uint64{7, 2}},
		{"neg.s32 %d, %a", b32, neg(-5), []uint64{5}},
		{"abs.s32 %d, %a", b32, 5, []uint64{neg(-5)}},
		{"min.s32 %d, %a, %b", b32, neg(-1), []uint64{neg(-1), 1}},
		{"min.u32 %d, %a, %b", b32, 1, []uint64{neg(-1), 1}},
		{"max.s32 %d, %a, %b", b32, 1, []uint64{neg(-1), 1}},
		{"and.b32 %d, %a, %b", b32, 0x0f, []uint64{0xff, 0x0f}},
		{"or.b64 %d, %a, %b", b64, 0xff0f, []uint64{0xff00, 0x0f}},
		{"xor.b16 %d, %a, %b", b16, 0xf0, []uint64{0xff, 0x0f}},
		{"not.b16 %d, %a", b16, 0xff00, []uint64{0xff}},
		{"shl.b32 %d, %a, %b", b32, 0x80000000, []uint64{1, 31}},
		{"shl.b32 %d, %a, %b", b32, 0, []uint64{1, 32}},
		{"shl.b64 %d, %a, %b", []int{64, 64, 32}, 1 << 40, []uint64{1, 40}},
		{"shr.u32 %d, %a, %b", b32, 1, []uint64{0x80000000, 31}},
		{"shr.s32 %d, %a, %b", b32, 0xffffffff, []uint64{0x80000000, 40}},
		{"shr.s64 %d, %a, %b", []int{64, 64, 32}, ^uint64(0), []uint64{1 << 63, 63}},
		{"shf.l.wrap.b32 %d, %a, %b, %c", b32, 0x34567812, []uint64{0x12000000, 0x12345678, 8}},
		{"shf.r.wrap.b32 %d, %a, %b, %c", b32, 0x78120000, []uint64{0x12000000, 0x12345678, 8}},
		{"popc.b32 %d, %a", b32, 8, []uint64{0xff}},
		{"clz.b32 %d, %a", b32, 24, []uint64{0xff}},
		{"clz.b64 %d, %a", []int{32, 64}, 56, []uint64{0xff}},
		{"brev.b32 %d, %a", b32, 0x80000000, []uint64{1}},
		{"bfind.u32 %d, %a", b32, 7, []uint64{0xff}},
		{"bfind.u32 %d, %a", b32, 0xffffffff, []uint64{0}},
		{"bfe.u32 %d, %a, %b, %c", b32, 0x34, []uint64{0x12345678, 16, 8}},
		{"bfe.s32 %d, %a, %b, %c", b32, 0xffffffff, []uint64{0xf0, 4, 4}},
		{"lop3.b32 %d, %a, %b, %c, 0x80", b32, 0x8, []uint64{0xc, 0xa, 0x8}},
		{"lop3.b32 %d, %a, %b, %c, 0x96", b32, 0xc ^ 0xa ^ 0x9, []uint64{0xc, 0xa, 0x9}},
		{"lop3.b32 %d, %a, %b, %c, 0xca", b32, 0x00ff | 0x1200, []uint64{0x00ff, 0x12ff, 0x12ff}},
		{"prmt.b32 %d, %a, %b, %c", b32, 0x22117788, []uint64{0x44332211, 0x88776655, 0x1067}}, // bytes 7, 6, 0, 1 from the lowest on
		{"prmt.b32 %d, %a, %b, %c", b32, 0xffffff00, []uint64{0x80, 0, 0x8881}},
		{"selp.b32 %d, %a, %b, %c", []int{32, 32, 32, 1}, 7, []uint64{7, 8, 1}},
		{"selp.b32 %d, %a, %b, %c", []int{32, 32, 32, 1}, 8, []uint64{7, 8, 0}},
		{"setp.lt.s32 %d, %a, %b", pred, 1, []uint64{neg(-1), 0}},
		{"setp.lt.u32 %d, %a, %b", pred, 0, []uint64{neg(-1), 0}},
		{"setp.ge.and.s32 %d, %a, %b, %c", pred, 0, []uint64{1, 0, 0}},
		{"setp.eq.or.s32 %d, %a, %b, !%c", pred, 1, []uint64{1, 0, 0}},
		{"setp.lt.f32 %d, %a, %b", pred, 0, []uint64{nan, 0}},
		{"setp.ltu.f32 %d, %a, %b", pred, 1, []uint64{nan, 0}},
		{"setp.neu.f32 %d, %a, %b", pred, 1, []uint64{nan, nan}},
		{"setp.nan.f32 %d, %a, %b", pred, 1, []uint64{nan, 0}},
		{"setp.eq.f32 %d, %a, %b", pred, 1, []uint64{0x80000000, 0}},
		{"add.f32 %d, %a, %b", b32, f(0.75), []uint64{f(0.5), f(0.25)}},
		{"add.rn.f32 %d, %a, %b", b32, f(16777216), []uint64{f(16777216), f(1)}},
		{"sub.f32 %d, %a, %b", b32, 0x7fffffff, []uint64{inf, inf}},
		{"mul.f32 %d, %a, %b", b32, f(-1.5), []uint64{f(-3), f(0.5)}},
		// (1+2^-12)^2 - 1 - 2^-11 = 2^-24: lost if the product were rounded first.
		{"fma.rn.f32 %d, %a, %b, %c", b32, f(math.Ldexp(1, -24)), []uint64{f(1 + math.Ldexp(1, -12)), f(1 + math.Ldexp(1, -12)), f(-1 - math.Ldexp(1, -11))}},
		// The exact sum is a hair above a tie: rounding twice would go to even.
		{"fma.rn.f32 %d, %a, %b, %c", b32, 0x3f800001, []uint64{f(math.Ldexp(1, -24)), f(1 + math.Ldexp(1, -23)), f(1)}},
		{"div.rn.f32 %d, %a, %b", b32, 0x3eaaaaab, []uint64{f(1), f(3)}},
		{"rcp.rn.f32 %d, %a", b32, f(0.125), []uint64{f(8)}},
		{"sqrt.rn.f32 %d, %a", b32, f(3), []uint64{f(9)}},
		{"sqrt.approx.f32 %d, %a", b32, 0x7fffffff, []uint64{f(-1)}},
		{"ex2.approx.f32 %d, %a", b32, f(8), []uint64{f(3)}},
		{"lg2.approx.f32 %d, %a", b32, f(-2), []uint64{f(0.25)}},
		{"neg.f32 %d, %a", b32, 0x80000000, []uint64{0}},
		{"abs.f32 %d, %a", b32, f(2), []uint64{f(-2)}},
		{"max.f32 %d, %a, %b", b32, f(1), []uint64{nan, f(1)}},
		{"max.NaN.f32 %d, %a, %b", b32, 0x7fffffff, []uint64{nan, f(1)}},
		{"min.f32 %d, %a, %b", b32, 0x80000000, []uint64{0, 0x80000000}},
		{"add.ftz.f32 %d, %a, %b", b32, 0, []uint64{1, 1}},
		{"add.f32 %d, %a, %b", b32, 2, []uint64{1, 1}},
		{"add.sat.f32 %d, %a, %b", b32, f(1), []uint64{f(1), f(1)}},
		{"add.f64 %d, %a, %b", b64, d(0.75), []uint64{d(0.5), d(0.25)}},
		{"fma.rn.f64 %d, %a, %b, %c", b64, d(7), []uint64{d(2), d(3), d(1)}},
		{"div.rn.f64 %d, %a, %b", b64, d(1.0 / 3), []uint64{d(1), d(3)}},
		{"copysign.f32 %d, %a, %b", b32, f(-2), []uint64{f(-1), f(2)}},
		{"testp.infinite.f32 %d, %a", []int{1, 32}, 1, []uint64{inf}},
		{"fma.rn.bf16x2 %d, %a, %b, %c", b32, 0x4040_4000, []uint64{0x3f80_3f80, 0x4000_3f80, 0x3f80_3f80}},
		{"cvt.rn.bf16.f32 %d, %a", half, 0x3f80, []uint64{0x3f808000}}, // a tie goes to even
		{"cvt.rn.bf16.f32 %d, %a", half, 0x3f82, []uint64{0x3f818000}},
		{"cvt.rn.bf16.f32 %d, %a", half, 0x3f81, []uint64{0x3f808001}},
		{"cvt.rn.bf16.f32 %d, %a", half, 0x7fff, []uint64{nan}},
		{"cvt.rn.bf16.f32 %d, %a", half, 0x7f80, []uint64{0x7f7fffff}},
		{"cvt.rn.bf16x2.f32 %d, %a, %b", pair, 0x4000_3f80, []uint64{f(2), f(1)}},
		{"cvt.rn.relu.bf16x2.f32 %d, %a, %b", pair, 0x4000_0000, []uint64{f(2), f(-1)}},
		{"cvt.rn.f16.f32 %d, %a", half, 0x3c00, []uint64{f(1)}},
		{"cvt.rn.f16.f32 %d, %a", half, 0x7c00, []uint64{f(65520)}},
		{"cvt.rn.f16.f32 %d, %a", half, 0x0001, []uint64{f(math.Ldexp(1, -24))}},
		{"cvt.rn.f16x2.f32 %d, %a, %b", pair, 0x4000_3c00, []uint64{f(2), f(1)}},
		{"cvt.f32.f16 %d, %a", []int{32, 16}, f(-1.5), []uint64{0xbe00}},
		{"cvt.f32.bf16 %d, %a", []int{32, 16}, f(-1.5), []uint64{0xbfc0}},
		{"cvt.rn.f32.s32 %d, %a", b32, f(-3), []uint64{neg(-3)}},
		{"cvt.rn.f32.u32 %d, %a", b32, f(4294967296), []uint64{0xffffffff}},
		{"cvt.rn.f32.u64 %d, %a", []int{32, 64}, 0x5f000001, []uint64{1<<63 + 1<<39 + 1}},
		{"cvt.rz.f32.u32 %d, %a", b32, 0x4f7fffff, []uint64{0xffffffff}},
		{"cvt.rn.f64.u32 %d, %a", []int{64, 32}, d(4294967295), []uint64{0xffffffff}},
		{"cvt.rzi.s32.f32 %d, %a", b32, neg(-2), []uint64{f(-2.9)}},
		{"cvt.rmi.s32.f32 %d, %a", b32, neg(-3), []uint64{f(-2.9)}},
		{"cvt.rni.s32.f32 %d, %a", b32, 2, []uint64{f(2.5)}},
		{"cvt.rzi.u32.f32 %d, %a", b32, 0, []uint64{f(-1)}},
		{"cvt.rzi.s32.f32 %d, %a", b32, 0x7fffffff, []uint64{f(1e20)}},
		{"cvt.rzi.s32.f32 %d, %a", b32, 0, []uint64{nan}},
		{"cvt.rmi.f32.f32 %d, %a", b32, f(-3), []uint64{f(-2.5)}},
		{"cvt.rn.f32.f64 %d, %a", []int{32, 64}, 0x3eaaaaab, []uint64{d(1.0 / 3)}},
		{"cvt.s64.s32 %d, %a", []int{64, 32}, ^uint64(0), []uint64{0xffffffff}},
		{"cvt.u64.u32 %d, %a", []int{64, 32}, 0xffffffff, []uint64{0xffffffff}},
		{"cvt.u32.u64 %d, %a", []int{32, 64}, 0x9abcdef0, []uint64{0x123456789abcdef0}},
		{"cvt.s32.s8 %d, %a", b32, neg(-1), []uint64{0x1ff}},
		{"cvt.u32.u8 %d, %a", b32, 0xff, []uint64{0x1ff}},
		{"cvt.sat.u8.s32 %d, %a", b32, 255, []uint64{300}},
		{"cvt.sat.u8.s32 %d, %a", b32, 0, []uint64{neg(-300)}},
		{"mov.b32 %d, {%a, %b}", []int{32, 16, 16}, 0x22221111, []uint64{0x1111, 0x2222}},
		{"mov.b64 %d, {%a, %b}", []int{64, 32, 32}, 0x2222222211111111, []uint64{0x11111111, 0x22222222}},
		{"{ .reg .b16 x; mov.b32 {x, %d}, %a; }", half, 0x2222, []uint64{0x22221111}},
	} {
		if got := scalar(t, c.op, c.sizes, c.in...); got != c.want {
			t.Errorf("%s of %#x: %#x, want %#x", c.op, c.in, got, c.want)
		}
	}
}

// What is not in the list is an error that names line and instruction.
func TestUnknownFormsAreRefused(t *testing.T) {
	for _, c := range []struct{ body, words string }{
		{"tex.2d.v4.f32.f32 %r1, [x, {%f1}];", "tex"},
		{"add.rz.f32 %f1, %f2, %f3;", ".rz.f32"},
		{"add.s32 %r1, %r2, %rd3;", "%rd3 has 64 bits"},
		{"add.s32 %r1, %r2;", "2 arguments"},
		{"atom.global.add.f32 %f1, [%rd1], %f2;", "add"},
		{"mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%r1}, {%r1}, {%r1}, {%r1};", "m8n8k4"},
		{"mov.u32 %r1, %clock;", "%clock"},
		{"bra nowhere;", "nowhere"},
		{"cvt.rz.bf16.f32 %rs1, %f1;", "rz"},
		{"st.const.u32 [%rd1], %r1;", "const"},
		{"ld.global.v4.b64 {%rd1,%rd2,%rd3,%rd4}, [%rd1];", "128 bits"},
	} {
		_, err := Load(kernelText(1, "", "\n"+c.body), NewMemory(0))
		if err == nil || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: error %v, want one with the line and %q", c.body, err, c.words)
		}
	}
}
