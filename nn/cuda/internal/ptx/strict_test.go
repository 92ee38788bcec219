package ptx

import (
	"errors"
	"strings"
	"testing"
)

// What a GPU would let pass is a fault, and says what it is about.
func TestFaults(t *testing.T) {
	const shared = ".shared .align 16 .b8 s[1024];"
	const own = "mul.wide.u32 %rd1, %r60, 4; mov.u64 %rd2, s; add.s64 %rd3, %rd2, %rd1;\n" // %rd3: s[4*thread]
	const copied = "mul.wide.u32 %rd1, %r60, 16; mov.u64 %rd2, s; add.s64 %rd3, %rd2, %rd1; add.s64 %rd4, %rd50, %rd1; and.b64 %rd4, %rd4, -1;\n"
	for _, c := range []struct {
		name    string
		body    string
		blocks  int
		threads int
		kind    FaultKind
		words   string
	}{
		{"a register before it is written", "add.s32 %r1, %r2, 1;", 1, 32, Uninitialized, "%r2"},
		{"a register that one lane has not written", "setp.lt.u32 %p1, %r60, 31; @%p1 mov.u32 %r1, 0; add.s32 %r2, %r1, 1;", 1, 32, Uninitialized, "lane 31"},
		{"a predicate before it is written", "@%p1 mov.u32 %r1, 0;", 1, 32, Uninitialized, "%p1"},
		{"shared memory before it is written", own + "ld.shared.u32 %r1, [%rd3];", 1, 32, Uninitialized, "shared"},
		{"shared memory of which a byte was not written", own + "st.shared.u16 [%rd3], 7; ld.shared.u32 %r1, [%rd3];", 1, 32, Uninitialized, "shared"},
		{"global memory before it is written", "ld.global.u32 %r1, [%rd51];", 1, 32, Uninitialized, "global"},
		{"local memory before it is written", "mov.u64 %rd1, depot; ld.local.u32 %r1, [%rd1];", 1, 32, Uninitialized, "local"},
		{"past an allocation", "ld.global.u32 %r1, [%rd50+4096];", 1, 32, Foreign, "past the end"},
		{"in front of an allocation", "ld.global.u32 %r1, [%rd50+-4];", 1, 32, Foreign, ""},
		{"nowhere", "mov.u64 %rd1, 0; st.global.u32 [%rd1], %r60;", 1, 32, Foreign, "no allocation"},
		{"past shared memory", own + "st.shared.u32 [%rd3+4096], 1;", 1, 32, Foreign, "shared"},
		{"past the parameters", "ld.param.u64 %rd1, [p1+8];", 1, 32, Foreign, "parameter"},
		{"an address that is no multiple", "ld.global.u32 %r1, [%rd50+2];", 1, 32, Misaligned, "multiple of 4"},
		{"a vector that is no multiple", "ld.global.v4.u32 {%r1,%r2,%r3,%r4}, [%rd50+8];", 1, 32, Misaligned, "multiple of 16"},
		{"a shared address that is no multiple", own + "st.shared.v2.u32 [%rd2+4], {%r60,%r60};", 1, 32, Misaligned, "multiple of 8"},
		{"two warps write a byte", own + "st.shared.u32 [%rd2], %r60;", 1, 64, Race, "too"},
		{"a warp reads what another wrote", own + "st.shared.u32 [%rd3], %r60; xor.b32 %r1, %r60, 32; mul.wide.u32 %rd5, %r1, 4; add.s64 %rd6, %rd2, %rd5; @%p0 bar.sync 0; ld.shared.u32 %r2, [%rd6];", 1, 64, Uninitialized, ""},
		{"a warp writes what another reads", own + "st.shared.u32 [%rd3], %r60; bar.sync 0; ld.shared.u32 %r1, [%rd2]; st.shared.u32 [%rd3], %r1;", 1, 64, Race, "read"},
		{"a barrier for a part of a warp", "setp.lt.u32 %p1, %r60, 8; @%p1 bra skip; bar.sync 0; skip: mov.u32 %r1, 0;", 1, 32, Divergent, ""},
		{"a barrier after lanes have returned", "setp.lt.u32 %p1, %r60, 8; @%p1 ret; bar.sync 0;", 1, 32, Divergent, ""},
		{"a barrier that a warp does not reach", "setp.lt.u32 %p1, %r60, 32; @%p1 bra skip; bar.sync 1, 64; skip: bar.sync 0;", 1, 64, Deadlock, "barrier 0"},
		{"a barrier with another count", "setp.lt.u32 %p1, %r60, 32; @%p1 bra other; bar.sync 1, 64; bra.uni end; other: bar.sync 1, 96; end: mov.u32 %r1, 0;", 1, 64, Forbidden, "waited at"},
		{"a shuffle that a lane does not reach", "setp.lt.u32 %p1, %r60, 8; @%p1 bra skip; shfl.sync.bfly.b32 %r1, %r60, 1, 31, -1; skip: mov.u32 %r1, 0;", 1, 32, Divergent, "mask"},
		{"a matrix that a lane does not load", own + "st.shared.u32 [%rd3], 0; setp.lt.u32 %p1, %r60, 31; @%p1 ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r1}, [%rd2];", 1, 32, Divergent, "32"},
		{"two blocks write a byte", "st.global.u32 [%rd51], %r60;", 2, 32, Race, "block"},
		{"a block reads what another writes", "ld.global.u32 %r1, [%rd50]; st.global.u32 [%rd50], %r60;", 2, 32, Race, "block"},
		{"a cached load of what the block wrote", "add.s64 %rd1, %rd50, %rd60; st.global.u32 [%rd1], 1; ld.global.nc.u32 %r1, [%rd1];", 1, 32, Race, "nc"},
		{"a copy that was not waited for", copied + "cp.async.cg.shared.global [%rd3], [%rd4], 16; cp.async.commit_group; ld.shared.u32 %r1, [%rd3];", 1, 32, InFlight, "copy"},
		{"a copy waited for by the wrong number", copied + "cp.async.cg.shared.global [%rd3], [%rd4], 16; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r1, [%rd3];", 1, 32, InFlight, "copy"},
		{"a copy that was not committed", copied + "cp.async.cg.shared.global [%rd3], [%rd4], 16; cp.async.wait_group 0; ld.shared.u32 %r1, [%rd3];", 1, 32, InFlight, "copy"},
		{"a store where a copy goes", copied + "cp.async.cg.shared.global [%rd3], [%rd4], 16; st.shared.u32 [%rd3], 1;", 1, 32, InFlight, "copy"},
		{"a copy of another warp, waited for there alone", copied + "cp.async.cg.shared.global [%rd3], [%rd4], 16; cp.async.wait_all; xor.b64 %rd7, %rd1, 512; add.s64 %rd8, %rd2, %rd7; ld.shared.u32 %r1, [%rd8];", 1, 64, Uninitialized, ""},
		{"division by zero", "mov.u32 %r1, 0; div.u32 %r2, %r60, %r1;", 1, 32, Forbidden, "zero"},
		{"a trap", "trap;", 1, 32, Forbidden, "trap"},
		{"a loop without an end", "again: bra.uni again;", 1, 32, Endless, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 2, shared+" .local .align 8 .b8 depot[8];", c.body)
			r.words(make([]uint32, 1024))
			r.alloc(4096)
			r.faults(c.blocks, c.threads, 64, c.kind, c.words)
		})
	}
}

