package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// A run whose checkpoints are gone is not begun again over what it has done.
func TestResumeWithoutCheckpointsKeepsWhatWasDone(t *testing.T) {
	o := tinyOptions(t)
	o.Config.Epochs = 1
	first := newTrainer(t, o)
	if err := first.Run(t.Context(), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	removeLast := func() {
		names, err := filepath.Glob(filepath.Join(first.Folder(), rundir.CheckpointsDir, "last*"))
		if err != nil || len(names) == 0 {
			t.Fatalf("no last checkpoint (%v)", err)
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	removeLast()
	before, err := os.ReadFile(filepath.Join(first.Folder(), rundir.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	o.Resume, o.Config.Epochs = first.Folder(), 2
	_, err = NewTrainer(o)
	if err == nil || !strings.Contains(err.Error(), "up to epoch 1,") || !strings.Contains(err.Error(), "--init") || !strings.Contains(err.Error(), ".safetensors") {
		t.Fatalf("resumed without a checkpoint: %v", err)
	}
	after, err := os.ReadFile(filepath.Join(first.Folder(), rundir.EventsFile))
	if err != nil || string(after) != string(before) {
		t.Errorf("the record has changed (%v)", err)
	}
}

// The best weights of a run that a number of steps ends are tested, and those
// of a resume that has better ones are tested anew.
func TestResultOnTheTestSetIsOfTheBestWeights(t *testing.T) {
	o := tinyOptions(t)
	o.Config.ValSplit, o.Config.Epochs = 20, 4
	steps := int64((o.Dataset.Train.Len() - o.Config.ValSplit + o.Config.Batch - 1) / o.Config.Batch)
	o.Config.MaxSteps = steps + 1
	var last *event.RunEnded
	run := func() *Trainer {
		tr := newTrainer(t, o)
		if err := tr.Run(t.Context(), func(e event.Event) {
			if end, ok := e.(*event.RunEnded); ok {
				last = end
			}
		}); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	first := run()
	if last == nil || last.TestAcc == nil || last.TestLoss == nil {
		t.Fatalf("no result on the test set: %+v", last)
	}
	loss, epoch := *last.TestLoss, last.BestValAccEpoch
	o.Resume, o.Config.MaxSteps = first.Folder(), 0
	run()
	if last.TestLoss == nil {
		t.Fatal("no result on the test set after the resume")
	}
	if better := last.BestValAccEpoch != epoch; better != (*last.TestLoss != loss) {
		t.Errorf("best in epoch %d, then %d: loss on the test set %v, then %v", epoch, last.BestValAccEpoch, loss, *last.TestLoss)
	}
}
