package control

import "sync"

// The bounds of the backlog. At 50 steps a second it reaches back over a
// minute; the log file is never more than a few seconds behind.
const (
	backlogEvents = 4096
	backlogBytes  = 8 << 20
)

// backlog keeps the latest events as the lines that clients are sent. One
// goroutine adds, any number read at their own pace; a reader that falls behind
// the oldest event learns so and goes back to the file.
type backlog struct {
	mu    sync.Mutex
	lines []backlogLine // a ring: event number i is in lines[i%backlogEvents]
	// first and next count events from the server's start: first is the oldest
	// one kept, next the one to come.
	first, next uint64
	bytes       int
	// floor holds, for each run, the last sequence number before the oldest
	// event kept: all later ones are here.
	floor map[string]uint64
	// more is closed when an event comes or the end, urgent when that is not a
	// mere step; each waiter then asks for the new one.
	more, urgent chan struct{}
	ended        bool
}

type backlogLine struct {
	run  string
	seq  uint64
	data []byte // with its newline
}

func newBacklog() *backlog {
	return &backlog{
		lines: make([]backlogLine, backlogEvents),
		floor: make(map[string]uint64),
		more:  make(chan struct{}), urgent: make(chan struct{}),
	}
}

// add takes in an event's line; before is the number up to which the run's
// events came before it, used for the first event of a run. An urgent one is
// not to wait for others to be sent with.
func (b *backlog) add(l backlogLine, before uint64, urgent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.floor[l.run]; !ok {
		b.floor[l.run] = before
	}
	for b.next > b.first && (b.next-b.first >= backlogEvents || b.bytes+len(l.data) > backlogBytes) {
		old := &b.lines[b.first%backlogEvents]
		b.floor[old.run] = old.seq
		b.bytes -= len(old.data)
		*old = backlogLine{}
		b.first++
	}
	b.lines[b.next%backlogEvents] = l
	b.next++
	b.bytes += len(l.data)
	b.wake(urgent)
}

// end says that no more events will come.
func (b *backlog) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.ended = true
		b.wake(true)
	}
}

func (b *backlog) wake(urgent bool) {
	close(b.more)
	b.more = make(chan struct{})
	if urgent {
		close(b.urgent)
		b.urgent = make(chan struct{})
	}
}

// know says that the events of a run up to seq came before the server's start.
func (b *backlog) know(run string, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.floor[run] = seq
}

// join returns the place from which a reader that knows every run's events up
// to since can go on without the files. ok is false where an event after since
// is no longer here.
func (b *backlog) join(since map[string]uint64) (place uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ok = true
	for run, floor := range b.floor {
		ok = ok && since[run] >= floor
	}
	return b.first, ok
}

// read appends to buf the lines from place on that are numbered above since,
// and notes them there, until buf holds limit bytes or more. It returns the
// place to go on from, or that it is no longer held.
func (b *backlog) read(buf []byte, place uint64, since map[string]uint64, limit int) (out []byte, next uint64, behind bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if place < b.first {
		return buf, place, true
	}
	for ; place < b.next && len(buf) < limit; place++ {
		l := &b.lines[place%backlogEvents]
		if l.seq > since[l.run] {
			buf = append(buf, l.data...)
			since[l.run] = l.seq
		}
	}
	return buf, place, false
}

// news tells a reader that stands at place what to wait for: nothing if there is
// more already, or if it has ended.
func (b *backlog) news(place uint64) (more, urgent <-chan struct{}, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case place < b.next:
		return nil, nil, false
	case b.ended:
		return nil, nil, true
	}
	return b.more, b.urgent, false
}
