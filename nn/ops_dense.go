package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// Rectifier is a Backend that knows hidden dense layers.
type Rectifier interface {
	Backend
	// ReLU writes what is positive of src, rows of features, to dst, 0 elsewhere.
	// dst and src may be the same memory.
	ReLU(dst, src *Buffer, rows int)
	// ReLUBackward is its gradient: ddst where dst is positive, 0 elsewhere.
	// dsrc and ddst may be the same memory.
	ReLUBackward(dsrc, ddst, dst *Buffer, rows int)
	// DropoutRows is Dropout of rows of features, which may come of a ReLU or
	// not; DropoutRowsBackward is its gradient, without any ReLU's.
	DropoutRows(dst, src *Buffer, rows int, p float32, key uint64)
	DropoutRowsBackward(dsrc, ddst *Buffer, rows int, p float32, key uint64)
}

// flatten is dropout, and the way from images to rows of features: input x
// [N,H,W,C], a ReLU's output, result [N,H*W*C].
type flatten struct {
	op
	dropout float32
}

var _ gorgonia.SDOp = (*flatten)(nil)

func applyFlatten(batch *batchState, layer string, dropout float64, x *gorgonia.Node) (*gorgonia.Node, error) {
	s := x.Shape()
	f := &flatten{dropout: float32(dropout)}
	return apply(f, batch, layer, "forward", Forward, newBuffer(s[0], s[1]*s[2]*s[3]), x)
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

// dropout is dropout of rows of features: input x [N,C], result the same shape.
type dropout struct {
	op
	on   Rectifier
	part float32
}

var _ gorgonia.SDOp = (*dropout)(nil)

func applyDropout(batch *batchState, layer string, part float64, x *gorgonia.Node) (*gorgonia.Node, error) {
	on, err := batch.rectifier()
	if err != nil {
		return nil, err
	}
	s := x.Shape()
	return apply(&dropout{on: on, part: float32(part)}, batch, layer, "forward", Forward, newBuffer(s[0], s[1]), x)
}

func (d *dropout) run(in []gorgonia.Value) error {
	d.on.DropoutRows(d.out, buffer(in[0]), d.batch.rows, d.part, d.batch.key)
	return nil
}

func (d *dropout) DiffWRT(int) []bool { return []bool{true} }

func (d *dropout) SymDiff(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	s := in[0].Shape()
	dx, err := apply(&dropoutGradient{on: d.on, part: d.part}, d.batch, d.layer, "data", Backward, newBuffer(s[0], s[1]), grad)
	return gorgonia.Nodes{dx}, err
}

// dropoutGradient is the gradient at dropout's input: its input is that at the
// result.
type dropoutGradient struct {
	op
	on   Rectifier
	part float32
}

func (d *dropoutGradient) run(in []gorgonia.Value) error {
	d.on.DropoutRowsBackward(d.out, buffer(in[0]), d.batch.rows, d.part, d.batch.key)
	return nil
}

// rectifier is the batch's backend as one that knows hidden dense layers; nil
// for a graph that only plans.
func (b *batchState) rectifier() (Rectifier, error) {
	on, ok := b.on.(Rectifier)
	if !ok && b.on != nil {
		return nil, fmt.Errorf("nn: the %s backend knows no hidden dense layers", b.on.Name())
	}
	return on, nil
}

// relu is that of a hidden dense layer: input x [N,C], result the same shape.
type relu struct {
	op
	on Rectifier
}

var _ gorgonia.SDOp = (*relu)(nil)

func applyReLU(batch *batchState, layer string, x *gorgonia.Node) (*gorgonia.Node, error) {
	on, err := batch.rectifier()
	if err != nil {
		return nil, err
	}
	s := x.Shape()
	return apply(&relu{on: on}, batch, layer, "relu", Forward, newBuffer(s[0], s[1]), x)
}

func (r *relu) run(in []gorgonia.Value) error {
	r.on.ReLU(r.out, buffer(in[0]), r.batch.rows)
	return nil
}

// overwrites says that the result can take the place of x: the gradient reads
// the result.
func (r *relu) overwrites() int { return 0 }

func (r *relu) DiffWRT(int) []bool { return []bool{true} }

func (r *relu) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	s := in[0].Shape()
	dx, err := apply(&reluGradient{on: r.on}, r.batch, r.layer, "relu gradient", Backward, newBuffer(s[0], s[1]), grad, out)
	return gorgonia.Nodes{dx}, err
}

// reluGradient is the gradient at a ReLU's input: inputs the gradient at the
// result, and the result.
type reluGradient struct {
	op
	on Rectifier
}

func (d *reluGradient) run(in []gorgonia.Value) error {
	d.on.ReLUBackward(d.out, buffer(in[0]), buffer(in[1]), d.batch.rows)
	return nil
}

// overwrites says that the gradient can take the place of that at the result.
func (d *reluGradient) overwrites() int { return 0 }

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

func (f *denseFilterGradient) late() bool { return f.batch.defers() }

func (f *denseFilterGradient) prepare() error { return f.bias.ensure(f.batch.on) }

func (f *denseFilterGradient) run(in []gorgonia.Value) error {
	f.batch.on.DenseBackwardFilter(f.out, f.bias, buffer(in[0]), buffer(in[1]), f.batch.rows)
	return nil
}
