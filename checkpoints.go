package main

import "cifartui/train"

// checkpointFiles gives the screen access to the checkpoint files on this
// machine.
type checkpointFiles struct{}

// List implements [tui.Checkpoints].
func (checkpointFiles) List(folder string) ([]train.CheckpointInfo, error) {
	return train.ListCheckpoints(folder)
}

// Verify implements [tui.Checkpoints].
func (checkpointFiles) Verify(path string) error { return train.VerifyCheckpoint(path) }

// Delete implements [tui.Checkpoints].
func (checkpointFiles) Delete(path string) error { return train.DeleteCheckpoint(path) }
