package metrics

import (
	"context"
	"sync"
	"time"
)

// scrapes counts who has asked for the page.
type scrapes struct {
	mu    sync.Mutex
	n     int
	asked chan struct{} // closed at the next scrape; nil: nobody waits
}

// count counts a scrape that has been answered.
func (s *scrapes) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if s.asked != nil {
		close(s.asked)
		s.asked = nil
	}
}

// next is closed when the page is asked for the next time. ok is false if it has
// never been.
func (s *scrapes) next() (asked <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil {
		s.asked = make(chan struct{})
	}
	return s.asked, s.n > 0
}

// Watched reports whether anybody has asked for the page.
func (p *Page) Watched() bool {
	_, ok := p.scrapes.next()
	return ok
}

// Linger waits until the page has been asked for once more, so that who scrapes
// it now and then sees how the runs ended, but not over limit, nor after ctx. It
// does not wait at all if nobody has asked so far.
func (p *Page) Linger(ctx context.Context, limit time.Duration) {
	asked, ok := p.scrapes.next()
	if !ok {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-asked:
	case <-timer.C:
	case <-ctx.Done():
	}
}
