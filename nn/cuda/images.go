package cuda

import (
	"unsafe"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// LoadImages uploads the pixels and packs them to bfloat16 there.
func (b *Backend) LoadImages(dst *nn.Buffer, src []float32, rows int) error {
	m := dst.Image
	pixels := m.H * m.W
	b.update()
	b.rows(rows)
	from := b.scratch(&b.staging, 4*m.N*pixels*3)
	if b.err == nil {
		// The driver has a copy when this returns: src is not pinned.
		if err := b.ctx.Upload(from, unsafe.Pointer(unsafe.SliceData(src)), 4*rows*pixels*3, b.stream); err != nil {
			return b.failed(err)
		}
	}
	b.launch("pack_images", divide(pixels, 256), m.N, 0, b.args().
		Pointer(at(dst)).Pointer(from).Pointer(b.current).U32(uint32(pixels)))
	return b.failed(nil)
}

// LoadLabels widens the class numbers and uploads them.
func (b *Backend) LoadLabels(dst *nn.Buffer, src []uint8) error {
	wide := make([]int32, len(src))
	for i, l := range src {
		wide[i] = int32(l)
	}
	b.update()
	return b.failed(b.ctx.Upload(at(dst), unsafe.Pointer(unsafe.SliceData(wide)), 4*len(wide), b.stream))
}

// Dropout drops features; see nn.Backend.
func (b *Backend) Dropout(dst, src *nn.Buffer, rows int, p float32, key uint64) {
	b.rows(rows)
	b.want.key = key
	m := src.Image
	features := m.H * m.W * m.C
	threshold, scale := mask(p)
	b.launch("dropout_fwd", divide(features, 2048), m.N, 0, b.args().
		Pointer(at(dst)).Pointer(at(src)).Pointer(b.current).U32(uint32(features)).U32(threshold).F32(scale))
}

// DropoutBackward is its gradient.
func (b *Backend) DropoutBackward(dsrc, ddst, src *nn.Buffer, rows int, p float32, key uint64) {
	b.rows(rows)
	b.want.key = key
	m := src.Image
	features := m.H * m.W * m.C
	threshold, scale := mask(p)
	b.launch("dropout_bwd", divide(features, 2048), m.N, 0, b.args().
		Pointer(at(dsrc)).Pointer(at(ddst)).Pointer(at(src)).Pointer(b.current).U32(uint32(features)).U32(threshold).F32(scale))
}

// mask is what kernel.Dropout makes of p: a feature goes if its 24 random bits
// are below the threshold.
func mask(p float32) (threshold uint32, scale float32) {
	return uint32(float64(p)*(1<<24) + 0.5), float32(1 / (1 - float64(p)))
}

// args are empty arguments for the next launch.
func (b *Backend) args() *driver.Args { return b.spare.Reset() }
