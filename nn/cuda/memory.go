package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// at is where a buffer lies on the GPU.
func at(b *nn.Buffer) driver.Pointer { return driver.Pointer(b.Addr) }

// Alloc takes n zeroed elements of four bytes. Images need half of that: they
// are bfloat16.
func (b *Backend) Alloc(_ bool, n int) (nn.Memory, error) {
	p, err := b.alloc(4 * n)
	return nn.Memory{Addr: uintptr(p), Len: n}, err
}

// alloc takes zeroed bytes, at a multiple of 256.
func (b *Backend) alloc(bytes int) (driver.Pointer, error) {
	bytes = max(bytes+255, 256) &^ 255
	p, err := b.ctx.Alloc(bytes)
	if err != nil {
		return 0, b.explain(fmt.Errorf("%d MiB on the GPU: %w", bytes>>20, err))
	}
	if err := b.ctx.Zero(p, bytes, b.stream); err != nil {
		_ = b.ctx.Free(p) // who gets an error gets no memory
		return 0, b.explain(err)
	}
	b.sizes[p] = bytes
	return p, nil
}

// Free gives memory back, and the copy of weights that lay there.
func (b *Backend) Free(m nn.Memory) {
	p := driver.Pointer(m.Addr)
	b.update()
	b.updates.forget(b, p)
	b.free(p)
	if c, ok := b.copies[p]; ok {
		delete(b.copies, p)
		b.free(c)
	}
}

// free gives memory back when nothing can use it any more: what a step being
// noted has been given will run later.
func (b *Backend) free(p driver.Pointer) {
	if _, ok := b.sizes[p]; !ok {
		return
	}
	if b.tape != nil {
		b.discarded = append(b.discarded, p)
		return
	}
	delete(b.sizes, p)
	if err := b.ctx.Free(p); err != nil { // it waits until nothing runs
		b.fail(err)
	}
}

// discard frees what could not be freed while the last step was noted.
func (b *Backend) discard() {
	for _, p := range b.discarded {
		b.free(p)
	}
	b.discarded = b.discarded[:0]
}

// scratch is memory that grows to what was asked for and is used by one kernel
// after another.
type scratch struct {
	p     driver.Pointer
	bytes int
}

// scratch returns at least so many bytes of s.
func (b *Backend) scratch(s *scratch, bytes int) driver.Pointer {
	if bytes > s.bytes {
		p, err := b.alloc(bytes)
		if err != nil {
			b.fail(err)
			return 0
		}
		// What was launched may still use the old one: Free waits.
		b.free(s.p)
		*s = scratch{p, bytes}
	}
	return s.p
}

// Upload copies src to dst and waits. Images are converted.
func (b *Backend) Upload(dst *nn.Buffer, src []float32) error {
	if len(src) == 0 {
		return nil
	}
	b.update()
	if dst.Image.N > 0 {
		return b.uploadImages(dst, src)
	}
	err := b.ctx.Upload(at(dst), unsafe.Pointer(unsafe.SliceData(src)), 4*len(src), b.stream)
	if c, ok := b.copies[at(dst)]; ok && err == nil {
		b.convert(c, at(dst), dst.Len)
	}
	return b.settle(err)
}

// Download copies src to dst and waits. Images are converted.
func (b *Backend) Download(dst []float32, src *nn.Buffer) error {
	if len(dst) == 0 {
		return nil
	}
	b.update()
	if src.Image.N > 0 {
		return b.downloadImages(dst, src)
	}
	return b.settle(b.ctx.Download(unsafe.Pointer(unsafe.SliceData(dst)), at(src), 4*len(dst), b.stream))
}

// settle waits after a copy, unless that has failed.
func (b *Backend) settle(err error) error {
	if err == nil {
		err = b.ctx.Sync(b.stream)
	}
	return b.failed(err)
}

// uploadImages takes images with the border that the host's have.
func (b *Backend) uploadImages(dst *nn.Buffer, src []float32) error {
	m := dst.Image
	half := make([]byte, 0, 2*m.N*m.H*m.W*m.C)
	for n := range m.N {
		for y := range m.H {
			i := m.At(n, y, 0)
			for _, v := range src[i : i+m.W*m.C] {
				half = binary.LittleEndian.AppendUint16(half, toBF16(v))
			}
		}
	}
	return b.settle(b.ctx.Upload(at(dst), unsafe.Pointer(&half[0]), len(half), b.stream))
}

// downloadImages gives images the border back.
func (b *Backend) downloadImages(dst []float32, src *nn.Buffer) error {
	m := src.Image
	half := make([]byte, 2*m.N*m.H*m.W*m.C)
	if err := b.settle(b.ctx.Download(unsafe.Pointer(&half[0]), at(src), len(half), b.stream)); err != nil {
		return err
	}
	for n := range m.N {
		for y := range m.H {
			i := m.At(n, y, 0)
			for j := range dst[i : i+m.W*m.C] {
				dst[i+j] = fromBF16(binary.LittleEndian.Uint16(half))
				half = half[2:]
			}
		}
	}
	return nil
}

// toBF16 rounds to the nearest bfloat16, to the even one of two.
func toBF16(v float32) uint16 {
	u := math.Float32bits(v)
	if v != v {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// labels downloads class numbers.
func (b *Backend) labels(from *nn.Buffer) ([]int32, error) {
	ids := make([]int32, from.Len)
	return ids, b.settle(b.ctx.Download(unsafe.Pointer(unsafe.SliceData(ids)), at(from), 4*len(ids), b.stream))
}
