package train

import (
	"context"
	"errors"
	"fmt"
	"io"
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
