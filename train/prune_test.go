package train

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func checkpointNames(t *testing.T, folder string) []string {
	t.Helper()
	list, err := ListCheckpoints(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range list {
		names = append(names, c.File)
	}
	return names
}

// bytesIn adds up the sizes of a folder's files.
func bytesIn(t *testing.T, folder string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		size += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestPruneKeepsTheBestAndWhatCanGoOn(t *testing.T) {
	every := func(c *Config) { c.CheckpointEvery = 1 }
	ended, _ := mustTrain(t, tinyOptions(t, every), nil)
	o := tinyOptions(t, every)
	o.Config.Runs, o.Config.Name = filepath.Dir(ended), "stopped"
	stopped, _ := mustTrain(t, o, func(tr *Trainer, e Event) {
		if e, ok := e.(*EpochDone); ok && e.Epoch == 1 {
			if err := tr.Send(Stop{After: AfterEpoch}); err != nil {
				t.Error(err)
			}
		}
	})
	h, err := ReadRun(ended)
	if err != nil {
		t.Fatal(err)
	}
	best := h.BestValAcc()
	before := checkpointNames(t, ended)

	dry, err := Prune(filepath.Dir(ended), true)
	if err != nil || len(dry) != 2 {
		t.Fatalf("%+v, %v", dry, err)
	}
	if got := checkpointNames(t, ended); !slices.Equal(got, before) {
		t.Errorf("a dry run deleted: %v, was %v", got, before)
	}
	size := bytesIn(t, filepath.Dir(ended))
	done, err := Prune(filepath.Dir(ended), false)
	if err != nil {
		t.Fatal(err)
	}
	left := bytesIn(t, filepath.Dir(ended))
	if freed := done[0].Bytes + done[1].Bytes; freed < size-left-100 || freed > size-left+100 { // the locks hold a number
		t.Errorf("told of %d bytes, freed %d", freed, size-left)
	}
	if got, want := checkpointNames(t, ended), []string{weightsName(false, best.Epoch, float64(best.ValAcc))}; !slices.Equal(got, want) {
		t.Errorf("the ended run keeps %v, want %v", got, want)
	}
	if got := checkpointNames(t, stopped); len(got) != 3 || !slices.Contains(got, LastFile) {
		t.Errorf("the stopped run keeps %v, want what it is resumed from and the best", got)
	}
	mustTrain(t, resume(o, stopped), nil) // it can still go on
	if again, err := Prune(filepath.Dir(ended), false); err != nil || len(again) != 1 {
		t.Errorf("pruned twice: %+v, %v", again, err)
	}
}

func TestPruneLeavesLiveRunsAlone(t *testing.T) {
	folder, _ := mustTrain(t, tinyOptions(t, func(c *Config) { c.CheckpointEvery = 1 }), nil)
	l, err := lockFolder(folder)
	if err != nil {
		t.Skip("no locks here")
	}
	defer l.release()
	if p, err := Prune(filepath.Dir(folder), false); err != nil || len(p) > 0 {
		t.Errorf("pruned %+v, %v", p, err)
	}
}

func TestRemove(t *testing.T) {
	runs := t.TempDir()
	run, cmp, foreign := filepath.Join(runs, "run"), filepath.Join(runs, "cmp"), filepath.Join(runs, "foreign")
	makeRun(t, run, nil, 2)
	makeRun(t, filepath.Join(cmp, "batch=64"), nil, 2)
	if err := (comparisonFile{Sweeps: []Sweep{{"batch", []string{"64", "128"}}}, Runs: []string{"batch=64", "batch=128"}}).write(cmp); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Remove(foreign); err == nil || !exists(foreign) {
		t.Errorf("a folder that is no run's: %v", err)
	}
	if l, err := lockFolder(filepath.Join(cmp, "batch=64")); err == nil {
		var inUse *InUseError
		if _, err := Remove(cmp); !errors.As(err, &inUse) || !exists(cmp) {
			t.Errorf("a comparison with a live run: %v", err)
		}
		if err := l.release(); err != nil {
			t.Fatal(err)
		}
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
	if err := os.MkdirAll(filepath.Join(runs, trashMark+"old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if list, err := List(runs); err != nil || len(list) != 1 {
		t.Errorf("list %+v, %v", list, err)
	}
	if _, err := Prune(runs, false); err != nil || exists(filepath.Join(runs, trashMark+"old")) {
		t.Errorf("the leftover stays: %v", err)
	}
}