// What looks like those and is right must pass.
func TestNoFaults(t *testing.T) {
	const shared = ".shared .align 16 .b8 s[1024];"
	const own = "mul.wide.u32 %rd1, %r60, 4; mov.u64 %rd2, s; add.s64 %rd3, %rd2, %rd1;\n"
	for name, body := range map[string]string{
		"a barrier between":           own + "st.shared.u32 [%rd3], %r60; bar.sync 0; ld.shared.u32 %r1, [%rd2+128]; bar.sync 0; st.shared.u32 [%rd3], %r1;",
		"warps at halves of a word":   "mul.wide.u32 %rd1, %r60, 1; mov.u64 %rd2, s; add.s64 %rd3, %rd2, %rd1; st.shared.u8 [%rd3], %r60; ld.shared.u8 %r1, [%rd3];",
		"named barriers of two warps": "setp.lt.u32 %p1, %r60, 32; @%p1 bra first; bar.sync 1, 64; bra.uni end; first: bar.arrive 1, 64; end: bar.sync 0;",
		"an atomic sum of warps":      own + "setp.ne.u32 %p1, %r60, 0; @!%p1 st.shared.u32 [%rd2], 0; bar.sync 0; atom.shared.add.u32 %r1, [%rd2], 1; bar.sync 0; ld.shared.u32 %r2, [%rd2];",
		"a choice of one value":       "setp.lt.u32 %p1, %r60, 99; selp.b32 %r1, %r60, %r2, %p1; add.s32 %r3, %r1, 1;",
		"a whole warp has returned":   "setp.lt.u32 %p1, %r60, 32; @%p1 ret; bar.sync 0;",
		"a branch by warps":           "setp.lt.u32 %p1, %r60, 32; @%p1 bra skip; bar.sync 1, 32; skip: bar.sync 0;",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2, shared, body)
			r.words(make([]uint32, 1024))
			r.alloc(4096)
			r.must(2, 64, 64)
		})
	}
}

