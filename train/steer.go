package train

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"cifartui/train/config"
	"cifartui/train/event"
)

// asked is what was asked for and is not over.
type asked struct {
	paused     bool
	afterEpoch bool          // to stop after the epoch
	stop       event.Outcome // to stop now, and what that is called
	signal     string        // that asked for the stop; "" if none did
	reason     string        // of the newest, until it is told
	rate       *float64      // learning rate to be set once the run is built; nil for none
	steered    bool          // last.ckpt is to be written, as a kill would take back what was changed
	failure    error         // of what was asked for: the run fails
	myTurn     bool          // this run may train
}

// await takes the commands that have come, and returns when the run may go on:
// it is not paused, and it has its turn. A run that is to end returns an
// outcome.
func (r *run) await() event.Outcome {
	r.outside(func() {})
	for {
		r.listen()
		if r.ask.failure != nil {
			return event.OutcomeFailed
		}
		switch {
		case r.ask.stop != "":
			r.become(event.StateStopping, r.ask.reason)
			return r.ask.stop
		case r.ask.paused:
			r.at.clock.stop()
			r.endSave()
			r.passTurn()
			r.become(event.StatePaused, r.ask.reason)
			r.outside(func() {
				select {
				case <-r.t.commands.wake:
				case <-r.ctx.Done():
				}
			})
		case r.t.options.Turns != nil && !r.ask.myTurn:
			r.at.clock.stop()
			if r.keep.written() {
				r.takeIn()
			}
			r.become(event.StateWaiting, "another run's turn")
			r.outside(r.awaitTurn)
		case r.net != nil && !r.net.allocated():
			r.ask.failure = r.net.allocate()
		default:
			r.at.clock.start()
			r.become(r.working(), r.ask.reason)
			r.ask.reason = "" // it is told
			return ""
		}
	}
}

// interrupted lets other runs use the backend for a moment, and reports whether
// there is something that await has to see to.
func (r *run) interrupted() bool {
	r.outside(func() {})
	return r.t.commands.waiting() || r.ctx.Err() != nil || r.ask.stop != "" || r.ask.paused
}

// outside lets other runs use the backend while wait waits.
func (r *run) outside(wait func()) {
	r.t.options.Shared.Unlock()
	defer r.t.options.Shared.Lock()
	wait()
}

// listen takes in what was asked for since the last time.
func (r *run) listen() {
	list := r.t.commands.drain()
	if (len(list) > 0 || r.ctx.Err() != nil) && r.ask.failure == nil {
		r.ask.failure = r.settle() // a command is for the weights that the position is of
	}
	for _, c := range list {
		r.obey(c)
	}
	if r.ask.steered && r.ask.failure == nil {
		r.ask.steered, r.ask.failure = false, r.saveLast()
	}
	if r.ctx.Err() != nil && r.ask.stop == "" {
		r.ask.stop, r.ask.reason = event.OutcomeStopped, context.Cause(r.ctx).Error()
	}
}

// working is the state of a run that trains.
func (r *run) working() event.State {
	switch {
	case r.net == nil:
		return event.StateStarting
	case r.ask.afterEpoch:
		return event.StateStopping
	}
	return event.StateRunning
}

// obey carries out a command, as far as that is done at once.
func (r *run) obey(c event.Command) {
	switch c := c.(type) {
	case event.Pause:
		r.ask.paused, r.ask.reason = true, reasonOf(c.To, "asked to pause")
	case event.Resume:
		r.ask.reason = reasonOf(c.To, "asked to go on")
		if !r.ask.paused {
			r.ask.afterEpoch = false
		}
		r.ask.paused = false
	case event.Save:
		r.saveAsAsked(c)
	case event.Stop:
		r.ask.reason = reasonOf(c.To, "asked to stop")
		if c.After == event.AfterEpoch {
			r.ask.afterEpoch = true
			return
		}
		r.ask.stop, r.ask.signal = event.OutcomeStopped, c.Signal
	case event.Detach:
		r.ask.stop, r.ask.reason = event.OutcomeDetached, reasonOf(c.To, "handed over")
	case event.SetLearnRate:
		r.setRateAsAsked(c)
	}
}

// stillAsked are the commands that hold and are not done.
func (r *run) stillAsked() (list []event.Command) {
	to := event.To{Run: r.name, Why: "asked before the hand-over"}
	if r.ask.rate != nil && r.net == nil {
		list = append(list, event.SetLearnRate{To: to, Rate: *r.ask.rate})
	}
	if r.ask.afterEpoch {
		list = append(list, event.Stop{To: to, After: event.AfterEpoch})
	}
	if r.ask.paused {
		list = append(list, event.Pause{To: to})
	}
	return list
}

