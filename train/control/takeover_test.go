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

// One who follows a run is told when another process has taken the run over in the
// meantime, which trains again what was trained since the last checkpoint; that which
// it was handed over to is no other one. Either may be written after the last look at
// the files, whether the process that is there now has a socket or not.
func TestATakeOverIsTold(t *testing.T) {
	const before = 1 << 30 // no process of this system
	detached, started := &event.RunEnded{Outcome: event.OutcomeDetached}, &event.RunStarted{PID: os.Getpid()}
	for name, c := range map[string]struct {
		then []event.Event
		gone bool
		told uint64 // the last number
	}{
		"killed":                              {[]event.Event{&event.EpochDone{Epoch: 1}}, true, 3},
		"killed, and gone on with by another": {[]event.Event{&event.EpochDone{Epoch: 1}, started, &event.EpochDone{Epoch: 1}}, true, 3},
		"handed over":                         {[]event.Event{detached}, false, 3},
		"gone on with":                        {[]event.Event{detached, started, &event.EpochDone{Epoch: 1}}, false, 5},
	} {
		for _, files := range []bool{true, false} {
			folder := t.TempDir()
			past := []event.Event{&event.RunStarted{PID: before + 1}, &event.RunStarted{PID: before}}
			putBack(t, folder, lines(t, folder, past...))
			now := newRig(t, folder)
			r := newReader(folder, before, files)
			if _, err := r.next(t.Context(), 100); err != nil {
				t.Fatal(err)
			}
			r.close() // as where it has had a socket: the past is read once more
			// It is written after the reader's last look at the file.
			putBack(t, folder, lines(t, folder, slices.Concat(past, c.then)...))
			var gone *GoneError
			told, ended := uint64(0), false
			for range 3 {
				if err := r.goOn(t.Context(), io.EOF); err != nil || r.stage == readLive {
					ended = errors.As(err, &gone)
					break
				}
				events, _ := r.fromFiles(t.Context(), 100)
				if events, ended = r.fresh(events); len(events) > 0 {
					told = events[len(events)-1].Head().Seq
				}
				if ended {
					break
				}
			}
			if ended != c.gone || told != c.told {
				t.Errorf("%s, files %v: gone: %v, want %v; told up to event %d, want %d", name, files, ended, c.gone, told, c.told)
			}
			r.close()
			now.close(true)
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
