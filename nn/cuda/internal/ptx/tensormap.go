package ptx

import (
	"encoding/binary"
	"fmt"
)

// TensorMap describes a tensor in global memory to the copy engine of sm_90,
// as cuTensorMapEncodeTiled does. The first dimension is the innermost.
type TensorMap struct {
	Address  uint64
	ElemSize int      // bytes: 1, 2, 4 or 8
	Dims     []uint64 // elements; 1 to 5 dimensions
	Strides  []uint64 // bytes between two entries of dimension 1, 2, ...; one fewer than Dims
	Box      []uint32 // elements that one copy takes
	Swizzle  int      // 0, 32, 64 or 128 bytes
}

// TensorMapBytes is the size of an encoded tensor map. It must lie at a
// multiple of 64.
const TensorMapBytes = 128

// tensorMagic stands at the begin of an encoded map, so that other bytes are
// not taken for one.
const tensorMagic = 0x7e5a_0f0d

// Encode checks the map against the driver's rules and packs it. The format is
// the interpreter's own, as NVIDIA's is not public.
func (t TensorMap) Encode() ([TensorMapBytes]byte, error) {
	var out [TensorMapBytes]byte
	if err := t.check(); err != nil {
		return out, fmt.Errorf("ptx: tensor map: %w", err)
	}
	le := binary.LittleEndian
	le.PutUint32(out[0:], tensorMagic)
	out[4], out[5], out[6] = byte(len(t.Dims)), byte(t.ElemSize), byte(t.Swizzle)
	le.PutUint64(out[8:], t.Address)
	for i := range t.Dims {
		le.PutUint32(out[16+4*i:], uint32(t.Dims[i]))
		le.PutUint32(out[40+4*i:], t.Box[i])
		if i > 0 {
			le.PutUint64(out[56+8*i:], t.Strides[i-1])
		}
	}
	return out, nil
}

// check holds the map to the rules that the driver's manual lists for
// cuTensorMapEncodeTiled.
func (t TensorMap) check() error {
	n := len(t.Dims)
	switch {
	case n < 1 || n > 5 || len(t.Strides) != n-1 || len(t.Box) != n:
		return fmt.Errorf("%d dimensions, %d strides, %d box sizes", n, len(t.Strides), len(t.Box))
	case t.Address%16 != 0:
		return fmt.Errorf("address %#x is no multiple of 16", t.Address)
	case t.ElemSize != 1 && t.ElemSize != 2 && t.ElemSize != 4 && t.ElemSize != 8:
		return fmt.Errorf("elements of %d bytes", t.ElemSize)
	case t.Swizzle != 0 && t.Swizzle != 32 && t.Swizzle != 64 && t.Swizzle != 128:
		return fmt.Errorf("swizzle of %d bytes", t.Swizzle)
	}
	for i := range n {
		if t.Dims[i] == 0 || t.Dims[i] > 1<<32-1 || t.Box[i] == 0 || t.Box[i] > 256 {
			return fmt.Errorf("dimension %d has %d elements and a box of %d", i, t.Dims[i], t.Box[i])
		}
		if i > 0 && (t.Strides[i-1]%16 != 0 || t.Strides[i-1] >= 1<<40) {
			return fmt.Errorf("stride %d is %d bytes, no multiple of 16 below 2^40", i, t.Strides[i-1])
		}
	}
	inner := int(t.Box[0]) * t.ElemSize
	if inner%16 != 0 {
		return fmt.Errorf("the box's inner size is %d bytes, no multiple of 16", inner)
	}
	if t.Swizzle > 0 && inner > t.Swizzle {
		return fmt.Errorf("the box's inner size is %d bytes, more than the swizzle of %d", inner, t.Swizzle)
	}
	return nil
}

// decodeTensorMap is the inverse of Encode.
func decodeTensorMap(p []byte) (TensorMap, bool) {
	le := binary.LittleEndian
	if len(p) < TensorMapBytes || le.Uint32(p) != tensorMagic {
		return TensorMap{}, false
	}
	n := int(p[4])
	t := TensorMap{Address: le.Uint64(p[8:]), ElemSize: int(p[5]), Swizzle: int(p[6]),
		Dims: make([]uint64, n), Box: make([]uint32, n), Strides: make([]uint64, n-1)}
	for i := range n {
		t.Dims[i] = uint64(le.Uint32(p[16+4*i:]))
		t.Box[i] = le.Uint32(p[40+4*i:])
		if i > 0 {
			t.Strides[i-1] = le.Uint64(p[56+8*i:])
		}
	}
	return t, true
}
