package ptx

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Lanes write their number, and read that of another by each way of shuffling.
func TestShufflesTakeFromTheLaneOfTheManual(t *testing.T) {
	for _, c := range []struct {
		op   string
		want func(l int) int
	}{
		{"shfl.sync.bfly.b32 %r1, %r60, 5, 31, -1;", func(l int) int { return l ^ 5 }},
		{"shfl.sync.up.b32 %r1, %r60, 3, 0, -1;", func(l int) int {
			if l < 3 {
				return l
			}
			return l - 3
		}},
		{"shfl.sync.down.b32 %r1, %r60, 3, 31, -1;", func(l int) int {
			if l+3 > 31 {
				return l
			}
			return l + 3
		}},
		{"shfl.sync.idx.b32 %r1, %r60, 7, 31, -1;", func(int) int { return 7 }},
		// Segments of 8 lanes: the mask in bits 8 to 12 is 24.
		{"shfl.sync.idx.b32 %r1, %r60, 7, 6175, -1;", func(l int) int { return l&^7 + 7 }},
		{"shfl.sync.bfly.b32 %r1|%p1, %r60, 16, 31, -1; @!%p1 trap;", func(l int) int { return l ^ 16 }},
		{"shfl.sync.up.b32 %r2|%p1, %r60, 1, 0, -1; selp.b32 %r1, 1, 0, %p1;", func(l int) int { return min(l, 1) }},
	} {
		r := newRig(t, 1, "", c.op+" add.s64 %rd1, %rd50, %rd60; st.global.u32 [%rd1], %r1;")
		out := r.alloc(128)
		r.must(1, 32, 0)
		for l, v := range r.read(out, 32) {
			if int(v) != c.want(l) {
				t.Errorf("%s: lane %d has %d, want %d", c.op, l, v, c.want(l))
			}
		}
	}
}

func TestVotes(t *testing.T) {
	for _, c := range []struct {
		op   string
		want uint32
	}{
		{"setp.lt.u32 %p1, %r60, 5; vote.sync.ballot.b32 %r1, %p1, -1;", 31},
		{"setp.lt.u32 %p1, %r60, 5; vote.sync.any.pred %p2, %p1, -1; selp.b32 %r1, 1, 0, %p2;", 1},
		{"setp.lt.u32 %p1, %r60, 5; vote.sync.all.pred %p2, %p1, -1; selp.b32 %r1, 1, 0, %p2;", 0},
		{"setp.lt.u32 %p1, %r60, 32; vote.sync.uni.pred %p2, %p1, -1; selp.b32 %r1, 1, 0, %p2;", 1},
		{"redux.sync.add.s32 %r1, %r60, -1;", 31 * 16},
		{"redux.sync.max.u32 %r1, %r60, -1;", 31},
		{"activemask.b32 %r1;", full},
		{"shr.u32 %r2, %r60, 4; match.any.sync.b32 %r1, %r2, -1; and.b32 %r1, %r1, 0xffff;", 0}, // see below
	} {
		r := newRig(t, 1, "", c.op+" add.s64 %rd1, %rd50, %rd60; st.global.u32 [%rd1], %r1;")
		out := r.alloc(128)
		r.must(1, 32, 0)
		for l, v := range r.read(out, 32) {
			want := c.want
			if c.op[:3] == "shr" && l < 16 {
				want = 0xffff // lanes 0 to 15 hold 0, the others 1
			}
			if v != want {
				t.Errorf("%s: lane %d has %#x, want %#x", c.op, l, v, want)
			}
		}
	}
}

// Both sides of a branch run, each for its lanes, and meet again; loops end for
// each lane in its own time.
func TestDivergence(t *testing.T) {
	r := newRig(t, 1, "", `
	mov.u32 %r1, 0;
	mov.u32 %r2, 0;
	and.b32 %r3, %r60, 1;
	setp.eq.u32 %p1, %r3, 0;
	@%p1 bra even;
odd:
	add.s32 %r1, %r1, 100;
	add.s32 %r2, %r2, 1;
	setp.lt.u32 %p2, %r2, %r60;
	@%p2 bra odd;
	bra.uni meet;
even:
	add.s32 %r1, %r1, 7;
	setp.gt.u32 %p3, %r60, 20;
	@%p3 ret;
meet:
	shl.b32 %r1, %r1, 1;
	add.s64 %rd1, %rd50, %rd60;
	st.global.u32 [%rd1], %r1;`)
	out := r.words(make([]uint32, 32))
	r.must(1, 32, 0)
	for l, v := range r.read(out, 32) {
		want := 14
		if l%2 == 1 {
			want = 200 * l
		} else if l > 20 {
			want = 0
		}
		if int(v) != want {
			t.Errorf("lane %d has %d, want %d", l, v, want)
		}
	}
}

