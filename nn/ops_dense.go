package nn

import "gorgonia.org/gorgonia"

// flatten is dropout, and the way from images to rows of features: input x
// [N,H,W,C], a ReLU's output, result [N,H*W*C].
type flatten struct {
	op
	dropout float32
}

var _ gorgonia.SDOp = (*flatten)(nil)

func applyFlatten(batch *batchState, dropout float64, x *gorgonia.Node) (*gorgonia.Node, error) {
	s := x.Shape()
	f := &flatten{dropout: float32(dropout)}
	return apply(f, batch, "dropout", "forward", Forward, newBuffer(s[0], s[1]*s[2]*s[3]), x)
}

func (f *flatten) run(in []gorgonia.Value) error {
	f.batch.on.Dropout(f.out, buffer(in[0]), f.batch.rows, f.dropout, f.batch.key)
	return nil
}

func (f *flatten) DiffWRT(int) []bool { return []bool{true} }

func (f *flatten) SymDiff(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	s := in[0].Shape()
	d := &flattenGradient{dropout: f.dropout}
	dx, err := apply(d, f.batch, f.layer, "data", Backward, newImages(s[0], s[1], s[2], s[3]), in[0], grad)
	return gorgonia.Nodes{dx}, err
}

// flattenGradient is the gradient at the images, with the mask of the ReLU
// that made them: inputs x and the gradient at the features.
type flattenGradient struct {
	op
	dropout float32
}

func (d *flattenGradient) run(in []gorgonia.Value) error {
	d.batch.on.DropoutBackward(d.out, buffer(in[1]), buffer(in[0]), d.batch.rows, d.dropout, d.batch.key)
	return nil
}

// overwrites says that the gradient can take the place of x: the mask is read
// where the gradient is written, and nowhere else.
func (d *flattenGradient) overwrites() int { return 0 }

// dense is y = x w^T + b: inputs x [N,in], w [out,in], b [out].
type dense struct{ op }

var _ gorgonia.SDOp = (*dense)(nil)

func applyDense(batch *batchState, layer string, x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(&dense{}, batch, layer, "forward", Forward, newBuffer(x.Shape()[0], w.Shape()[0]), x, w, b)
}

func (d *dense) run(in []gorgonia.Value) error {
	d.batch.on.Dense(d.out, buffer(in[0]), buffer(in[1]), buffer(in[2]), d.batch.rows)
	return nil
}

func (d *dense) DiffWRT(int) []bool { return []bool{true, true, true} }

func (d *dense) SymDiff(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	x, w := in[0].Shape(), in[1].Shape()
	f := &denseFilterGradient{bias: newBuffer(w[0])}
	dw, err := apply(f, d.batch, d.layer, "filter", Backward, newBuffer(w[0], w[1]), in[0], grad)
	if err != nil {
		return nil, err
	}
	db, err := apply(&second{}, d.batch, d.layer, "bias", Backward, f.bias, dw)
	if err != nil {
		return nil, err
	}
	dx, err := apply(&denseDataGradient{}, d.batch, d.layer, "data", Backward, newBuffer(x[0], x[1]), in[1], grad)
	return gorgonia.Nodes{dx, dw, db}, err
}

// denseDataGradient is the gradient at the input: inputs w and the gradient
// at the output.
type denseDataGradient struct{ op }

func (d *denseDataGradient) run(in []gorgonia.Value) error {
	d.batch.on.DenseBackwardData(d.out, buffer(in[1]), buffer(in[0]), d.batch.rows)
	return nil
}

// denseFilterGradient is the gradient of the weights, and of the bias on the
// side: inputs x and the gradient at the output.
type denseFilterGradient struct {
	op
	bias *Buffer
}

func (f *denseFilterGradient) prepare() error { return f.bias.ensure(f.batch.on) }

func (f *denseFilterGradient) run(in []gorgonia.Value) error {
	f.batch.on.DenseBackwardFilter(f.out, f.bias, buffer(in[0]), buffer(in[1]), f.batch.rows)
	return nil
}
