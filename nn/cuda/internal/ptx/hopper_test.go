package ptx

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// hopperBody multiplies a 64x64 matrix, by rows, with the transposed of another:
// boxes come by the copy engine, and a warpgroup multiplies 16 along the sum four
// times.
func hopperBody() string {
	var sums, stores strings.Builder
	for i := range 32 {
		fmt.Fprintf(&sums, ", %%f%d", i)
		fmt.Fprintf(&stores, "st.global.f32 [%%rd4+%d], %%f%d;\n", 4*i, i)
	}
	body := `
	mov.u64 %rd1, tiles;
	cvt.u32.u64 %r1, %rd1;
	add.s32 %r2, %r1, 8192;
	mov.u64 %rd2, bar;
	cvt.u32.u64 %r3, %rd2;
	setp.ne.u32 %p1, %r60, 0;
	@%p1 bra ready;
	mbarrier.init.shared::cta.b64 [%r3], 1;
	mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 16384;
	cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd50, {0, -1}], [%r3];
	cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%rd51, {0, 0}], [%r3];
ready:
	bar.sync 0;
again:
	mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3], 0;
	@!%p2 bra again;
	shr.u32 %r4, %r1, 4;
	cvt.u64.u32 %rd5, %r4;
	or.b64 %rd5, %rd5, 0x4000004000000000;
	shr.u32 %r4, %r2, 4;
	cvt.u64.u32 %rd6, %r4;
	or.b64 %rd6, %rd6, 0x4000004000000000;
	setp.ne.u32 %p3, 0, 0;
	wgmma.fence.sync.aligned;
`
	for i := range 4 {
		body += fmt.Sprintf("add.s64 %%rd7, %%rd5, %d; add.s64 %%rd8, %%rd6, %d;\n", 2*i, 2*i)
		body += fmt.Sprintf("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%s}, %%rd7, %%rd8, %%p3, 1, 1, 0, 0;\n", sums.String()[2:])
		body += "setp.eq.u32 %p3, 0, 0;\n"
	}
	return body + `
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 0;
	mul.wide.u32 %rd3, %r60, 128;
	add.s64 %rd4, %rd52, %rd3;
` + stores.String()
}

const hopperShared = ".shared .align 1024 .b8 tiles[16384]; .shared .align 8 .b8 bar[8];"

// hopperRig makes the rig of a body, with the matrices a and b.
func hopperRig(t *testing.T, body string, a, b []int) (*rig, uint64) {
	t.Helper()
	r := newRig(t, 3, hopperShared, body)
	for _, v := range [][]int{a, b} {
		p := make([]byte, 2*len(v))
		for i, x := range v {
			binary.LittleEndian.PutUint16(p[2*i:], uint16(typ{'h', 16}.encode(float64(x))))
		}
		at, err := r.mem.Alloc(int64(len(p)))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.mem.Write(at, p); err != nil {
			t.Fatal(err)
		}
		m, err := TensorMap{Address: at, ElemSize: 2, Dims: []uint64{64, 64}, Strides: []uint64{128}, Box: []uint32{64, 64}, Swizzle: 128}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.mem.Write(r.alloc(len(m)), m[:]); err != nil {
			t.Fatal(err)
		}
	}
	return r, r.alloc(4 * 64 * 64)
}

func TestWarpgroupProductOfCopiedBoxes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	a, b := make([]int, 64*64), make([]int, 64*64)
	for i := range a {
		a[i], b[i] = rnd.IntN(7)-3, rnd.IntN(7)-3
	}
	r, out := hopperRig(t, hopperBody(), a, b)
	stats := r.must(1, 128, 0)
	if stats.Instructions["wgmma"] != 4*(4+3) || stats.Instructions["cp.async.bulk"] != 2 {
		t.Errorf("counted %v", stats)
	}
	got := r.read(out, 64*64)
	for thread := range 128 {
		for i := range 32 {
			row, col := thread/32*16+thread%32/4+8*(i/2%2), 8*(i/4)+2*(thread%4)+i%2
			want := 0
			for k := range 64 {
				if row > 0 { // the box of a begins a row above the tensor
					want += a[(row-1)*64+k] * b[col*64+k]
				}
			}
			if v := got[thread*32+i]; v != f32(float64(want)) {
				t.Fatalf("row %d, column %d: %#x, want %d", row, col, v, want)
			}
		}
	}
}

