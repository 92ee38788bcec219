// Package cudatest gives tests outside of package cuda a GPU where there is
// none: the stand-in driver over the PTX interpreter.
package cudatest

import (
	"cifartui/nn/cuda/internal/ptx"
	"cifartui/nn/cuda/internal/standin"
)

// Driver is a driver with one GPU, which the interpreter plays.
type Driver = standin.Driver

// New returns a driver whose GPU has a compute capability.
func New(major, minor int) *Driver { return standin.New(major, minor) }

// Count counts how often a kernel runs from now on.
func Count(d *Driver, kernel string) *int {
	n := new(int)
	d.Launched = func(name string, _ *ptx.Stats) {
		if name == kernel {
			*n++
		}
	}
	return n
}
