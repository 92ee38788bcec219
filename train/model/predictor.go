package model

import (
	"fmt"

	"cifartui/cifar"
	"cifartui/nn"
)

// Predictor is a model on a backend. It belongs to the goroutine of that.
type Predictor struct {
	model *Model
	net   *nn.Network
	eval  *nn.Eval
	batch int
	x     []float32 // images of a batch, preprocessed
}

// How many images of 32x32 go through the network at a time: as many as
// training validates with, so that sums are the same, and more on a device.
const (
	hostBatch   = 100
	deviceBatch = 500
)

// batchOf is how many images go through the network at a time.
func batchOf(on nn.Backend, s nn.Spec) int {
	n := hostBatch
	if _, ok := on.(nn.Holder); ok {
		n = deviceBatch
	}
	return max(1, n*cifar.Size*cifar.Size/max(cifar.Size*cifar.Size, s.Size*s.Size))
}

// NewPredictor puts the model on a backend, which stays the caller's, to close
// after the predictor.
func (m *Model) NewPredictor(on nn.Backend) (*Predictor, error) {
	s := m.Spec
	s.Dropout, s.Smoothing = 0, 0 // neither outlives training
	net, err := nn.New(on, s, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	if err := net.SetWeights(ofCheckpoints(m.Tensors)); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	batch := batchOf(on, s)
	eval, err := net.NewEval(batch)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	return &Predictor{model: m, net: net, eval: eval, batch: batch}, nil
}

// Batch is how many images go through the network at a time. More may be given.
func (p *Predictor) Batch() int { return p.batch }

// Bytes gives the probabilities, [images][classes], of images as a [cifar.Set]
// holds them: three planes of Size x Size bytes each. They are preprocessed as
// in training. The slice is the caller's.
func (p *Predictor) Bytes(pixels []byte) ([]float32, error) {
	n := p.pixels()
	if len(pixels)%n != 0 {
		return nil, fmt.Errorf("%s: %d bytes of images, want a multiple of %d", p.model.Name, len(pixels), n)
	}
	if p.x == nil {
		p.x = make([]float32, p.batch*n)
	}
	out := make([]float32, 0, len(pixels)/n*p.model.Spec.Classes)
	for len(pixels) > 0 {
		b := pixels[:min(len(pixels), p.batch*n)]
		pixels = pixels[len(b):]
		x := p.x[:len(b)]
		if err := p.model.Preprocess.Apply(x, b, p.model.Spec.Size); err != nil {
			return nil, err
		}
		var err error
		if out, err = p.append(out, x); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Floats gives the probabilities, [images][classes], of images that are
// preprocessed already, [images][Size][Size][3]. The slice is the caller's.
func (p *Predictor) Floats(x []float32) ([]float32, error) {
	n := p.pixels()
	if len(x)%n != 0 {
		return nil, fmt.Errorf("%s: %d numbers of images, want a multiple of %d", p.model.Name, len(x), n)
	}
	out := make([]float32, 0, len(x)/n*p.model.Spec.Classes)
	for len(x) > 0 {
		b := x[:min(len(x), p.batch*n)]
		x = x[len(b):]
		var err error
		if out, err = p.append(out, b); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// append appends the probabilities of a batch.
func (p *Predictor) append(out, x []float32) ([]float32, error) {
	if _, _, err := p.eval.Run(x, nil); err != nil {
		return nil, err
	}
	prob, err := p.eval.Probabilities()
	if err != nil {
		return nil, err
	}
	return append(out, prob...), nil
}

// pixels is the number of numbers of an image.
func (p *Predictor) pixels() int { return p.model.Spec.Size * p.model.Spec.Size * cifar.Channels }

// Close gives the memory on the backend back.
func (p *Predictor) Close() { p.eval.Close() }
