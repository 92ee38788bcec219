package train

import (
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
	"cifartui/train/runs"
)

func checkpointNames(t *testing.T, folder string) []string {
	t.Helper()
	list, err := checkpoint.List(folder)
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

func TestPruneKeepsTheBestAndWhatCanGoOn(t *testing.T) {
	every := func(c *config.Config) { c.CheckpointEvery = 1 }
	ended, _ := mustTrain(t, tinyOptions(t, every), nil)
	o := tinyOptions(t, every)
	o.Config.Runs, o.Config.Name = filepath.Dir(ended), "stopped"
	stopped, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		if e, ok := e.(*event.EpochDone); ok && e.Epoch == 2 {
			if err := tr.Send(event.Stop{After: event.AfterEpoch}); err != nil {
				t.Error(err)
			}
		}
	})
	h, err := record.Read(ended)
	if err != nil {
		t.Fatal(err)
	}
	best := h.BestValAcc()
	before := checkpointNames(t, ended)

	dry, err := runs.Prune(filepath.Dir(ended), true)
	if err != nil || len(dry) != 2 {
		t.Fatalf("%+v, %v", dry, err)
	}
	if got := checkpointNames(t, ended); !slices.Equal(got, before) {
		t.Errorf("a dry run deleted: %v, was %v", got, before)
	}
	size := bytesIn(t, filepath.Dir(ended))
	done, err := runs.Prune(filepath.Dir(ended), false)
	if err != nil {
		t.Fatal(err)
	}
	left := bytesIn(t, filepath.Dir(ended))
	if freed := done[0].Bytes + done[1].Bytes; freed < size-left-100 || freed > size-left+100 { // the locks hold a number
		t.Errorf("told of %d bytes, freed %d", freed, size-left)
	}
	if got, want := checkpointNames(t, ended), []string{checkpoint.WeightsName("CIFAR-10", best.Epochs, best.Epoch, float64(best.ValAcc))}; !slices.Equal(got, want) {
		t.Errorf("the ended run keeps %v, want %v", got, want)
	}
	if got := checkpointNames(t, stopped); len(got) != 3 || !slices.Contains(got, checkpoint.LastFile) {
		t.Errorf("the stopped run keeps %v, want what it is resumed from and the best", got)
	}
	mustTrain(t, resume(o, stopped), nil) // it can still go on
	if again, err := runs.Prune(filepath.Dir(ended), false); err != nil || len(again) != 1 {
		t.Errorf("pruned twice: %+v, %v", again, err)
	}
}

func TestPruneLeavesLiveRunsAlone(t *testing.T) {
	folder, _ := mustTrain(t, tinyOptions(t, func(c *config.Config) { c.CheckpointEvery = 1 }), nil)
	l, err := rundir.LockFolder(folder)
	if err != nil {
		t.Skip("no locks here")
	}
	defer l.Release()
	if p, err := runs.Prune(filepath.Dir(folder), false); err != nil || len(p) > 0 {
		t.Errorf("pruned %+v, %v", p, err)
	}
}
