package cuda

import (
	"fmt"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// conv is a convolution on the GPU.
type conv struct {
	on *Backend
	nn.ConvSpec
	sides

	forward, data, filter tile
	splits                int // sums in parts that the filter's gradient is made of

	w   driver.Pointer // the weights: bfloat16, of the first layer float32
	arg driver.Pointer // position of each maximum of the pool in its window
	// With a pool, the gradient at its input: spread is where from, 0 if it
	// has to be made.
	full   driver.Pointer
	spread driver.Pointer
	bias   driver.Pointer // the bias's gradient in parts

	beside bool // the filter's gradient runs beside the data's
}

// imageChannels is what the kernels of the first layer are made for.
const imageChannels = 3

// firstTaps is the size of a filter of the first layer, its bias included.
const firstTaps = 9*imageChannels + 1

// NewConv chooses kernels for a convolution and takes its workspace.
func (b *Backend) NewConv(s nn.ConvSpec) (nn.Conv, error) {
	c := &conv{on: b, ConvSpec: s}
	if err := c.choose(); err != nil {
		return nil, err
	}
	if s.Inference {
		return c, nil
	}
	for _, m := range []struct {
		p     *driver.Pointer
		bytes int
	}{
		{&c.arg, c.pooled() * s.Out},
		{&c.full, c.pooled() * 4 * s.Out * 2},
		{&c.bias, b.parts() * s.Out * 4},
	} {
		if m.bytes == 0 {
			continue
		}
		var err error
		if *m.p, err = b.alloc(m.bytes); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// pooled is the number of pixels of the batch behind the pool, 0 without one.
func (c *conv) pooled() int {
	if !c.Pool {
		return 0
	}
	return c.Images * c.H / 2 * c.W / 2
}

// parts is the number of sums that a sum over all pixels is made of.
func (b *Backend) parts() int { return 2 * b.Device().SMs }

func (c *conv) Close() {
	for _, p := range []driver.Pointer{c.arg, c.full, c.bias} {
		c.on.free(p)
	}
}

// SetWeights takes the weights, whose copy is kept the same from then on.
func (c *conv) SetWeights(w *nn.Buffer) {
	if c.In == imageChannels {
		c.w = at(w)
		return
	}
	c.w = c.on.weights(w)
}

func (c *conv) Forward(y, x, bias *nn.Buffer, rows int) {
	b := c.on
	b.rows(rows)
	c.spread, b.gradient = 0, dataGradient{}
	if c.In == imageChannels {
		b.launch(c.kernel("conv1_fwd"), min(divide(c.Images*c.H*c.W, 256), b.parts()), divide(c.Out, 64), 0, b.args().
			Pointer(at(y)).Pointer(at(x)).Pointer(c.w).Pointer(at(bias)).Pointer(b.current).U32(c.lh).U32(c.lw).U32(uint32(c.Out)))
		return
	}
	if c.forward.hopper != nil {
		c.hopperForward(y, x, bias)
		return
	}
	pool := uint32(0)
	if c.Pool {
		pool = 1
	}
	t := c.forward
	b.launch(t.name, divide(c.Images*c.H*c.W, t.m)*(c.Out/t.n), 1, t.shared, b.args().
		Pointer(at(y)).Pointer(c.arg).Pointer(at(x)).Pointer(c.w).Pointer(at(bias)).Pointer(b.current).
		U32(c.lh).U32(c.lw).U32(uint32(c.In)).U32(uint32(c.Out)).U32(pool))
}

func (c *conv) BackwardData(dx, dy, x *nn.Buffer, rows int) {
	b := c.on
	b.rows(rows)
	if c.In == imageChannels {
		b.fail(fmt.Errorf("nn/cuda: there is no gradient by the images"))
		return
	}
	from := c.gradient(dy)
	b.gradient = dataGradient{}
	if c.data.hopper != nil {
		c.hopperData(dx, from, x)
		return
	}
	t := c.data
	b.launch(t.name, divide(c.Images*c.H*c.W, t.m)*(c.In/t.n), 1, t.shared, b.args().
		Pointer(at(dx)).Pointer(from).Pointer(c.w).Pointer(at(x)).Pointer(b.current).
		U32(c.lh).U32(c.lw).U32(uint32(c.In)).U32(uint32(c.Out)))
}

func (c *conv) BackwardFilter(dw, db, x, dy *nn.Buffer, rows int) {
	b := c.on
	b.rows(rows)
	from := c.gradient(dy)
	if c.In == imageChannels {
		c.firstFilter(dw, db, x, from)
		return
	}
	if c.filter.hopper != nil {
		c.hopperFilter(dw, db, x, from)
		return
	}
	c.products(dw, x, from)
	if !c.Pool {
		b.launch("colsum", b.parts(), 1, 0, b.args().
			Pointer(c.bias).Pointer(from).Pointer(b.current).U32(uint32(c.Out)).U32(uint32(c.H*c.W)))
	}
	b.reduce(at(db), 0, c.bias, c.Out, c.Out, c.Out, b.parts())
}

// products is the gradient of the filter alone.
func (c *conv) products(dw, x *nn.Buffer, dy driver.Pointer) {
	b := c.on
	size := 9 * c.In * c.Out
	parts := at(dw)
	if c.splits > 1 {
		parts = b.scratch(&b.partial, c.splits*size*4)
	}
	t := c.filter
	b.launch(t.name, (c.In/t.m)*(c.Out/t.n)*3, c.splits, t.shared, b.args().
		Pointer(parts).Pointer(at(x)).Pointer(dy).Pointer(b.current).
		U32(uint32(c.Images)).U32(c.lh).U32(c.lw).U32(uint32(c.In)).U32(uint32(c.Out)).U32(uint32(c.splits)))
	if c.splits > 1 {
		b.reduce(at(dw), 0, parts, size, size, size, c.splits)
	}
}

// firstFilter is the gradient of the first layer's filter: the bias's comes
// out of the same sums, as the images have a channel of ones.
func (c *conv) firstFilter(dw, db, x *nn.Buffer, dy driver.Pointer) {
	b := c.on
	size := firstTaps * c.Out
	parts := b.scratch(&b.partial, c.splits*size*4)
	b.launch(c.kernel("conv1_wgrad"), c.splits, divide(c.Out, 64), 0, b.args().
		Pointer(parts).Pointer(at(x)).Pointer(dy).Pointer(b.current).
		U32(c.lh).U32(c.lw).U32(uint32(c.Out)))
	b.reduce(at(dw), at(db), parts, size, size-c.Out, size, c.splits)
}

// gradient returns the gradient at the pre-activation in full resolution. With
// a pool it is spread from dy once a step, and its sum, the bias's gradient, is
// taken on the way if nobody else takes it.
func (c *conv) gradient(dy *nn.Buffer) driver.Pointer {
	if !c.Pool {
		return at(dy)
	}
	b := c.on
	if c.spread != at(dy) {
		sums, blocks := c.bias, b.parts()
		if c.filter.hopper != nil {
			// The filter's gradient makes the bias's, too, and without sums to
			// keep in order any number of blocks will do: a GPU full of them.
			sums, blocks = 0, 4*b.Device().SMs
		}
		if sums != 0 || !c.spreadAhead(at(dy)) {
			b.launch(c.kernel("spread"), blocks, 1, 0, b.args().
				Pointer(c.full).Pointer(sums).Pointer(at(dy)).Pointer(c.arg).Pointer(b.current).U32(c.lh).U32(c.lw).U32(uint32(c.Out)))
		}
		c.spread = at(dy)
	}
	return c.full
}

// reduce adds n sums that lie in parts, stride apart, in their order: the first ones
// to dst, the others to rest.
func (b *Backend) reduce(dst, rest, parts driver.Pointer, n, first, stride, count int) {
	b.launch("reduce", divide(n, 128), 1, 0, b.args().
		Pointer(dst).Pointer(rest).Pointer(parts).U32(uint32(n)).U32(uint32(first)).U32(uint32(stride)).U32(uint32(count)))
}
