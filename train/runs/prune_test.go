package runs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cifartui/train/config"
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
		want, err := sizeOf(folder)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Remove(folder)
		if err != nil || got != want || exists(folder) {
			t.Errorf("%s: %d bytes of %d, %v", folder, got, want, err)
		}
	}
	// What a killed Remove leaves is in no list, and Prune clears it away.
	if err := os.MkdirAll(filepath.Join(dir, trashMark+"old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if list, err := List(dir); err != nil || len(list) != 1 {
		t.Errorf("list %+v, %v", list, err)
	}
	if _, err := Prune(dir, false); err != nil || exists(filepath.Join(dir, trashMark+"old")) {
		t.Errorf("the leftover stays: %v", err)
	}
}
