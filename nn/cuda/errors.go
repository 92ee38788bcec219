package cuda

import (
	"errors"
	"fmt"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// LostError is a GPU that is gone in the middle of its work, with all that was
// in its memory.
type LostError struct {
	Device string
	Err    error
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%s is lost: %v: what was saved last is kept; go on with --resume, on the processor with --device cpu", e.Device, e.Err)
}
func (e *LostError) Unwrap() error { return e.Err }

// explain makes of an error of the driver one that says what it means here.
func (b *Backend) explain(err error) error {
	if err == nil {
		return nil
	}
	var known *LostError
	var memory *nn.MemoryError
	switch name := b.ctx.Device().Name; {
	case errors.As(err, &known), errors.As(err, &memory):
		return err
	case driver.Lost(err):
		return &LostError{name, err}
	case driver.Is(err, driver.OutOfMemory):
		e := &nn.MemoryError{Device: name, Err: err}
		e.Free, e.Total, _ = b.ctx.Memory() // zeros if it can't tell
		return e
	}
	return err
}
