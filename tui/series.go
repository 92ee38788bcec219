package tui

import (
	"math"
	"sort"
)

// The x axes that a history can be drawn against.
type axis int

const (
	byEpoch axis = iota
	byStep       // batches; in a comparison, images seen
	byTime       // seconds of training
	axes
)

// An x is one moment on every axis.
type x [axes]float64

// A series is a history of several values, of a run's steps or of its epochs.
// It holds at most its capacity of rows: when it is full, neighbours are
// merged, so that each row stands for twice as many steps as before. A row
// keeps its steps' mean, least and greatest value, so that no spike is lost.
type series struct {
	capacity int
	stride   int64 // steps that a row stands for before a new one is begun
	n        []int64
	at       [axes][]float64 // where each row ends
	values   []column
}

// A column is one value over all rows. A row without a finite value holds NaN.
type column struct {
	mean, lo, hi []float32
	count        []int64 // finite values in the row, as weights of the mean
	bad          []bool  // whether some value was not finite
}

// A sample is one value as an event tells it.
type sample struct{ mean, lo, hi float64 }

func one(v float64) sample { return sample{v, v, v} }

func newSeries(capacity, values int) *series {
	return &series{capacity: max(capacity, 2), stride: 1, values: make([]column, values)}
}

func (s *series) len() int { return len(s.n) }

// add appends what happened in n steps that ended at x.
func (s *series) add(n int64, at x, vs ...sample) {
	n = max(n, 1)
	last := len(s.n) - 1
	if last < 0 || s.n[last] >= s.stride {
		if len(s.n) == s.capacity {
			s.halve()
		}
		s.n = append(s.n, 0)
		for i := range s.at {
			s.at[i] = append(s.at[i], 0)
		}
		for i := range s.values {
			s.values[i].grow()
		}
		last = len(s.n) - 1
	}
	s.n[last] += n
	for i := range s.at {
		s.at[i][last] = at[i]
	}
	for i, v := range vs {
		s.values[i].merge(last, n, v)
	}
}

func (c *column) grow() {
	nan := float32(math.NaN())
	c.mean, c.lo, c.hi = append(c.mean, nan), append(c.lo, nan), append(c.hi, nan)
	c.count, c.bad = append(c.count, 0), append(c.bad, false)
}

// finite reports whether v is a number that the series can hold.
func finite(v float64) bool { return math.Abs(v) <= math.MaxFloat32 }

// merge adds the value of n steps to row i.
func (c *column) merge(i int, n int64, v sample) {
	if !finite(v.mean) || !finite(v.lo) || !finite(v.hi) {
		c.bad[i] = true
	}
	if !finite(v.mean) {
		return
	}
	if !finite(v.lo) || v.lo > v.mean {
		v.lo = v.mean
	}
	if !finite(v.hi) || v.hi < v.mean {
		v.hi = v.mean
	}
	if c.count[i] == 0 {
		c.mean[i], c.lo[i], c.hi[i], c.count[i] = float32(v.mean), float32(v.lo), float32(v.hi), n
		return
	}
	total := c.count[i] + n
	c.mean[i] += float32((v.mean - float64(c.mean[i])) * float64(n) / float64(total))
	c.lo[i], c.hi[i] = min(c.lo[i], float32(v.lo)), max(c.hi[i], float32(v.hi))
	c.count[i] = total
}

// halve merges each two neighbouring rows.
func (s *series) halve() {
	rows := len(s.n)
	half := (rows + 1) / 2
	for i := range half {
		j := min(2*i+1, rows-1)
		if j > 2*i {
			s.n[i] = s.n[2*i] + s.n[j]
		} else {
			s.n[i] = s.n[j]
		}
		for k := range s.at {
			s.at[k][i] = s.at[k][j]
		}
		for k := range s.values {
			s.values[k].join(i, 2*i, j)
		}
	}
	s.cut(half)
	s.stride *= 2
}

// join sets row to the rows i and j, which may be the same.
func (c *column) join(row, i, j int) {
	mean, lo, hi, count, bad := c.mean[j], c.lo[j], c.hi[j], c.count[j], c.bad[i] || c.bad[j]
	c.mean[row], c.lo[row], c.hi[row], c.count[row] = c.mean[i], c.lo[i], c.hi[i], c.count[i]
	if j > i && count > 0 {
		c.merge(row, count, sample{float64(mean), float64(lo), float64(hi)})
	}
	c.bad[row] = bad
}

// cut drops all rows from row n on.
func (s *series) cut(n int) {
	s.n = s.n[:n]
	for i := range s.at {
		s.at[i] = s.at[i][:n]
	}
	for i := range s.values {
		c := &s.values[i]
		c.mean, c.lo, c.hi, c.count, c.bad = c.mean[:n], c.lo[:n], c.hi[:n], c.count[:n], c.bad[:n]
	}
}

// rewind drops what happened after step, when a run is taken up from there.
func (s *series) rewind(step int64) {
	s.cut(sort.Search(len(s.n), func(i int) bool { return s.at[byStep][i] > float64(step) }))
}

// last returns the last row's place on the axis, or 0.
func (s *series) last(a axis) float64 {
	if n := len(s.n); n > 0 {
		return s.at[a][n-1]
	}
	return 0
}

// nearest returns the row whose place on the axis is nearest to v, or -1.
func (s *series) nearest(a axis, v float64) int {
	xs := s.at[a]
	i := sort.SearchFloat64s(xs, v)
	switch {
	case len(xs) == 0:
		return -1
	case i == len(xs) || i > 0 && v-xs[i-1] <= xs[i]-v:
		return i - 1
	}
	return i
}

// convert returns the moment that is v on one axis on another.
func (s *series) convert(v float64, from, to axis) float64 {
	xs, ys := s.at[from], s.at[to]
	if from == to || len(xs) == 0 {
		return v
	}
	i := sort.SearchFloat64s(xs, v)
	x0, y0 := 0.0, 0.0
	if i > 0 {
		x0, y0 = xs[i-1], ys[i-1]
	}
	if i == len(xs) {
		return y0
	}
	if xs[i] <= x0 {
		return ys[i]
	}
	return y0 + (ys[i]-y0)*(v-x0)/(xs[i]-x0)
}

// smooth returns the exponential moving average of the column's means with the
// given weight in [0,1), corrected for its start as TensorBoard does it:
// without the correction the first values would be drawn towards zero. Rows
// without a finite value are NaN and don't count.
func (c *column) smooth(weight float64) []float64 {
	out := make([]float64, len(c.mean))
	acc, norm := 0.0, 0.0
	for i, m := range c.mean {
		if c.count[i] == 0 {
			out[i] = math.NaN()
			continue
		}
		acc = weight*acc + (1-weight)*float64(m)
		norm = weight*norm + (1 - weight) // 1 - weight^n
		out[i] = acc / norm
	}
	return out
}
