package train

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"

	"cifartui/train/event"
)

// await takes the commands that have come, and returns when the run may go on:
// it is not paused, and it has its turn. A run that is to end returns an
// outcome.
func (r *run) await() event.Outcome {
	for {
		list := r.commands.take()
		if (len(list) > 0 || r.ctx.Err() != nil) && r.failure == nil {
			r.failure = r.settle() // a command is for the weights that the position is of
		}
		for _, c := range list {
			r.obey(c)
		}
		if r.ctx.Err() != nil && r.stop == "" {
			r.stop, r.reason = event.OutcomeStopped, context.Cause(r.ctx).Error()
		}
		if r.failure != nil {
			return event.OutcomeFailed
		}
		switch {
		case r.stop != "":
			r.setState(event.StateStopping, r.reason)
			return r.stop
		case r.paused:
			r.clock.stop()
			r.giveTurn()
			r.setState(event.StatePaused, r.reason)
			select {
			case <-r.commands.wake:
			case <-r.ctx.Done():
			}
		case r.Turns != nil && !r.turn:
			r.clock.stop()
			r.setState(event.StateWaiting, "another run's turn")
			r.takeTurn()
		case r.net != nil && r.step == nil:
			r.failure = r.allocate()
		default:
			r.clock.start()
			r.setState(r.active(), r.reason)
			r.reason = "" // it is told
			return ""
		}
	}
}

// active is the state of a run that trains.
func (r *run) active() event.State {
	switch {
	case r.net == nil:
		return event.StateStarting
	case r.afterEpoch:
		return event.StateStopping
	}
	return event.StateRunning
}

// obey carries out a command, as far as that is done at once.
func (r *run) obey(c event.Command) {
	switch c := c.(type) {
	case event.Pause:
		r.paused, r.reason = true, reasonOf(c.To, "asked to pause")
	case event.Resume:
		r.reason = reasonOf(c.To, "asked to go on")
		if !r.paused {
			r.afterEpoch = false
		}
		r.paused = false
	case event.Save:
		r.save(c)
	case event.Stop:
		r.reason = reasonOf(c.To, "asked to stop")
		if c.After == event.AfterEpoch {
			r.afterEpoch = true
			return
		}
		r.stop = event.OutcomeStopped
	case event.Detach:
		r.stop, r.reason = event.OutcomeDetached, reasonOf(c.To, "handed over")
	case event.SetLearnRate:
		r.setLearnRate(c)
	}
}

// save carries out a Save.
func (r *run) save(c event.Save) {
	if r.failure != nil {
		return // there is nothing good to save any more
	}
	if r.net == nil {
		r.warn("there is nothing to save before training has started")
		return
	}
	before, reason := r.state, r.reason
	r.setState(event.StateSaving, reasonOf(c.To, "asked to save"))
	r.failure = r.saveNow("manual")
	r.setState(before, reason)
}

// setLearnRate carries out a SetLearnRate.
func (r *run) setLearnRate(c event.SetLearnRate) {
	switch {
	case math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0) || c.Rate < 0:
		r.warn(fmt.Sprintf("learning rate %v is not allowed: want 0 or more", c.Rate))
	case r.net == nil:
		r.warn("the learning rate cannot be set before training has started")
	default:
		r.setRate(c.Rate)
	}
}

// setRate makes rate the learning rate of the next batch. The schedule goes on
// from there.
func (r *run) setRate(rate float64) {
	f := r.factor()
	if f <= 0 {
		r.warn(fmt.Sprintf("the schedule %q has come down to 0: the learning rate stays there", r.Config.Schedule))
		return
	}
	from := r.rate()
	r.pos.Rate = rate / f
	r.unsaved = true
	r.emit(&event.LearnRateChanged{From: from, To: rate, Epoch: r.pos.Epoch, Step: r.pos.Step, Total: r.pos.Total})
}

// takeTurn waits for the run's turn. A command interrupts it: the caller looks
// whether it still wants the turn.
func (r *run) takeTurn() {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	taken := make(chan error, 1)
	go func() { taken <- r.Turns.Take(ctx) }()
	var err error
	select {
	case err = <-taken:
	case <-r.commands.wake:
		cancel()
		err = <-taken
	case <-r.ctx.Done():
		err = <-taken
	}
	r.turn = err == nil
}

// giveTurn passes the turn on, if the run has it.
func (r *run) giveTurn() {
	if r.turn {
		r.turn = false
		if r.lean {
			r.free()
			debug.FreeOSMemory() // for the next run, now
		}
		r.Turns.Give()
	}
}
