package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// Resampler is a Backend that trains on images of other sizes than the network is
// made for: it brings features to the size that the dense layer knows.
type Resampler interface {
	Backend
	// CheckSize reports why the backend's kernels do not train on images of a height
	// and width, nil if they do.
	CheckSize(size int) error
	// Resample averages the images src to the size of dst; see kernel.Resample.
	Resample(dst, src *Buffer, rows int)
	// ResampleBackward is its gradient, and that of the ReLU before it: dsrc is 0
	// where src is. dsrc and src may be the same memory.
	ResampleBackward(dsrc, ddst, src *Buffer, rows int)
}

// resample brings images to another height and width: input x [N,h,w,C], a ReLU's
// output, result [N,H,W,C].
type resample struct {
	op
	on Resampler
}

var _ gorgonia.SDOp = (*resample)(nil)

// applyResample makes x, of a side, images of another.
func applyResample(batch *batchState, side int, x *gorgonia.Node) (*gorgonia.Node, error) {
	on, ok := batch.on.(Resampler)
	if !ok {
		return nil, fmt.Errorf("nn: the %s backend trains on images of one size only", batch.on.Name())
	}
	s := x.Shape()
	return apply(&resample{on: on}, batch, "resample", "forward", Forward, newImages(s[0], side, side, s[3]), x)
}

func (r *resample) run(in []gorgonia.Value) error {
	r.on.Resample(r.out, buffer(in[0]), r.batch.rows)
	return nil
}

func (r *resample) DiffWRT(int) []bool { return []bool{true} }

func (r *resample) SymDiff(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	s := in[0].Shape()
	dx, err := apply(&resampleGradient{on: r.on}, r.batch, r.layer, "data", Backward, newImages(s[0], s[1], s[2], s[3]), in[0], grad)
	return gorgonia.Nodes{dx}, err
}

// resampleGradient is the gradient at the images, with the mask of the ReLU that
// made them: inputs x and the gradient at the result.
type resampleGradient struct {
	op
	on Resampler
}

func (d *resampleGradient) run(in []gorgonia.Value) error {
	d.on.ResampleBackward(d.out, buffer(in[1]), buffer(in[0]), d.batch.rows)
	return nil
}

// overwrites says that the gradient can take the place of x.
func (d *resampleGradient) overwrites() int { return 0 }
