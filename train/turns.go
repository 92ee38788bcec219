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
	// granted holds one token when the turn is this seat's and Take has not yet
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
		t.seats = append(t.seats, &seat{turns: t, index: i, granted: make(chan struct{}, 1)})
	}
	return t
}

// Take implements [Turns].
func (s *seat) Take(ctx context.Context) error {
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

// Give implements [Turns].
func (s *seat) Give() { s.become(busy) }

// leave says that the run does not train any more, or not until its next Take.
func (s *seat) leave() { s.become(away) }

func (s *seat) become(state seatState) {
	t := s.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.holder == s {
		t.holder = nil
	}
	s.state = state
	t.grant()
}

// see follows what a run tells of itself.
func (s *seat) see(e event.Event) {
	switch e := e.(type) {
	case *event.EpochDone:
		s.turns.mu.Lock()
		s.epochs = e.Epoch
		s.turns.mu.Unlock()
	case *event.RunStarted:
		s.turns.mu.Lock()
		s.epochs = max(0, e.ResumedEpoch-1)
		s.turns.mu.Unlock()
	case *event.StateChanged:
		if e.State == event.StatePaused {
			s.leave() // it has given the turn back
		}
	}
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
