package nn

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// Footprint is the memory that a network needs, in bytes, apart from the
// kernels' workspaces.
type Footprint struct {
	Weights   int64 // parameters; an optimiser keeps as much once or twice again
	Gradients int64
	// Training and Inference are the images, activations and, in training,
	// their gradients, of one batch. Where a Deferrer defers it keeps more.
	Training, Inference int64
}

// Footprint plans the memory for a batch of so many images.
func (s Spec) Footprint(batch int) (Footprint, error) {
	if err := s.Validate(); err != nil {
		return Footprint{}, err
	}
	weights := 4 * int64(s.Params())
	f := Footprint{Weights: weights, Gradients: 4 * int64(s.Trained())}
	params := describeParams(s)
	train, err := newGraph(nil, s, params, batch, true)
	if err != nil {
		return Footprint{}, err
	}
	infer, err := newGraph(nil, s, params, batch, false)
	if err != nil {
		return Footprint{}, err
	}
	p, err := newPlan(train.ExprGraph, train.results())
	if err != nil {
		return Footprint{}, err
	}
	q, err := newPlan(infer.ExprGraph, infer.results())
	if err != nil {
		return Footprint{}, err
	}
	inputs := int64(train.images.MemSize() + train.labels.MemSize())
	f.Training, f.Inference = inputs+p.bytes()-f.Gradients, inputs+q.bytes()
	return f, nil
}

// Summary prints the network's table as Keras's model.summary does, and below
// it the arithmetic and the memory for an image and for a batch.
func (s Spec) Summary(w io.Writer, batch int) error {
	f, err := s.Footprint(batch)
	if err != nil {
		return err
	}
	const width = 65
	thin, thick := strings.Repeat("_", width), strings.Repeat("=", width)
	var b strings.Builder
	row := func(layer, shape, params string) {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-29s%-26s%s", layer, shape, params), " ") + "\n")
	}
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("%s", thin)
	row("Layer (type)", "Output Shape", "Param #")
	for i, l := range s.Layers() {
		if i == 0 {
			line("%s", thick)
		} else {
			line("%s", thin)
		}
		shape := fmt.Sprintf("(None, %d, %d, %d)", l.Out[0], l.Out[1], l.Out[2])
		if l.flat() {
			shape = fmt.Sprintf("(None, %d)", l.Out[2])
		}
		params := fmt.Sprint(l.Params)
		if l.Frozen {
			params += " frozen"
		}
		row(fmt.Sprintf("%s (%s)", l.Name, l.Kind), shape, params)
	}
	line("%s", thick)
	line("Total params: %s", thousands(s.Params()))
	line("Trainable params: %s", thousands(s.Trained()))
	line("Non-trainable params: %s", thousands(s.Params()-s.Trained()))
	line("%s", thin)
	forward, step := s.FLOPs()
	line("Arithmetic an image: %.1f MFLOP forward, %.1f MFLOP a training step", float64(forward)/1e6, float64(step)/1e6)
	if s.Trained() == s.Params() {
		line("(convolutions counted as direct ones, a step as three times the forward pass)")
	} else {
		line("(convolutions counted as direct ones; no gradients of what is frozen)")
	}
	line("First weights: %s; biases: zeros", cmp.Or(s.Initializer, Initializers()[0]))
	line("Memory: %s of weights, %s of gradients; activations:", bytes(f.Weights), bytes(f.Gradients))
	line("  training   %9s an image, %9s a batch of %d", bytes(f.Training/int64(batch)), bytes(f.Training), batch)
	line("  inference  %9s an image, %9s a batch of %d", bytes(f.Inference/int64(batch)), bytes(f.Inference), batch)
	_, err = io.WriteString(w, b.String())
	return err
}

// thousands writes n with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytes writes a size.
func bytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
