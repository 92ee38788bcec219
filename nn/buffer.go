package nn

import (
	"fmt"
	"unsafe"

	"cifartui/nn/kernel"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Memory is a block of a backend's memory. Exactly one of Floats and Ints is
// set on a backend that works on host memory; neither is on a device, where
// Addr is the block's address.
type Memory struct {
	Floats []float32
	Ints   []int32
	Addr   uintptr
	Len    int // elements, all of four bytes
}

// hostMemory describes a block of floats of the host.
func hostMemory(f []float32) Memory {
	return Memory{Floats: f, Addr: uintptr(unsafe.Pointer(unsafe.SliceData(f))), Len: len(f)}
}

// hostInts describes a block of integers of the host.
func hostInts(i []int32) Memory {
	return Memory{Ints: i, Addr: uintptr(unsafe.Pointer(unsafe.SliceData(i))), Len: len(i)}
}

// first is the block's first n elements, of floats.
func (m Memory) first(n int) Memory {
	if m.Floats != nil {
		m.Floats = m.Floats[:n]
	}
	m.Len = n
	return m
}

// Buffer is a value of the graph: a block of a backend's memory and its shape.
//
// It is not a tensor.Tensor, so that Gorgonia never reads or writes the
// memory, which may be a device's.
type Buffer struct {
	Memory
	// Image is the geometry of a value of shape (N, H, W, C), which is stored
	// with a border; it is zero for every other value.
	Image kernel.Image

	shape   tensor.Shape
	dtype   tensor.Dtype
	order   *order // of parameters: how they leave the package
	version uint64 // of parameters: counts the changes
}

var (
	_ gorgonia.Value = (*Buffer)(nil)
	_ gorgonia.Typer = (*Buffer)(nil)
)

// NewBuffer returns a value of floats with memory of its own, all zero. The
// caller frees it.
func NewBuffer(on Backend, shape ...int) (*Buffer, error) {
	b := newBuffer(shape...)
	return b, b.ensure(on)
}

// NewImages returns images with memory of their own, all zero.
func NewImages(on Backend, n, h, w, c int) (*Buffer, error) {
	b := newImages(n, h, w, c)
	return b, b.ensure(on)
}

// NewLabels returns n class numbers with memory of their own, all zero.
func NewLabels(on Backend, n int) (*Buffer, error) {
	b := newLabels(n)
	return b, b.ensure(on)
}

// newBuffer describes a value of floats; its memory is still to be set.
func newBuffer(shape ...int) *Buffer {
	b := &Buffer{shape: tensor.Shape(shape).Clone(), dtype: tensor.Float32}
	b.Len = b.shape.TotalSize()
	return b
}

// newImages describes images stored with a border; memory is still to be set.
func newImages(n, h, w, c int) *Buffer {
	b := newBuffer(n, h, w, c)
	b.Image = kernel.Image{N: n, H: h, W: w, C: c}
	b.Len = b.Image.Len()
	return b
}

// newLabels describes a vector of n class numbers; memory is still to be set.
func newLabels(n int) *Buffer {
	b := newBuffer(n)
	b.dtype = tensor.Int32
	return b
}

// ensure gives b memory of its own if it has none.
func (b *Buffer) ensure(on Backend) (err error) {
	if b.Addr != 0 {
		return nil
	}
	b.Memory, err = on.Alloc(b.dtype == tensor.Int32, b.Len)
	return err
}

// isFilter and isBias tell the kinds of parameters; the dense layer's weights
// are neither.
func (b *Buffer) isFilter() bool { return b.shape.Dims() == 4 }
func (b *Buffer) isBias() bool   { return b.shape.Dims() == 1 }

// Shape is the logical shape, without an image's border.
func (b *Buffer) Shape() tensor.Shape { return b.shape }

// Size is the number of elements of the logical shape.
func (b *Buffer) Size() int { return b.shape.TotalSize() }

// Dtype is Float32, or Int32 for labels.
func (b *Buffer) Dtype() tensor.Dtype { return b.dtype }

// Type is the value's type as Gorgonia's type system writes it.
func (b *Buffer) Type() hm.Type {
	if b.shape.IsScalar() {
		return b.dtype
	}
	return gorgonia.TensorType{Dims: b.shape.Dims(), Of: b.dtype}
}

// Data is the host's slice, a nil one on a device. An image's has its border.
func (b *Buffer) Data() any {
	if b.dtype == tensor.Int32 {
		return b.Ints
	}
	return b.Floats
}

// Uintptr is the address on the backend's side.
func (b *Buffer) Uintptr() uintptr { return b.Addr }

// MemSize is the number of bytes stored, an image's border included.
func (b *Buffer) MemSize() uintptr { return uintptr(b.Len) * 4 }

// Format names the value; it reads no element, which may be on a device.
func (b *Buffer) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "Buffer%v %v at %#x", b.shape, b.dtype, b.Addr)
}
