package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// The client's patience.
const (
	// startLimit is how long Dial waits for the socket of a process that has the
	// folder's lock: it may just have taken it.
	startLimit = 1500 * time.Millisecond
	// handOverLimit is how long a client waits for the next process of a run that
	// was handed over, and for the end of one that has closed its socket.
	handOverLimit = 15 * time.Second
	// tryPause is the time between two tries of either.
	tryPause = 30 * time.Millisecond
)

// ErrReadOnly is in the error of a command to a run that can be watched and not
// steered; see [Client.ReadOnly].
var ErrReadOnly = errors.New("this run can only be watched from here; commands go by \"cifartui ctl\"")

// NotLiveError says that no process trains in a run folder.
type NotLiveError struct{ Folder string }

func (e *NotLiveError) Error() string {
	return fmt.Sprintf("run %s is not live: look at it with \"cifartui open %[1]s\", or go on with \"cifartui --resume %[1]s\"", rundir.Argument(e.Folder))
}

// GoneError says that the process of a run ended without a word, as one that was
// killed does. All that it left behind has been told.
type GoneError struct{ Folder string }

func (e *GoneError) Error() string {
	return fmt.Sprintf("the process that trained run %s is gone (killed?): go on with \"cifartui --resume %[1]s\"", rundir.Argument(e.Folder))
}

// Client watches and steers a run that another process trains. It is a
// [event.Source] for one goroutine; its other methods are for any.
type Client struct {
	folder string
	// files says why there is no socket; nil if there is one.
	files error

	ctx    context.Context // ended by Close
	cancel context.CancelFunc
	mu     sync.Mutex // held while in Next
	reader reader
}

// Dial reaches the run of a run folder. It fails with a *NotLiveError when no
// process trains there, and with a *ReplyError when the process lets nobody else
// in. When it cannot be reached the client is read-only: see ReadOnly.
func Dial(ctx context.Context, folder string) (*Client, error) {
	c := &Client{folder: folder}
	pid := 0
	nc, err := reach(ctx, folder)
	var out *outOfReach
	switch {
	case errors.As(err, &out):
		c.files, pid = out.why, out.pid
	case err != nil:
		return nil, err
	default:
		pid = nc.hello.PID
		nc.Close()
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.reader = newReader(folder, pid, c.files != nil)
	return c, nil
}

// outOfReach says that a process trains in a run folder, but has no socket that
// can be reached from here.
type outOfReach struct {
	pid int
	why error
}

func (e *outOfReach) Error() string { return "reach the run: " + e.why.Error() }
func (e *outOfReach) Unwrap() error { return e.why }

// reach connects to the process that trains in a run folder. It has patience
// with one that has only just started, and with one that is to take over from
// another.
func reach(ctx context.Context, folder string) (*conn, error) {
	for start := time.Now(); ; {
		nc, err := connect(ctx, folder)
		var refused *ReplyError
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil {
			return nc, err
		}
		switch pid, live := process(folder); {
		case live && (socketless(folder) || time.Since(start) > startLimit):
			return nil, &outOfReach{pid, err}
		case live:
		case time.Since(start) > handOverLimit || !handingOver(folder):
			return nil, &NotLiveError{folder}
		}
		if err := sleep(ctx, tryPause); err != nil {
			return nil, err
		}
	}
}

// handingOver reports whether the last that a run folder tells is that it is gone
// on with, told not long ago.
func handingOver(folder string) bool {
	for _, t := range allTails(folder, nil) {
		defer t.close()
		e, ok := t.last().(*event.RunEnded)
		if ok && e.GoneOnWith() && time.Since(e.Time) < handOverLimit {
			return true
		}
	}
	return false
}

// Close lets go of the run, which goes on. A Next under way returns.
func (c *Client) Close() error {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reader.close()
	return nil
}

// ReadOnly says in words why the run can be watched and not steered from here;
// "" when it can be steered. Events then come from events.jsonl, a step about
// every second, and commands can be given by Do, which leaves them as files.
func (c *Client) ReadOnly() string {
	if c.files == nil {
		return ""
	}
	return fmt.Sprintf("read-only: the run's process cannot be reached from here (%v)", c.files)
}

// Next implements [event.Source]: the run's events from its beginning, first the
// past and then as they come, each once. It goes on when the run is handed over
// to another process. It returns io.EOF after the end of the run, and a
// *GoneError when the process ended without one; after Close [context.Canceled].
func (c *Client) Next(ctx context.Context, max int) ([]event.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	return c.reader.next(ctx, max)
}

// Send implements [event.Controller]. It returns when the trainer has taken the
// command, which takes well under a millisecond, or after five seconds if the
// process does not answer: it is not to be called where a screen is drawn.
func (c *Client) Send(cmd event.Command) error {
	if c.files != nil {
		return ErrReadOnly
	}
	r, err := RequestFor(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.ctx, answerLimit)
	defer cancel()
	_, err = c.Do(ctx, r)
	return err
}

// Do sends any request but "events" and waits for its reply: with r.Wait until
// the command has taken effect, or ctx ends. r.ID does not matter. Where there
// is no socket, a command is left as a file and the status read from the run
// folder.
func (c *Client) Do(ctx context.Context, r Request) (Reply, error) {
	r.ID = 1
	if err := r.Validate(); err != nil {
		return Reply{}, err
	}
	if r.Cmd == VerbEvents {
		return Reply{}, errors.New("events are read by Next")
	}
	if c.files != nil {
		return c.doByFile(ctx, r)
	}
	nc, err := reach(ctx, c.folder)
	if err != nil {
		return Reply{}, err
	}
	defer nc.Close()
	if !r.Wait {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, answerLimit, fmt.Errorf("the run has not answered within %v", answerLimit))
		defer cancel()
	}
	if err := nc.send(r); err != nil {
		return Reply{}, fmt.Errorf("ask the run: %w", err)
	}
	reply, err := nc.reply(ctx, r.ID)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return reply, err
}

