// Package feed brings the images of a data set to a training step: batches that
// the processor prepares ahead, or, where the backend keeps data sets in its
// memory, no more than the place of each batch. What is trained on is the same.
package feed

import (
	"context"
	"fmt"
	"io"
	"time"

	"cifartui/cifar"
	"cifartui/nn"
)

// Feed serves a loader's batches to the steps of one backend. It belongs to the
// goroutine of that.
type Feed struct {
	loader  *cifar.Loader
	smaller map[int]*cifar.Loader // the same of smaller images, by their size
	held    nn.Held               // nil: the processor prepares batches
}

// New makes a feed, and brings the images to the backend if that keeps them.
func New(on nn.Backend, loader *cifar.Loader) (*Feed, error) {
	f := &Feed{loader: loader, smaller: map[int]*cifar.Loader{}}
	set, c := loader.Set(), loader.Config()
	h, ok := on.(nn.Holder)
	if !ok || c.Preprocess.Whitens() || c.Size != cifar.Size || set.Size != cifar.Size || c.Augment != (cifar.Augment{}) && c.Augment != cifar.DefaultAugment() {
		return f, nil
	}
	var err error
	f.held, err = h.Hold(nn.Data{
		Pixels: set.Pixels, Labels: set.Labels, Table: c.Preprocess.Table(), Augment: c.Augment != cifar.Augment{},
		Reflect: c.Reflect, Alternate: c.Alternate, Seed: c.Seed,
	})
	if err != nil {
		return nil, fmt.Errorf("bring the images to the device: %w", err)
	}
	return f, nil
}

// Set is the images that are served.
func (f *Feed) Set() *cifar.Set { return f.loader.Set() }

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
	index   []int // of the newest Evaluation of a held set
}

// Epoch begins an epoch, which counts from 1, at batch from. The caller must
// Close it. An ended ctx ends it.
func (f *Feed) Epoch(ctx context.Context, epoch, from int) (*Epoch, error) {
	return f.EpochAt(ctx, f.loader.Config().Size, epoch, from)
}

// EpochAt is Epoch with the images made smaller, for steps that train on images of
// that size; see [nn.Network.NewStepAt].
func (f *Feed) EpochAt(ctx context.Context, size, epoch, from int) (*Epoch, error) {
	e := &Epoch{feed: f, next: from}
	if f.held == nil {
		e.batches = f.sized(size).Epoch(ctx, epoch, from)
		return e, nil
	}
	if err := f.held.Order(epoch, f.loader.Order(epoch)); err != nil {
		return nil, fmt.Errorf("bring the order of epoch %d to the device: %w", epoch, err)
	}
	return e, nil
}

// sized is the loader of images of a size.
func (f *Feed) sized(size int) *cifar.Loader {
	c := f.loader.Config()
	if size == c.Size {
		return f.loader
	}
	if f.smaller[size] == nil {
		c.Size = size
		f.smaller[size] = cifar.NewLoader(f.loader.Set(), c)
	}
	return f.smaller[size]
}

// Submit gives the next batch to a step, and returns how long its images were
// waited for. After the last one the error is [io.EOF].
func (e *Epoch) Submit(s *nn.Step, dropoutKey uint64) (waited time.Duration, err error) {
	if e.batches == nil {
		first, rows := e.place()
		if rows == 0 {
			return 0, io.EOF
		}
		return 0, s.SubmitHeld(e.feed.held, first, rows, dropoutKey)
	}
	start := time.Now()
	b, err := e.batches.Next()
	if err != nil {
		return 0, err
	}
	defer b.Release()
	waited = time.Since(start)
	return waited, s.Submit(b.X, b.Labels, dropoutKey)
}

// place is where the next batch of a held set lies in the order.
func (e *Epoch) place() (first, rows int) {
	batch, n := e.feed.loader.Config().Batch, e.feed.loader.Set().Len()
	first = e.next * batch
	if first >= n {
		return 0, 0
	}
	e.next++
	return first, min(batch, n-first)
}

// Evaluation is what a network says of a batch.
type Evaluation struct {
	Sum     float64 // of the losses
	Correct int
	Labels  []byte
	Index   []int // where each image lies in the set
}

// Evaluate runs the next batch of a loader that does not shuffle, and gives what
// came of it to f, whose argument holds until it returns. After the last batch
// the error is [io.EOF].
func (e *Epoch) Evaluate(ev *nn.Eval, f func(Evaluation) error) error {
	if e.batches == nil {
		first, rows := e.place()
		if rows == 0 {
			return io.EOF
		}
		sum, correct, err := ev.RunHeld(e.feed.held, first, rows)
		if err != nil {
			return err
		}
		e.index = e.index[:0]
		for i := range rows {
			e.index = append(e.index, first+i)
		}
		return f(Evaluation{sum, correct, e.feed.loader.Set().Labels[first : first+rows], e.index})
	}
	b, err := e.batches.Next()
	if err != nil {
		return err
	}
	defer b.Release()
	sum, correct, err := ev.Run(b.X, b.Labels)
	if err != nil {
		return err
	}
	return f(Evaluation{sum, correct, b.Labels, b.Index})
}

// Close ends the epoch.
func (e *Epoch) Close() {
	if e.batches != nil {
		e.batches.Close()
	}
}
