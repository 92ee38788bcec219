package nn

import "gorgonia.org/gorgonia"

// convolution is y = relu(x * w + b), followed by a 2x2 max pool if its spec
// says so: inputs x [N,H,W,in], w [3,3,in,out], b [out].
//
// The gradient that its SymDiff is given is that at the pre-activation, or
// with a pool at the pooled pre-activation: whatever reads the output of a
// ReLU in this package (the next convolution, dropout) gives its gradient with
// the ReLU's mask on, as it has the values at hand.
type convolution struct {
	op
	spec    ConvSpec
	kernel  Conv
	weights *Buffer // whose version the kernel has, nil before the first
	version uint64
}

var _ gorgonia.SDOp = (*convolution)(nil)

// applyConvolution puts a layer into the graph of x.
func applyConvolution(batch *batchState, layer string, s ConvSpec, x, w, b *gorgonia.Node) (*convolution, *gorgonia.Node, error) {
	c := &convolution{spec: s}
	h, wd := s.H, s.W
	if s.Pool {
		h, wd = h/2, wd/2
	}
	n, err := apply(c, batch, layer, "forward", Forward, newImages(s.Images, h, wd, s.Out), x, w, b)
	return c, n, err
}

func (c *convolution) prepare() (err error) {
	c.kernel, err = c.batch.on.NewConv(c.spec)
	return err
}

func (c *convolution) release() {
	c.kernel.Close()
	c.kernel = nil
}

// refresh gives the kernel the weights if they have changed.
func (c *convolution) refresh(w *Buffer) {
	if c.weights != w || c.version != w.version {
		c.kernel.SetWeights(w)
		c.weights, c.version = w, w.version
	}
}

func (c *convolution) run(in []gorgonia.Value) error {
	c.refresh(buffer(in[1]))
	c.kernel.Forward(c.out, buffer(in[0]), buffer(in[2]), c.batch.rows)
	return nil
}

// DiffWRT says no to the images, and to what comes of frozen layers alone:
// Gorgonia would compute what it says yes to.
func (c *convolution) DiffWRT(int) []bool { return []bool{!c.spec.Bottom, true, true} }

func (c *convolution) SymDiff(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	s := c.spec
	f := &filterGradient{conv: c, bias: newBuffer(s.Out)}
	dw, err := apply(f, c.batch, c.layer, "filter", Backward, newBuffer(3, 3, s.In, s.Out), in[0], grad)
	if err != nil {
		return nil, err
	}
	db, err := apply(&second{}, c.batch, c.layer, "bias", Backward, f.bias, dw)
	if err != nil || s.Bottom {
		return gorgonia.Nodes{nil, dw, db}, err
	}
	dx, err := apply(&dataGradient{conv: c}, c.batch, c.layer, "data", Backward, newImages(s.Images, s.H, s.W, s.In), in[0], in[1], grad)
	return gorgonia.Nodes{dx, dw, db}, err
}

// dataGradient is the gradient at a convolution's input x, with the mask of
// the ReLU that made x: inputs x, w and the gradient that SymDiff was given.
type dataGradient struct {
	op
	conv *convolution
}

func (d *dataGradient) run(in []gorgonia.Value) error {
	d.conv.refresh(buffer(in[1]))
	d.conv.kernel.BackwardData(d.out, buffer(in[2]), buffer(in[0]), d.batch.rows)
	return nil
}

// overwrites says that the gradient can take the place of x: see
// kernel.Conv.BackwardData.
func (d *dataGradient) overwrites() int { return 0 }

// filterGradient is the gradient of a convolution's weights, and of its bias
// on the side: inputs x and the gradient that SymDiff was given.
type filterGradient struct {
	op
	conv *convolution
	bias *Buffer
}

func (f *filterGradient) late() bool { return f.batch.defers() }

func (f *filterGradient) prepare() error { return f.bias.ensure(f.batch.on) }

func (f *filterGradient) run(in []gorgonia.Value) error {
	f.conv.kernel.BackwardFilter(f.out, f.bias, buffer(in[0]), buffer(in[1]), f.batch.rows)
	return nil
}
