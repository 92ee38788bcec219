package main

import (
	"context"
	"io"
	"testing"

	"cifartui/nn"
	"cifartui/train/event"
)

// closing is a backend that only tells whether it was closed.
type closing struct {
	nn.Backend
	closed bool
}

func (c *closing) Close() { c.closed = true }

// idleRunner is a run that is there.
type idleRunner struct{ runner }

func (idleRunner) Folder() string                               { return "runs/x" }
func (idleRunner) Run(context.Context, func(event.Event)) error { return nil }
func (idleRunner) Send(event.Command) error                     { return nil }

// An abort leaves a batch under way, which must not lose its backend; once a run
// has ended that is closed.
func TestBackendOutlivesTheBatchOfAnAbortedRun(t *testing.T) {
	for _, ended := range []bool{false, true} {
		b := &closing{}
		s := newSession(io.Discard, io.Discard, false)
		s.signals, s.backends = &signals{}, []nn.Backend{b}
		l := newLeg(s, plan{})
		l.run(idleRunner{})
		if ended {
			close(l.done)
		}
		l.close()
		s.closeBackends()
		if b.closed != ended {
			t.Errorf("ended %v: the backend is closed: %v", ended, b.closed)
		}
	}
}
