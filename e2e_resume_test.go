//go:build unix

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// A scheduler's command line, given again and again: of two at once one trains
// and the other says by whom; the next goes on where a kill has ended it; when the
// run is finished there is nothing to do; and more epochs are more to do.
func TestResumeOrStart(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	folder := filepath.Join(runs, "job")
	// A kill at the very start has left a folder without settings.
	if err := os.MkdirAll(filepath.Join(folder, rundir.CheckpointsDir), 0o755); err != nil {
		t.Fatal(err)
	}
	both := append(endless(t.TempDir(), "both"), "--no-tui", "--resume-or-start")
	p, q := start(t, both...), start(t, both...)
	eventually(t, "end of one of them", func() bool { return p.ended() || q.ended() })
	if p.ended() {
		p, q = q, p
	}
	q.mustEnd(t, exitFailed)
	if !strings.Contains(q.errs.String(), "in use") {
		t.Errorf("the second does not say that the run is in use: %s", q.errs.String())
	}
	p.Process.Kill()
	p.code(t)

	of := func(epochs string) []string { return small(runs, "job", "--resume-or-start", "--epochs", epochs) }
	p = start(t, of(forever)...)
	eventually(t, "step", func() bool { return steps(folder) > 2 })
	p.kill(t)
	epochs := epochsFor(t, folder)
	args := of(strconv.Itoa(epochs))
	start(t, args...).mustEnd(t, 0)
	checkpointtest.SameRuns(t, folder, alone(t, epochs))

	size := func() int { return len(recorded(folder)) }
	before := size()
	again := start(t, args...)
	again.mustEnd(t, 0)
	if !strings.Contains(again.out.String(), "finished already") || !strings.Contains(again.out.String(), "@ Best Testing Accuracy") {
		t.Errorf("it does not say that there is nothing to do:\n%s", again.out.String())
	}
	if n := size(); n != before {
		t.Errorf("a start with nothing to do has added %d events to the record", n-before)
	}
	start(t, of(strconv.Itoa(epochs+1))...).mustEnd(t, 0)
	if n := steps(folder); n != int64(smallSteps*(epochs+1)/smallEpochs) {
		t.Errorf("%d steps after epoch %d", n, epochs+1)
	}
	other := start(t, append(args, "--seed", "7")...)
	other.mustEnd(t, exitFailed)
	if !strings.Contains(other.errs.String(), "seed") {
		t.Errorf("another seed is taken, or not named: %s", other.errs.String())
	}
	if list, err := os.ReadDir(runs); err != nil || len(list) != 1 {
		t.Errorf("%v, %v: want one run", list, err)
	}
}

// As for a run, for a comparison.
func TestResumeOrStartAComparison(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	args := func(batch, epochs string) []string {
		return append(network(), "--no-tui", "--data", "demo:40", "--batch", batch, "--epochs", epochs, "--patience", "0", "--runs", runs, "--name", "job", "--resume-or-start")
	}
	member := filepath.Join(runs, "job", "batch=10")
	p := start(t, args("10,20", forever)...)
	has(t, member, "epoch", func(*event.EpochDone) bool { return true })
	p.kill(t)
	epochs := max(epochsFor(t, member), epochsFor(t, filepath.Join(runs, "job", "batch=20")))
	whole := args("10,20", strconv.Itoa(epochs))
	start(t, whole...).mustEnd(t, 0)
	again := start(t, whole...)
	again.mustEnd(t, 0)
	if !strings.Contains(again.out.String(), "finished already") {
		t.Errorf("it does not say that there is nothing to do:\n%s", again.out.String())
	}
	if n := steps(member); n != int64(4*epochs) {
		t.Errorf("%d steps, want %d", n, 4*epochs)
	}
	start(t, args("10,40", strconv.Itoa(epochs))...).mustEnd(t, exitUsage)
}

