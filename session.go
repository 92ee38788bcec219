package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/record"
)

// session is what one process does about training. It trains in legs: one from
// the start to the end as a rule; another one when the person goes on from a
// checkpoint, or when a hand-over to the background fails. A leg is made from a
// plan, which never changes, and its end gives the next plan, or none.
//
//	plan.go       what a leg is to do
//	leg.go        one leg, and the commands for it
//	start.go      data, network and run folder made ready; training
//	readers.go    what reads the leg's events
//	screen.go     the leg with a screen
//	handover.go   moving the run to a process in the background
//	end.go        the end of a leg
type session struct {
	out  *holdWriter
	errs *holdWriter
	// objects is set where all that is told is a JSON object.
	objects bool
	ready   control.Readiness // who waits for a process in the background

	signals  *signals
	backends []nn.Backend // of several, a single run takes the first
	made     string       // what they were made for

	dataset *cifar.Dataset // the last one read
	data    string         // what the settings called it, with the size
}

func newSession(out, errs io.Writer, objects bool) *session {
	return &session{out: &holdWriter{w: out}, errs: &holdWriter{w: errs}, objects: objects, ready: control.Inherited()}
}

// run trains, leg after leg.
func (s *session) run(ctx context.Context, first plan) error {
	s.signals = catchSignals()
	defer s.signals.close()
	defer func() {
		s.closeBackends()
	}()
	for next := &first; next != nil; {
		var err error
		if next, err = s.leg(ctx, *next); err != nil {
			return exitOf(err)
		}
	}
	return nil
}

func (s *session) closeBackends() {
	for _, b := range s.backends {
		b.Close()
	}
	s.backends = nil
}

// calledOff is the error of a leg that has not begun to train: that of a signal
// that has ended it, else err.
func (s *session) calledOff(err error) error {
	if name := s.signals.name(); name != "" && (err == nil || errors.Is(err, context.Canceled)) {
		return &exitError{exitStopped, fmt.Errorf("%s: ended before training began", name)}
	}
	return err
}

// leg trains once, with a screen or without. It returns the plan of the next
// leg, nil if none is to follow.
func (s *session) leg(ctx context.Context, p plan) (next *plan, err error) {
	l := newLeg(s, p)
	defer l.close()
	s.signals.obey(l)
	if !p.NoTUI {
		return l.screen(ctx)
	}
	events := l.bus.SubscribeSteps(p.LogEvery)
	meter := s.voice(s.errs).progress()
	err = l.start(ctx, p, func(at cifar.Progress) {
		meter.Show(at)
		s.tell(at)
	})
	meter.End()
	if err != nil {
		next, err := p.begun(err)
		if err = s.calledOff(err); exitCode(err) == exitStopped {
			err = cmp.Or(l.callOff(), err)
		}
		return next, err
	}
	return l.headless(ctx, events)
}

// callOff has a run that was handed over to this process end as one that a signal
// stopped, where the signal came before there was a run: nobody else would end it.
func (l *leg) callOff() error {
	if !l.plan.child || l.plan.Resume == "" {
		return nil
	}
	signal := l.signals.name()
	if err := record.CallOff(l.plan.Resume, signal); err != nil {
		return fmt.Errorf("%s: ended before training began, which cannot be written down: %w", signal, err)
	}
	l.seen.take(&event.RunEnded{Outcome: event.OutcomeStopped, Signal: signal})
	l.atEnd()
	return nil
}

// tell tells who waits for this process how far the data is.
func (s *session) tell(at cifar.Progress) {
	if what, err := json.Marshal(at); err == nil {
		_ = s.ready.Progress(what) // nobody waits any more, if it fails
	}
}

// note tells a person of the process's own trouble.
func (s *session) note(format string, args ...any) {
	s.voice(s.errs).note(format, args...)
}

// voice tells something to w as the session's log format wants it.
func (s *session) voice(w io.Writer) voice { return voice{w, s.objects} }
