package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cifartui/train/event"
)

// MaxClients is how many clients a server serves at once; one more is told so
// and cut off.
const MaxClients = 32

// The server's patience.
const (
	// writeLimit is how long a client may read nothing before it is cut off.
	writeLimit = 15 * time.Second
	// lineLimit is how long a client may take from the first byte of a request to
	// its end, and from connecting to its first request.
	lineLimit = 10 * time.Second
	// farewell is how long Close lets clients take in the last events.
	farewell = 2 * time.Second
)

// Options says what a server serves.
type Options struct {
	// Folder is the run folder, or the comparison's folder. The caller holds its
	// lock when it calls Serve.
	Folder string
	// Name is what clients are told they reached: the run's name.
	Name string
	// Events is a subscription made before the first event was published, with
	// every step by itself (Bus.SubscribeSteps(1)). The server is its only reader;
	// when it ends, so does the run for the clients.
	Events event.Source
	// Control takes the commands.
	Control event.Controller
	// Detach begins to hand the run over to a process in the background and does
	// not wait for it; nil where the run is in the background already.
	Detach func(why string) error
}

// Server lets other processes watch and steer the runs of this one.
type Server struct {
	options Options
	path    string      // of the socket
	made    fs.FileInfo // the socket, as it was made
	// noSocket says why there is no socket; commands come as files then.
	noSocket error
	listener *net.UnixListener
	backlog  *backlog

	mu       sync.Mutex // guards what follows
	overview *overview
	waiters  []*waiter
	links    map[*link]struct{}
	closing  bool
	ended    bool // no more events come

	stop   context.CancelFunc // ends the pump and the poller
	pumped chan struct{}      // closed when the pump has ended
	over   chan struct{}      // closed when the server says its last words
	work   sync.WaitGroup     // everything else
}

// Serve opens a run folder to other processes. Where no socket can be made the
// server still takes commands left as files, and NoSocket says why.
func Serve(o Options) (*Server, error) {
	if o.Folder == "" || o.Events == nil || o.Control == nil {
		return nil, errors.New("control: a server needs a folder, events and a controller")
	}
	s := &Server{
		options: o, backlog: newBacklog(), overview: newOverview(),
		links: make(map[*link]struct{}), pumped: make(chan struct{}), over: make(chan struct{}),
	}
	for _, path := range eventLogs(o.Folder) {
		// A resumed run's past counts in its status. A log that can't be read
		// costs the status that past and nothing else.
		_ = s.overview.read(path)
	}
	for run, seq := range s.overview.seqs() {
		s.backlog.know(run, seq)
	}
	in := openInbox(o.Folder)
	l, path, err := listen(o.Folder)
	if err != nil {
		s.noSocket = fmt.Errorf("no control socket: %w: other terminals can only read along, and commands are left as files", err)
	}
	s.listener, s.path = l, path
	if l != nil {
		s.made, _ = os.Lstat(path) // closeSocket does without
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.pump(ctx)
	s.work.Go(func() { s.poll(ctx, in) })
	if l != nil {
		s.work.Go(s.accept)
	}
	return s, nil
}

// NoSocket says why no socket could be made; nil if there is one.
func (s *Server) NoSocket() error { return s.noSocket }

// Close waits a moment for clients to take in the last events, cuts off those
// that don't, and removes the socket. The events' source must have ended, or
// what it still holds is not sent.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil
	}
	s.closing = true
	s.mu.Unlock()
	var err error
	if s.listener != nil {
		s.listener.Close()
		err = closeSocket(s.options.Folder, s.path, s.made)
	} else {
		os.Remove(filepath.Join(s.options.Folder, pointerName))
	}
	late, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	select {
	case <-s.pumped: // the usual case: the source ended with the run
	case <-late.Done():
	}
	s.stop()
	<-s.pumped
	close(s.over)
	s.mu.Lock()
	links := make([]*link, 0, len(s.links))
	for l := range s.links {
		links = append(links, l)
	}
	s.mu.Unlock()
	for _, l := range links {
		select {
		case <-l.written:
		case <-late.Done(): // for all of them together
		}
		l.cut()
	}
	s.work.Wait()
	return err
}

// pump takes the events as they come, for everyone.
func (s *Server) pump(ctx context.Context) {
	defer close(s.pumped)
	defer s.end()
	for {
		events, err := s.options.Events.Next(ctx, 256)
		for _, e := range events {
			s.take(e)
		}
		if err != nil {
			return
		}
	}
}

func (s *Server) take(e event.Event) {
	data, err := encodeLine(e)
	if err != nil {
		return // an event of the closed set always has a JSON form
	}
	h := e.Head()
	before := h.Seq - 1
	step, isStep := e.(*event.StepDone)
	if isStep {
		before = h.Seq - min(h.Seq, uint64(max(1, step.Count)))
	}
	s.mu.Lock()
	s.overview.apply(e)
	s.backlog.add(backlogLine{run: h.Run, seq: h.Seq, data: data}, before, !isStep)
	s.waiters = keep(s.waiters, func(w *waiter) bool { return !w.see(e) })
	s.mu.Unlock()
}

