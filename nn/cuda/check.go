package cuda

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"cifartui/nn"
)

// Check is what the self-check found of a kernel: it runs on small random
// inputs, odd sizes among them, beside the processor's.
type Check struct {
	Kernel string
	Shape  string
	// Worst is the largest difference of an element from the processor's,
	// relative to its size plus the mean size of all.
	Worst, Limit float64
	Took         time.Duration
}

// OK reports whether the kernel is right.
func (c Check) OK() bool { return c.Worst <= c.Limit } // not for NaN

// MarshalJSON writes a difference that is no finite number, of which JSON knows none,
// as text: "NaN" or "Infinity".
func (c Check) MarshalJSON() ([]byte, error) {
	type numbers Check // without this method
	if !math.IsNaN(c.Worst) && !math.IsInf(c.Worst, 0) {
		return json.Marshal(numbers(c))
	}
	text := "Infinity" // a difference has no sign
	if math.IsNaN(c.Worst) {
		text = "NaN"
	}
	return json.Marshal(struct {
		numbers
		Worst string
	}{numbers(c), text})
}

func (c Check) String() string {
	return fmt.Sprintf("%s on %s: differs by %.2g, the limit is %.2g", c.Kernel, c.Shape, c.Worst, c.Limit)
}

// The limits: of results in bfloat16, which has 8 bits, and of sums in float32
// of products of such.
const (
	halfLimit  = 1.0 / 128
	floatLimit = 1.0 / 4096
	exactLimit = 1.0 / (1 << 22)
)

// Check runs every kernel on the GPU and on the processor and compares. It
// returns an error if the GPU fails, not if it is wrong: see Wrong.
func (b *Backend) Check() ([]Check, error) {
	c := &checker{b: b, cpu: nn.NewCPU(0), random: rand.New(rand.NewPCG(1, 2))}
	defer c.cpu.Close()
	defer c.free()
	tuned := b.tuned
	b.tuned = nil // nothing is timed on the way
	defer func() { b.tuned = tuned }()
	for _, f := range []func(){
		c.images, c.firstConvolution, c.convolutions, c.hopperConvolutions, c.resample, c.dropout, c.dense, c.loss, c.head, c.optimisers, c.muon, c.batches,
	} {
		f()
		if err := b.failed(c.err); err != nil {
			return c.list, fmt.Errorf("self-check: %w", err)
		}
	}
	return c.list, nil
}

// Wrong returns an error that names the kernel that is most wrong, or nil.
func Wrong(list []Check) error {
	var worst *Check
	for i, c := range list {
		if !c.OK() && (worst == nil || !(c.Worst/c.Limit <= worst.Worst/worst.Limit)) {
			worst = &list[i]
		}
	}
	if worst == nil {
		return nil
	}
	return fmt.Errorf("self-check: kernel %v", *worst)
}

// checker holds what the checks share.
type checker struct {
	b      *Backend
	cpu    *nn.CPU
	random *rand.Rand
	list   []Check
	err    error
	made   []*nn.Buffer
}

// pair is a value on the GPU and on the processor.
type pair struct{ gpu, cpu *nn.Buffer }

// free gives the GPU's memory back.
func (c *checker) free() {
	for _, m := range c.made {
		c.b.Free(m.Memory)
	}
	c.made = nil
}

// try keeps the first error.
func (c *checker) try(err error) {
	if c.err == nil {
		c.err = err
	}
}

// pair makes a value of both, with the same elements: those of fill, or zeros.
func (c *checker) pair(make func(on nn.Backend) (*nn.Buffer, error), fill func(i int) float32) pair {
	g, err := make(c.b)
	c.try(err)
	h, err := make(c.cpu)
	c.try(err)
	c.made = append(c.made, g)
	if fill != nil && c.err == nil {
		m := h.Image
		if m.N == 0 {
			for i := range h.Floats {
				h.Floats[i] = fill(i)
			}
		}
		for n := range m.N {
			for y := range m.H {
				at := m.At(n, y, 0)
				for i := range h.Floats[at : at+m.W*m.C] {
					h.Floats[at+i] = fill(i)
				}
			}
		}
		c.try(c.b.Upload(g, h.Floats))
	}
	return pair{g, h}
}

func (c *checker) floats(fill func(int) float32, shape ...int) pair {
	return c.pair(func(on nn.Backend) (*nn.Buffer, error) { return nn.NewBuffer(on, shape...) }, fill)
}

func (c *checker) pictures(fill func(int) float32, n, h, w, channels int) pair {
	return c.pair(func(on nn.Backend) (*nn.Buffer, error) { return nn.NewImages(on, n, h, w, channels) }, fill)
}

// halves are floats that the GPU holds as bfloat16, as the features are.
func (c *checker) halves(fill func(int) float32, rows, features int) pair {
	p := c.floats(fill, rows, features)
	if fill != nil && c.err == nil {
		half := c.floats(nil, rows, features)
		c.b.convert(at(half.gpu), at(p.gpu), rows*features)
		p.gpu = half.gpu
	}
	return p
}

// normal draws from the normal distribution, rounded to bfloat16.
func (c *checker) normal(scale float64) func(int) float32 {
	return func(int) float32 { return fromBF16(toBF16(float32(scale * c.random.NormFloat64()))) }
}

// rectified is what comes out of a ReLU.
func (c *checker) rectified() func(int) float32 {
	f := c.normal(1)
	return func(i int) float32 { return max(f(i), 0) }
}

// compare adds a check of got, the GPU's, against the processor's want: of the
// first rows of images, or of all of a flat value.
func (c *checker) compare(name, shape string, limit float64, start time.Time, got *nn.Buffer, want []float32, rows int) {
	if c.err != nil {
		return
	}
	have := make([]float32, len(want))
	if err := c.b.Download(have, got); err != nil {
		c.try(fmt.Errorf("kernel %s on %s: %w", name, shape, err))
		return
	}
	c.add(name, shape, limit, start, inside(have, got, rows), inside(want, got, rows))
}

// add adds a check of two slices.
func (c *checker) add(name, shape string, limit float64, start time.Time, have, want []float32) {
	c.list = append(c.list, Check{Kernel: name, Shape: shape, Worst: worst(have, want), Limit: limit, Took: time.Since(start)})
}

// inside are the elements of the first rows images, without their border, or
// of all of a flat value.
func inside(v []float32, b *nn.Buffer, rows int) []float32 {
	m := b.Image
	if m.N == 0 {
		return v
	}
	var list []float32
	for n := range rows {
		for y := range m.H {
			i := m.At(n, y, 0)
			list = append(list, v[i:i+m.W*m.C]...)
		}
	}
	return list
}

// worst is the largest difference of an element, relative to its size plus the
// mean size of all.
func worst(have, want []float32) float64 {
	var mean, most float64
	for _, v := range want {
		mean += math.Abs(float64(v))
	}
	mean /= float64(max(1, len(want)))
	for i, w := range want {
		d := math.Abs(float64(have[i])-float64(w)) / (math.Abs(float64(w)) + mean + math.SmallestNonzeroFloat32)
		if !(d <= most) { // NaN too
			most = d
		}
	}
	return most
}
