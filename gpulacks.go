package main

import (
	"errors"
	"fmt"

	"cifartui/cifar"
	"cifartui/nn/cuda"
	"cifartui/train"
	"cifartui/train/config"
	"cifartui/train/rundir"
)

// gpuLacks says what a run wants that the GPU's kernels are not made for, in a
// line; nil if there is nothing.
func gpuLacks(c config.Config, d *cifar.Dataset) error {
	if size := d.Train.Size; size != cifar.Size {
		return fmt.Errorf("the GPU's kernels are made for images of %d pixels, not of %d", cifar.Size, size)
	}
	if c.Preprocess == cifar.ZCA {
		return errors.New("the GPU's kernels do not whiten images (--preprocess zca)")
	}
	if a := c.Augment; a != (config.Augment{}) && a != config.Default().Augment {
		return fmt.Errorf("the GPU's kernels augment by shifts of 12.5%% and flips, not by %s", a.Kinds())
	}
	spec, err := train.NetworkFor(c, d)
	if err != nil {
		return nil // it is told when the run is made
	}
	return cuda.Lacks(spec)
}

// gpuLacks is that of all runs of a plan, whose settings are c where it does not
// vary them.
func (p plan) gpuLacks(c config.Config, d *cifar.Dataset) error {
	sweeps := p.sweeps
	if p.Resume != "" && rundir.IsComparison(p.Resume) {
		file, err := config.ReadComparison(p.Resume)
		if err != nil {
			return nil // it is told when the comparison is opened
		}
		sweeps = file.Sweeps
	}
	runs := []config.Config{c}
	if len(sweeps) > 0 {
		runs, _ = config.Expand(c, sweeps) // what is wrong with them, too
	}
	for _, r := range runs {
		if err := gpuLacks(r, d); err != nil {
			return err
		}
	}
	return nil
}
