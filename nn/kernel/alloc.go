package kernel

import "unsafe"

// alignment of buffers in bytes: a cache line, and a whole AVX-512 register.
const alignment = 64

// Alloc returns n zeros, the first of them on a 64-byte boundary. It asks for huge
// pages where there are any: transforms write to 36 places at once, and the more
// of them share an entry of the processor's page table the better (3.5% of a
// step's convolutions on Zen 3 under a hypervisor, in turns, n from 13 to 49).
func Alloc(n int) []float32 {
	if n == 0 {
		return nil
	}
	const lane = alignment / 4
	buf := make([]float32, n+lane-1)
	adviseHugePages(buf)
	skip := int(-uintptr(unsafe.Pointer(&buf[0]))%alignment) / 4
	return buf[skip : skip+n : skip+n]
}

// Image is the shape of a buffer of N images of H by W pixels with C channels,
// each inside a border of zeros one pixel wide: [N][H+2][W+2][C] float32.
type Image struct{ N, H, W, C int }

// Len returns the number of elements of the buffer, border included.
func (m Image) Len() int { return m.N * (m.H + 2) * (m.W + 2) * m.C }

// At returns the index of channel 0 of pixel (y, x) of image n. y and x run
// from -1 to H and W: the outermost ones are the border.
func (m Image) At(n, y, x int) int {
	return ((n*(m.H+2)+y+1)*(m.W+2) + x + 1) * m.C
}

// check panics unless the shape is sound, buf is long enough for it and rows
// of its images can hold data.
func (m Image) check(kernel, name string, buf []float32, rows int) {
	check(kernel, m.N > 0 && m.H > 0 && m.W > 0 && m.C > 0, "the image has an empty dimension")
	check(kernel, 0 <= rows && rows <= m.N, "rows is not within 0 and the images of the batch")
	checkLen(kernel, name, len(buf), m.Len())
}
