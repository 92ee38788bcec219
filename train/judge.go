package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/event"
	"cifartui/train/feed"
)

// evalBatch is how many images are validated at a time. It does not depend on
// the batch size, so that the sums do not, and is small enough to cost less
// memory than training does. A device that makes its own batches wants more at
// a time.
const (
	evalBatch     = 100
	evalHeldBatch = 500
)

func (r *run) evalBatch() int {
	if _, ok := r.Backend.(nn.Holder); ok {
		return evalHeldBatch
	}
	return evalBatch
}

// maxSamples is how many mistakes an Evaluated shows.
const maxSamples = 24

// validation is what the network says of a set of images.
type validation struct {
	sum       float64 // of the losses
	confusion [][]int
	mistakes  []event.Sample
	images    int
	correct   int
}

func (v *validation) loss() float64 { return v.sum / float64(max(1, v.images)) }

func (v *validation) acc() float64 { return float64(v.correct) / float64(max(1, v.images)) }

// validate runs the network over a set. Commands are taken between its batches
// too when it is interruptible; a stop then gives an outcome, and the resume
// validates from the start.
func (r *run) validate(set *cifar.Set, interruptible bool) (v validation, _ event.Outcome, _ error) {
	v.confusion = make([][]int, r.spec.Classes)
	for i := range v.confusion {
		v.confusion[i] = make([]int, r.spec.Classes)
	}
	r.eval.Refresh()
	images, err := r.judgedImages(set)
	if err != nil {
		return v, "", fmt.Errorf("validation: %w", err)
	}
	epoch, err := images.Epoch(context.WithoutCancel(r.ctx), 1, 0)
	if err != nil {
		return v, "", fmt.Errorf("validation: %w", err)
	}
	defer epoch.Close()
	for {
		if interruptible {
			if outcome := r.await(); outcome != "" {
				return v, outcome, r.failure
			}
		}
		err := epoch.Evaluate(r.eval, func(e feed.Evaluation) error { return r.judge(&v, e) })
		if errors.Is(err, io.EOF) {
			return v, "", nil
		}
		if err != nil {
			return v, "", fmt.Errorf("validation: %w", err)
		}
	}
}

// judgedImages is the feed of a set. That of the validation set is kept.
func (r *run) judgedImages(set *cifar.Set) (*feed.Feed, error) {
	if r.valFeed != nil && r.valFeed.Set() == set {
		return r.valFeed, nil
	}
	if r.valFeed != nil {
		r.valFeed.Close()
		r.valFeed = nil
	}
	loader := cifar.NewLoader(set, cifar.LoaderConfig{Batch: r.evalBatch(), Preprocess: r.prep})
	f, err := feed.New(r.Backend, loader)
	r.valFeed = f
	return f, err
}

// judge adds a batch to a validation.
func (r *run) judge(v *validation, e feed.Evaluation) error {
	v.sum += e.Sum
	v.correct += e.Correct
	v.images += len(e.Labels)
	p, err := r.eval.Probabilities()
	if err != nil {
		return err
	}
	classes := r.spec.Classes
	for i, label := range e.Labels {
		row := p[i*classes : (i+1)*classes]
		best := 0
		for c, q := range row {
			if q > row[best] {
				best = c
			}
		}
		v.confusion[label][best]++
		if best != int(label) {
			v.mistake(event.Sample{Index: e.Index[i], Label: int(label), Predicted: best, Confidence: float64(row[best])})
		}
	}
	return nil
}

// mistake keeps s if it is among the most confident mistakes so far. They are
// sorted by confidence, then by index.
func (v *validation) mistake(s event.Sample) {
	at, _ := slices.BinarySearchFunc(v.mistakes, s, func(a, b event.Sample) int {
		switch {
		case a.Confidence > b.Confidence:
			return -1
		case a.Confidence < b.Confidence:
			return 1
		}
		return a.Index - b.Index
	})
	if at >= maxSamples {
		return
	}
	if len(v.mistakes) == maxSamples {
		v.mistakes = v.mistakes[:maxSamples-1]
	}
	v.mistakes = slices.Insert(v.mistakes, at, s)
}

// worst returns the mistakes with their images, worst first.
func (v *validation) worst(set *cifar.Set) []event.Sample {
	for i := range v.mistakes {
		v.mistakes[i].Pixels = set.Image(v.mistakes[i].Index)
	}
	return v.mistakes
}
