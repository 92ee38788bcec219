package kernel

import "fmt"

// ConvSpec describes a 3x3 convolution of stride 1 with same padding, followed
// by a bias and a ReLU.
//
// With In == 3 the convolution is the network's first layer, unless it is Inner:
// its input is an Image of 4 channels whose fourth is 1 in the interior (see [PadInput]), and
// it has no gradient of the data.
type ConvSpec struct {
	Images, H, W, In, Out int
	Pool                  bool // a 2x2 max pool is fused behind the ReLU: the output is Image{Images, H/2, W/2, Out}
	Inference             bool // no backward pass will be asked for: no positions of maxima are written, no workspace is held for it
	Inner                 bool // the input is another layer's output, also where In is 3
	Bottom                bool // no gradient of the data will be asked for: no workspace is held for it, no weights are transformed
}

// first reports whether the layer reads an image of three colours.
func (s ConvSpec) first() bool { return s.In == 3 && !s.Inner }

// Conv runs one convolution layer with the kernels that were in use when it was
// made. It owns its transformed weights; inputs and outputs belong to the
// caller, and the workspace is shared by all layers of one Workers.
type Conv struct {
	spec    ConvSpec
	w       *Workers
	kernels *convKernels

	in, out, pooled Image     // geometry of x, of the pre-activation and of the pooled output
	bias            []float32 // padded to the panels of the output
	positions       []uint8   // of maxima: for each worker, those of a tile that is copied

	// The first layer computes directly, the others by Winograd's algorithm.
	first         *firstLayer
	forward, data *product
	filter        *filterGradient
}

// NewConv returns a layer of the given shape with all the memory that its
// passes need.
func NewConv(w *Workers, s ConvSpec) *Conv {
	if s.Images < 1 || s.H < 1 || s.W < 1 || s.In < 1 || s.Out < 1 {
		panic(fmt.Sprintf("kernel: NewConv: empty dimension in %+v", s))
	}
	c := &Conv{spec: s, w: w, kernels: &active.convKernels}
	c.in = Image{s.Images, s.H, s.W, s.In}
	c.out = Image{s.Images, s.H, s.W, s.Out}
	c.pooled = c.out.pooled()
	c.bias = Alloc(roundUp(s.Out, max(lane, c.kernels.panel)))
	if s.Pool {
		c.positions = make([]uint8, w.N()*tilePositions)
	}
	if s.first() {
		c.in.C = firstChannels
		c.first = newFirstLayer(c)
		return c
	}
	c.forward = newProduct(c, c.in, c.out)
	if !s.Inference && !s.Bottom {
		c.data = newProduct(c, c.out, c.in)
	}
	if !s.Inference {
		c.filter = newFilterGradient(c)
	}
	return c
}

// SetWeights takes the layer's weights, [3][3][In][Out]. It must be called
// whenever they change, before the next pass.
func (c *Conv) SetWeights(weights []float32) {
	checkLen("Conv.SetWeights", "weights", len(weights), 9*c.spec.In*c.spec.Out)
	if c.first != nil {
		c.first.setWeights(weights)
		return
	}
	c.forward.setWeights(weights, false)
	if c.data != nil {
		c.data.setWeights(weights, true)
	}
}

// Forward computes y = relu(conv(x) + bias) for the first rows images, and
// with Pool its 2x2 maximum. Then arg, [Images][H/2][W/2][Out], receives the
// position of the maximum in its window, 0 to 3 in row-major order, the first
// of equals, or 4 where the maximum is 0 and no gradient flows. In inference,
// or without Pool, arg is not used.
func (c *Conv) Forward(y []float32, arg []uint8, x, bias []float32, rows int) {
	out := c.out
	if c.spec.Pool {
		out = c.pooled
		if c.spec.Inference {
			arg = nil
		} else {
			checkLen("Conv.Forward", "arg", len(arg), out.N*out.H*out.W*out.C)
		}
	}
	c.checkRows("Conv.Forward", rows)
	checkLen("Conv.Forward", "y", len(y), out.Len())
	checkLen("Conv.Forward", "x", len(x), c.in.Len())
	checkLen("Conv.Forward", "bias", len(bias), c.spec.Out)
	for i, v := range bias[:c.spec.Out] {
		c.bias[i] = v + 0 // a bias of -0 would give outputs of -0, which sort below 0
	}
	if c.first != nil {
		c.first.forward(y, arg, x, rows)
		return
	}
	c.forward.run(productTask{dst: y, arg: arg, src: x}, rows)
}