// ldmatrix and mma.sync by the manual's pictures, against plain loops.
func TestMatrixProduct(t *testing.T) {
	for _, c := range []struct {
		name, types string
		encode      typ
	}{{"bfloat16", "bf16.bf16", typ{'h', 16}}, {"half", "f16.f16", typ{'f', 16}}} {
		r := newRig(t, 4, ".shared .align 16 .b8 a[512]; .shared .align 16 .b8 b[256];", `
	// a is 16x16, b 16x8, both by rows, 16 bits; c and d 16x8 by rows, 32 bits
	mul.wide.u32 %rd1, %r60, 16;
	add.s64 %rd2, %rd50, %rd1;
	ld.global.v4.u32 {%r1,%r2,%r3,%r4}, [%rd2];
	mov.u64 %rd3, a;
	add.s64 %rd3, %rd3, %rd1;
	st.shared.v4.u32 [%rd3], {%r1,%r2,%r3,%r4};
	setp.lt.u32 %p1, %r60, 16;
	mov.u64 %rd4, b;
	add.s64 %rd4, %rd4, %rd1;
	add.s64 %rd5, %rd51, %rd1;
	@%p1 ld.global.v4.u32 {%r5,%r6,%r7,%r8}, [%rd5];
	@%p1 st.shared.v4.u32 [%rd4], {%r5,%r6,%r7,%r8};
	bar.sync 0;
	// Lane l addresses row l%16 of a, its second half from lane 16 on.
	and.b32 %r9, %r60, 15;
	shl.b32 %r10, %r9, 5;
	and.b32 %r11, %r60, 16;
	add.s32 %r10, %r10, %r11;
	mov.u64 %rd6, a;
	cvt.u32.u64 %r12, %rd6;
	add.s32 %r12, %r12, %r10;
	ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r20,%r21,%r22,%r23}, [%r12];
	mov.u64 %rd7, b;
	cvt.u32.u64 %r13, %rd7;
	shl.b32 %r14, %r9, 4;
	add.s32 %r13, %r13, %r14;
	ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r24,%r25}, [%r13];
	// c at (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1)
	shr.u32 %r15, %r60, 2;
	and.b32 %r16, %r60, 3;
	shl.b32 %r17, %r15, 5;
	shl.b32 %r18, %r16, 3;
	add.s32 %r17, %r17, %r18;
	cvt.u64.u32 %rd8, %r17;
	add.s64 %rd9, %rd52, %rd8;
	ld.global.v2.f32 {%f1,%f2}, [%rd9];
	ld.global.v2.f32 {%f3,%f4}, [%rd9+256];
	mma.sync.aligned.m16n8k16.row.col.f32.`+c.types+`.f32 {%f5,%f6,%f7,%f8}, {%r20,%r21,%r22,%r23}, {%r24,%r25}, {%f1,%f2,%f3,%f4};
	add.s64 %rd10, %rd53, %rd8;
	st.global.v2.f32 [%rd10], {%f5,%f6};
	st.global.v2.f32 [%rd10+256], {%f7,%f8};`)
		rnd := rand.New(rand.NewPCG(1, 1))
		small := func(n int) []int {
			v := make([]int, n)
			for i := range v {
				v[i] = rnd.IntN(9) - 4
			}
			return v
		}
		pack := func(v []int) []uint32 {
			w := make([]uint32, len(v)/2)
			for i, x := range v {
				w[i/2] |= uint32(c.encode.encode(float64(x))) << (16 * (i % 2))
			}
			return w
		}
		a, b, sum := small(256), small(128), small(128)
		r.words(pack(a))
		r.words(pack(b))
		w := make([]uint32, 128)
		for i, x := range sum {
			w[i] = f32(float64(x))
		}
		r.words(w)
		d := r.alloc(512)
		stats := r.must(1, 32, 0)
		for i, v := range r.read(d, 128) {
			want := sum[i]
			for k := range 16 {
				want += a[i/8*16+k] * b[k*8+i%8]
			}
			if v != f32(float64(want)) {
				t.Errorf("%s: result (%d, %d) is %#x, want %d", c.name, i/8, i%8, v, want)
			}
		}
		if stats.Instructions["mma"] != 1 || stats.Instructions["ldmatrix"] != 2 {
			t.Errorf("counted %v", stats)
		}
	}
}

