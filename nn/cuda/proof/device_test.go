// Package proof has no code but tests: of each GPU kernel, as PTX, on the
// interpreter, against sums in float64 and the processor's kernels; and of
// these tests, which must find every fault that faults_test.go plants.
package proof

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	interpreter "cifartui/nn/cuda/internal/ptx"
	"cifartui/nn/cuda/ptx"
)

// device is a GPU's memory with the kernels that were launched so far. Each
// buffer is as long as its content and not a byte longer, and what a kernel is
// to write is never written before: so a byte too many, or too few, is found.
type device struct {
	mem     *interpreter.Memory
	changed map[string]*interpreter.Code // kernels with a fault
	kernels map[string]*interpreter.Kernel
	stats   map[string]*interpreter.Stats
	rand    *rand.Rand
}

func newDevice(changed map[string]*interpreter.Code) *device {
	return &device{mem: interpreter.NewMemory(0), changed: changed,
		kernels: map[string]*interpreter.Kernel{}, stats: map[string]*interpreter.Stats{},
		rand: rand.New(rand.NewPCG(1, 2))}
}

// entry cuts one kernel out of a module, with what stands before the first.
func entry(module, kernel string) (string, error) {
	b, err := ptx.Text(module)
	if err != nil {
		return "", err
	}
	text := string(b)
	head, _, ok := strings.Cut(text, ".visible .entry ")
	_, body, found := strings.Cut(text, ".visible .entry "+kernel+"(")
	if !ok || !found {
		return "", fmt.Errorf("module %s has no kernel %s", module, kernel)
	}
	end := strings.Index(body, "\n}\n")
	if end < 0 {
		return "", fmt.Errorf("kernel %s has no end", kernel)
	}
	return head + ".visible .entry " + kernel + "(" + body[:end+3], nil
}

// described returns the table's line of a kernel.
func described(name string) (ptx.Kernel, error) {
	i := slices.IndexFunc(ptx.Kernels, func(k ptx.Kernel) bool { return k.Name == name })
	if i < 0 {
		return ptx.Kernel{}, fmt.Errorf("the table has no kernel %q", name)
	}
	return ptx.Kernels[i], nil
}

// kernel loads a kernel at its first use.
func (d *device) kernel(name string) (*interpreter.Kernel, error) {
	if k := d.kernels[name]; k != nil {
		return k, nil
	}
	code := d.changed[name]
	if code == nil {
		var err error
		if code, err = compiled(name); err != nil {
			return nil, err
		}
	}
	m, err := code.Load(d.mem)
	if err != nil {
		return nil, err
	}
	d.kernels[name], err = m.Kernel(name)
	return d.kernels[name], err
}

// known are the kernels that were compiled, by name.
var known sync.Map

// compiled is a kernel's code.
func compiled(name string) (*interpreter.Code, error) {
	if code, ok := known.Load(name); ok {
		return code.(*interpreter.Code), nil
	}
	k, err := described(name)
	if err != nil {
		return nil, err
	}
	text, err := entry(k.Module, name)
	if err != nil {
		return nil, err
	}
	code, err := interpreter.Compile(text)
	if err == nil {
		known.Store(name, code)
	}
	return code, err
}

// launch runs a kernel with the shared memory that it needs for images w
// pixels wide. Arguments are uint64 (addresses), uint32 and float32.
func (d *device) launch(name string, x, y, w int, args ...any) error {
	k, err := d.kernel(name)
	if err != nil {
		return err
	}
	row, err := described(name)
	if err != nil {
		return err
	}
	if len(args) != len(k.Params) {
		return fmt.Errorf("%s: %d arguments, it takes %d", name, len(args), len(k.Params))
	}
	params := make([]byte, k.ParamBytes())
	for i, a := range args {
		to := params[k.Params[i].Offset:]
		switch a := a.(type) {
		case uint64:
			binary.LittleEndian.PutUint64(to, a)
		case uint32:
			binary.LittleEndian.PutUint32(to, a)
		case int:
			binary.LittleEndian.PutUint32(to, uint32(a))
		case float32:
			binary.LittleEndian.PutUint32(to, math.Float32bits(a))
		default:
			return fmt.Errorf("%s: argument %d is a %T", name, i, a)
		}
	}
	s, err := k.Run(interpreter.Launch{Grid: interpreter.Dim{X: x, Y: y}, Block: interpreter.Dim{X: row.Block},
		Shared: row.Shared(w), Params: params, MaxInstructions: 1 << 22})
	if s != nil {
		if d.stats[name] == nil {
			d.stats[name] = &interpreter.Stats{}
		}
		d.stats[name].Add(s)
	}
	return err
}