// BackwardData computes dx, the gradient at the layer's input, from dy, the
// gradient at its pre-activation, for the first rows images. Where x, the
// layer's input and itself the output of a ReLU, is 0, dx is 0; a nil x means
// no such mask. dx may be x itself.
func (c *Conv) BackwardData(dx, dy, x []float32, rows int) {
	checkLen("Conv.BackwardData", "dy", len(dy), c.out.Len())
	c.backwardData("Conv.BackwardData", dx, dy, nil, x, rows)
}

// BackwardDataPooled is BackwardData for a layer with Pool: it takes dp, the
// gradient at the pooled output, and arg as Forward wrote it. It saves
// a pass through memory that would spread dp to full resolution.
func (c *Conv) BackwardDataPooled(dx, dp []float32, arg []uint8, x []float32, rows int) {
	c.checkPooled("Conv.BackwardDataPooled", dp, arg)
	c.backwardData("Conv.BackwardDataPooled", dx, dp, arg, x, rows)
}

func (c *Conv) backwardData(op string, dx, dy []float32, arg []uint8, x []float32, rows int) {
	c.checkBackward(op, rows)
	check(op, c.first == nil && !c.spec.Bottom, "the first layer has no gradient of the data")
	checkLen(op, "dx", len(dx), c.in.Len())
	if x != nil {
		checkLen(op, "x", len(x), c.in.Len())
	}
	c.data.run(productTask{dst: dx, src: dy, srcArg: arg, mask: x}, rows)
}

// BackwardFilter computes the gradients of the weights, dw [3][3][In][Out],
// and of the bias, db [Out], summed over the first rows images; both are
// overwritten. The result does not depend on the number of workers.
func (c *Conv) BackwardFilter(dw, db, x, dy []float32, rows int) {
	checkLen("Conv.BackwardFilter", "dy", len(dy), c.out.Len())
	c.backwardFilter("Conv.BackwardFilter", dw, db, x, dy, nil, rows)
}

// BackwardFilterPooled is to BackwardFilter what BackwardDataPooled is to
// BackwardData.
func (c *Conv) BackwardFilterPooled(dw, db, x, dp []float32, arg []uint8, rows int) {
	c.checkPooled("Conv.BackwardFilterPooled", dp, arg)
	c.backwardFilter("Conv.BackwardFilterPooled", dw, db, x, dp, arg, rows)
}

func (c *Conv) backwardFilter(op string, dw, db, x, dy []float32, arg []uint8, rows int) {
	c.checkBackward(op, rows)
	checkLen(op, "dw", len(dw), 9*c.spec.In*c.spec.Out)
	checkLen(op, "db", len(db), c.spec.Out)
	checkLen(op, "x", len(x), c.in.Len())
	if c.first != nil {
		c.first.backward(dw, db, x, dy, arg, rows)
		return
	}
	c.filter.run(dw, db, x, dy, arg, rows)
}

func (c *Conv) checkRows(op string, rows int) {
	check(op, 1 <= rows && rows <= c.spec.Images, "rows is not within 1 and the images of the layer")
}

func (c *Conv) checkBackward(op string, rows int) {
	check(op, !c.spec.Inference, "the layer was made for inference")
	c.checkRows(op, rows)
}

func (c *Conv) checkPooled(op string, dp []float32, arg []uint8) {
	check(op, c.spec.Pool, "the layer has no pool")
	checkLen(op, "dp", len(dp), c.pooled.Len())
	checkLen(op, "arg", len(arg), c.pooled.N*c.pooled.H*c.pooled.W*c.pooled.C)
}