// The bytes that a copy does not take from memory become 0.
func TestAsynchronousCopyFillsWithZeros(t *testing.T) {
	r := newRig(t, 2, ".shared .align 16 .b8 s[512];", `
	mul.wide.u32 %rd1, %r60, 16;
	add.s64 %rd2, %rd50, %rd1;
	mov.u64 %rd3, s;
	add.s64 %rd3, %rd3, %rd1;
	cvt.u32.u64 %r1, %rd3;
	and.b32 %r2, %r60, 1;
	setp.eq.u32 %p1, %r2, 0;
	selp.b32 %r3, 16, 0, %p1;
	cp.async.cg.shared.global [%r1], [%rd2], 16, %r3;
	cp.async.commit_group;
	cp.async.wait_group 0;
	ld.shared.v4.u32 {%r4,%r5,%r6,%r7}, [%r1];
	add.s64 %rd4, %rd51, %rd1;
	st.global.v4.u32 [%rd4], {%r4,%r5,%r6,%r7};`)
	in := make([]uint32, 128)
	for i := range in {
		in[i] = uint32(i + 1)
	}
	r.words(in)
	out := r.alloc(512)
	r.must(1, 32, 0)
	for i, v := range r.read(out, 128) {
		want := uint32(i + 1)
		if i/4%2 == 1 {
			want = 0
		}
		if v != want {
			t.Errorf("word %d is %d, want %d", i, v, want)
		}
	}
}

func TestAtomicsAndVectorsAndLocalMemory(t *testing.T) {
	r := newRig(t, 2, ".local .align 8 .b8 depot[16];", `
	atom.global.add.u32 %r1, [%rd50], 2;
	red.global.max.s32 [%rd50+4], %r60;
	atom.global.cas.b32 %r2, [%rd50+8], 0, 77;
	mov.u64 %rd1, depot;
	cvta.local.u64 %rd2, %rd1;
	st.v2.u32 [%rd2], {%r60, 5};
	ld.local.u64 %rd3, [%rd1];
	shr.u64 %rd4, %rd3, 32;
	add.s64 %rd3, %rd3, %rd4;
	cvt.u32.u64 %r3, %rd3;
	add.s64 %rd5, %rd51, %rd60;
	st.global.u32 [%rd5], %r3;`)
	counters := r.words([]uint32{10, 0, 0})
	r.alloc(4 * 64)
	r.must(1, 64, 0)
	for i, v := range r.read(r.args[1], 64) {
		if int(v) != i+5 {
			t.Errorf("lane %d has %d from local memory, want %d", i, v, i+5)
		}
	}
	if got := r.read(counters, 3); !slices.Equal(got, []uint32{10 + 2*64, 63, 77}) {
		t.Errorf("counters %v", got)
	}

}

// A module's variables hold what they are initialised with.
func TestVariables(t *testing.T) {
	mem := NewMemory(0)
	m, err := Load(`.version 7.0
.target sm_80
.address_size 64
.const .align 4 .b8 table[8] = {1, 2, 3, 4, 0xff};
.global .align 4 .u32 zero[2];
.visible .entry k(.param .u64 out)
{
	.reg .b32 %r<3>; .reg .b64 %rd<3>;
	ld.param.u64 %rd1, [out];
	ld.const.u32 %r1, [table+4];
	ld.global.u32 %r2, [zero+4];
	add.s32 %r1, %r1, %r2;
	st.global.u32 [%rd1], %r1;
	ret;
}`, mem)
	if err != nil {
		t.Fatal(err)
	}
	k, err := m.Kernel("k")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, mem: mem, k: k}
	out := r.alloc(4)
	r.must(1, 1, 0)
	if got := r.read(out, 1)[0]; got != 0xff {
		t.Errorf("%#x, want 0xff", got)
	}
	if _, ok := m.Symbol("table"); !ok {
		t.Error("the variable table has no address")
	}
}
