package control

import (
	"io"
	"maps"
	"time"
)

const (
	// feedPoll is how often a feed that waits for the file looks at it.
	feedPoll = 100 * time.Millisecond
	// feedPatience is how long it waits for lines that the backlog no longer has,
	// before it goes on without: the disk is full then, and a gap in the numbers
	// is better than a screen that stands still.
	feedPatience = 10 * time.Second
)

// feed tells one client the events after those it knows: from the files as far
// as they go, then from the backlog. It holds no events itself, so that a slow
// client costs no memory. It is used by the client's writing goroutine alone.
type feed struct {
	folder  string
	backlog *backlog
	// since is the last number told of each run.
	since map[string]uint64
	// past is set while the client is told lines from logs; otherwise place is
	// where it stands in the backlog.
	past  bool
	logs  []*tail
	place uint64
	// told is set once the client has heard that the past is told.
	told bool
	// progress is when the files last gave a line.
	progress time.Time
}

// feedState says what to do once everything at hand is written.
type feedState struct {
	// more is closed when it is worth asking again, urgent when more than a step
	// has come. Without them it is after poll, or at once.
	more, urgent <-chan struct{}
	poll         time.Duration
	ended        bool // all is told
}

func newFeed(folder string, b *backlog, since map[string]uint64) *feed {
	f := &feed{folder: folder, backlog: b, since: maps.Clone(since), past: true, progress: time.Now()}
	if f.since == nil {
		f.since = make(map[string]uint64)
	}
	return f
}

func (f *feed) close() {
	for _, l := range f.logs {
		l.close()
	}
	f.logs = nil
}

// fill appends lines to buf until it holds limit bytes or more, or there are no
// more at present.
func (f *feed) fill(buf []byte, limit int) ([]byte, feedState) {
	if f.past {
		place, ok := f.backlog.join(f.since)
		if !ok {
			if buf = f.history(buf, limit); len(buf) >= limit {
				return buf, feedState{}
			}
			if place, ok = f.backlog.join(f.since); !ok && time.Since(f.progress) < feedPatience {
				return buf, feedState{poll: feedPoll}
			}
		}
		f.close()
		f.past, f.place = false, place
		if !f.told {
			f.told = true
			buf = append(buf, liveLine...)
		}
	}
	buf, place, behind := f.backlog.read(buf, f.place, f.since, limit)
	if behind {
		f.past, f.progress = true, time.Now()
		return buf, feedState{}
	}
	f.place = place
	var state feedState
	state.more, state.urgent, state.ended = f.backlog.news(place)
	return buf, state
}

// history appends lines from the files.
func (f *feed) history(buf []byte, limit int) []byte {
	f.logs = allTails(f.folder, f.logs)
	for _, l := range f.logs {
		for len(buf) < limit {
			line, err := l.next()
			if err == io.EOF && l.anew() {
				continue
			}
			if err != nil {
				break // no whole line now; an unreadable file is one that says no more
			}
			h, ok := parseHead(line)
			if !ok {
				continue
			}
			if !l.begun {
				l.begun = true
				if since := f.since[l.run]; h.Seq < since && l.seek(since) == nil {
					continue
				}
			}
			if h.Seq > f.since[l.run] {
				buf = append(append(buf, l.placed(line)...), '\n')
				f.since[l.run] = h.Seq
				f.progress = time.Now()
			}
		}
	}
	return buf
}
