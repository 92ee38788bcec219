package cuda

import (
	"fmt"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// Timing is what an operation of a step takes, and the least it could.
type Timing struct {
	Operation    string  `json:"operation"` // conv2 forward
	Kernel       string  `json:"kernel"`    // where there is a choice
	Microseconds float64 `json:"us"`
	// Limit is the larger of the time for its arithmetic at the GPU's peak and
	// of that for reading and writing each byte once.
	Limit float64 `json:"limit_us"`
}

// Bandwidth is the memory's, in bytes a second, from its clock and width.
func Bandwidth(d driver.Device) float64 {
	return 2 * float64(d.MemoryKHz) * 1e3 * float64(d.BusBits) / 8
}

// Peak is the rate of products of bfloat16 with sums in float32, in floating
// point operations a second, from the clock and what a multiprocessor's tensor
// cores do in a cycle, as NVIDIA's architecture papers say.
func Peak(d driver.Device) float64 {
	perCycle := map[int]float64{80: 2048, 86: 512, 87: 1024, 89: 1024, 90: 4096, 100: 8192, 103: 8192, 120: 1024, 121: 1024}
	flops, ok := perCycle[d.Major*10+d.Minor]
	if !ok {
		flops = 1024
	}
	return flops * float64(d.SMs) * float64(d.ClockKHz) * 1e3
}

// Memory returns what is free and what there is on the GPU, in bytes.
func (b *Backend) Memory() (free, total uint64, err error) {
	free, total, err = b.ctx.Memory()
	return free, total, b.explain(err)
}

// Bench times each operation of a training step of nn.VGG.
func (b *Backend) Bench(batch int) ([]Timing, error) {
	c := &bencher{b: b, batch: batch}
	in := imageChannels
	for i, l := range []struct{ side, out int }{{32, 64}, {32, 64}, {16, 128}, {16, 128}, {8, 256}, {8, 256}} {
		c.convolution(fmt.Sprintf("conv%d", i+1), nn.ConvSpec{Images: batch, H: l.side, W: l.side, In: in, Out: l.out, Pool: i%2 == 1})
		in = l.out
	}
	c.last()
	c.optimiser()
	return c.list, b.failed(c.err)
}

// bencher holds what the timings share.
type bencher struct {
	b     *Backend
	batch int
	list  []Timing
	err   error
	made  []*nn.Buffer
}

// free gives back what the operations of a layer were timed on.
func (c *bencher) free() {
	for _, m := range c.made {
		c.b.Free(m.Memory)
	}
	c.made = nil
}

// keep notes a buffer to free, or the first error.
func (c *bencher) keep(m *nn.Buffer, err error) *nn.Buffer {
	if err != nil && c.err == nil {
		c.err = err
	}
	if err == nil {
		c.made = append(c.made, m)
	}
	return m
}

func (c *bencher) images(side, channels int) *nn.Buffer {
	return c.keep(nn.NewImages(c.b, c.batch, side, side, channels))
}

func (c *bencher) floats(shape ...int) *nn.Buffer { return c.keep(nn.NewBuffer(c.b, shape...)) }

// add times f, which does so many floating point operations in products and
// moves so many bytes.
func (c *bencher) add(operation, kernel string, flops, bytes float64, f func()) {
	if c.err != nil {
		return
	}
	us, err := c.b.time(f)
	if err != nil {
		c.err = fmt.Errorf("%s: %w", operation, err)
		return
	}
	d := c.b.Device()
	c.list = append(c.list, Timing{operation, kernel, us, 1e6 * max(seconds(flops, Peak(d)), seconds(bytes, Bandwidth(d)))})
}

// seconds is how long an amount takes at a rate, 0 where the driver does not tell the
// clock that the rate is reckoned from.
func seconds(amount, rate float64) float64 {
	if rate == 0 {
		return 0
	}
	return amount / rate
}

// convolution times the passes of a layer.
func (c *bencher) convolution(layer string, s nn.ConvSpec) {
	defer c.free()
	in, side := s.In, s.H
	if in == imageChannels {
		in = imageChannels + 1
	}
	x, w, bias := c.images(side, in), c.floats(3, 3, s.In, s.Out), c.floats(s.Out)
	dw, db := c.floats(3, 3, s.In, s.Out), c.floats(s.Out)
	if s.Pool {
		side /= 2
	}
	y, dy := c.images(side, s.Out), c.images(side, s.Out)
	if c.err != nil {
		return
	}
	made, err := c.b.NewConv(s)
	if err != nil {
		c.err = err
		return
	}
	defer made.Close()
	k := made.(*conv)
	k.beside = false // each pass has the GPU to itself here
	k.SetWeights(w)
	pixels := float64(c.batch * s.H * s.W)
	flops := 2 * 9 * pixels * float64(s.In) * float64(s.Out)
	read, wrote := 2*pixels*float64(in), 2*float64(c.batch*side*side*s.Out)
	full := 2 * pixels * float64(s.Out)
	first := s.In == imageChannels
	name := func(t tile, first_ string) string {
		if first {
			return first_
		}
		return t.name
	}
	c.add(layer+" forward", name(k.forward, "conv1_fwd"), flops, read+wrote, func() { k.Forward(y, x, bias, c.batch) })
	if s.Pool {
		c.add(layer+" spread", "spread", 0, wrote+full, func() { k.spread = 0; k.gradient(dy) })
	}
	if !first {
		c.add(layer+" data", k.data.name, flops, full+2*read, func() { k.BackwardData(x, dy, x, c.batch) })
	}
	c.add(layer+" filter and bias", name(k.filter, "conv1_wgrad"), flops, full+read, func() { k.BackwardFilter(dw, db, x, dy, c.batch) })
}

// last times what follows the convolutions.
func (c *bencher) last() {
	defer c.free()
	const side, channels, in, out = 4, 256, 4096, 10
	n := c.batch
	x, dx := c.images(side, channels), c.images(side, channels)
	f, df := c.floats(n, in), c.floats(n, in)
	w, bias, dw, db := c.floats(out, in), c.floats(out), c.floats(out, in), c.floats(out)
	y, dy, mean := c.floats(n, out), c.floats(n, out), c.floats()
	labels := c.keep(nn.NewLabels(c.b, n))
	if c.err != nil {
		return
	}
	l, err := c.b.NewLoss(n, out, 0)
	if err != nil {
		c.err = err
		return
	}
	defer l.Close()
	half := 2 * float64(n*in)
	weights := 4.0 * in * out
	c.add("dropout forward", "", 0, 2*half, func() { c.b.Dropout(f, x, n, 0.5, 1) })
	c.add("dense forward", "", 0, half+weights, func() { c.b.Dense(y, f, w, bias, n) })
	c.add("loss forward", "", 0, float64(8*n*out), func() { l.Forward(mean, y, labels, n) })
	c.add("loss backward", "", 0, float64(8*n*out), func() { l.Backward(dy, labels, n, 1) })
	c.add("dense filter", "", 0, half+weights, func() { c.b.DenseBackwardFilter(dw, db, f, dy, n) })
	c.add("dense data", "", 0, half+weights, func() { c.b.DenseBackwardData(df, dy, w, n) })
	c.add("dropout backward", "", 0, 3*half, func() { c.b.DropoutBackward(dx, df, x, n, 0.5, 1) })
}

// optimiser times the update of as many parameters as the network has.
func (c *bencher) optimiser() {
	defer c.free()
	n := nn.VGG(0).Params()
	x, g, s0, s1 := c.floats(n), c.floats(n), c.floats(n), c.floats(n)
	if c.err != nil {
		return
	}
	c.add("adadelta", "", 0, float64(n)*(4*7+2), func() { c.b.Adadelta(x, g, s0, s1, 1, 0.95, 1e-7); c.b.update() })
}