// empty allocates bytes that nobody has written.
func (d *device) empty(bytes int) uint64 {
	a, err := d.mem.Alloc(int64(max(bytes, 1)))
	if err != nil {
		panic(err) // the memory has no limit
	}
	return a
}

func (d *device) bytes(p []byte) uint64 {
	a := d.empty(len(p))
	if err := d.mem.Write(a, p); err != nil {
		panic(err) // it was allocated with that length
	}
	return a
}

// bf16s, floats and words put values into device memory.
func (d *device) bf16s(v []float64) uint64 {
	p := make([]byte, 0, 2*len(v))
	for _, x := range v {
		p = binary.LittleEndian.AppendUint16(p, toBF16(float32(x)))
	}
	return d.bytes(p)
}

func (d *device) floats(v []float64) uint64 {
	p := make([]byte, 0, 4*len(v))
	for _, x := range v {
		p = binary.LittleEndian.AppendUint32(p, math.Float32bits(float32(x)))
	}
	return d.bytes(p)
}

func (d *device) words(v ...uint32) uint64 {
	p := make([]byte, 0, 4*len(v))
	for _, x := range v {
		p = binary.LittleEndian.AppendUint32(p, x)
	}
	return d.bytes(p)
}

// get returns n bytes at a, all of which a kernel must have written.
func (d *device) get(a uint64, n int) ([]byte, error) {
	p := make([]byte, n)
	return p, d.mem.Read(a, p)
}

func (d *device) getBF16(a uint64, n int) ([]float64, error) {
	p, err := d.get(a, 2*n)
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(fromBF16(binary.LittleEndian.Uint16(p[2*i:])))
	}
	return v, err
}

func (d *device) getFloats(a uint64, n int) ([]float64, error) {
	p, err := d.get(a, 4*n)
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:])))
	}
	return v, err
}

// step is kernels/dev.h's Step.
type step struct {
	rows, first   uint32
	order         uint64
	seed, epoch   uint64
	dropout       uint64
	lr            float32
	bias1, bias2  float32
	augment, slot uint32
	sequence      uint64
}

func (d *device) step(s step) uint64 {
	var b []byte
	le := binary.LittleEndian
	b = le.AppendUint32(le.AppendUint32(b, s.rows), s.first)
	for _, v := range []uint64{s.order, s.seed, s.epoch, s.dropout} {
		b = le.AppendUint64(b, v)
	}
	for _, v := range []float32{s.lr, s.bias1, s.bias2} {
		b = le.AppendUint32(b, math.Float32bits(v))
	}
	for _, v := range []uint32{s.augment, s.slot, 0} {
		b = le.AppendUint32(b, v)
	}
	return d.bytes(le.AppendUint64(le.AppendUint64(b, s.sequence), 0))
}

// toBF16 rounds to nearest, ties to even.
func toBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		return 0x7fff
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func fromBF16(x uint16) float32 { return math.Float32frombits(uint32(x) << 16) }

// round is v as bfloat16 keeps it.
func round(v float64) float64 { return float64(fromBF16(toBF16(float32(v)))) }

// whole returns n whole numbers from -most to most. Sums of products of such
// numbers are exact in float32, and in bfloat16 up to 256, so that results can
// be held to equality.
func (d *device) whole(n, most int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(d.rand.IntN(2*most+1) - most)
	}
	return v
}

// activations returns n numbers as they come out of a ReLU. A gradient goes back
// through those that are not 0: also through the least one above 0, and not
// through the other 0.
func (d *device) activations(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = [...]float64{1, 0, math.Copysign(0, -1), least}[d.rand.IntN(4)]
	}
	return v
}

// least is the least number above 0 that bfloat16 holds.
const least = 0x1p-133

// normal returns n numbers that bfloat16 holds, of standard deviation s.
func (d *device) normal(n int, s float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = round(d.rand.NormFloat64() * s)
	}
	return v
}

// same holds values to what they should be, exactly if tolerance is 0, and
// otherwise to tolerance of the larger of the wanted value and 1.
func same(what string, have, want []float64, tolerance float64) error {
	if len(have) != len(want) {
		return fmt.Errorf("%s: %d values, want %d", what, len(have), len(want))
	}
	for i, w := range want {
		if h := have[i]; !(math.Abs(h-w) <= tolerance*max(1, math.Abs(w))) {
			return fmt.Errorf("%s: value %d is %v, want %v", what, i, h, w)
		}
	}
	return nil
}
