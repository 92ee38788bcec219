package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"

	"cifartui/train/event"
)

// A Sink writes a run's events in some format: a reader of events like any
// other, so that it never slows training. Write and Close are called by one
// goroutine. An error of Write is no end: the sink keeps what it could not
// write as well as it can, tries again with the next event whatever that is, and
// gives an error until all is written.
type Sink interface {
	Write(event.Event) error
	Close() error
}

// ErrLeftOut is in the error of what is not written again before the run is
// started anew.
var ErrLeftOut = errors.New("it is left out until the run is resumed")

// ErrDropped is in the error of points that a file lacks which is written again.
// It is given once.
var ErrDropped = errors.New("there was no room for them while nothing could be written")

// Drain hands every event of src to the sinks until src or ctx ends, then
// closes the sinks. A sink's error goes to tell, once until that sink works
// again, which is told as nil unless the error was of what is left out from then
// on; what was dropped meanwhile is told before. The error returned is src's,
// joined with those of Close.
func Drain(ctx context.Context, src event.Source, tell func(error), sinks ...Sink) error {
	failing := make([]error, len(sinks))
	sinks = slices.Clone(sinks)
	for i, s := range sinks {
		sinks[i] = &guarded{sink: s}
	}
	var err error
	for err == nil {
		var events []event.Event
		events, err = src.Next(ctx, 256)
		for _, e := range events {
			for i, s := range sinks {
				werr := s.Write(e)
				switch before := failing[i]; {
				case tell == nil:
				case werr != nil && (before == nil || errors.Is(werr, ErrDropped)):
					tell(werr)
				case werr == nil && before != nil && !errors.Is(before, ErrLeftOut):
					tell(nil)
				}
				failing[i] = werr
			}
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	for _, s := range sinks {
		err = errors.Join(err, s.Close())
	}
	return err
}

// OpenSink makes the sink of one run for what follows its start or resume. The
// sink is not written the RunStarted itself. What the folder holds of the run
// beyond started.ResumedTotal no longer counts.
type OpenSink func(started *event.RunStarted) (Sink, error)

// A FolderSink makes sinks for each run that it hears of, as one process may
// train several, and routes the events of a run to its own. A run that starts
// again gets new ones.
type FolderSink struct {
	open []OpenSink
	runs map[string][]Sink
}

// NewFolderSink makes a sink that opens one of each kind for each run.
func NewFolderSink(open ...OpenSink) *FolderSink {
	return &FolderSink{open: open, runs: make(map[string][]Sink)}
}

// Write implements [Sink]. A kind of sink that could not be opened for a run
// is left out.
func (f *FolderSink) Write(e event.Event) error {
	run := e.Head().Run
	var err error
	started, ok := e.(*event.RunStarted)
	if !ok {
		for _, s := range f.runs[run] {
			err = errors.Join(err, s.Write(e))
		}
		return err
	}
	for _, s := range f.runs[run] {
		err = errors.Join(err, s.Close())
	}
	delete(f.runs, run)
	for _, open := range f.open {
		s, oerr := openGuarded(open, started)
		if oerr != nil {
			err = errors.Join(err, fmt.Errorf("run %s: %w: %w", run, oerr, ErrLeftOut))
			continue
		}
		f.runs[run] = append(f.runs[run], s)
	}
	return err
}

// PanicError is a panic in a sink. It ends that sink, not the run.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error. It is one line, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("a fault in the program: %v", e.Value) }

// Unwrap gives [ErrLeftOut].
func (e *PanicError) Unwrap() error { return ErrLeftOut }

// guarded is a sink whose panic is an error of the call that it happened in;
// from then on nothing is given to it.
type guarded struct {
	sink   Sink
	broken bool
}

func openGuarded(open OpenSink, started *event.RunStarted) (s Sink, err error) {
	g := &guarded{}
	defer g.recovered(&err)
	if s, err = open(started); err != nil {
		return nil, err
	}
	g.sink = s
	return g, nil
}

// Write implements [Sink].
func (g *guarded) Write(e event.Event) (err error) {
	if g.broken {
		return nil
	}
	defer g.recovered(&err)
	return g.sink.Write(e)
}

// Close implements [Sink].
func (g *guarded) Close() (err error) {
	if g.broken {
		return nil
	}
	defer g.recovered(&err)
	return g.sink.Close()
}

// recovered turns a panic into an error; it is to be deferred.
func (g *guarded) recovered(err *error) {
	if p := recover(); p != nil {
		g.broken = true
		*err = &PanicError{p, debug.Stack()}
	}
}

// Close closes the sinks of all runs.
func (f *FolderSink) Close() error {
	var err error
	for _, sinks := range f.runs {
		for _, s := range sinks {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// past calls do with every event in a run's record before its resume in
// started, oldest first.
func past(started *event.RunStarted, do func(event.Event)) error {
	r, err := Open(started.Folder)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		events, err := r.Next(context.Background(), 1024)
		for _, e := range events {
			if e.Head().Seq >= started.Seq {
				return nil
			}
			do(e)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// Kept returns the steps and epochs before a resume that still count, with a
// total of batches above after. A record can hold batches that were trained
// twice, since each resume takes back what lies beyond it.
func Kept(started *event.RunStarted, after int64) ([]event.Event, error) {
	var kept []event.Event
	drop := func(resume *event.RunStarted) {
		kept = slices.DeleteFunc(kept, func(e event.Event) bool { return takenBack(e, resume) })
	}
	err := past(started, func(e event.Event) {
		switch e := e.(type) {
		case *event.RunStarted:
			drop(e)
		case *event.StepDone:
			if e.Total > after {
				kept = append(kept, e)
			}
		case *event.EpochDone:
			if e.Total > after {
				kept = append(kept, e)
			}
		}
	})
	drop(started)
	return kept, err
}

// maxPending bounds what an Appender keeps while it can't write, in bytes.
const maxPending = 16 << 20

// An Appender appends to a file. What a failed write tore, on a full disk say,
// the next one writes again in the same place, so that the file never holds
// more than a torn end.
type Appender struct {
	f       *os.File
	written int64  // length up to the last whole write
	pending []byte // what comes after it
	dropped int    // calls of Add since the last whole write
}

// NewAppender appends to f, whose length is size, and owns it from now on.
func NewAppender(f *os.File, size int64) *Appender { return &Appender{f: f, written: size} }

// Add queues b for the next Flush. While nothing can be written it drops what
// comes beyond 16 MB.
func (a *Appender) Add(b []byte) {
	if len(a.pending) >= maxPending {
		a.dropped++
		return
	}
	a.pending = append(a.pending, b...)
}

// Flush writes what is queued. Of what Add has dropped it tells, as [ErrDropped],
// when the rest is written.
func (a *Appender) Flush() error {
	if len(a.pending) == 0 {
		return nil
	}
	if _, err := a.f.WriteAt(a.pending, a.written); err != nil {
		return err
	}
	a.written += int64(len(a.pending))
	a.pending = a.pending[:0]
	if n := a.dropped; n > 0 {
		a.dropped = 0
		return fmt.Errorf("%d points are missing: %w", n, ErrDropped)
	}
	return nil
}

// Close flushes and closes the file.
func (a *Appender) Close() error { return errors.Join(a.Flush(), a.f.Close()) }
