package event

import (
	"context"
	"io"
	"slices"
	"sync"
)

// Bus hands events to any number of readers, each at its own pace. Publish
// never waits: what a reader has not yet taken waits in its own queue, where
// the step events of a run are merged into one, so that a reader that never
// reads costs a little memory an epoch and no time.
type Bus struct {
	mu     sync.Mutex
	subs   []*Subscription
	closed bool
}

// NewBus makes a bus without readers.
func NewBus() *Bus { return new(Bus) }

// Publish gives e to every reader. It does not wait.
func (b *Bus) Publish(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.subs {
		s.push(e)
	}
}

// Subscribe adds a reader of all events from now on.
func (b *Bus) Subscribe() *Subscription { return b.SubscribeSteps(0) }

// SubscribeSteps is Subscribe for a reader that wants the steps in groups of
// every: no step event that it gets reaches over a multiple of every in Total.
// With 1 it gets each step by itself. 0 is Subscribe. A reader that falls far
// behind gets merged steps nevertheless.
func (b *Bus) SubscribeSteps(every int) *Subscription {
	s := &Subscription{bus: b}
	s.queue.every = int64(every)
	s.wake = make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.closed = true
		return s
	}
	b.subs = append(b.subs, s)
	return s
}

// Close ends the bus: the readers get what is left in their queues, then
// io.EOF.
func (b *Bus) Close() {
	b.mu.Lock()
	subs := b.subs
	b.subs, b.closed = nil, true
	b.mu.Unlock()
	for _, s := range subs {
		s.end()
	}
}

func (b *Bus) remove(s *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs = slices.DeleteFunc(b.subs, func(o *Subscription) bool { return o == s })
}

// Subscription is one reader's view of a [Bus]. It is a [Source] for one
// goroutine.
type Subscription struct {
	bus  *Bus
	wake chan struct{} // holds one token when there is something new; never closed

	mu     sync.Mutex
	queue  Queue
	closed bool
}

func (s *Subscription) push(e Event) {
	s.mu.Lock()
	s.queue.Push(e)
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // a token is there already
	}
}

// Next implements [Source].
func (s *Subscription) Next(ctx context.Context, max int) ([]Event, error) {
	for {
		s.mu.Lock()
		events := s.queue.Take(max)
		closed := s.closed
		s.mu.Unlock()
		switch {
		case len(events) > 0:
			return events, nil
		case closed:
			return nil, io.EOF
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close takes the reader off the bus. What it has not taken is dropped.
func (s *Subscription) Close() {
	s.bus.remove(s)
	s.mu.Lock()
	s.queue = Queue{}
	s.mu.Unlock()
	s.end()
}

func (s *Subscription) end() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
}

// Merge adds the steps of o, which follow those of s, to s.
func (s *StepDone) Merge(o *StepDone) {
	a, b := float64(s.Count), float64(o.Count)
	mean := func(x, y Float) Float { return Float((float64(x)*a + float64(y)*b) / (a + b)) }
	s.Loss, s.Acc = mean(s.Loss, o.Loss), mean(s.Acc, o.Acc)
	s.MinLoss, s.MaxLoss = min(s.MinLoss, o.MinLoss), max(s.MaxLoss, o.MaxLoss)
	if s.ImagesPerSecond > 0 && o.ImagesPerSecond > 0 { // images over time, the batches being of one size
		s.ImagesPerSecond = (a + b) / (a/s.ImagesPerSecond + b/o.ImagesPerSecond)
	} else {
		s.ImagesPerSecond = max(s.ImagesPerSecond, o.ImagesPerSecond)
	}
	s.Phases.Add(o.Phases)
	s.Count += o.Count
	s.Header, s.Epoch, s.Step, s.Steps, s.Total = o.Header, o.Epoch, o.Step, o.Steps, o.Total
	s.LR, s.Elapsed = o.LR, o.Elapsed
}

// Add adds the time of other steps.
func (p *Phases) Add(o Phases) {
	p.Data += o.Data
	p.Forward += o.Forward
	p.Backward += o.Backward
	p.Optimizer += o.Optimizer
}
