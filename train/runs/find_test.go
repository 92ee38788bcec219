package runs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/event/eventtest"
	"cifartui/train/rundir"
)

// trainedAt makes a run folder whose newest event is of a time.
func trainedAt(t *testing.T, folder string, minute int) {
	t.Helper()
	makeRun(t, folder, nil, 1)
	when := time.Date(2026, 11, 24, 12, minute, 0, 0, time.UTC)
	eventtest.Write(t, folder, &event.RunStarted{Header: event.Header{Time: when.Add(-time.Minute)}, Folder: folder},
		&event.EpochDone{Header: event.Header{Time: when.Add(-time.Second)}, Epoch: 1},
		&event.StepDone{Header: event.Header{Time: when}, Epoch: 2})
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	if _, err := Find(dir, Last); err == nil || !strings.Contains(err.Error(), "start one") {
		t.Errorf("the last run where there is none: %v", err)
	}
	trainedAt(t, filepath.Join(dir, "old"), 1)
	trainedAt(t, filepath.Join(dir, "new"), 5)
	trainedAt(t, filepath.Join(dir, "lost"), 2)
	if err := os.Remove(filepath.Join(dir, "lost", rundir.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	for i, run := range []string{"batch=8", "batch=16"} {
		trainedAt(t, filepath.Join(dir, "cmp", run), 3+i)
	}
	if err := os.WriteFile(filepath.Join(dir, "cmp", rundir.ComparisonFile), []byte(
		`{"sweeps":[{"key":"batch","values":["8","16"]}],"runs":["batch=8","batch=16"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	check := func(which, want string) {
		t.Helper()
		if got, err := Find(dir, which); err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%q is %s, %v; want %s", which, got, err, want)
		}
	}
	check("old", "old")
	check("cmp", "cmp")
	check("cmp/batch=8", "cmp/batch=8")
	check("lost", "lost")
	check(filepath.Join(dir, "cmp"), "cmp")
	check(filepath.Join(dir, "cmp", "batch=16"), "cmp/batch=16")
	check(Last, "new")
	t.Chdir(filepath.Join(dir, "old"))
	check(".", "old") // a run is never called "."
	if _, err := Find(dir, "none"); err == nil {
		t.Error("a run that is not there was found")
	}
	if _, err := Find(dir, "batch=8"); err == nil || !strings.Contains(err.Error(), "cmp/batch=8") {
		t.Errorf("a run of a comparison by its bare name: %v", err)
	}
	// A comparison goes with its runs.
	trainedAt(t, filepath.Join(dir, "cmp", "batch=8"), 6)
	check(Last, "cmp")
}

// A folder that was copied, unpacked or touched is no newer than it was.
func TestLastGoesByTheRecordsTimes(t *testing.T) {
	dir := t.TempDir()
	trainedAt(t, filepath.Join(dir, "old"), 1)
	trainedAt(t, filepath.Join(dir, "new"), 5)
	later := time.Now().Add(time.Hour)
	for _, name := range []string{rundir.ConfigFile, rundir.EventsFile, rundir.HistoryFile} {
		if err := os.Chtimes(filepath.Join(dir, "old", name), later, later); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a-copy", "z-copy"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(dir, "new"))); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Find(dir, Last); err != nil || got != filepath.Join(dir, "new") {
		t.Errorf("last is %s, %v", got, err)
	}
	// Of a comparison too, whose runs keep their names in the copy.
	cmp := filepath.Join(dir, "cmp")
	trainedAt(t, filepath.Join(cmp, "batch=8"), 7)
	if err := (config.Comparison{Sweeps: []config.Sweep{{Key: "batch", Values: []string{"8"}}}, Runs: []string{"batch=8"}}).Write(cmp); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "b-copy"), os.DirFS(cmp)); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(dir, Last); err != nil || got != cmp {
		t.Errorf("last is %s, %v", got, err)
	}
	// A run that has told nothing yet counts from when it was made.
	fresh := filepath.Join(dir, "fresh")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		t.Fatal(err)
	}
	about := config.About{Created: "2026-11-24T13:00:00Z"}
	if err := config.Write(rundir.OS{}, fresh, config.Default(), about); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(dir, Last); err != nil || got != fresh {
		t.Errorf("last is %s, %v", got, err)
	}
}

func TestLastOfABrokenFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(file, Last); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file for a runs folder: %v", err)
	}
}
