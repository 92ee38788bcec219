package driver

import (
	"encoding/binary"
	"fmt"
	"math"
)

// maxArgs and maxArgBytes are more than any kernel of the program takes; CUDA's
// own limit is 4,096 bytes.
const (
	maxArgs     = 24
	maxArgBytes = 2048
)

// Args are the arguments of a kernel, each at the offset that C would give it
// in a struct. The zero value has none. It can be filled anew with Reset and
// used again as soon as the launch has returned.
type Args struct {
	bytes [maxArgBytes]byte
	n     int
	at    [maxArgs]uint16
	count int
}

// Reset forgets all arguments.
func (a *Args) Reset() *Args {
	a.n, a.count = 0, 0
	return a
}

// CopyFrom makes a the same as o.
func (a *Args) CopyFrom(o *Args) {
	a.n, a.at, a.count = o.n, o.at, o.count
	copy(a.bytes[:a.n], o.bytes[:o.n])
}

// place makes room for an argument.
func (a *Args) place(size, align int) []byte {
	at := (a.n + align - 1) &^ (align - 1)
	if a.count == maxArgs || at+size > maxArgBytes {
		panic(fmt.Sprintf("driver: %d arguments of %d bytes, and another of %d: too many for a kernel", a.count, a.n, size))
	}
	clear(a.bytes[a.n:at])
	a.at[a.count] = uint16(at)
	a.count++
	a.n = at + size
	return a.bytes[at : at+size]
}

// Pointer adds an address.
func (a *Args) Pointer(p Pointer) *Args { return a.U64(uint64(p)) }

// U64 adds a 64-bit integer.
func (a *Args) U64(v uint64) *Args {
	binary.LittleEndian.PutUint64(a.place(8, 8), v)
	return a
}

// U32 adds a 32-bit integer.
func (a *Args) U32(v uint32) *Args {
	binary.LittleEndian.PutUint32(a.place(4, 4), v)
	return a
}

// F32 adds a float.
func (a *Args) F32(v float32) *Args { return a.U32(math.Float32bits(v)) }

// Struct adds a structure with an alignment, a power of two.
func (a *Args) Struct(b []byte, align int) *Args {
	copy(a.place(len(b), align), b)
	return a
}

// Bytes are all arguments as they lie in memory, and Offsets where each begins.
func (a *Args) Bytes() []byte     { return a.bytes[:a.n] }
func (a *Args) Offsets() []uint16 { return a.at[:a.count] }
