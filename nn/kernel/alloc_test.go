package kernel

import (
	"testing"
	"unsafe"
)

func TestAllocIsAlignedAndZero(t *testing.T) {
	if Alloc(0) != nil {
		t.Error("Alloc(0) is not empty")
	}
	for n := 1; n < 200; n++ {
		b := Alloc(n)
		if len(b) != n || cap(b) != n {
			t.Fatalf("Alloc(%d) has length %d and capacity %d", n, len(b), cap(b))
		}
		if at := uintptr(unsafe.Pointer(&b[0])) % 64; at != 0 {
			t.Fatalf("Alloc(%d) starts %d bytes behind a boundary", n, at)
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("Alloc(%d)[%d] = %v", n, i, b[i])
			}
			b[i] = 1 // the next one must not see it
		}
	}
}

// TestImageIndicesAreAPartition: every element of the buffer belongs to one
// pixel, border included.
func TestImageIndicesAreAPartition(t *testing.T) {
	m := Image{N: 3, H: 2, W: 5, C: 4}
	next := 0
	for n := range m.N {
		for y := -1; y <= m.H; y++ {
			for x := -1; x <= m.W; x++ {
				if at := m.At(n, y, x); at != next {
					t.Fatalf("At(%d, %d, %d) = %d, want %d", n, y, x, at, next)
				}
				next += m.C
			}
		}
	}
	if m.Len() != next {
		t.Errorf("Len() = %d, want %d", m.Len(), next)
	}
}
