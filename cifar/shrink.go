package cifar

import "math"

// shrink makes images smaller, with memory of its own: bilinearly, with a filter
// as wide as the pixels of the smaller image, so that nothing is left out
// (PyTorch's interpolate with mode="bilinear" and antialias=True, and Pillow's
// BILINEAR).
type shrink struct {
	from    int         // height and width of the images
	size    int         // and of the smaller ones
	first   []int       // the first pixel that one of the smaller row is made of
	weights [][]float32 // and their weights, which sum to 1

	whole []float32 // [from][from][Channels], what write reads
	rows  []float32 // [from][size][Channels]
}

// newShrink makes images of from by from pixels size by size; nil if they are.
func newShrink(from, size int) *shrink {
	if size == from {
		return nil
	}
	s := &shrink{from: from, size: size, whole: make([]float32, from*from*Channels), rows: make([]float32, from*size*Channels)}
	scale := float64(from) / float64(size)
	reach := max(scale, 1) // pixels on each side of the centre
	for i := range size {
		centre := scale * (float64(i) + 0.5)
		first := max(0, int(centre-reach+0.5))
		end := min(from, int(centre+reach+0.5))
		var w []float64
		sum := 0.0
		for k := first; k < end; k++ {
			w = append(w, max(0, 1-math.Abs((float64(k)-centre+0.5)/reach)))
			sum += w[k-first]
		}
		row := make([]float32, len(w))
		for k := range w {
			row[k] = float32(w[k] / sum)
		}
		s.first, s.weights = append(s.first, first), append(s.weights, row)
	}
	return s
}

// write makes dst, [size][size][Channels], from whole: rows first.
func (s *shrink) write(dst []float32) {
	row := s.size * Channels
	for y := range s.from {
		line := s.whole[y*s.from*Channels:][:s.from*Channels]
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
