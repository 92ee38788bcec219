package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/metrics"
)

// runner trains: one run, or a comparison of several.
type runner interface {
	event.Controller
	Run(ctx context.Context, emit func(event.Event)) error
	Folder() string
	Name() string
	Asked() []event.Command
	Close() error
}

// leg is one run of a runner, with all that reads its events.
type leg struct {
	*session
	plan   plan
	bus    *event.Bus
	ctx    context.Context // of making ready; ended by a signal
	cancel context.CancelFunc
	detach chan string // asks for a hand-over to the background, and why

	starting sync.Mutex // held by start
	mu       sync.Mutex
	runner   runner          // nil until start
	early    []event.Command // given before there was a runner

	server  *control.Server
	metrics *metrics.Server
	page    *metrics.Page  // what metrics serves
	readers sync.WaitGroup // what reads the bus and must see its end
	seen    seen           // what the events have told
	told    chan struct{}  // closed when seen holds all that there is
	done    chan struct{}  // closed when Run has returned and err is set, just after the bus
	err     error
	ending  sync.Once // what is wanted at the end

	screenGone atomic.Bool // the leg goes on without the screen that it began with
}

func newLeg(s *session, p plan) *leg {
	l := &leg{session: s, plan: p, bus: event.NewBus(), detach: make(chan string, 1), told: make(chan struct{}), done: make(chan struct{})}
	for _, line := range p.asked {
		if r, err := control.ParseRequest([]byte(line)); err == nil && r.Command() != nil { // this program's own
			l.early = append(l.early, r.Command())
		}
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Send implements [event.Controller]. A command given before the run exists is
// kept for it.
func (l *leg) Send(c event.Command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runner == nil {
		l.early = append(l.early, c)
		return nil
	}
	return l.runner.Send(c)
}

// run gives the leg its runner, and that the commands given before.
func (l *leg) run(r runner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runner = r
	for _, c := range l.early {
		// It fails only for a run that has ended.
		_ = r.Send(c)
	}
}

// halt asks for the end after the batch, or ends making ready.
func (l *leg) halt(why string) {
	l.cancel()
	// It fails only for a run that has ended.
	_ = l.Send(event.Stop{To: event.To{Why: why}, After: event.AfterBatch})
}

// Halt implements [steered].
func (l *leg) Halt(signal string) {
	l.cancel()
	// It fails only for a run that has ended.
	_ = l.Send(event.Stop{To: event.To{Why: signal}, After: event.AfterBatch, Signal: signal})
	select {
	case <-l.done:
		return // there is no batch any more
	default:
	}
	if l.headlessNow() {
		// The next signal must not wait for a terminal that does not read.
		go l.note("%s: the batch is finished and saved, then it ends; Ctrl+C once more ends it at once", signal)
	}
}

// askDetach asks the leg to hand its run over to the background.
func (l *leg) askDetach(why string) error {
	select {
	case l.detach <- why:
		return nil
	default:
		return errors.New("the run is being handed over already")
	}
}

// folder is the run folder; "" until there is one.
func (l *leg) folder() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runner == nil {
		return ""
	}
	return l.runner.Folder()
}

// headlessNow reports whether there is no screen, or none any more.
func (l *leg) headlessNow() bool { return l.plan.NoTUI || l.screenGone.Load() }

// next is the plan p for another leg, without a screen if this one has lost it.
func (l *leg) next(p plan) *plan {
	if l.headlessNow() {
		p = p.withoutScreen()
	}
	return &p
}
