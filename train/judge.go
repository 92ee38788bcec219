package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"cifartui/cifar"
	"cifartui/train/event"
)

// evalBatch is how many images are validated at a time. It is fixed, so that
// the sums do not depend on the batch size, and small enough to cost less
// memory than training does.
const evalBatch = 100

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
	loader := cifar.NewLoader(set, cifar.LoaderConfig{Batch: evalBatch, Preprocess: r.prep})
	batches := loader.Epoch(context.WithoutCancel(r.ctx), 1, 0)
	defer batches.Close()
	for {
		if interruptible {
			if outcome := r.await(); outcome != "" {
				return v, outcome, r.failure
			}
		}
		b, err := batches.Next()
		if errors.Is(err, io.EOF) {
			return v, "", nil
		}
		if err == nil {
			err = r.judge(&v, b)
			b.Release()
		}
		if err != nil {
			return v, "", fmt.Errorf("validation: %w", err)
		}
	}
}

// judge adds a batch to a validation.
func (r *run) judge(v *validation, b *cifar.Batch) error {
	sum, correct, err := r.eval.Run(b.X, b.Labels)
	if err != nil {
		return err
	}
	v.sum += sum
	v.correct += correct
	v.images += len(b.Labels)
	p, err := r.eval.Probabilities()
	if err != nil {
		return err
	}
	classes := r.spec.Classes
	for i, label := range b.Labels {
		row := p[i*classes : (i+1)*classes]
		best := 0
		for c, q := range row {
			if q > row[best] {
				best = c
			}
		}
		v.confusion[label][best]++
		if best != int(label) {
			v.mistake(event.Sample{Index: b.Index[i], Label: int(label), Predicted: best, Confidence: float64(row[best])})
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
