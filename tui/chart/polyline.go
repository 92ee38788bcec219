package chart

import (
	"math"
	"sort"
)

// A Polyline is one value over rising x: smoothed, and raw with its extremes.
type Polyline struct {
	Xs     []float64
	Smooth []float64
	Raw    *Column
}

// each calls f with the rows of each of n columns between x0 and x1: i up to
// but not including j.
func (p Polyline) each(x0, x1 float64, n int, f func(col, i, j int, left, right float64)) {
	w := (x1 - x0) / float64(n)
	i := sort.SearchFloat64s(p.Xs, x0)
	for col := range n {
		left, right := x0+w*float64(col), x0+w*float64(col+1)
		j := i
		for j < len(p.Xs) && (p.Xs[j] < right || col == n-1 && p.Xs[j] <= x1) {
			j++
		}
		f(col, i, j, left, right)
		i = j
	}
}

// between returns the value at x on the straight line from row i-1 to row i,
// NaN where there is none.
func (p Polyline) between(x float64, i int, value func(int) float64) float64 {
	if i <= 0 || i >= len(p.Xs) || p.Xs[i] <= p.Xs[i-1] {
		return math.NaN()
	}
	a, b := value(i-1), value(i)
	return a + (b-a)*(x-p.Xs[i-1])/(p.Xs[i]-p.Xs[i-1])
}

// columns returns the smoothed value in each of n columns: the mean of the
// rows in it, or where there are none a value between the neighbours. NaN is a
// gap.
func (p Polyline) columns(x0, x1 float64, n int) []float64 {
	out := make([]float64, n)
	at := func(i int) float64 { return p.Smooth[i] }
	p.each(x0, x1, n, func(col, i, j int, left, right float64) {
		if i == j {
			out[col] = p.between((left+right)/2, i, at)
			return
		}
		sum, k := 0.0, 0
		for _, v := range p.Smooth[i:j] {
			if !math.IsNaN(v) {
				sum, k = sum+v, k+1
			}
		}
		out[col] = sum / float64(k) // NaN when k is 0
	})
	return out
}

// An extent is the range of values in a column; empty when lo > hi.
type extent struct{ lo, hi float64 }

var noExtent = extent{math.Inf(1), math.Inf(-1)}

func (e extent) empty() bool { return e.lo > e.hi }

// with widens e to v; NaN changes nothing, as no comparison with it holds.
func (e extent) with(v float64) extent {
	if v < e.lo {
		e.lo = v
	}
	if v > e.hi {
		e.hi = v
	}
	return e
}

// extents returns the range of the raw line in each of n columns, its extremes
// and its way through the column's edges included.
func (p Polyline) extents(x0, x1 float64, n int) []extent {
	out := make([]extent, n)
	at := func(i int) float64 { return float64(p.Raw.Mean[i]) }
	p.each(x0, x1, n, func(col, i, j int, left, right float64) {
		e := noExtent.with(p.between(left, i, at)).with(p.between(right, j, at))
		for k := i; k < j; k++ {
			if p.Raw.count[k] > 0 {
				e = e.with(float64(p.Raw.lo[k])).with(float64(p.Raw.hi[k]))
			}
		}
		out[col] = e
	})
	return out
}

// gaps returns the columns in which some value was not finite.
func (p Polyline) gaps(x0, x1 float64, n int) []int {
	var out []int
	p.each(x0, x1, n, func(col, i, j int, _, _ float64) {
		for k := i; k < j; k++ {
			if p.Raw.bad[k] {
				out = append(out, col)
				return
			}
		}
	})
	return out
}

// limits returns the range of all that is drawn between x0 and x1, the way of the
// lines through both edges included.
func (p Polyline) limits(x0, x1 float64, raw bool) extent {
	i, j := sort.SearchFloat64s(p.Xs, x0), sort.SearchFloat64s(p.Xs, math.Nextafter(x1, math.Inf(1)))
	through := func(e extent, value func(int) float64) extent {
		return e.with(p.between(x0, i, value)).with(p.between(x1, j, value))
	}
	e := through(noExtent, func(k int) float64 { return p.Smooth[k] })
	if raw {
		e = through(e, func(k int) float64 { return float64(p.Raw.Mean[k]) })
	}
	for k := i; k < j; k++ {
		e = e.with(p.Smooth[k])
		if raw && p.Raw.count[k] > 0 {
			e = e.with(float64(p.Raw.lo[k])).with(float64(p.Raw.hi[k]))
		}
	}
	return e
}
