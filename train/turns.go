package train

import (
	"context"
	"sync"

	"cifartui/train/config"
	"cifartui/train/event"
)

// turns lets one run of a comparison train at a time, or a number of them. A run
// that has given its turn back, or has not yet asked for its first, is busy: it
// ends its epoch's work, or is about to ask again, to pause or to leave. It counts
// as one that trains. So no more runs than may ever use the backend at the same
// time and, where one trains at a time, the order in which they do does not
// depend on which goroutine is faster.
type turns struct {
	order config.Order
	most  int // runs that train at once

	mu    sync.Mutex
	seats []*seat
	last  int // index of who got a turn last; -1 at the start
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

func newTurns(order config.Order, most int) *turns { return &turns{order: order, most: most, last: -1} }

// newSeat gives a further run a seat, before the first of them trains.
func (t *turns) newSeat() *seat {
	s := &seat{turns: t, index: len(t.seats), between: true, granted: make(chan struct{}, 1)}
	t.seats = append(t.seats, s)
	return s
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
	s.state = state
	s.turns.grant()
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

// grant gives turns to the next runs while there are any. t.mu is held.
func (t *turns) grant() {
	for {
		taken := 0
		var next *seat
		for _, s := range t.seats {
			switch {
			case s.state == busy || s.state == training:
				taken++
			case s.state == waiting && (next == nil || t.before(s, next)):
				next = s
			}
		}
		if next == nil || taken >= t.most {
			return
		}
		next.state = training
		t.last = next.index
		next.granted <- struct{}{}
	}
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
