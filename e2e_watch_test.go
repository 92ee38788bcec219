//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
	"cifartui/train/survey/surveytest"
)

// The screen over 1,000 runs, 20 of which write: a person looks, filters, marks,
// opens one and comes back, and sees what begins, ends and vanishes.
func TestAllRunsOnOneScreen(t *testing.T) {
	if !long() {
		t.Skip("set CIFARTUI_LONG: it makes 1,000 runs")
	}
	t.Parallel()
	dir := t.TempDir()
	if err := surveytest.Many(dir, 980, 200); err != nil {
		t.Fatal(err)
	}
	writers := startWriters(t, dir, 20)
	s := open(t, "watch", "--runs", dir)
	s.shows(t, "1,000 runs")
	s.shows(t, "20 live")
	s.shows(t, "val_acc")
	s.shows(t, "1 of 1000")

	// The newest is on top, and moves.
	s.shows(t, "▸ live-19")
	writers.epoch(t, 19)
	s.shows(t, "3/200")

	s.keys("/batch=512 run\r")
	s.shows(t, "245 of 1000 runs")
	s.keys("a")
	s.shows(t, "245 marked")
	s.keys("\x1b")
	s.shows(t, "1 of 1000")
	s.keys("u\x1b[H")

	// One run's own screen, and back.
	s.keys("\r")
	s.shows(t, "Charts")
	s.shows(t, "live-19")
	s.keys("\x7f")
	s.shows(t, "1,000 runs")

	// What begins, ends and vanishes is noticed without a key.
	later := surveytest.Default(time.Now().Add(time.Minute))
	later.Done, later.Outcome = 7, event.OutcomeDiverged
	if err := surveytest.Make(filepath.Join(dir, "latest"), later); err != nil {
		t.Fatal(err)
	}
	s.shows(t, "1,001 runs")
	s.shows(t, "diverged")
	if err := os.RemoveAll(filepath.Join(dir, "latest")); err != nil {
		t.Fatal(err)
	}
	s.shows(t, "1,000 runs")
	writers.end(t)
	s.shows(t, "stopped")
	s.keys("q")
	s.mustEnd(t, exitOK)
}

// writers write runs as processes that train do, until the test ends.
type writers struct {
	mu    sync.Mutex
	all   []*surveytest.Writer
	locks []*rundir.Lock
}

func startWriters(t *testing.T, dir string, n int) *writers {
	t.Helper()
	w := &writers{}
	for i := range n {
		s := surveytest.Default(time.Now().Add(time.Duration(i-n) * time.Minute))
		s.Host, s.Steps, s.Config.Seed = config.Machine("", time.Now()).Host, 400, uint64(i)
		folder := filepath.Join(dir, fmt.Sprintf("live-%02d", i))
		run, err := surveytest.Begin(folder, s)
		if err != nil {
			t.Fatal(err)
		}
		lock, err := rundir.LockFolder(folder)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := run.Epoch(); err != nil {
				t.Fatal(err)
			}
		}
		w.all, w.locks = append(w.all, run), append(w.locks, lock)
	}
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for tick := time.NewTicker(500 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			w.mu.Lock()
			for _, run := range w.all {
				_ = run.Step() // the screen shows whether it was written
			}
			w.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		close(done)
		wait.Wait()
		w.end(t)
	})
	return w
}

// epoch ends an epoch of one run.
func (w *writers) epoch(t *testing.T, i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.all[i].Epoch(); err != nil {
		t.Fatal(err)
	}
}

// end ends all runs.
func (w *writers) end(t *testing.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, run := range w.all {
		if err := run.End(event.OutcomeStopped); err != nil {
			t.Error(err)
		}
		if err := run.Close(); err != nil {
			t.Error(err)
		}
		if err := w.locks[i].Release(); err != nil {
			t.Error(err)
		}
	}
	w.all = nil
}
