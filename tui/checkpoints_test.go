package tui

import (
	"slices"
	"testing"

	"cifartui/train/checkpoint"
	"cifartui/train/event"
)

// Weights after a shorter last epoch are those after an epoch: that they were validated
// tells, and not the number of steps.
func TestWeightsAfterAShorterEpoch(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(3)
	b := newBench(t, Options{Checkpoints: &fakeFiles{}}, 120, 40, s.events...)
	b.press("3")
	n := len(s.events)
	s.emit(&event.CheckpointSaved{Header: s.head(event.KindCheckpointSaved), File: "CIFAR10-EP04.safetensors", Reason: "every", Epoch: 4, Step: 100, ValAcc: 0.9, ValLoss: 0.4})
	s.emit(&event.CheckpointSaved{Header: s.head(event.KindCheckpointSaved), File: "CIFAR10-EP05-STEP00100.safetensors", Reason: "manual", Epoch: 5, Step: 100, ValAcc: checkpoint.NotKnown, ValLoss: checkpoint.NotKnown})
	b.feed(s.events[n:]...)
	for file, want := range map[string]string{"CIFAR10-EP04.safetensors": "after epoch 4", "CIFAR10-EP05-STEP00100.safetensors": "epoch 5, step 100"} {
		i := slices.IndexFunc(b.files.rows, func(f fileRow) bool { return f.File == file })
		if i < 0 || b.files.rows[i].where() != want {
			t.Errorf("%s is not listed as of %s", file, want)
		}
	}
}

// A run whose last epoch has fewer steps is all done after them.
func TestProgressOfAShorterLastEpoch(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 4).run(3)
	s.events[0].(*event.RunStarted).Config.Budget = 60
	b := newBench(t, Options{}, 120, 40, s.events...)
	n := len(s.events)
	s.emit(&event.Planned{Header: s.head(event.KindPlanned), Epochs: 4, LastSteps: 100, Budget: 60, Seconds: 59})
	s.emit(&event.StepDone{Header: s.head(event.KindStep), Epoch: 4, Step: 50, Steps: 100, Total: 2396, Count: 1, Loss: 1})
	b.feed(s.events[n:]...)
	says(t, b, " 97%") // and almost one more, of 3 epochs of 782 steps and one of 100
	b.press("5")
	says(t, b, "4 (the last of 100 steps),")
	s.emit(&event.EpochDone{Header: s.head(event.KindEpoch), Epoch: 4, Epochs: 4, Total: 2446})
	s.emit(&event.RunEnded{Header: s.head(event.KindRunEnded), Outcome: event.OutcomeFinished, Epoch: 4})
	b.feed(s.events[n+2:]...)
	says(t, b, "100%")
	says(t, b, "100/100")
}

// What other commands take for the best is what the view calls so: a damaged file is
// no one's.
func TestADamagedFileIsNotTheBest(t *testing.T) {
	rows := []fileRow{
		{Info: checkpoint.Info{File: "damaged.safetensors", ValAcc: 0.9, Problem: "it ends too early"}},
		{Info: checkpoint.Info{File: "whole.safetensors", ValAcc: 0.8}},
	}
	if best := bestRow(rows, "val_acc"); best != 1 {
		t.Errorf("the best is row %d, want 1", best)
	}
}

// That a file was verified holds for what was in it then, and not for what has taken
// its place.
func TestAFileWrittenAnewIsNotVerified(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(3)
	b := newBench(t, Options{Checkpoints: &fakeFiles{}}, 120, 40, s.events...)
	b.press("3")
	last := func() fileRow {
		i := slices.IndexFunc(b.files.rows, func(f fileRow) bool { return f.File == checkpoint.LastFile })
		if i < 0 {
			t.Fatal("there is no last.ckpt")
		}
		return b.files.rows[i]
	}
	f := last()
	b.Update(verifiedMsg{path: f.Path, written: f.Time})
	if found := b.files.found(last()); found != "whole and sound" {
		t.Errorf("verified: %q", found)
	}
	n := len(s.events)
	s.epoch(4)
	b.feed(s.events[n:]...)
	if found := b.files.found(last()); found != "" {
		t.Errorf("written anew, and still %q", found)
	}
}
