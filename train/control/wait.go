package control

import "cifartui/train"

// waiter waits for the effect of one command: for every run that the command
// was meant for, an event that shows it.
type waiter struct {
	request Request
	// tell is given the outcome, once: nil, or why the effect will not come.
	tell func(error)
	// owner is whom the waiter leaves with.
	owner any
	// open holds the runs that have not shown the effect yet.
	open map[string]bool
	// first is set when the command is for all runs and none is known yet: the
	// first one that shows the effect will do.
	first bool
	done  bool
}

// prepare notes which runs have to show the effect, and reports whether they
// all do already. It is called before the command is passed on, so that no
// event of the effect can be missed.
func (w *waiter) prepare(b *board) bool {
	w.open = make(map[string]bool)
	names := b.names(w.request.Run)
	w.first = len(names) == 0
	for _, run := range names {
		r, known := b.runs[run]
		switch {
		case known && w.request.Cmd == VerbPause && r.State == train.StatePaused:
		case known && w.request.Cmd == VerbResume && r.State == train.StateRunning:
		default:
			w.open[run] = true
		}
	}
	return !w.first && len(w.open) == 0
}

// see takes in an event and reports whether the wait is over; the outcome has
// been told then.
func (w *waiter) see(e train.Event) bool {
	run := e.Head().Run
	if w.done || (!w.first && !w.open[run]) {
		return w.done
	}
	shown := w.shown(e)
	end, ended := e.(*train.RunEnded)
	if !shown && !ended {
		return false
	}
	delete(w.open, run)
	switch {
	case len(w.open) > 0:
		return false // the others are still to come
	case shown:
		w.over(nil)
	default:
		w.over(&ReplyError{CodeEnded, "the run ended (" + string(end.Outcome) + ") before the command took effect"})
	}
	return true
}

// shown reports whether an event shows the command's effect on its run.
func (w *waiter) shown(e train.Event) bool {
	switch e := e.(type) {
	case *train.StateChanged:
		return (w.request.Cmd == VerbPause && e.State == train.StatePaused) ||
			(w.request.Cmd == VerbResume && e.State == train.StateRunning)
	case *train.CheckpointSaved:
		return w.request.Cmd == VerbSave && e.Reason == "manual"
	case *train.LearnRateChanged:
		return w.request.Cmd == VerbLR && e.To == *w.request.Rate
	case *train.RunEnded:
		return w.request.Cmd == VerbStop || (w.request.Cmd == VerbDetach && e.Outcome == train.OutcomeDetached)
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
