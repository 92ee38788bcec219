package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"time"

	"cifartui/train/event"
)

// steered is what the signals are for.
type steered interface {
	event.Controller
	// Halt ends it after the batch under way, saved, or ends making ready.
	// signal is the name of the signal that asks for it.
	Halt(signal string)
}

// signals turns the process's signals into commands for what trains.
type signals struct {
	caught  chan os.Signal
	ignored chan os.Signal // never read: it only keeps a signal from its default
	closed  chan struct{}
	asked   context.Context // ends at the first signal that asks for the end
	ask     context.CancelFunc

	mu    sync.Mutex
	to    steered // nil: nothing trains at the moment
	leave func()  // restores the terminal before the process exits; nil: none
	count int     // of signals that end the run
	first string  // the name of the first of them
	last  time.Time
}

func newSignals() *signals {
	s := &signals{
		caught: make(chan os.Signal, 8), ignored: make(chan os.Signal, 1),
		closed: make(chan struct{}),
	}
	s.asked, s.ask = context.WithCancel(context.Background())
	return s
}

// name is the name of the signal that has asked for the end; "" if none has.
func (s *signals) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// obey says what the signals are for. What has asked for the end already is told
// to it at once.
func (s *signals) obey(to steered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = to
	if s.count > 0 {
		to.Halt(s.first)
	}
}

// idle says that nothing trains at the moment.
func (s *signals) idle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = nil
}

func (s *signals) listen() {
	for {
		select {
		case <-s.closed:
			return
		case sig := <-s.caught:
			if s.take(sig) {
				s.restore()
				os.Exit(exitInterrupted)
			}
		}
	}
}

// onLeave says what restores the terminal; nil: nothing to restore.
func (s *signals) onLeave(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave = f
}

func (s *signals) restore() {
	s.mu.Lock()
	f := s.leave
	s.mu.Unlock()
	if f != nil {
		f()
	}
}

// sameKey is the time in which two signals are one wish: a terminal's Ctrl+C
// reaches the process also through those that started it.
const sameKey = 100 * time.Millisecond

// take handles one signal and reports whether the process is to leave at once.
func (s *signals) take(sig os.Signal) (leave bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := signalName(sig)
	if savesNow(sig) {
		if s.to != nil {
			// It fails only for a run that has ended.
			_ = s.to.Send(event.Save{To: event.To{Why: name}})
		}
		return false
	}
	if now := time.Now(); s.count > 0 && now.Sub(s.last) < sameKey {
		return false
	} else {
		s.last = now
	}
	s.count++
	if s.count > 1 {
		return sig == os.Interrupt
	}
	s.first = name
	s.ask()
	if s.to != nil {
		s.to.Halt(name)
	}
	return false
}

// ended is closed when a signal has asked for the end and the run has ended.
func (s *signals) ended(done <-chan struct{}) <-chan struct{} {
	both := make(chan struct{})
	go func() {
		select {
		case <-s.asked.Done():
		case <-s.closed:
			return
		}
		select {
		case <-done:
			close(both)
		case <-s.closed:
		}
	}()
	return both
}

func (s *signals) close() {
	signal.Stop(s.caught)
	signal.Stop(s.ignored)
	close(s.closed)
}

// signalName is a signal's name as people write it.
func signalName(sig os.Signal) string {
	switch sig.String() {
	case "interrupt":
		return "SIGINT"
	case "terminated":
		return "SIGTERM"
	case "user defined signal 1":
		return "SIGUSR1"
	}
	return sig.String()
}
