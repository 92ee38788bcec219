// Package feed brings the images of a data set to a training step: batches that
// the processor prepares ahead, or, where the backend keeps data sets in its
// memory, no more than the place of each batch. What is trained on is the same.
package feed

import (
	"context"
	"fmt"
	"io"

	"cifartui/cifar"
	"cifartui/nn"
)

// Feed serves a loader's batches to the steps of one backend. It belongs to the
// goroutine of that.
type Feed struct {
	loader *cifar.Loader
	held   nn.Held // nil: the processor prepares batches
}

// New makes a feed, and brings the images to the backend if that keeps them.
func New(on nn.Backend, loader *cifar.Loader) (*Feed, error) {
	f := &Feed{loader: loader}
	h, ok := on.(nn.Holder)
	if !ok {
		return f, nil
	}
	set, c := loader.Set(), loader.Config()
	var err error
	f.held, err = h.Hold(nn.Data{
		Pixels: set.Pixels, Labels: set.Labels, Table: c.Preprocess.Table(), Augment: c.Augment, Seed: c.Seed,
	})
	if err != nil {
		return nil, fmt.Errorf("bring the images to the device: %w", err)
	}
	return f, nil
}

// Close gives the images' memory back.
func (f *Feed) Close() {
	if f.held != nil {
		f.held.Close()
	}
}

// Epoch is the batches of an epoch, from one on.
type Epoch struct {
	feed    *Feed
	batches *cifar.Batches // nil with a held set
	next    int
}

// Epoch begins an epoch, which counts from 1, at batch from. The caller must
// Close it. An ended ctx ends it.
func (f *Feed) Epoch(ctx context.Context, epoch, from int) (*Epoch, error) {
	e := &Epoch{feed: f, next: from}
	if f.held == nil {
		e.batches = f.loader.Epoch(ctx, epoch, from)
		return e, nil
	}
	if err := f.held.Order(epoch, f.loader.Order(epoch)); err != nil {
		return nil, fmt.Errorf("bring the order of epoch %d to the device: %w", epoch, err)
	}
	return e, nil
}

// Submit gives the next batch to a step. After the last one the error is
// [io.EOF].
func (e *Epoch) Submit(s *nn.Step, dropoutKey uint64) error {
	if e.batches != nil {
		b, err := e.batches.Next()
		if err != nil {
			return err
		}
		defer b.Release()
		return s.Submit(b.X, b.Labels, dropoutKey)
	}
	batch, n := e.feed.loader.Config().Batch, e.feed.loader.Set().Len()
	first := e.next * batch
	if first >= n {
		return io.EOF
	}
	e.next++
	return s.SubmitHeld(e.feed.held, first, min(batch, n-first), dropoutKey)
}

// Close ends the epoch.
func (e *Epoch) Close() {
	if e.batches != nil {
		e.batches.Close()
	}
}
