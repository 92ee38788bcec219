package train

import (
	"context"
	"sync"

	"cifartui/train/config"
	"cifartui/train/event"
)

// turns lets one run of a comparison train at a time. A run that has given its
// turn back, or has not yet asked for its first, is busy: it ends its epoch's
// work, or is about to ask again, to pause or to leave. Nobody gets the turn
// while a run is busy. So the runs never use the backend at the same time, and
// the order in which they train does not depend on which goroutine is faster.
type turns struct {
	order config.Order

	mu     sync.Mutex
	seats  []*seat
	holder *seat
	last   int // index of the last holder; -1 at the start
}

// A seat is one run's part in the turns. It implements [Turns].
type seat struct {
	turns *turns
	index int
	state seatState
	// epochs done, which says who begins.
	epochs int
	// between is set while the run stands between two epochs.
	between bool
	// granted holds one token when the turn is this seat's and Acquire has not yet
	// noticed; never closed.
	granted chan struct{}
}

type seatState int

const (
	busy seatState = iota
	waiting
	training
	away // paused, or gone
)

func newTurns(order config.Order, runs int) *turns {
	t := &turns{order: order, last: -1}
	for i := range runs {
		t.seats = append(t.seats, &seat{turns: t, index: i, between: true, granted: make(chan struct{}, 1)})
	}
	return t
}

// Acquire implements [Turns].
func (s *seat) Acquire(ctx context.Context) error {
	t := s.turns
	t.mu.Lock()
	s.state = waiting
	t.grant()
	t.mu.Unlock()
	select {
	case <-s.granted:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.state == training { // granted at the same moment: it is taken
		<-s.granted
		return nil
	}
	s.state = busy
	return ctx.Err()
}

// Release implements [Turns].
func (s *seat) Release() { s.become(busy) }

// leave says that the run does not train any more, or not until its next Acquire.
func (s *seat) leave() { s.become(away) }

func (s *seat) become(state seatState) {
	s.turns.mu.Lock()
	defer s.turns.mu.Unlock()
	s.set(state)
}

// set changes the state, after which the turn may be another's. turns.mu is held.
func (s *seat) set(state seatState) {
	t := s.turns
	if t.holder == s {
		t.holder = nil
	}
	s.state = state
	t.grant()
}

// see follows what a run tells of itself.
func (s *seat) see(e event.Event) {
	t := s.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := e.(type) {
	case *event.RunStarted:
		s.epochs, s.between = max(0, e.ResumedEpoch-1), e.ResumedStep == 0
	case *event.StepDone:
		s.between = false
	case *event.EpochDone:
		s.epochs, s.between = e.Epoch, true
	case *event.StateChanged:
		if e.State == event.StatePaused { // it has given the turn back
			s.set(away)
		}
	}
}

// idle reports whether an epoch of the run has ended and the next has not begun.
func (s *seat) idle() bool {
	s.turns.mu.Lock()
	defer s.turns.mu.Unlock()
	return s.between && s.state != training
}

// grant gives the turn to the next run if it is free. t.mu is held.
func (t *turns) grant() {
	if t.holder != nil {
		return
	}
	var next *seat
	for _, s := range t.seats {
		switch {
		case s.state == busy:
			return
		case s.state == waiting && (next == nil || t.before(s, next)):
			next = s
		}
	}
	if next == nil {
		return
	}
	next.state = training
	t.holder, t.last = next, next.index
	next.granted <- struct{}{}
}

// before reports whether a comes before b. Interleaved, the run with the fewest
// epochs begins, and then they go round.
func (t *turns) before(a, b *seat) bool {
	switch {
	case t.order == config.Sequential:
		return a.index < b.index
	case t.last < 0:
		return a.epochs < b.epochs || a.epochs == b.epochs && a.index < b.index
	}
	n := len(t.seats)
	return (a.index-t.last-1+n)%n < (b.index-t.last-1+n)%n
}
