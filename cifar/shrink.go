package cifar

import "math"

// shrink makes images smaller, with memory of its own: bilinearly, with a filter
// as wide as the pixels of the smaller image, so that nothing is left out
// (PyTorch's interpolate with mode="bilinear" and antialias=True, and Pillow's
// BILINEAR).
type shrink struct {
	size    int
	first   []int       // the first pixel that one of the smaller row is made of
	weights [][]float32 // and their weights, which sum to 1

	whole []float32 // [Size][Size][Channels], what write reads
	rows  []float32 // [Size][size][Channels]
}

// newShrink returns nil for images of Size.
func newShrink(size int) *shrink {
	if size == Size {
		return nil
	}
	s := &shrink{size: size, whole: make([]float32, Pixels), rows: make([]float32, Size*size*Channels)}
	scale := float64(Size) / float64(size)
	reach := max(scale, 1) // pixels on each side of the centre
	for i := range size {
		centre := scale * (float64(i) + 0.5)
		from := max(0, int(centre-reach+0.5))
		to := min(Size, int(centre+reach+0.5))
		var w []float64
		sum := 0.0
		for k := from; k < to; k++ {
			w = append(w, max(0, 1-math.Abs((float64(k)-centre+0.5)/reach)))
			sum += w[k-from]
		}
		row := make([]float32, len(w))
		for k := range w {
			row[k] = float32(w[k] / sum)
		}
		s.first, s.weights = append(s.first, from), append(s.weights, row)
	}
	return s
}

// write makes dst, [size][size][Channels], from whole: rows first.
func (s *shrink) write(dst []float32) {
	row := s.size * Channels
	for y := range Size {
		line := s.whole[y*Size*Channels:][:Size*Channels]
		for x, first := range s.first {
			var sum [Channels]float32
			for k, w := range s.weights[x] {
				at := line[(first+k)*Channels:][:Channels]
				for c := range sum {
					sum[c] += float32(w * at[c])
				}
			}
			copy(s.rows[y*row+x*Channels:], sum[:])
		}
	}
	for y, first := range s.first {
		to := dst[y*row:][:row]
		clear(to)
		for k, w := range s.weights[y] {
			for i, v := range s.rows[(first+k)*row:][:row] {
				to[i] += float32(w * v)
			}
		}
	}
}
