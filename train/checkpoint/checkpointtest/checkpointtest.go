// Package checkpointtest compares, for the tests of other packages, what runs
// have trained.
package checkpointtest

import (
	"path/filepath"
	"slices"
	"testing"

	"cifartui/nn/bittest"
	"cifartui/train/checkpoint"
	"cifartui/train/rundir"
)

// Last reads a run's exact checkpoint.
func Last(t testing.TB, folder string) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.Read(filepath.Join(folder, rundir.CheckpointsDir, checkpoint.LastFile))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Same fails the test unless two runs have trained the same, bit for bit:
// weights, the optimizer's state, best weights, what is monitored, sums, history
// and position. Left out is who trained it, when, how fast, and with what
// settings; a run of more epochs has more digits in the names of its weights.
func Same(t testing.TB, got, want *checkpoint.Checkpoint) {
	t.Helper()
	if len(want.Weights) == 0 {
		t.Fatalf("run %s: the checkpoint holds no weights", want.Run)
	}
	bittest.Values(t, "run "+got.Run, *got, *want,
		"Config", "Epochs", "Run", "Saved", "Seq", "Header", // who, of how many epochs, and when
		"Elapsed", "EpochStart", "Trained", "Phases", "Seconds", "ImagesPerSecond", // how fast
		"BestFile", "Obsolete")
	if !checkpoint.SameWeights(got.BestFile, want.BestFile) {
		t.Errorf("run %s: the best weights are %s, want %s", got.Run, got.BestFile, want.BestFile)
	}
	if !slices.EqualFunc(got.Obsolete, want.Obsolete, checkpoint.SameWeights) {
		t.Errorf("run %s: weights to be removed are %q, want %q", got.Run, got.Obsolete, want.Obsolete)
	}
}

// SameRuns is Same for the last checkpoints of two run folders, and compares the
// files of their best weights too; there must be such.
func SameRuns(t testing.TB, got, want string) {
	t.Helper()
	x, y := Last(t, got), Last(t, want)
	Same(t, x, y)
	if len(y.Solver) == 0 || len(y.History) == 0 || y.BestFile == "" {
		t.Fatalf("%s holds no state of the optimizer, no epoch or no best weights", want)
	}
	bittest.Values(t, filepath.Base(got)+": best weights", best(t, got, x), best(t, want, y))
}

func best(t testing.TB, folder string, c *checkpoint.Checkpoint) []checkpoint.Tensor {
	t.Helper()
	w, err := checkpoint.ReadWeights(filepath.Join(folder, rundir.CheckpointsDir, c.BestFile))
	if err != nil {
		t.Fatal(err)
	}
	return w.Tensors
}
