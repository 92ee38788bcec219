package cuda

import (
	"unsafe"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// weights returns the bfloat16 copy of w. It is made once; from then on, who
// changes w keeps it the same: Upload and the optimisers' kernels.
func (b *Backend) weights(w *nn.Buffer) driver.Pointer {
	if c, ok := b.copies[at(w)]; ok {
		return c
	}
	c, err := b.alloc(2 * w.Len)
	if err != nil {
		b.fail(err)
		return 0
	}
	b.update()
	b.convert(c, at(w), w.Len)
	if b.err != nil { // what was not written must not be taken for the copy
		b.free(c)
		return 0
	}
	b.copies[at(w)] = c
	return c
}

// convert rounds n floats to bfloat16.
func (b *Backend) convert(dst, src driver.Pointer, n int) {
	b.launch("to_bf16", divide(n, 1024), 1, 0, b.args().Pointer(dst).Pointer(src).U32(uint32(n)))
}

// pointerTo is where bytes of the host begin.
func pointerTo(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
