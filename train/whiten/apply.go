package whiten

import (
	"fmt"
	"sync"

	"cifartui/cifar"
	"cifartui/nn/kernel"
)

// Attach gives a preprocessing of zca its matrix, [n][n], n = 3*size*size.
func Attach(p *cifar.Preprocess, size int, matrix []float32) error {
	n := cifar.Channels * size * size
	if !p.Whitens() || len(matrix) != n*n {
		return fmt.Errorf("a whitening matrix of %d numbers for preprocessing %q of images of %d pixels a side", len(matrix), p.Name(), size)
	}
	p.SetWhitening(func(y, x []float32) { multiply(y, x, matrix, len(x)/n, n) })
	return nil
}

// alone are threads of one, each with memory of its own: several goroutines
// prepare batches.
var alone = sync.Pool{New: func() any { return kernel.NewWorkers(1) }}

// multiply sets y to x mᵀ, where x has rows of n numbers and m is [n][n]. It
// takes so much of m at a time as a processor's cache holds, for all rows.
func multiply(y, x, m []float32, rows, n int) {
	const columns = 32
	w := alone.Get().(*kernel.Workers)
	defer alone.Put(w)
	const many = 128 // rows at a time, whose results wait to be put in place
	part, zero := make([]float32, many*columns), make([]float32, columns)
	for first := 0; first < rows; first += many {
		count := min(many, rows-first)
		for o := 0; o < n; o += columns {
			k := min(columns, n-o)
			kernel.Dense(w, part[:count*k], x[first*n:][:count*n], m[o*n:][:k*n], zero[:k], count, n, k)
			for r := range count {
				copy(y[(first+r)*n+o:][:k], part[r*k:][:k])
			}
		}
	}
}
