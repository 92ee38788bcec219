package main

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"cifartui/cifar"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/tensorboard"
)

// serve starts the readers that every run has. They subscribe here, before the
// first event.
func (l *leg) serve(r runner) error {
	sinks := []record.Sink{record.NewFolderSink(record.OpenCSV, tensorboard.Open)}
	if l.page != nil {
		sinks = append(sinks, l.page)
	}
	options := control.Options{Folder: r.Folder(), Name: r.Name(), Events: l.bus.SubscribeSteps(1), Control: r}
	if !l.plan.child {
		options.Detach = func(why string) error { return l.askDetach(why) }
	}
	server, err := control.Serve(options)
	if err != nil {
		return err
	}
	l.server = server
	if err := server.NoSocket(); err != nil {
		l.note("%v", err)
	}
	history := l.bus.Subscribe()
	l.read(func() {
		err := record.Drain(context.Background(), history, func(err error) {
			var fault *record.PanicError
			switch {
			case err == nil:
				l.note("the history files are written again")
				return
			case errors.As(err, &fault):
				err = faulty(r.Folder(), fault.Value, fault.Stack)
			}
			l.note("cannot write a history file: %v", err)
		}, sinks...)
		if err != nil {
			l.note("%v", err)
		}
	})
	events := l.bus.Subscribe()
	l.read(func() { l.watch(r, events) })
	return nil
}

// read runs a reader of the bus, whose end the leg waits for. A panic in it is
// told and ends the reader alone: training goes on.
func (l *leg) read(f func()) {
	l.readers.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				l.note("%v: training goes on", faulty(l.folder(), p, debug.Stack()))
			}
		}()
		f()
	})
}

// report writes the run's lines, those of past first.
func (l *leg) report(events event.Source, past []event.Event) {
	r := record.Report{Out: l.out, Err: l.errs, JSON: l.objects, Every: l.plan.LogEvery, Names: l.comparison()}
	l.read(func() {
		for _, e := range past {
			r.Write(e)
		}
		if err := r.Run(context.Background(), events); err != nil {
			l.note("%v", err)
		}
	})
}

// watch follows the run for the process: who waits for it in the background is
// told when it trains, and what is asked about it later is kept.
func (l *leg) watch(r runner, events event.Source) {
	defer close(l.told)
	waited, over := context.WithCancel(context.Background())
	defer over()
	if l.plan.child {
		go l.hold(waited)
	}
	ready := func() {
		if waited.Err() == nil {
			over()
			if err := l.ready.Ready(r.Folder()); err != nil {
				l.note("%v", err)
			}
		}
	}
	for {
		list, err := events.Next(context.Background(), 64)
		for _, e := range list {
			// The network is built by then. The first batch may come only after a
			// whole validation.
			if s, ok := e.(*event.StateChanged); ok && slices.Contains([]event.State{event.StateRunning, event.StatePaused, event.StateStopping}, s.State) {
				ready()
			}
			l.seen.take(e)
		}
		if err != nil {
			break
		}
	}
	switch l.seen.outcome() {
	case event.OutcomeFinished, event.OutcomeEarlyStopped, event.OutcomeStopped:
		ready() // there was nothing left to train
	}
}

// holdPause is well within the time that who waits for this process waits for a word.
const holdPause = 5 * time.Second

// hold tells who waits for this process, until ctx ends, that the run is being made
// ready: to measure a budget's batches or to find the matrix of --preprocess zca
// takes longer than they wait for a word.
func (l *leg) hold(ctx context.Context) {
	began, tick := time.Now(), time.NewTicker(holdPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.tell(cifar.Progress{Stage: "making the run ready", Note: time.Since(began).Round(time.Second).String()})
		}
	}
}

// seen is what the events of a leg have told the process so far.
type seen struct {
	mu    sync.Mutex
	began []event.Event            // the RunStarted of each run
	ended map[string]event.Outcome // of each run that has ended
	last  event.Outcome            // of the run that ended last
	// signalled is the signal that stopped a run before its end; "" if none did.
	signalled string
}

func (s *seen) take(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = map[string]event.Outcome{}
	}
	switch e := e.(type) {
	case *event.RunStarted:
		s.began = append(s.began, e)
	case *event.RunEnded:
		s.ended[e.Run], s.last = e.Outcome, e.Outcome
		s.signalled = cmp.Or(s.signalled, e.Signal)
	}
}

// started are the RunStarted of each run.
func (s *seen) started() []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]event.Event(nil), s.began...)
}

// endedBy are the runs that have ended with one of these outcomes.
func (s *seen) endedBy(outcomes ...event.Outcome) (runs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for run, outcome := range s.ended {
		if slices.Contains(outcomes, outcome) {
			runs = append(runs, run)
		}
	}
	return runs
}

// signal is the name of the signal that stopped a run before its end, if one did.
func (s *seen) signal() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signalled
}

// outcome is how the leg ended: with a run that waits to be gone on with in
// another process, or as the run that ended last; "" before the end.
func (s *seen) outcome() event.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, outcome := range s.ended {
		if outcome == event.OutcomeDetached {
			return outcome
		}
	}
	return s.last
}