// saveAsAsked carries out a Save.
func (r *run) saveAsAsked(c event.Save) {
	if r.ask.failure != nil {
		return // there is nothing good to save any more
	}
	if r.net == nil {
		r.announce(&event.Warning{Message: "there is nothing to save before training has started", Refuses: "save", Moot: true})
		return
	}
	before, reason := r.at.state, r.ask.reason
	r.become(event.StateSaving, reasonOf(c.To, "asked to save"))
	r.ask.failure = r.saveNow("manual")
	if err := r.keep.missing(); err != nil {
		r.announce(&event.Warning{Message: fmt.Sprintf("the save that was asked for is not whole: %v", err), Refuses: "save"})
	}
	r.become(before, reason)
}

// setRateAsAsked carries out a SetLearnRate.
func (r *run) setRateAsAsked(c event.SetLearnRate) {
	switch {
	case !(c.Rate >= 0 && c.Rate <= config.MaxLearnRate): // nor NaN
		r.refuseRate(fmt.Sprintf("learning rate %v is not allowed: want 0 to %g", c.Rate, float64(config.MaxLearnRate)))
	case r.net == nil:
		r.ask.rate = &c.Rate // set when the run is built
	default:
		r.setRate(c.Rate)
	}
}

// setRate makes rate the learning rate of the next batch. The schedule goes on
// from there.
func (r *run) setRate(rate float64) {
	f := r.factor()
	if f <= 0 {
		r.refuseRate(fmt.Sprintf("the schedule %q has come down to 0: the learning rate stays there", r.config.Schedule))
		return
	}
	from := r.rate()
	r.at.Rate = rate / f
	r.keep.unsaved, r.ask.steered = true, true
	r.announce(&event.LearnRateChanged{From: from, To: rate, Epoch: r.at.Epoch, Step: r.at.Step, Total: r.at.Total})
}

// refuseRate tells why a learning rate is not set.
func (r *run) refuseRate(why string) { r.announce(&event.Warning{Message: why, Refuses: "lr"}) }

// awaitTurn waits for the run's turn. A command interrupts it, as does the disk when it
// has taken what was being saved: the caller sees to it and asks again.
func (r *run) awaitTurn() {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	got := make(chan error, 1)
	go func() { got <- r.t.options.Turns.Acquire(ctx) }()
	var err error
	select {
	case err = <-got:
	case <-r.t.commands.wake:
		cancel()
		err = <-got
	case <-r.keep.done():
		cancel()
		err = <-got
	case <-r.ctx.Done():
		err = <-got
	}
	r.ask.myTurn = err == nil
}

// passTurn lets another run train, if it is this one's turn.
func (r *run) passTurn() {
	if !r.ask.myTurn {
		return
	}
	r.ask.myTurn = false
	if r.t.options.FreeMemory && r.net != nil {
		r.net.free()
		debug.FreeOSMemory() // for the next run, now
	}
	r.t.options.Turns.Release()
}

// reasonOf says who asked for a command.
func reasonOf(to event.To, otherwise string) string { return cmp.Or(to.Why, otherwise) }

// mailbox holds commands until the training goroutine looks.
type mailbox struct {
	wake chan struct{} // holds one token when there is a command; never closed
	halt chan struct{} // closed when there is one that ends the run at once

	mu     sync.Mutex
	list   []event.Command
	halted bool
	ended  bool
}

func newMailbox() *mailbox {
	return &mailbox{wake: make(chan struct{}, 1), halt: make(chan struct{})}
}

// put adds a command. It fails after the run's end.
func (m *mailbox) put(c event.Command) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return errEnded
	}
	m.list = append(m.list, c)
	if endsAtOnce(c) && !m.halted {
		m.halted = true
		close(m.halt)
	}
	select {
	case m.wake <- struct{}{}:
	default: // a token is there already
	}
	return nil
}

// endsAtOnce reports whether a command ends the run after the batch under way.
func endsAtOnce(c event.Command) bool {
	switch c := c.(type) {
	case event.Stop:
		return c.After != event.AfterEpoch
	case event.Detach:
		return true
	}
	return false
}

// waiting reports whether there are commands.
func (m *mailbox) waiting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.list) > 0
}

// drain removes and returns the commands.
func (m *mailbox) drain() []event.Command {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.list
	m.list = nil
	return list
}

// end refuses commands from now on.
func (m *mailbox) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended, m.list = true, nil
}
