// Package cudatest gives tests outside of package cuda a GPU where there is
// none: the stand-in driver over the PTX interpreter.
package cudatest

import "cifartui/nn/cuda/internal/standin"

// Driver is a driver with one GPU, which the interpreter plays.
type Driver = standin.Driver

// New returns a driver whose GPU has a compute capability.
func New(major, minor int) *Driver { return standin.New(major, minor) }
