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
	"cifartui/train/record"
)

// How many images are evaluated at a time. It does not depend on the batch size,
// so that the sums do not, and is small enough to cost less memory than training
// does. A device that makes its own batches wants more at a time.
const (
	evalBatch     = 100
	evalHeldBatch = 500
)

func evalBatchOf(b nn.Backend) int {
	if _, ok := b.(nn.Holder); ok {
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
	// said are the probabilities of each image.
	said record.Predictions
}

func (v *validation) loss() float64 { return v.sum / float64(max(1, v.images)) }

func (v *validation) acc() float64 { return float64(v.correct) / float64(max(1, v.images)) }

// validate evaluates the network on the validation set. Commands are taken
// between batches here too; a stop gives an outcome, and the resume validates
// from the start.
func (r *run) validate() (validation, event.Outcome, error) {
	var outcome event.Outcome
	v, err := r.net.evaluate(r.ctx, r.net.val, func() bool {
		outcome = r.await()
		return outcome == ""
	})
	if outcome != "" {
		err = r.ask.failure
	}
	return v, outcome, err
}

// evaluate runs the network over a set. Before each batch it asks goOn, and ends
// early when the answer is no.
func (l *learner) evaluate(ctx context.Context, set *cifar.Set, goOn func() bool) (v validation, _ error) {
	v.confusion = make([][]int, l.spec.Classes)
	v.said = record.Predictions{Classes: l.spec.Classes}
	for i := range v.confusion {
		v.confusion[i] = make([]int, l.spec.Classes)
	}
	l.eval.Refresh()
	images, err := l.imagesOf(set)
	if err != nil {
		return v, fmt.Errorf("validation: %w", err)
	}
	epoch, err := images.Epoch(context.WithoutCancel(ctx), 1, 0)
	if err != nil {
		return v, fmt.Errorf("validation: %w", err)
	}
	defer epoch.Close()
	for goOn() {
		// goOn may have given the memory back and taken it anew: l.eval is not
		// the one of before.
		err := epoch.Evaluate(l.eval, func(e feed.Evaluation) error {
			p, err := l.eval.Probabilities()
			if err == nil {
				v.add(e, p, l.spec.Classes)
			}
			return err
		})
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return v, fmt.Errorf("validation: %w", err)
		}
	}
	return v, nil
}

// imagesOf is the feed of a set to evaluate on. The newest is kept, as it is the
// validation set's after every epoch.
func (l *learner) imagesOf(set *cifar.Set) (*feed.Feed, error) {
	if l.valImages != nil && l.valImages.Set() == set {
		return l.valImages, nil
	}
	if l.valImages != nil {
		l.valImages.Close()
		l.valImages = nil
	}
	f, err := feed.New(l.backend, cifar.NewLoader(set, cifar.LoaderConfig{Batch: evalBatchOf(l.backend), Preprocess: l.prep}))
	if err != nil {
		return nil, err
	}
	l.valImages = f
	return f, nil
}

// add takes in a batch, of which the network gives the probabilities p of each
// class.
func (v *validation) add(e feed.Evaluation, p []float32, classes int) {
	v.sum += e.Sum
	v.correct += e.Correct
	v.images += len(e.Labels)
	for i, label := range e.Labels {
		of := p[i*classes : (i+1)*classes]
		v.said.Add(label, of)
		best := 0
		for c, q := range of {
			if q > of[best] {
				best = c
			}
		}
		v.confusion[label][best]++
		if best != int(label) {
			v.mistake(event.Sample{Index: e.Index[i], Label: int(label), Predicted: best, Confidence: float64(of[best])})
		}
	}
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
