package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// A Sink writes a run's events in some format: a reader of events like any
// other, so that it never slows training. Write and Close are called by one
// goroutine. An error of Write is no end: the sink keeps what it could not
// write as well as it can and tries again with the next event.
type Sink interface {
	Write(Event) error
	Close() error
}

// Drain hands every event of src to the sinks until src or ctx ends, then
// closes the sinks. A sink's error goes to warn, once until that sink works
// again. The error returned is src's, joined with those of Close.
func Drain(ctx context.Context, src Source, warn func(error), sinks ...Sink) error {
	failing := make([]bool, len(sinks))
	var err error
	for err == nil {
		var events []Event
		events, err = src.Next(ctx, 256)
		for _, e := range events {
			for i, s := range sinks {
				werr := s.Write(e)
				if werr != nil && !failing[i] && warn != nil {
					warn(werr)
				}
				failing[i] = werr != nil
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

// A FolderSink makes a sink for each run it hears of, as one process may train
// several, and routes events to them by run. Open is called with the run's
// RunStarted, which the new sink is then not written; a run that starts again
// gets a new sink.
type FolderSink struct {
	Open func(*RunStarted) (Sink, error)
	runs map[string]Sink
}

// Write implements [Sink]. Events of a run whose sink could not be opened are
// dropped.
func (f *FolderSink) Write(e Event) error {
	run := e.Head().Run
	s := f.runs[run]
	started, ok := e.(*RunStarted)
	if !ok {
		if s == nil {
			return nil
		}
		return s.Write(e)
	}
	if s != nil {
		delete(f.runs, run)
		if err := s.Close(); err != nil {
			return err
		}
	}
	s, err := f.Open(started)
	if err != nil {
		return fmt.Errorf("run %s: %w", run, err)
	}
	if f.runs == nil {
		f.runs = make(map[string]Sink)
	}
	f.runs[run] = s
	return nil
}

// Close closes the sinks of all runs.
func (f *FolderSink) Close() error {
	var err error
	for _, s := range f.runs {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Kept reads the events of a run up to its restart in started and returns the
// steps and epochs that still count, with a total of batches above after. A log
// can hold batches that were trained twice, since each resume takes back what
// lies beyond it.
func Kept(past Source, started *RunStarted, after int64) ([]Event, error) {
	var kept []Event
	for {
		events, err := past.Next(context.Background(), 256)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading the events before the resume: %w", err)
		}
		for _, e := range events {
			if started.Seq != 0 && e.Head().Seq >= started.Seq {
				return dropBeyond(kept, started.ResumedTotal), nil
			}
			switch e := e.(type) {
			case *RunStarted:
				kept = dropBeyond(kept, e.ResumedTotal)
			case *StepDone, *EpochDone:
				if totalOf(e) > after {
					kept = append(kept, e)
				}
			}
		}
		if err != nil {
			return dropBeyond(kept, started.ResumedTotal), nil
		}
	}
}

// dropBeyond cuts steps and epochs beyond a total of batches off the end.
func dropBeyond(events []Event, total int64) []Event {
	for len(events) > 0 && totalOf(events[len(events)-1]) > total {
		events = events[:len(events)-1]
	}
	return events
}

// totalOf returns the count of batches at a step or at an epoch's end.
func totalOf(e Event) int64 {
	switch e := e.(type) {
	case *StepDone:
		return e.Total
	case *EpochDone:
		return e.Total
	}
	return 0
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
}

// NewAppender appends to f, whose length is size, and owns it from now on.
func NewAppender(f *os.File, size int64) *Appender { return &Appender{f: f, written: size} }

// Add queues b for the next Flush. While nothing can be written it drops what
// comes beyond 16 MB.
func (a *Appender) Add(b []byte) {
	if len(a.pending) < maxPending {
		a.pending = append(a.pending, b...)
	}
}

// Flush writes what is queued.
func (a *Appender) Flush() error {
	if len(a.pending) == 0 {
		return nil
	}
	if _, err := a.f.WriteAt(a.pending, a.written); err != nil {
		return err
	}
	a.written += int64(len(a.pending))
	a.pending = a.pending[:0]
	return nil
}

// Close flushes and closes the file.
func (a *Appender) Close() error { return errors.Join(a.Flush(), a.f.Close()) }
