package control

import (
	"errors"
	"testing"

	"cifartui/train/event"
)

// What a command to all runs of a process comes to: a run in which there is
// nothing to do does not keep the others' from counting, one that fails does,
// whichever answers last.
func TestACommandToSeveralRuns(t *testing.T) {
	at := func(run string) event.Header { return event.Header{Run: run} }
	saved := func(run string) event.Event {
		return &event.CheckpointSaved{Header: at(run), Reason: "manual"}
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
			if over := w.see(e); over != (i == len(c.events)-1) {
				t.Errorf("%s: over is %v after event %d", name, over, i)
			}
		}
		if (told == nil) != (c.want == "") || told != nil && told.Error() != c.want {
			t.Errorf("%s: told %v, want %q", name, told, c.want)
		}
	}
}
