package cuda

import (
	"fmt"

	"cifartui/nn"
)

// CheckSize allows multiples of 8 up to the data set's own size: powers of two and
// three times such, which the convolutions are made for.
func (b *Backend) CheckSize(size int) error {
	if size < leastSide || size > side || size%leastSide != 0 {
		return fmt.Errorf("the GPU's kernels are made for images of %d, %d, %d or %d pixels, not of %d", leastSide, 2*leastSide, 3*leastSide, side, size)
	}
	return nil
}

// Resample averages the images src to the size of dst.
func (b *Backend) Resample(dst, src *nn.Buffer, rows int) {
	b.rows(rows)
	from, to := src.Image, dst.Image
	b.launch("resample", divide(to.H*to.W*to.C/8, 256), to.N, 0, b.args().
		Pointer(at(dst)).Pointer(at(src)).Pointer(b.current).
		U32(uint32(from.H)).U32(uint32(from.W)).U32(uint32(to.H)).U32(uint32(to.W)).U32(uint32(to.C)))
}

// ResampleBackward is its gradient, and that of the ReLU before it.
func (b *Backend) ResampleBackward(dsrc, ddst, src *nn.Buffer, rows int) {
	b.rows(rows)
	from, to := src.Image, ddst.Image
	b.launch("resample_bwd", divide(from.H*from.W*from.C/8, 256), from.N, 0, b.args().
		Pointer(at(dsrc)).Pointer(at(ddst)).Pointer(at(src)).Pointer(b.current).
		U32(uint32(from.H)).U32(uint32(from.W)).U32(uint32(to.H)).U32(uint32(to.W)).U32(uint32(to.C)))
}
