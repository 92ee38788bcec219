package main

import "cifartui/train/checkpoint"

// checkpointFiles gives the screen access to the checkpoint files on this
// machine.
type checkpointFiles struct{}

// List implements [tui.Checkpoints].
func (checkpointFiles) List(folder string) ([]checkpoint.Info, error) {
	return checkpoint.List(folder)
}

// Verify implements [tui.Checkpoints].
func (checkpointFiles) Verify(path string) error { return checkpoint.Verify(path) }

// Delete implements [tui.Checkpoints].
func (checkpointFiles) Delete(path string) error { return checkpoint.Delete(path) }
