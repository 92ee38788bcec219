//go:build unix

package control

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// One who reads a run's files along is told when another process has taken the run
// over in the meantime, which trains again what was trained since the last checkpoint;
// that which it was handed over to is no other one.
func TestWithoutASocketATakeOverIsTold(t *testing.T) {
	const before = 1 << 30 // no process of this system
	for name, c := range map[string]struct {
		then []event.Event
		gone bool
	}{
		"killed":      {[]event.Event{&event.EpochDone{Epoch: 1}}, true},
		"handed over": {[]event.Event{&event.RunEnded{Outcome: event.OutcomeDetached}}, false},
		"gone on with": {[]event.Event{&event.RunEnded{Outcome: event.OutcomeDetached},
			&event.RunStarted{PID: os.Getpid()}, &event.EpochDone{Epoch: 1}}, false},
	} {
		folder := t.TempDir()
		first := &event.RunStarted{PID: before}
		putBack(t, folder, lines(t, folder, first))
		lock, err := rundir.LockFolder(folder)
		if err != nil {
			t.Fatal(err)
		}
		r := newReader(folder, before, true)
		if _, err := r.next(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		// It is written after the reader's last look at the file.
		putBack(t, folder, lines(t, folder, slices.Concat([]event.Event{first}, c.then)...))
		var gone *GoneError
		for range 3 {
			if err = r.goOn(t.Context(), io.EOF); err != nil {
				break
			}
			events, _ := r.fromFiles(t.Context(), 100)
			for _, e := range events {
				r.known(e)
			}
		}
		if errors.As(err, &gone) != c.gone {
			t.Errorf("%s: %v, gone: want %v", name, err, c.gone)
		}
		r.close()
		if err := lock.Release(); err != nil {
			t.Fatal(err)
		}
	}
}

// The runs of a comparison that was submitted have a process each, and no one process
// has its folder: that another trains now than did before is no take-over.
func TestWithoutASocketNoRunTakesAComparisonOver(t *testing.T) {
	folder := t.TempDir()
	for i, run := range []string{"batch=64", "batch=128"} {
		own := filepath.Join(folder, run)
		if err := os.Mkdir(own, 0o755); err != nil {
			t.Fatal(err)
		}
		putBack(t, own, lines(t, own, &event.RunStarted{PID: 1<<30 + i}))
	}
	lock, err := rundir.LockFolder(filepath.Join(folder, "batch=128")) // by this process
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	r := newReader(folder, 1<<30, true) // whose process has ended
	defer r.close()
	for range 3 {
		if _, err := r.fromFiles(t.Context(), 100); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if err := r.goOn(t.Context(), io.EOF); err != nil {
			t.Fatalf("the comparison is left: %v", err)
		}
	}
}