// Each rule of the asynchronous instructions, broken.
func TestHopperFaults(t *testing.T) {
	body := hopperBody()
	wait := "again:\n\tmbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3], 0;\n\t@!%p2 bra again;\n"
	store := "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%rd51, {0, 0}], [%r1];\n"
	for _, c := range []struct {
		name, old, new string
		kind           FaultKind
		words          string
	}{
		{"the box is not waited for", wait, "", InFlight, "copy"},
		{"the sums are not waited for", "wgmma.wait_group.sync.aligned 0;", "", InFlight, "accumulator"},
		{"the wrong number of groups is waited for", "wait_group.sync.aligned 0", "wait_group.sync.aligned 1", InFlight, "accumulator"},
		{"no fence before the product", "wgmma.fence.sync.aligned;", "", Race, "wgmma.fence"},
		{"the source is overwritten by a store", "wgmma.commit_group.sync.aligned;", "wgmma.commit_group.sync.aligned; st.shared.u8 [%r1], 1;", Race, ""},
		{"the source is overwritten by the warp itself", "wgmma.commit_group.sync.aligned;", "bar.sync 0; wgmma.commit_group.sync.aligned; @!%p1 st.shared.u8 [%r1], 1;", InFlight, "wgmma"},
		{"more bytes are announced than come", "16384;\n", "16400;\n", Deadlock, "asks"},
		{"the barrier is not initialised", "mbarrier.init.shared::cta.b64 [%r3], 1;", "", Uninitialized, "mbarrier"},
		{"nobody waits until it is initialised", "bar.sync 0;", "", Race, "no barrier"},
		{"a store of the source is not seen by the product", wait, wait + "shl.b32 %r9, %r60, 1; add.s32 %r9, %r9, %r1; st.shared.u16 [%r9], 0; bar.sync 0;\n", Race, "fence.proxy.async"},
		{"the box lies in the middle of 8 rows", "add.s32 %r2, %r1, 8192;", "add.s32 %r2, %r1, 4224;", Misaligned, "multiple of 1024"},
		{"a part of the warpgroup multiplies", "wgmma.fence.sync.aligned;", "setp.lt.u32 %p4, %r60, 16; @%p4 ret; wgmma.fence.sync.aligned;", Divergent, ""},
		{"there is no tensor map", "[%rd50, {0, -1}]", "[%rd52, {0, -1}]", Uninitialized, "global"},
		{"a store of a box is not waited for", "wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 0; @%p1 bra stored;\n" + store + "cp.async.bulk.commit_group;\nstored: mov.u32 %r9, 0;", InFlight, "ended"},
		{"the source of a store is overwritten", "wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 0; bar.sync 0; @%p1 bra stored;\n" + store + "cp.async.bulk.commit_group;\nst.shared.u8 [%r1], 1;\nstored: mov.u32 %r9, 0;", InFlight, "store"},
		{"another warp does not know that a store was waited for", "wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 0; bar.sync 0; @%p1 bra stored;\n" + store + "cp.async.bulk.commit_group;\nstored: bar.sync 0; @%p1 bra waited; cp.async.bulk.wait_group.read 0;\nwaited: nanosleep.u32 20; setp.eq.u32 %p4, %r60, 32; @%p4 st.shared.u8 [%r1], 1;", Race, "waited for"},
		{"a box is loaded and nobody waits", "wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 0; bar.sync 0; @%p1 bra loaded;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 8192;\ncp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd50, {0, 0}], [%r3];\nloaded: mov.u32 %r9, 0;", InFlight, "ended"},
		{"another descriptor", "0x4000004000000000", "0x8000004000000000", Forbidden, "layout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.Replace(body, c.old, c.new, 1)
			if changed == body {
				t.Fatalf("%q is not there", c.old)
			}
			r, _ := hopperRig(t, changed, make([]int, 64*64), make([]int, 64*64))
			r.faults(1, 128, 0, c.kind, c.words)
		})
	}
}

func TestTensorMapsAreHeldToTheDriversRules(t *testing.T) {
	good := TensorMap{Address: 256, ElemSize: 2, Dims: []uint64{64, 10}, Strides: []uint64{128}, Box: []uint32{64, 4}, Swizzle: 128}
	if _, err := good.Encode(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(m *TensorMap){
		"address":       func(m *TensorMap) { m.Address = 8 },
		"stride":        func(m *TensorMap) { m.Strides = []uint64{130} },
		"box":           func(m *TensorMap) { m.Box = []uint32{64, 257} },
		"wide box":      func(m *TensorMap) { m.Box = []uint32{128, 4} },
		"inner size":    func(m *TensorMap) { m.Box = []uint32{4, 4} },
		"no dimensions": func(m *TensorMap) { m.Dims, m.Box, m.Strides = nil, nil, nil },
		"swizzle":       func(m *TensorMap) { m.Swizzle = 48 },
	} {
		m := good
		change(&m)
		if _, err := m.Encode(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