// end tells everyone that no more events come.
func (s *Server) end() {
	s.mu.Lock()
	s.ended = true
	for _, w := range s.waiters {
		w.over(&ReplyError{CodeEnded, "the run ended before the command took effect"})
	}
	s.waiters = nil
	s.mu.Unlock()
	s.backlog.end()
}

// keep removes from a slice, in place, what is not to be kept.
func keep[T any](all []T, ok func(T) bool) []T {
	kept := all[:0]
	for _, v := range all {
		if ok(v) {
			kept = append(kept, v)
		}
	}
	clear(all[len(kept):])
	return kept
}

// accept lets clients in.
func (s *Server) accept() {
	for {
		c, err := s.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors, most likely: give others time to end.
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.admit(c)
	}
}

func (s *Server) admit(c *net.UnixConn) {
	if err := peerIsSelf(c); err != nil {
		c.Close()
		return
	}
	l := newLink(s, c)
	s.mu.Lock()
	switch {
	case s.closing:
		s.mu.Unlock()
		c.Close()
		return
	case len(s.links) >= MaxClients:
		s.mu.Unlock()
		l.refuse(&ReplyError{CodeFull, fmt.Sprintf("%d clients are connected already", MaxClients)})
		return
	}
	s.links[l] = struct{}{}
	// Under the lock, so that Close cannot be waiting already.
	s.work.Go(func() {
		l.write()
		s.mu.Lock()
		delete(s.links, l)
		s.waiters = keep(s.waiters, func(w *waiter) bool { return w.owner != any(l) })
		s.mu.Unlock()
	})
	s.work.Go(l.read)
	s.mu.Unlock()
}

// handle answers one request, or sees to it that it will be answered.
func (s *Server) handle(l *link, r Request) {
	switch r.Cmd {
	case VerbStatus:
		l.reply(s.status(r))
	case VerbEvents:
		l.follow(r)
	default:
		s.command(l, r)
	}
}

func (s *Server) status(r Request) Reply {
	s.mu.Lock()
	all := s.overview.snapshot(func(string) bool { return !s.ended })
	s.mu.Unlock()
	if r.Run != "" {
		var err error
		if all, err = statusOf(all, r.Run); err != nil {
			return Reply{Reply: r.ID, Code: CodeRefused, Error: err.Error()}
		}
	}
	return Reply{Reply: r.ID, OK: true, Status: all}
}

// statusOf picks one run's status.
func statusOf(all []Status, run string) ([]Status, error) {
	for _, st := range all {
		if st.Run == run {
			return []Status{st}, nil
		}
	}
	return nil, &ReplyError{CodeRefused, fmt.Sprintf("no run %.60q here", run)}
}

// command passes a command on. With r.Wait the answer comes when the events
// show its effect, else when the trainer has taken it.
func (s *Server) command(l *link, r Request) {
	answer := func(err error) {
		if err != nil {
			l.replyError(r.ID, err)
			return
		}
		l.reply(Reply{Reply: r.ID, OK: true})
	}
	if !r.Wait {
		answer(s.perform(r))
		return
	}
	w := &waiter{request: r, tell: answer, owner: l}
	s.mu.Lock()
	there, err := s.await(w)
	s.mu.Unlock()
	if err != nil {
		answer(err)
		return
	}
	err = s.perform(r)
	if err == nil && !there { // the events will tell
		s.mu.Lock()
		w.sent = time.Now()
		s.mu.Unlock()
		return
	}
	s.mu.Lock()
	s.waiters = keep(s.waiters, func(v *waiter) bool { return v != w })
	w.over(err)
	s.mu.Unlock()
}

// await puts a waiter where it sees the events to come, and reports whether the
// effect is there already. It is called with the lock held, before the command
// is passed on.
func (s *Server) await(w *waiter) (there bool, err error) {
	const most = 256
	switch {
	case s.ended:
		return false, &ReplyError{CodeEnded, "the run has ended"}
	case len(s.waiters) >= most:
		return false, &ReplyError{CodeFull, fmt.Sprintf("%d commands are waiting for their effect already", most)}
	}
	s.waiters = append(s.waiters, w)
	return w.prepare(s.overview), nil
}

func (s *Server) perform(r Request) error {
	if r.Cmd == VerbDetach {
		if s.options.Detach == nil {
			return &ReplyError{CodeRefused, "the run is in the background already"}
		}
		why := r.Why
		if why == "" {
			why = "ctl"
		}
		return refused(s.options.Detach(why))
	}
	return refused(s.options.Control.Send(r.Command()))
}

func refused(err error) error {
	if err == nil {
		return nil
	}
	return &ReplyError{CodeRefused, err.Error()}
}
