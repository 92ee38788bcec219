package whiten

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/lapack/gonum"
)

// inverseRoot returns (a + e I)^(-1/2) for a symmetric a [n][n] without negative
// eigenvalues, which it overwrites.
//
// It needs no eigenvectors. Householder's reflections bring a to a matrix T of
// three diagonals, a = Q T Qᵀ (LAPACK's dsytrd and dorgtr), and of that
//
//	(T + e I)^(-1/2) = 2/pi * integral of (T + e I + s² I)^-1 ds, s from 0 on
//
// With s = exp(u) the trapezoidal rule converges exponentially (Trefethen and
// Weideman, The Exponentially Convergent Trapezoidal Rule, SIAM Review 2014),
// and the inverse of three diagonals takes no more than its numbers.
func inverseRoot(ctx context.Context, a []float64, n int, e float64) ([]float32, error) {
	d, off, tau := make([]float64, n), make([]float64, max(n-1, 1)), make([]float64, max(n-1, 1))
	var lapack gonum.Implementation
	work := make([]float64, 64*n)
	lapack.Dsytrd(blas.Lower, n, a, n, d, off[:n-1], tau[:n-1], work, len(work))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lapack.Dorgtr(blas.Lower, n, a, n, tau[:n-1], work, len(work))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range d {
		d[i] += e
	}
	f, err := tridiagonalRoot(d, off[:n-1])
	if err != nil {
		return nil, err
	}
	q := make([]float32, n*n)
	for i, v := range a {
		q[i] = float32(v)
	}
	h := make([]float32, n*n)
	multiplyAll(h, q, f, n) // Q Fᵀ = Q F
	multiplyAll(f, h, q, n) // Q F Qᵀ
	for i := range n {
		for j := range i {
			v := (f[i*n+j] + f[j*n+i]) / 2
			f[i*n+j], f[j*n+i] = v, v
		}
	}
	for _, v := range f {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, errors.New("the images' covariance has no inverse root")
		}
	}
	return f, nil
}

// multiplyAll is multiply for as many rows as columns, on all processors.
func multiplyAll(y, x, m []float32, n int) {
	const rows = 64
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := (int(next.Add(1)) - 1) * rows; i < n; i = (int(next.Add(1)) - 1) * rows {
				k := min(rows, n-i)
				multiply(y[i*n:][:k*n], x[i*n:][:k*n], m, k, n)
			}
		})
	}
	wg.Wait()
}

// The trapezoidal rule: its error is about exp(-pi²/step) = 1e-10, and what it
// leaves out at either end exp(-reach).
const (
	step  = 0.43
	reach = 23
)

// tridiagonalRoot returns T^(-1/2), [n][n], for T with the diagonal d and off
// beside it, which must be positive definite.
func tridiagonalRoot(d, off []float64) ([]float32, error) {
	n := len(d)
	// Gershgorin's circles hold the largest eigenvalue. What is smaller than
	// that by more than condition is what rounding has left.
	largest := 0.0
	for i, v := range d {
		r := v
		if i > 0 {
			r += math.Abs(off[i-1])
		}
		if i < n-1 {
			r += math.Abs(off[i])
		}
		largest = max(largest, r)
	}
	const condition = 1e12
	high := math.Log(largest)/2 + reach
	low := math.Log(largest/condition)/2 - reach
	nodes := int((high-low)/step) + 1
	// For each node the pivots of elimination from the top and from the bottom.
	type node struct {
		weight, shift float64
		top, end      []float64
	}
	all := make([]node, nodes)
	for k := range all {
		u := low + step*float64(k)
		s := math.Exp(u)
		p := node{weight: 2 / math.Pi * step * s, shift: s * s, top: make([]float64, n), end: make([]float64, n)}
		for i := range n {
			p.top[i] = d[i] + p.shift
			if i > 0 {
				p.top[i] -= off[i-1] * off[i-1] / p.top[i-1]
			}
			if !(p.top[i] > 0) {
				return nil, errors.New("the images' covariance has negative eigenvalues")
			}
		}
		for i := n - 1; i >= 0; i-- {
			p.end[i] = d[i] + p.shift
			if i < n-1 {
				p.end[i] -= off[i] * off[i] / p.end[i+1]
			}
		}
		all[k] = p
	}
	root := make([]float32, n*n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			row := make([]float64, n)
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				clear(row)
				for _, p := range all {
					// Row i of the inverse, from the diagonal to the left.
					x := p.weight / (p.top[i] + p.end[i] - (d[i] + p.shift))
					row[i] += x
					for j := i - 1; j >= 0 && x != 0; j-- {
						x *= -off[j] / p.top[j]
						row[j] += x
					}
				}
				for j := range i + 1 {
					root[i*n+j], root[j*n+i] = float32(row[j]), float32(row[j])
				}
			}
		})
	}
	wg.Wait()
	return root, nil
}
