package tui

import (
	"testing"

	"cifartui/train/checkpoint"
)

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
