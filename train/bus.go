package train

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
	queue  queue
	closed bool
}

func (s *Subscription) push(e Event) {
	s.mu.Lock()
	s.queue.push(e)
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
		events := s.queue.take(max)
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
	s.queue = queue{}
	s.mu.Unlock()
	s.end()
}

func (s *Subscription) end() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
}

// queueLimit is how many events a queue holds before it merges steps that it
// was asked to keep apart.
const queueLimit = 1 << 16

// queue holds events that a reader has not yet taken. A step event is merged
// into the one before it of the same run, unless another event of that run
// stands between them. The order of each run's events is kept. Not safe for
// use by several goroutines.
type queue struct {
	events []Event
	every  int64 // see SubscribeSteps
	// steps has, for each run, the place of the step event that the next one
	// is merged into.
	steps map[string]stepPlace
}

type stepPlace struct {
	index int
	// own is set when the event there is the queue's own copy, which it may
	// change.
	own bool
}

func (q *queue) push(e Event) {
	run := e.Head().Run
	step, ok := e.(*StepDone)
	if !ok {
		delete(q.steps, run)
		q.events = append(q.events, e)
		return
	}
	if place, ok := q.steps[run]; ok {
		into := q.events[place.index].(*StepDone)
		if q.together(into, step) {
			if !place.own {
				c := *into
				into = &c
				q.events[place.index] = into
				q.steps[run] = stepPlace{index: place.index, own: true}
			}
			into.merge(step)
			return
		}
	}
	if q.steps == nil {
		q.steps = make(map[string]stepPlace)
	}
	q.steps[run] = stepPlace{index: len(q.events)}
	q.events = append(q.events, e)
}

// together reports whether two steps may be merged: always when no grouping was
// asked for, else when no multiple of every lies between them.
func (q *queue) together(a, b *StepDone) bool {
	if q.every == 0 || len(q.events) >= queueLimit {
		return true
	}
	return (a.Total-1)/q.every == (b.Total-1)/q.every
}

// size counts the events in the queue.
func (q *queue) size() int { return len(q.events) }

// onlyStep reports whether a queue holds nothing but step events.
func (q *queue) onlyStep() bool {
	return len(q.events) > 0 && len(q.events) == len(q.steps)
}

// take removes and returns at most max events.
func (q *queue) take(max int) []Event {
	n := min(max, len(q.events))
	if n <= 0 {
		return nil
	}
	events := q.events[:n:n]
	q.events = q.events[n:]
	if len(q.events) == 0 {
		q.events = nil
	}
	for run, place := range q.steps {
		if place.index < n {
			delete(q.steps, run)
		} else {
			q.steps[run] = stepPlace{index: place.index - n, own: place.own}
		}
	}
	return events
}

// merge adds the steps of o, which follow those of s, to s.
func (s *StepDone) merge(o *StepDone) {
	a, b := float64(s.Count), float64(o.Count)
	mean := func(x, y Float) Float { return Float((float64(x)*a + float64(y)*b) / (a + b)) }
	s.Loss, s.Acc = mean(s.Loss, o.Loss), mean(s.Acc, o.Acc)
	s.MinLoss, s.MaxLoss = min(s.MinLoss, o.MinLoss), max(s.MaxLoss, o.MaxLoss)
	if s.ImagesPerSecond > 0 && o.ImagesPerSecond > 0 { // images over time, the batches being of one size
		s.ImagesPerSecond = (a + b) / (a/s.ImagesPerSecond + b/o.ImagesPerSecond)
	} else {
		s.ImagesPerSecond = max(s.ImagesPerSecond, o.ImagesPerSecond)
	}
	s.Phases.add(o.Phases)
	s.Count += o.Count
	s.Header, s.Epoch, s.Step, s.Steps, s.Total = o.Header, o.Epoch, o.Step, o.Steps, o.Total
	s.LR, s.Elapsed = o.LR, o.Elapsed
}

func (p *Phases) add(o Phases) {
	p.Data += o.Data
	p.Forward += o.Forward
	p.Backward += o.Backward
	p.Optimizer += o.Optimizer
}
