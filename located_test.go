package main

import (
	"context"
	"io"
	"path/filepath"
	"testing"

	"cifartui/train/event"
)

// onceSource has one batch of events.
type onceSource struct{ events []event.Event }

func (s *onceSource) Next(context.Context, int) ([]event.Event, error) {
	events := s.events
	if s.events = nil; events == nil {
		return nil, io.EOF
	}
	return events, nil
}

// A run that was moved, or recorded from another folder, has its files where its
// record was found: D would else delete those of another run of its name.
func TestFilesAreWhereTheRecordWasFound(t *testing.T) {
	for _, c := range []struct {
		folder     string
		comparison bool
		run, want  string
	}{
		{"/b/runs/moved", false, "x", "/b/runs/moved"},
		{"/b/runs/cmp", true, "batch=64", filepath.Join("/b/runs/cmp", "batch=64")},
		{"/b/runs/cmp", true, "cmp/batch=64", filepath.Join("/b/runs/cmp", "batch=64")},
	} {
		start := &event.RunStarted{Header: event.Header{Run: c.run}, Folder: "runs/x"}
		step := &event.StepDone{Header: event.Header{Run: c.run}}
		l := located{&onceSource{[]event.Event{start, step}}, memberFolder(c.folder, c.comparison)}
		events, err := l.Next(context.Background(), 10)
		if err != nil || len(events) != 2 || events[1] != event.Event(step) {
			t.Fatalf("%v, %v", events, err)
		}
		if got := events[0].(*event.RunStarted).Folder; got != c.want {
			t.Errorf("%s in %s: its folder is %s, want %s", c.run, c.folder, got, c.want)
		}
		if start.Folder != "runs/x" {
			t.Error("the event itself was changed")
		}
	}
}
