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
	streamPause = 250 * time.Millisecond
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
	hello, err := encodeLine(Hello{Hello: Version, Run: l.server.options.Name, PID: os.Getpid()})
	if err != nil {
		return
	}
	o := outbox{link: l, buf: hello, parted: l.parted, over: l.server.over}
	defer o.close()
	for {
		o.gather()
		sent, err := o.send()
		if err != nil || o.allSaid() {
			return
		}
		if sent && o.rest == nil || o.behind() {
			continue
		}
		if !o.wait() {
			return
		}
	}
}

// An outbox is what the writing goroutine has to write.
type outbox struct {
	link *link
	buf  []byte // to be written next
	feed *feed  // of events; nil before they are asked for
	// parted is closed when the other end sends no more, over when the run is;
	// nil after that was seen.
	parted, over <-chan struct{}
	rest         <-chan time.Time // until then, steps gather; nil: they don't
	state        feedState
}

func (o *outbox) close() {
	if o.feed != nil {
		o.feed.close()
	}
}

// gather puts answers and events into the buffer, up to a chunk.
func (o *outbox) gather() {
	for more := true; more && len(o.buf) < chunk; {
		select {
		case line := <-o.link.out:
			o.buf = append(o.buf, line...)
		default:
			more = false
		}
	}
	if o.feed != nil && o.parted != nil && o.rest == nil {
		o.buf, o.state = o.feed.fill(o.buf, chunk)
		if o.state.urgent != nil && len(o.buf) > 0 && o.over != nil {
			o.rest = time.After(streamPause)
		}
	}
}

// send writes the buffer, and reports whether there was anything in it.
func (o *outbox) send() (sent bool, err error) {
	if len(o.buf) == 0 {
		return false, nil
	}
	if err := o.link.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return false, err
	}
	if _, err := o.link.conn.Write(o.buf); err != nil {
		return false, err
	}
	o.buf = o.buf[:0]
	return true, nil
}

// allSaid reports whether nothing will ever be written any more.
func (o *outbox) allSaid() bool {
	return o.parted == nil || o.over == nil && o.feed == nil || o.state.ended
}

// behind reports whether the feed has more at once.
func (o *outbox) behind() bool {
	return o.feed != nil && o.rest == nil && o.state.more == nil && o.state.poll == 0
}

// wait waits for something to write. It reports false when the connection is
// gone.
func (o *outbox) wait() bool {
	more, poll := o.state.more, o.rest
	if o.rest != nil {
		more = o.state.urgent
	} else if o.state.poll > 0 {
		poll = time.After(o.state.poll)
	}
	select {
	case line := <-o.link.out:
		o.buf = append(o.buf, line...)
	case r := <-o.link.start:
		o.feed = newFeed(o.link.server.options.Folder, o.link.server.backlog, r.Since)
		o.link.reply(Reply{Reply: r.ID, OK: true})
	case <-more:
		o.rest = nil
	case <-poll:
		o.rest = nil
	case <-o.parted:
		o.parted = nil // what is queued by now is written, no more
	case <-o.over:
		o.over, o.rest = nil, nil
	case <-o.link.gone:
		return false
	}
	return true
}
