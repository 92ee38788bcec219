package metrics

import (
	"context"
	"sync"
	"time"
)

// scrapes knows who has asked for the page.
type scrapes struct {
	mu    sync.Mutex
	n     int
	ends  int           // of runs, that have been told
	asked chan struct{} // closed at the next scrape; nil: nobody waits
}

// count counts a scrape that has been answered, with so many runs ended.
func (s *scrapes) count(ends int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.ends = max(s.ends, ends)
	if s.asked != nil {
		close(s.asked)
		s.asked = nil
	}
}

// next is closed when the page is asked for the next time; nil if nothing is to be
// waited for: nobody has ever asked, or who has was told of so many ends.
func (s *scrapes) next(ends int) (asked <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == 0 || s.ends >= ends {
		return nil
	}
	if s.asked == nil {
		s.asked = make(chan struct{})
	}
	return s.asked
}

// Awaited reports whether somebody asks for the page now and then, and has not asked
// since the newest end of a run.
func (p *Page) Awaited() bool { return p.scrapes.next(p.ended()) != nil }

// Linger waits until the page has been asked for with the ends of its runs, so that
// who scrapes it now and then sees how they ended, but not over limit, nor after ctx.
// It does not wait at all if nobody has asked for the page so far.
func (p *Page) Linger(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		// A scrape that was under way at the end does not know of it.
		asked := p.scrapes.next(p.ended())
		if asked == nil {
			return
		}
		select {
		case <-asked:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// ended counts the ends of runs that the page knows.
func (p *Page) ended() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ends
}