func (c *Client) doByFile(ctx context.Context, r Request) (Reply, error) {
	if r.Cmd == VerbStatus {
		return c.statusByFile(r)
	}
	if err := commandByFile(ctx, c.folder, r); err != nil {
		return Reply{}, err
	}
	return Reply{Reply: r.ID, OK: true}, nil
}

func (c *Client) statusByFile(r Request) (Reply, error) {
	all, err := ReadStatus(c.folder)
	if err == nil && r.Run != "" {
		all, err = statusOf(all, r.Run)
	}
	return Reply{Reply: r.ID, OK: err == nil, Status: all}, err
}

// Wait reads events until the run ends, and returns how each run of the process
// ended, by the runs' names. Its error is that of Next, io.EOF left out.
func Wait(ctx context.Context, source event.Source) (map[string]*event.RunEnded, error) {
	ended := make(map[string]*event.RunEnded)
	for {
		events, err := source.Next(ctx, 1024)
		for _, e := range events {
			switch e := e.(type) {
			case *event.RunStarted:
				delete(ended, e.Run)
			case *event.RunEnded:
				ended[e.Run] = e
			}
		}
		if errors.Is(err, io.EOF) {
			return ended, nil
		}
		if err != nil {
			return ended, err
		}
	}
}

// WaitRun is Wait for one run of several, which may end long before the others.
// What the source tells may be of the past: now says how the run stands.
func WaitRun(ctx context.Context, source event.Source, run string, now func(ctx context.Context) (Status, error)) (*event.RunEnded, error) {
	var ended *event.RunEnded
	for {
		events, err := source.Next(ctx, 1024)
		for _, e := range events {
			if e.Head().Run != run {
				continue
			}
			switch e := e.(type) {
			case *event.RunStarted:
				ended = nil
			case *event.RunEnded:
				ended = e
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return ended, nil
		case err != nil:
			return ended, err
		case ended == nil || ended.GoneOnWith():
			continue
		}
		// Of a process that is gone the source tells.
		if s, err := now(ctx); err == nil && s.Outcome == ended.Outcome {
			return ended, nil
		}
	}
}

// sleep waits for a time, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