// A name that is taken is said to be.
func TestTakenNameIsSaid(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	for _, name := range []string{"x", "cmp"} {
		if err := os.MkdirAll(filepath.Join(runs, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, args := range map[string][]string{"x": {"--batch", "40"}, "cmp": {"--batch", "20,40"}} {
		p := start(t, slices.Concat([]string{"--no-tui", "--data", "demo:40", "--epochs", "1", "--runs", runs, "--name", name}, args, network())...)
		p.mustEnd(t, 0)
		if !strings.Contains(p.errs.String(), "called "+name+"-2") {
			t.Errorf("it does not say that it is called %s-2: %s", name, p.errs.String())
		}
	}
}

// A run whose folder was moved is one run wherever it is looked at: live, attached
// to, and from its record, under the name and in the folder that it has now.
func TestMovedRunIsOneRun(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	before, folder := filepath.Join(runs, "before"), filepath.Join(runs, "after")
	p := start(t, append(endless(runs, "before"), "--no-tui")...)
	has(t, before, "epoch", func(*event.EpochDone) bool { return true })
	p.Process.Signal(syscall.SIGTERM)
	p.mustEnd(t, exitStopped)
	trained := steps(before)
	if err := os.Rename(before, folder); err != nil {
		t.Fatal(err)
	}
	// One of the old name, which the moved one's record tells of.
	start(t, small(runs, "before")...).mustEnd(t, 0)

	p = start(t, "--no-tui", "--runs", runs, "--resume", "after")
	eventually(t, "step", func() bool { return steps(folder) > trained })
	one := func(where string, events []event.Event) {
		t.Helper()
		for _, e := range events {
			if e.Head().Run != "after" {
				t.Fatalf("%s: an event of run %q: %+v", where, e.Head().Run, e)
			}
			if s, ok := e.(*event.RunStarted); ok && s.Folder != folder {
				t.Errorf("%s: its folder is %s, want %s", where, s.Folder, folder)
			}
		}
	}
	states := func(where string) {
		t.Helper()
		out, err := exec.Command(program(t), "ctl", "--runs", runs, "after", "status", "--json").Output()
		var list []control.Status
		if err == nil {
			err = json.Unmarshal(out, &list)
		}
		if err != nil || len(list) != 1 || list[0].Run != "after" || list[0].Folder != folder {
			t.Errorf("%s: status: %v, %+v", where, err, list)
		}
	}
	states("live")
	client, err := control.Dial(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	attached := drain(t.Context(), client, func(e event.Event) bool {
		s, ok := e.(*event.StepDone)
		return ok && s.Total > trained
	})
	client.Close()
	one("attached", attached)
	if len(attached) == 0 || attached[0].Head().Seq != 1 {
		t.Errorf("attached, its past is not told: %d events", len(attached))
	}
	p.Process.Signal(syscall.SIGTERM)
	p.mustEnd(t, exitStopped)
	states("ended")
	one("record", recorded(folder))
}

// drain reads events until one is the last that is wanted, or there are no more.
func drain(ctx context.Context, source event.Source, last func(event.Event) bool) (all []event.Event) {
	for {
		events, err := source.Next(ctx, 256)
		all = append(all, events...)
		for _, e := range events {
			if last(e) {
				return all
			}
		}
		if err != nil {
			return all
		}
	}
}

// A record that was emptied does not cost the history: the table of epochs is as
// it would be of a run that nobody touched.
func TestEmptiedRecordGetsItsHistoryBack(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	table := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(runs, name, rundir.HistoryFile))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, name := range []string{"untouched", "emptied"} {
		start(t, small(runs, name)...).mustEnd(t, 0)
		if name == "emptied" {
			if err := os.Truncate(filepath.Join(runs, name, rundir.EventsFile), 0); err != nil {
				t.Fatal(err)
			}
		}
		p := start(t, "--no-tui", "--runs", runs, "--resume", name, "--epochs", "4")
		p.mustEnd(t, 0)
		if said := strings.Contains(p.errs.String(), "the checkpoint knows"); said != (name == "emptied") {
			t.Errorf("%s: it says: %s", name, p.errs.String())
		}
	}
	if got, want := table("emptied"), table("untouched"); got != want || strings.Count(want, "\n") != 5 {
		t.Errorf("history.csv:\n%swant\n%s", got, want)
	}
}

// What a person gives with --resume is obeyed, or refused with the reason.
func TestWhatAResumeCannotObeyIsRefused(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	start(t, small(runs, "x", "--epochs", "1")...).mustEnd(t, 0)
	start(t, append(network(), "--no-tui", "--data", "demo:40", "--batch", "20,40", "--epochs", "1", "--runs", runs, "--name", "cmp")...).mustEnd(t, 0)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--resume", "x", "--name", "y"}, exitUsage, "keeps its name"},
		{[]string{"--resume", "x", "--name", "x"}, exitOK, "--epochs"},
		{[]string{"--resume", "x", "--batch", "8"}, exitFailed, "batch"},
		{[]string{"--resume", "x", "--init", filepath.Join(runs, "none.safetensors")}, exitFailed, "init"},
		{[]string{"--resume", "cmp", "--batch", "20"}, exitUsage, "differ in"},
		{[]string{"--resume", "cmp", "--checkpoint", "last.ckpt"}, exitUsage, "name one run"},
		{[]string{"--resume-or-start"}, exitUsage, "--name"},
		{[]string{"--resume-or-start", "--name", "x", "--resume", "x"}, exitUsage, "--resume"},
	} {
		p := start(t, append([]string{"--no-tui", "--runs", runs}, c.args...)...)
		p.mustEnd(t, c.code)
		if !strings.Contains(p.errs.String(), c.says) {
			t.Errorf("%v: it says %s, which does not name %q", c.args, p.errs.String(), c.says)
		}
	}
}