// The last block to come adds up what the others left behind a fence.
func TestLastBlockMayReadWhatOthersLeft(t *testing.T) {
	body := `
	mov.u32 %r1, %ctaid.x;
	mul.wide.u32 %rd1, %r1, 4;
	add.s64 %rd2, %rd50, %rd1;
	st.global.u32 [%rd2], %r1;
	membar.gl;
	atom.global.add.u32 %r2, [%rd51], 1;
	mov.u32 %r3, %nctaid.x;
	add.s32 %r3, %r3, -1;
	setp.ne.u32 %p1, %r2, %r3;
	@%p1 ret;
	membar.gl;
	ld.global.u32 %r4, [%rd50];
	ld.global.u32 %r5, [%rd50+8];
	add.s32 %r4, %r4, %r5;
	st.global.u32 [%rd51+4], %r4;`
	for _, c := range []struct {
		change string
		right  bool
	}{{body, true}, {strings.Replace(body, "membar.gl;", "", 1), false}, {strings.Replace(body, "@%p1 ret;\n\tmembar.gl;", "@%p1 ret;", 1), false}} {
		r := newRig(t, 2, "", c.change)
		r.alloc(4 * 8)
		counter := r.words([]uint32{0, 0})
		_, err := r.run(8, 1, 0)
		var f *Fault
		switch {
		case c.right && err != nil:
			t.Error(err)
		case c.right && r.read(counter, 2)[1] != 2:
			t.Errorf("the sum is %d, want 2", r.read(counter, 2)[1])
		case !c.right && (!errors.As(err, &f) || f.Kind != Race):
			t.Errorf("error %v, want a race", err)
		}
	}
}

func TestBankConflictsAreCounted(t *testing.T) {
	for _, c := range []struct {
		stride, size int
		want         int64
	}{{4, 4, 0}, {8, 4, 1}, {128, 4, 31}, {0, 4, 0}, {8, 8, 0}, {16, 16, 0}, {128, 16, 4 * 7}, {144, 16, 0}} {
		var addr lanes
		for l := range addr {
			addr[l] = uint64(l * c.stride)
		}
		if got := conflicts(&addr, full, c.size); got != c.want {
			t.Errorf("%d bytes each %d: %d conflicts, want %d", c.size, c.stride, got, c.want)
		}
	}
}

// Memory keeps allocations apart and says what is wrong with a copy.
func TestMemory(t *testing.T) {
	m := NewMemory(10000)
	a, err := m.Alloc(100)
	if err != nil {
		t.Fatal(err)
	}
	if a%256 != 0 || a%512 == 0 {
		t.Errorf("address %#x is no odd multiple of 256", a)
	}
	var full *ErrOutOfMemory
	if _, err := m.Alloc(9901); !errors.As(err, &full) || full.Free != 9900 {
		t.Errorf("error %v, want one that says 9900 are free", err)
	}
	if err := m.Read(a, make([]byte, 1)); err == nil {
		t.Error("no error for a byte that was never written")
	}
	if err := m.Write(a+1, make([]byte, 100)); err == nil {
		t.Error("no error for a copy past the end")
	}
	if err := m.Fill(a, 0x1234, 2, 50); err != nil {
		t.Error(err)
	}
	p := make([]byte, 4)
	if err := m.Read(a+96, p); err != nil || p[0] != 0x34 || p[3] != 0x12 {
		t.Errorf("read %x, %v", p, err)
	}
	b, err := m.Alloc(100)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Copy(b+3, a, 50); err != nil {
		t.Error(err)
	}
	if m.Check(b+3, 50) != nil || m.Check(b+2, 1) == nil || m.Check(b+53, 1) == nil {
		t.Error("a copy does not carry what was written, and only that")
	}
	if err := m.Free(a); err != nil {
		t.Error(err)
	}
	if m.Free(a) == nil || m.Read(a, p) == nil || m.Free(b+1) == nil {
		t.Error("no error for memory that was freed, or for an address within")
	}
}

// What may start early must wait on every way, and before it touches global memory.
func TestWhatWaitsForTheKernelBefore(t *testing.T) {
	const wait = "griddepcontrol.wait; "
	const guard = "setp.lt.u32 %p1, %r60, 8; "
	for body, want := range map[string]bool{
		wait + "ld.global.u32 %r1, [%rd50];":                                       true,
		"mov.u64 %rd1, s; st.shared.u32 [%rd1], 1; cp.async.commit_group; " + wait: true,
		guard + "@%p1 bra skip; mov.u32 %r1, 0; skip: " + wait:                     true,
		"mov.u32 %r1, 0;":                                                         false,
		"ld.global.u32 %r1, [%rd50]; " + wait:                                     false,
		"st.global.u32 [%rd50], 1; " + wait:                                       false,
		"atom.global.add.u32 %r1, [%rd50], 1; " + wait:                            false,
		"mov.u64 %rd1, s; cp.async.cg.shared.global [%rd1], [%rd50], 16; " + wait: false,
		guard + "@%p1 " + wait:                                                    false,
		guard + "@%p1 bra skip; " + wait + "skip: mov.u32 %r1, 0;":                false,
		guard + "@%p1 ret; " + wait:                                               false,
	} {
		if got := newRig(t, 1, ".shared .align 16 .b8 s[16];", body).k.Waits(); got != want {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
}
