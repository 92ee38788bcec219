package ptx

import (
	"math/rand/v2"
	"testing"
)

// What is done often has a short way, which gives what the general one does.
func TestShortWaysAreTheGeneralOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	special := []uint32{0, 1 << 31, 1, 0x7fffff, 0x800000, 0x33800000, 0x3f7fffff, 0x3f800000, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000}
	single := func() uint64 {
		switch r.IntN(4) {
		case 0:
			return uint64(special[r.IntN(len(special))])
		case 1:
			return uint64(r.Uint32())
		case 2: // few digits, so that sums lie in the middle between two numbers
			return uint64(r.Uint32()&0x8003_8000 | (0x60+r.Uint32N(0x30))<<23)
		}
		return uint64(r.Uint32()&0x807f_ffff | (0x70+r.Uint32N(0x20))<<23)
	}
	f, half := plainSingle, typ{'h', 16}
	for range 300_000 {
		x, y, z := single(), single(), single()
		if got, want := fusedSingle(x, y, z), f.out(addOdd(f.in(x)*f.in(y), f.in(z))); got != want {
			t.Fatalf("%#x * %#x + %#x: %#x, want %#x", x, y, z, got, want)
		}
		for i, op := range []binaryOp{floatSum, floatDifference, floatProduct} {
			var out lanes
			op.single(&out, &lanes{x}, &lanes{y})
			if want := f.out(op.one(f.in(x), f.in(y))); out[0] != want {
				t.Fatalf("operation %d of %#x and %#x: %#x, want %#x", i, x, y, out[0], want)
			}
		}
		if v := f.in(x); v == v && half.encode(v) != roundBits(v, 8, -126) {
			t.Fatalf("%#x becomes %#x, want %#x", x, half.encode(v), roundBits(v, 8, -126))
		}
	}
	for range 20_000 {
		size := 1 << r.IntN(5)
		var addr lanes
		for l := range addr {
			addr[l] = r.Uint64N(64) * uint64(size)
			if r.IntN(8) > 0 {
				addr[l] = uint64(l * size) // which alone have no conflict
			}
		}
		active, group := r.Uint32(), min(warpSize, warpSize*4/size)
		for first := 0; first < warpSize; first += group {
			if n := crowded(&addr, active, size, first, group); n > 0 && apart(&addr, active, size, first, group) {
				t.Fatalf("%d conflicts of lanes %d and on, %d bytes at %v, are not seen", n, first, size, addr)
			}
		}
	}
}
