package control

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// replyQueue is how many replies a client may leave unread.
	replyQueue = 64
	// requestPause is the shortest time between two requests of a client, so that
	// one that floods the server costs the run next to nothing.
	requestPause = 5 * time.Millisecond
	// streamPause is the shortest time between two writes of steps to a client:
	// no screen shows more. Other events are written at once.
	streamPause = 100 * time.Millisecond
	// chunk is how much is written to a client at once.
	chunk = 64 << 10
)

// link is one client's connection: a goroutine that reads requests, and one that
// writes replies and events. A client that closes its side, even half of it, has
// ended the connection.
type link struct {
	server *Server
	conn   *net.UnixConn
	out    chan []byte  // replies to be written; never closed
	start  chan Request // holds the one request for events; never closed
	// follows is set once events were asked for; used by the reading goroutine.
	follows bool
	parted  chan struct{} // closed by the reading goroutine: no more requests
	gone    chan struct{} // closed when the connection is to end at once
	once    sync.Once     // closes gone
	// written is closed when the writing goroutine has ended.
	written chan struct{}
}

func newLink(s *Server, c *net.UnixConn) *link {
	return &link{
		server: s, conn: c,
		out: make(chan []byte, replyQueue), start: make(chan Request, 1),
		parted: make(chan struct{}), gone: make(chan struct{}), written: make(chan struct{}),
	}
}

// cut ends the connection at once.
func (l *link) cut() {
	l.once.Do(func() { close(l.gone) })
	l.conn.Close()
}

// reply queues a reply. A client that reads none of them is cut off.
func (l *link) reply(r Reply) {
	line, err := encodeLine(r)
	if err != nil {
		l.cut()
		return
	}
	select {
	case l.out <- line:
	default:
		l.cut()
	}
}

func (l *link) replyError(id uint64, err error) {
	r := Reply{Reply: id, Code: CodeBad, Error: err.Error()}
	var known *ReplyError
	if errors.As(err, &known) {
		r.Code = known.Code
	}
	l.reply(r)
}

// refuse tells a client why it is not let in. Nothing has been written to the
// connection yet, so that this takes no time.
func (l *link) refuse(err error) {
	l.replyError(0, err)
	_ = l.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = l.conn.Write(<-l.out) // it may have left already
	l.cut()
}

// read takes requests until the client leaves or sends what is none.
func (l *link) read() {
	defer close(l.parted)
	buf, searched := make([]byte, 0, 4096), 0
	deadline := time.Now().Add(lineLimit) // of the request under way; zero: none is
	for {
		if i := bytes.IndexByte(buf[searched:], '\n'); i >= 0 {
			end := searched + i
			r, err := ParseRequest(bytes.TrimSuffix(buf[:end], []byte("\r")))
			buf, searched = buf[:copy(buf, buf[end+1:])], 0
			deadline = time.Time{}
			if len(buf) > 0 {
				deadline = time.Now().Add(lineLimit)
			}
			switch {
			case err == nil:
				l.server.handle(l, r)
			case errors.Is(err, errGarbage):
				l.replyError(0, err)
				return
			default:
				l.replyError(r.ID, err)
			}
			select {
			case <-l.gone:
				return
			case <-time.After(requestPause):
			}
			continue
		}
		searched = len(buf)
		if searched > MaxRequest {
			_, err := ParseRequest(buf)
			l.replyError(0, err)
			return
		}
		if err := l.conn.SetReadDeadline(deadline); err != nil {
			return
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := l.conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			l.replyError(0, errors.New("no whole request within "+lineLimit.String()))
		}
		if err != nil {
			return
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(lineLimit)
		}
	}
}

// follow starts the stream of events, once. It is called by the reading
// goroutine alone.
func (l *link) follow(r Request) {
	if l.follows {
		l.replyError(r.ID, errors.New("events: asked for already"))
		return
	}
	l.follows = true
	l.start <- r
}

// write writes what there is to be written, until the connection is to end.
func (l *link) write() {
	defer close(l.written)
	defer l.cut()
	var f *feed
	defer func() {
		if f != nil {
			f.close()
		}
	}()
	buf, err := encodeLine(Hello{Hello: Version, Run: l.server.options.Name, PID: os.Getpid()})
	if err != nil {
		return
	}
	parted, over := l.parted, l.server.over
	var rest <-chan time.Time // until then, steps gather
	var state feedState
	for {
		for more := true; more && len(buf) < chunk; {
			select {
			case line := <-l.out:
				buf = append(buf, line...)
			default:
				more = false
			}
		}
		if f != nil && parted != nil && rest == nil {
			buf, state = f.fill(buf, chunk)
			if state.urgent != nil && len(buf) > 0 && over != nil {
				rest = time.After(streamPause)
			}
		}
		if len(buf) > 0 {
			if l.conn.SetWriteDeadline(time.Now().Add(writeLimit)) != nil {
				return
			}
			if _, err := l.conn.Write(buf); err != nil {
				return
			}
			buf = buf[:0]
			if rest == nil {
				continue
			}
		}
		switch {
		case parted == nil, over == nil && f == nil, state.ended:
			return // all is said
		case f != nil && rest == nil && state.more == nil && state.poll == 0:
			continue
		}
		more, poll := state.more, rest
		if rest != nil {
			more = state.urgent
		} else if state.poll > 0 {
			poll = time.After(state.poll)
		}
		select {
		case line := <-l.out:
			buf = append(buf, line...)
		case r := <-l.start:
			f = newFeed(l.server.options.Folder, l.server.backlog, r.Since)
			l.reply(Reply{Reply: r.ID, OK: true})
		case <-more:
			rest = nil
		case <-poll:
			rest = nil
		case <-parted:
			parted = nil // what is queued by now is written, no more
		case <-over:
			over, rest = nil, nil
		case <-l.gone:
			return
		}
	}
}
