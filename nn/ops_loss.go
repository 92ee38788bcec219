package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// crossEntropy is the mean over the batch's rows of softmax cross-entropy:
// inputs logits [N,classes] and labels [N], which are smoothed.
type crossEntropy struct {
	op
	classes, capacity int
	smoothing         float32
	kernel            Loss
}

var _ gorgonia.SDOp = (*crossEntropy)(nil)

func applyCrossEntropy(batch *batchState, smoothing float64, logits, labels *gorgonia.Node) (*crossEntropy, *gorgonia.Node, error) {
	s := logits.Shape()
	c := &crossEntropy{capacity: s[0], classes: s[1], smoothing: float32(smoothing)}
	n, err := apply(c, batch, "loss", "forward", Forward, newBuffer(), logits, labels)
	return c, n, err
}

func (c *crossEntropy) prepare() (err error) {
	c.kernel, err = c.batch.on.NewLoss(c.capacity, c.classes, c.smoothing)
	return err
}

func (c *crossEntropy) release() {
	c.kernel.Close()
	c.kernel = nil
}

func (c *crossEntropy) run(in []gorgonia.Value) error {
	c.kernel.Forward(c.out, buffer(in[0]), buffer(in[1]), c.batch.rows)
	return nil
}

func (c *crossEntropy) DiffWRT(int) []bool { return []bool{true, false} }

func (c *crossEntropy) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	s := in[0].Shape()
	// out is an input for its edge alone: it wrote the probabilities.
	d, err := apply(&crossEntropyGradient{loss: c}, c.batch, c.layer, "data", Backward, newBuffer(s[0], s[1]), in[1], out, grad)
	return gorgonia.Nodes{d, nil}, err
}

// crossEntropyGradient is the gradient at the logits: inputs labels, the loss
// and the gradient at the loss, a number that the graph holds as a constant.
type crossEntropyGradient struct {
	op
	loss *crossEntropy
}

func (d *crossEntropyGradient) run(in []gorgonia.Value) error {
	scale, ok := in[2].(*gorgonia.F32)
	if !ok {
		return fmt.Errorf("nn: the gradient at the loss is a %T, want a constant float32", in[2])
	}
	d.loss.kernel.Backward(d.out, buffer(in[0]), d.batch.rows, float32(*scale))
	return nil
}
