//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/event"
)

// A comparison is steered as one and run by run, moves to the background as it
// stands, and does without a run that is removed.
func TestComparisonIsSteeredMovedAndPruned(t *testing.T) {
	t.Parallel()
	bin := program(t)
	dir := t.TempDir()
	call := func(args ...string) (string, error) {
		cmd := exec.Command(bin, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := call(args...)
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		return out
	}
	runs := filepath.Join(dir, "runs")
	p := start(t, append(network(), "--no-tui", "--data", "demo:40", "--batch", "4,8,16", "--order", "sequential", "--epochs", forever, "--patience", "0",
		"--runs", runs, "--name", "cmp")...)
	folder := func(run string) string { return filepath.Join(runs, "cmp", run) }
	eventually(t, "step", func() bool { return steps(folder("batch=4")) > 0 })
	must("ctl", "cmp", "save", "--wait") // though two runs have not started
	if out, err := call("ctl", "cmp/batch=8", "save", "--wait"); err == nil || !strings.Contains(out, "nothing to save") {
		t.Errorf("saving a run that has not started: %v: %s", err, out)
	}

	must("ctl", "cmp/batch=4", "stop", "--wait")
	must("wait", "cmp/batch=4") // and not for the others
	eventually(t, "step of the next", func() bool { return steps(folder("batch=8")) > 0 })
	must("ctl", "cmp", "detach")
	p.mustEnd(t, 0)
	before := steps(folder("batch=4")) // its record is whole now
	defer killLeft(filepath.Join(runs, "cmp"))
	has(t, folder("batch=8"), "step in the background", func(s *event.RunStarted) bool { return s.Resumed })
	at := steps(folder("batch=8"))
	eventually(t, "more steps", func() bool { return steps(folder("batch=8")) > at })
	if got := steps(folder("batch=4")); got != before {
		t.Errorf("the stopped run has trained on, from %d to %d", before, got)
	}
	if out, err := call("runs", "rm", "cmp/batch=16", "--yes"); err == nil || !strings.Contains(out, "in use") {
		t.Errorf("a run of a live comparison was removed: %s", out)
	}

	must("ctl", "cmp", "stop", "--wait")
	must("wait", "cmp")
	letsGo(t, filepath.Join(runs, "cmp"))
	must("runs", "rm", "cmp/batch=16", "cmp/batch=16", "--yes") // once is enough
	must("compare", "cmp")
	if out := must("runs"); strings.Contains(out, "no run folder") || strings.Contains(out, "batch=16") || !strings.Contains(out, "cmp/batch=8") {
		t.Errorf("the list:\n%s", out)
	}
	out, err := call("ctl", "cmp/batch=8", "pause")
	if err == nil || !strings.Contains(out, "cifartui open cmp/batch=8") {
		t.Errorf("a run that has ended: %v: %s", err, out)
	}
}
