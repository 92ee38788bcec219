package ptx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// kernelText wraps a body into a module with one kernel k that takes pointers
// p0, p1, ... in %p0.. as %rd100...
func kernelText(pointers int, declare, body string) string {
	var b strings.Builder
	b.WriteString(".version 8.0\n.target sm_90a\n.address_size 64\n")
	b.WriteString(".extern .shared .align 128 .b8 dyn[];\n")
	b.WriteString(".visible .entry k(")
	for i := range pointers {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, ".param .u64 p%d", i)
	}
	b.WriteString(")\n{\n.reg .pred %p<8>; .reg .b16 %rs<8>; .reg .b32 %r<64>; .reg .b64 %rd<64>; .reg .f32 %f<64>; .reg .f64 %fd<8>;\n")
	b.WriteString(declare + "\n")
	for i := range pointers {
		fmt.Fprintf(&b, "ld.param.u64 %%rd%d, [p%d];\n", 50+i, i)
	}
	// %r60: the thread, %rd60: 4 times the thread
	b.WriteString("mov.u32 %r60, %tid.x; mul.wide.u32 %rd60, %r60, 4;\n")
	b.WriteString(body + "\nret;\n}\n")
	return b.String()
}

// rig is a module of one kernel and the memory of its launch.
type rig struct {
	t    *testing.T
	mem  *Memory
	k    *Kernel
	args []uint64
}

func newRig(t *testing.T, pointers int, declare, body string) *rig {
	t.Helper()
	r := &rig{t: t, mem: NewMemory(0)}
	m, err := Load(kernelText(pointers, declare, body), r.mem)
	if err != nil {
		t.Fatal(err)
	}
	if r.k, err = m.Kernel("k"); err != nil {
		t.Fatal(err)
	}
	return r
}

// alloc adds n bytes as the next pointer.
func (r *rig) alloc(n int) uint64 {
	r.t.Helper()
	a, err := r.mem.Alloc(int64(n))
	if err != nil {
		r.t.Fatal(err)
	}
	r.args = append(r.args, a)
	return a
}

// words adds the words as the next pointer.
func (r *rig) words(v []uint32) uint64 {
	r.t.Helper()
	p := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(p[4*i:], x)
	}
	a := r.alloc(len(p))
	if err := r.mem.Write(a, p); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// read returns n words from a.
func (r *rig) read(a uint64, n int) []uint32 {
	r.t.Helper()
	p := make([]byte, 4*n)
	if err := r.mem.Read(a, p); err != nil {
		r.t.Fatal(err)
	}
	v := make([]uint32, n)
	for i := range v {
		v[i] = binary.LittleEndian.Uint32(p[4*i:])
	}
	return v
}

func (r *rig) run(blocks, threads, shared int) (*Stats, error) {
	p := make([]byte, 8*len(r.args))
	for i, a := range r.args {
		binary.LittleEndian.PutUint64(p[8*i:], a)
	}
	return r.k.Run(Launch{Grid: Dim{X: blocks}, Block: Dim{X: threads}, Shared: shared, Params: p, MaxInstructions: 1 << 20})
}

// must runs and fails the test on a fault.
func (r *rig) must(blocks, threads, shared int) *Stats {
	r.t.Helper()
	s, err := r.run(blocks, threads, shared)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// faults runs and wants a fault of that kind whose text has the words.
func (r *rig) faults(blocks, threads, shared int, kind FaultKind, words string) {
	r.t.Helper()
	_, err := r.run(blocks, threads, shared)
	var f *Fault
	if !errors.As(err, &f) {
		r.t.Fatalf("error %v, want a fault of the kind %q", err, kind)
	}
	if f.Kind != kind || !strings.Contains(f.Error(), words) {
		r.t.Fatalf("fault %v, want %q with %q", f, kind, words)
	}
}

func f32(v float64) uint32 { return math.Float32bits(float32(v)) }
