package main

import (
	"context"
	"path/filepath"
	"slices"

	"cifartui/train/event"
)

// located is a source that says where its runs' folders are from here. A record
// tells where a folder was when the run started, seen from where it was started:
// since then it may have been moved or copied, or it is another machine's, and
// files found by that path would be another run's.
type located struct {
	event.Source
	folder func(run string) string
}

// Next implements [event.Source].
func (l located) Next(ctx context.Context, max int) ([]event.Event, error) {
	events, err := l.Source.Next(ctx, max)
	for i, e := range events {
		if start, ok := e.(*event.RunStarted); ok {
			here := *start // events are never changed
			here.Folder = l.folder(start.Run)
			events = slices.Clone(events) // the slice may be its source's
			events[i] = &here
		}
	}
	return events, err
}

// memberFolder finds the folder of a run in that of its comparison, or of itself.
func memberFolder(folder string, comparison bool) func(run string) string {
	return func(run string) string {
		if comparison {
			return filepath.Join(folder, filepath.Base(run))
		}
		return folder
	}
}
