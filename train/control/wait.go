package control

import (
	"time"

	"cifartui/train/event"
)

// waiter waits for the effect of one command: for every run that the command
// was meant for, an event that shows it.
type waiter struct {
	request Request
	// sent is when the command had been passed on, by the clock of the events; zero
	// before, and where that is another machine's.
	sent time.Time
	// tell is given the outcome, once: nil, or why the effect will not come.
	tell func(error)
	// owner is whom the waiter leaves with.
	owner any
	// open holds the runs that have not shown the effect yet, and how many
	// batches each has trained since the command was sent.
	open map[string]int
	// first is set when the command is for all runs and none is known yet: the
	// first one that shows the effect will do.
	first bool
	// written holds the runs that have written the weights of a save; what they go
	// on from comes after that.
	written map[string]bool
	// effect is set when a run has shown the effect, failed is why it will not
	// come in one, and excuse that it cannot where another's is enough.
	effect         bool
	failed, excuse error
	done           bool
}

// deaf is how many batches a run trains after a command before it is clear that
// the command has had no effect. Commands are taken when all batches under way are
// done, which on a GPU are up to eight; another one may be told late.
const deaf = 16

// prepare notes which runs have to show the effect, and reports whether they
// all do already. It is called before the command is passed on, so that no
// event of the effect can be missed.
func (w *waiter) prepare(b *overview) bool {
	w.open, w.written = make(map[string]int), make(map[string]bool)
	names := b.names(w.request.Run)
	w.first = len(names) == 0
	for _, run := range names {
		r, known := b.runs[run]
		switch {
		case known && w.request.Cmd == VerbPause && r.State == event.StatePaused,
			known && w.request.Cmd == VerbResume && (r.State == event.StateRunning || r.State == event.StateWaiting):
			w.effect = true
		default:
			w.open[run] = 0
		}
	}
	return !w.first && len(w.open) == 0
}

// see takes in an event and reports whether the wait is over; the outcome has
// been told then.
func (w *waiter) see(e event.Event) bool {
	run := e.Head().Run
	_, meant := w.open[run]
	if w.done || (!w.first && !meant) {
		return w.done
	}
	if !w.answered(e) {
		return false
	}
	delete(w.open, run)
	switch {
	case len(w.open) > 0:
		return false // the others are still to come
	case w.failed != nil:
		w.over(w.failed)
	case w.effect:
		w.over(nil)
	default:
		w.over(w.excuse)
	}
	return true
}

// answered reports whether an event tells what became of the command in its run,
// and notes that.
func (w *waiter) answered(e event.Event) bool {
	if w.shown(e) {
		w.effect = true
		return true
	}
	switch e := e.(type) {
	case *event.RunEnded:
		w.excuse = &ReplyError{CodeEnded, "the run ended (" + string(e.Outcome) + ") before the command took effect"}
		return true
	case *event.Warning:
		err := &ReplyError{CodeRefused, e.Message}
		switch {
		case e.Refuses != string(w.request.Cmd):
			return false
		case e.Moot:
			w.excuse = err
		default:
			w.failed = err
		}
		return true
	case *event.StepDone:
		batches, meant := w.open[e.Run]
		if !meant || !w.heard() || w.sent.IsZero() || !e.Time.After(w.sent) {
			return false
		}
		w.open[e.Run] = batches + e.Count
		if w.open[e.Run] >= deaf {
			w.failed = &ReplyError{CodeRefused, "the run went on without it: see its warnings"}
			return true
		}
	}
	return false
}

// heard reports whether the command takes effect before the next batch.
func (w *waiter) heard() bool {
	switch w.request.Cmd {
	case VerbPause, VerbSave, VerbLR:
		return true
	}
	return false
}

// shown reports whether an event shows the command's effect on its run.
func (w *waiter) shown(e event.Event) bool {
	switch e := e.(type) {
	case *event.StateChanged:
		switch w.request.Cmd {
		case VerbPause:
			return e.State == event.StatePaused
		case VerbResume:
			// Where it goes on to: its turn may not have come, or an end is near.
			return e.State == event.StateRunning || e.State == event.StateWaiting ||
				e.State == event.StateStarting || e.State == event.StateStopping
		}
	case *event.CheckpointSaved:
		if w.request.Cmd != VerbSave {
			return false
		}
		if e.Reason == "manual" {
			w.written[e.Run] = true
		}
		return e.Reason == "last" && w.written[e.Run]
	case *event.LearnRateChanged:
		return w.request.Cmd == VerbLR && e.To == *w.request.Rate
	case *event.RunEnded:
		return w.request.Cmd == VerbStop && !e.GoesOn || (w.request.Cmd == VerbDetach && e.Outcome == event.OutcomeDetached)
	}
	return false
}

// over tells the outcome, once.
func (w *waiter) over(err error) {
	if !w.done {
		w.done = true
		w.tell(err)
	}
}
