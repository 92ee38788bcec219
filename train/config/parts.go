package config

import (
	"cmp"

	"cifartui/cifar"
)

// Parts are the images that a run of these settings trains on and those that it
// validates on: held out by val_split and the seed, else the part of the data
// that is for it, else the test images.
func (c Config) Parts(d *cifar.Dataset) (train, val *cifar.Set, err error) {
	if c.ValSplit > 0 {
		return d.Train.Split(c.ValSplit, c.Seed)
	}
	return d.Train, cmp.Or(d.Val, d.Test), nil
}
