package control

import (
	"context"
	"errors"
	"testing"

	"cifartui/train/event"
	"cifartui/train/event/eventtest"
)

// What a command to all runs of a process comes to: a run in which there is
// nothing to do does not keep the others' from counting, one that fails does,
// whichever answers last.
func TestACommandToSeveralRuns(t *testing.T) {
	at := func(run string) event.Header { return event.Header{Run: run} }
	saved := func(run string) event.Event {
		return &event.CheckpointSaved{Header: at(run), Reason: "last"}
	}
	moot := func(run string) event.Event {
		return &event.Warning{Header: at(run), Message: "nothing to save", Refuses: "save", Moot: true}
	}
	failed := func(run string) event.Event {
		return &event.Warning{Header: at(run), Message: "no space left", Refuses: "save"}
	}
	ended := func(run string) event.Event {
		return &event.RunEnded{Header: at(run), Outcome: event.OutcomeFinished}
	}
	other := &event.Warning{Header: at("a"), Message: "of something else"}
	for name, c := range map[string]struct {
		run    string // that is meant
		events []event.Event
		want   string // the error
	}{
		"all":                        {"", []event.Event{saved("b"), other, saved("a")}, ""},
		"one has not started":        {"", []event.Event{saved("a"), moot("b")}, ""},
		"the same, first":            {"", []event.Event{moot("b"), saved("a")}, ""},
		"none has":                   {"", []event.Event{moot("b"), moot("a")}, "nothing to save"},
		"only that has not":          {"b", []event.Event{saved("a"), moot("b")}, "nothing to save"},
		"one fails":                  {"", []event.Event{failed("b"), saved("a")}, "no space left"},
		"the same, last":             {"", []event.Event{saved("a"), failed("b")}, "no space left"},
		"one ends meanwhile":         {"", []event.Event{saved("a"), ended("b")}, ""},
		"the one that is meant ends": {"b", []event.Event{ended("b")}, "the run ended (finished) before the command took effect"},
	} {
		all := newOverview()
		for _, run := range []string{"a", "b"} {
			all.apply(&event.RunStarted{Header: at(run)})
		}
		told := errors.New("nothing")
		w := &waiter{request: Request{Cmd: VerbSave, Run: c.run, Wait: true}, tell: func(err error) { told = err }}
		if w.prepare(all) {
			t.Fatalf("%s: it is there already", name)
		}
		for i, e := range c.events {
			if s, ok := e.(*event.CheckpointSaved); ok { // which alone is no answer, nor is the weights' file
				if w.see(s) || w.see(&event.CheckpointSaved{Header: s.Header, Reason: "manual"}) {
					t.Errorf("%s: over before all is written", name)
				}
			}
			if over := w.see(e); over != (i == len(c.events)-1) {
				t.Errorf("%s: over is %v after event %d", name, over, i)
			}
		}
		if (told == nil) != (c.want == "") || told != nil && told.Error() != c.want {
			t.Errorf("%s: told %v, want %q", name, told, c.want)
		}
	}
}

// A run that goes on on the processor when its GPU is lost has not stopped.
func TestAStopIsNotTheEndOfARunThatGoesOn(t *testing.T) {
	var told error
	w := &waiter{request: Request{Cmd: VerbStop, Wait: true}, tell: func(err error) { told = err }}
	all := newOverview()
	all.apply(&event.RunStarted{Header: event.Header{Run: "a"}})
	w.prepare(all)
	if over := w.see(&event.RunEnded{Header: event.Header{Run: "a"}, Outcome: event.OutcomeFailed, GoesOn: true}); !over || told == nil {
		t.Errorf("over is %v, with %v", over, told)
	}
}

// One run of several is waited for until it has ended, and not for the others; an
// end of the past does not count.
func TestWaitForOneRunOfSeveral(t *testing.T) {
	at := func(run string) event.Header { return event.Header{Run: run} }
	started := func(run string) event.Event { return &event.RunStarted{Header: at(run)} }
	ended := func(run string, how event.Outcome) event.Event { return &event.RunEnded{Header: at(run), Outcome: how} }
	for name, c := range map[string]struct {
		source eventtest.Batches
		now    []event.Outcome // at each question; "": it trains
		want   event.Outcome   // "": none
		left   int             // batches that are not read
	}{
		"it ends first":     {eventtest.Batches{{started("a"), started("b")}, {ended("a", "finished")}, {ended("b", "failed")}}, []event.Outcome{"finished"}, "finished", 1},
		"another ends":      {eventtest.Batches{{started("a"), ended("b", "failed")}, {ended("a", "stopped")}}, []event.Outcome{"stopped"}, "stopped", 0},
		"it was resumed":    {eventtest.Batches{{started("a"), ended("a", "stopped")}, {started("a")}, {ended("a", "diverged")}}, []event.Outcome{"", "diverged"}, "diverged", 0},
		"it is handed over": {eventtest.Batches{{started("a"), ended("a", "detached")}, {started("a")}, {ended("a", "finished")}}, []event.Outcome{"finished"}, "finished", 0},
		"it goes on itself": {eventtest.Batches{{started("a"), &event.RunEnded{Header: at("a"), Outcome: event.OutcomeFailed, GoesOn: true}}, {started("a")}, {ended("a", "finished")}}, []event.Outcome{"finished"}, "finished", 0},
		"the process ends":  {eventtest.Batches{{started("a")}, {ended("b", "finished")}}, nil, "", 0},
	} {
		now := func(context.Context) (Status, error) {
			outcome := c.now[0]
			c.now = c.now[1:]
			if outcome == "" {
				return Status{State: event.StateRunning}, nil
			}
			return Status{State: outcome.State(), Outcome: outcome}, nil
		}
		got, err := WaitRun(t.Context(), &c.source, "a", now)
		if err != nil || (got == nil) != (c.want == "") || got != nil && got.Outcome != c.want || len(c.source) != c.left || len(c.now) != 0 {
			t.Errorf("%s: %+v, %v, with %d batches left and %d questions", name, got, err, len(c.source), len(c.now))
		}
	}
}
