package runs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	run, cmp, foreign := filepath.Join(dir, "run"), filepath.Join(dir, "cmp"), filepath.Join(dir, "foreign")
	makeRun(t, run, nil, 2)
	makeRun(t, filepath.Join(cmp, "batch=64"), nil, 2)
	if err := (config.Comparison{Sweeps: []config.Sweep{{Key: "batch", Values: []string{"64", "128"}}}, Runs: []string{"batch=64", "batch=128"}}).Write(cmp); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Remove(foreign); err == nil || !exists(foreign) {
		t.Errorf("a folder that is no run's: %v", err)
	}
	if l, err := rundir.LockFolder(filepath.Join(cmp, "batch=64")); err == nil {
		var inUse *rundir.InUseError
		if _, err := Remove(cmp); !errors.As(err, &inUse) || !exists(cmp) {
			t.Errorf("a comparison with a live run: %v", err)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
	// A run of a comparison leaves it; the last one takes it along.
	makeRun(t, filepath.Join(cmp, "batch=128"), nil, 2)
	if l, err := rundir.LockFolder(cmp); err == nil {
		var inUse *rundir.InUseError
		if _, err := Remove(filepath.Join(cmp, "batch=64")); !errors.As(err, &inUse) || !exists(filepath.Join(cmp, "batch=64")) {
			t.Errorf("a run of a live comparison: %v", err)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Remove(filepath.Join(cmp, "batch=128")); err != nil {
		t.Fatal(err)
	}
	if file, err := config.ReadComparison(cmp); err != nil || !slices.Equal(file.Runs, []string{"batch=64"}) {
		t.Errorf("the comparison is of %v, %v", file.Runs, err)
	}
	if list, err := Read(cmp); err != nil || len(list) != 1 || list[0].Name != "batch=64" {
		t.Errorf("what is left reads as %d runs, %v", len(list), err)
	}
	two := filepath.Join(dir, "two")
	if err := os.CopyFS(two, os.DirFS(cmp)); err != nil {
		t.Fatal(err)
	}
	if _, err := Remove(filepath.Join(two, "batch=64")); err != nil || exists(two) {
		t.Errorf("the last run of a comparison: %v", err)
	}
	for _, folder := range []string{run, cmp} {
		want, err := Size(folder)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Remove(folder)
		if err != nil || got != want || exists(folder) {
			t.Errorf("%s: %d bytes of %d, %v", folder, got, want, err)
		}
	}
	// What a killed Remove leaves is in no list, and Prune clears it away.
	left := filepath.Join(dir, trashMark+"old")
	makeRun(t, left, nil, 2)
	if list, err := List(dir); err != nil || len(list) != 1 {
		t.Errorf("list %+v, %v", list, err)
	}
	want, err := Size(left)
	if err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		if p, err := Prune(dir, dry); err != nil || len(p) != 1 || p[0].Folder != left || p[0].Bytes != want || exists(left) != dry {
			t.Errorf("the leftover: %+v, %v, there: %v", p, err, exists(left))
		}
	}
}

// A run that somebody begins to write while it is being removed has its folder, or
// is not removed.
func TestRemoveHoldsTheLock(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows moves no folder with open files: the locks are given back just before")
	}
	run := filepath.Join(t.TempDir(), "run")
	makeRun(t, run, nil, 1)
	probe, err := rundir.LockFolder(t.TempDir())
	if errors.Is(err, rundir.ErrNoLocks) {
		t.Skip("the file system of temporary folders has no locks")
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = probe.Release()
	unlock, err := lockAll([]string{run})
	if err != nil {
		t.Fatal(err)
	}
	if _, live := rundir.Live(run); !live {
		t.Fatal("the run is not locked")
	}
	var inUse *rundir.InUseError
	if _, err := lockAll([]string{t.TempDir(), run}); !errors.As(err, &inUse) {
		t.Errorf("the locks of a run that another holds: %v", err)
	}
	trash, err := toTrash(run, unlock)
	if err != nil || exists(run) {
		t.Fatalf("the folder stays: %v", err)
	}
	if _, live := rundir.Live(trash); !live {
		t.Error("the lock was given back before the folder was out of its place")
	}
	unlock()
	if _, err := Remove(trash); err != nil {
		t.Error(err)
	}
}

// Of a run that is a link its folder goes too, wherever that is, and so do those
// of a comparison's runs. What a run's folder links to besides is not the run's.
func TestRemoveOfLinks(t *testing.T) {
	dir, disk := t.TempDir(), t.TempDir()
	link := func(at, to string) {
		t.Helper()
		if err := os.Symlink(to, at); err != nil {
			t.Skip("no links here:", err)
		}
	}
	images := filepath.Join(disk, "images")
	if err := os.WriteFile(images, make([]byte, 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	run, cmp := filepath.Join(dir, "run"), filepath.Join(dir, "cmp")
	makeRun(t, filepath.Join(disk, "a"), nil, 2)
	link(run, filepath.Join(disk, "a"))
	link(filepath.Join(disk, "a", "images"), images)
	makeRun(t, filepath.Join(cmp, "batch=64"), nil, 2)
	makeRun(t, filepath.Join(disk, "b"), nil, 2)
	link(filepath.Join(cmp, "batch=128"), filepath.Join(disk, "b"))
	if err := (config.Comparison{Sweeps: []config.Sweep{{Key: "batch", Values: []string{"64", "128"}}}, Runs: []string{"batch=64", "batch=128"}}).Write(cmp); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{run, cmp} {
		want, err := Size(folder)
		if err != nil || want < 1000 {
			t.Errorf("%s holds %d bytes, %v", folder, want, err)
		}
		if got, err := Remove(folder); err != nil || got != want {
			t.Errorf("%s: %d bytes of %d, %v", folder, got, want, err)
		}
	}
	for _, d := range []string{dir, disk} {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if path := filepath.Join(d, e.Name()); path != images {
				t.Errorf("%s is left", path)
			}
		}
	}

	// A kill in the middle leaves what Prune finds, on the other disk too.
	makeRun(t, filepath.Join(disk, "c"), nil, 2)
	link(run, filepath.Join(disk, "c"))
	if _, err := toTrash(run, func() {}); err != nil {
		t.Fatal(err)
	}
	if p, err := Prune(dir, false); err != nil || len(p) != 1 || p[0].Bytes == 0 || exists(trashOf(run)) || exists(trashOf(filepath.Join(disk, "c"))) {
		t.Errorf("the leftover of a link: %+v, %v", p, err)
	}
}

// A run that was resumed after it was looked at, to train more, keeps what it is
// resumed from.
func TestPruneLooksUnderTheLock(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	makeRun(t, run, nil, 2, &event.RunEnded{Outcome: event.OutcomeFinished}, &event.RunStarted{Resumed: true})
	s := checkpoint.Store{Disk: rundir.OS{}, Folder: filepath.Join(run, rundir.CheckpointsDir)}
	if _, err := s.SaveLast(&checkpoint.Checkpoint{Position: checkpoint.Position{Epoch: 3}}); err != nil {
		t.Fatal(err)
	}
	best := checkpoint.Weights{Meta: map[string]string{checkpoint.MetaEpoch: "2", checkpoint.MetaValAcc: "0.5"},
		Tensors: []checkpoint.Tensor{{Name: "dense.bias", Shape: []int{1}, Data: []float32{1}}}}
	if _, err := s.SaveWeights("best.safetensors", best); err != nil {
		t.Fatal(err)
	}
	before := inspectRun(t, run)
	before.Outcome = event.OutcomeFinished
	if p, err := pruneRun(before, false); err != nil || p.Kept != "best.safetensors" || len(p.Files) > 0 {
		t.Errorf("pruned %+v, %v", p, err)
	}
}
