package chart

import (
	"math"
	"sort"
)

// An Axis is an x axis that a history can be drawn against.
type Axis int

// The x axes.
const (
	ByEpoch Axis = iota // epochs done
	ByStep              // batches; in a comparison, images seen
	ByTime              // seconds of training
	Axes                // how many there are
)

// A Moment is one moment on every axis.
type Moment [Axes]float64

// A Series is a history of several values, of a run's steps or of its epochs.
// It holds at most its capacity of rows: when it is full, neighbours are
// merged, so that each row stands for twice as many steps as before. A row
// keeps its steps' mean, least and greatest value, so that no spike is lost.
type Series struct {
	capacity int
	stride   int64 // steps that a row stands for before a new one is begun
	n        []int64
	At       [Axes][]float64 // where each row ends
	Values   []Column
}

// A Column is one value over all rows. A row without a finite value holds NaN.
type Column struct {
	Mean, lo, hi []float32
	count        []int64 // finite values in the row, as weights of the mean
	bad          []bool  // whether some value was not finite
}

// A Sample is one value as an event tells it.
type Sample struct{ Mean, Lo, Hi float64 }

// One is a sample of a single value.
func One(v float64) Sample { return Sample{v, v, v} }

// NewSeries returns an empty series of so many values, which holds at most
// capacity rows.
func NewSeries(capacity, values int) *Series {
	return &Series{capacity: max(capacity, 2), stride: 1, Values: make([]Column, values)}
}

// Len returns the number of rows.
func (s *Series) Len() int { return len(s.n) }

// Add appends what happened in n steps that ended at x.
func (s *Series) Add(n int64, at Moment, vs ...Sample) {
	n = max(n, 1)
	last := len(s.n) - 1
	if last < 0 || s.n[last] >= s.stride {
		if len(s.n) == s.capacity {
			s.halve()
		}
		s.n = append(s.n, 0)
		for i := range s.At {
			s.At[i] = append(s.At[i], 0)
		}
		for i := range s.Values {
			s.Values[i].grow()
		}
		last = len(s.n) - 1
	}
	s.n[last] += n
	for i := range s.At {
		s.At[i][last] = at[i]
	}
	for i, v := range vs {
		s.Values[i].merge(last, n, v)
	}
}

func (c *Column) grow() {
	nan := float32(math.NaN())
	c.Mean, c.lo, c.hi = append(c.Mean, nan), append(c.lo, nan), append(c.hi, nan)
	c.count, c.bad = append(c.count, 0), append(c.bad, false)
}

// Finite reports whether v is a number that the series can hold.
func Finite(v float64) bool { return math.Abs(v) <= math.MaxFloat32 }

// merge adds the value of n steps to row i.
func (c *Column) merge(i int, n int64, v Sample) {
	if !Finite(v.Mean) || !Finite(v.Lo) || !Finite(v.Hi) {
		c.bad[i] = true
	}
	if !Finite(v.Mean) {
		return
	}
	if !Finite(v.Lo) || v.Lo > v.Mean {
		v.Lo = v.Mean
	}
	if !Finite(v.Hi) || v.Hi < v.Mean {
		v.Hi = v.Mean
	}
	if c.count[i] == 0 {
		c.Mean[i], c.lo[i], c.hi[i], c.count[i] = float32(v.Mean), float32(v.Lo), float32(v.Hi), n
		return
	}
	total := c.count[i] + n
	c.Mean[i] += float32((v.Mean - float64(c.Mean[i])) * float64(n) / float64(total))
	c.lo[i], c.hi[i] = min(c.lo[i], float32(v.Lo)), max(c.hi[i], float32(v.Hi))
	c.count[i] = total
}

// halve merges each two neighbouring rows.
func (s *Series) halve() {
	rows := len(s.n)
	half := (rows + 1) / 2
	for i := range half {
		j := min(2*i+1, rows-1)
		if j > 2*i {
			s.n[i] = s.n[2*i] + s.n[j]
		} else {
			s.n[i] = s.n[j]
		}
		for k := range s.At {
			s.At[k][i] = s.At[k][j]
		}
		for k := range s.Values {
			s.Values[k].join(i, 2*i, j)
		}
	}
	s.cut(half)
	s.stride *= 2
}

// join sets row to the rows i and j, which may be the same.
func (c *Column) join(row, i, j int) {
	mean, lo, hi, count, bad := c.Mean[j], c.lo[j], c.hi[j], c.count[j], c.bad[i] || c.bad[j]
	c.Mean[row], c.lo[row], c.hi[row], c.count[row] = c.Mean[i], c.lo[i], c.hi[i], c.count[i]
	if j > i && count > 0 {
		c.merge(row, count, Sample{float64(mean), float64(lo), float64(hi)})
	}
	c.bad[row] = bad
}

// cut drops all rows from row n on.
func (s *Series) cut(n int) {
	s.n = s.n[:n]
	for i := range s.At {
		s.At[i] = s.At[i][:n]
	}
	for i := range s.Values {
		c := &s.Values[i]
		c.Mean, c.lo, c.hi, c.count, c.bad = c.Mean[:n], c.lo[:n], c.hi[:n], c.count[:n], c.bad[:n]
	}
}

// Rewind drops what happened after step, when a run is taken up from there.
func (s *Series) Rewind(step int64) {
	s.cut(sort.Search(len(s.n), func(i int) bool { return s.At[ByStep][i] > float64(step) }))
}

// Last returns the last row's place on the axis, or 0.
func (s *Series) Last(a Axis) float64 {
	if n := len(s.n); n > 0 {
		return s.At[a][n-1]
	}
	return 0
}

// Nearest returns the row whose place on the axis is nearest to v, or -1.
func (s *Series) Nearest(a Axis, v float64) int {
	xs := s.At[a]
	i := sort.SearchFloat64s(xs, v)
	switch {
	case len(xs) == 0:
		return -1
	case i == len(xs) || i > 0 && v-xs[i-1] <= xs[i]-v:
		return i - 1
	}
	return i
}

// Convert returns the moment that is v on one axis on another.
func (s *Series) Convert(v float64, from, to Axis) float64 {
	xs, ys := s.At[from], s.At[to]
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

// Smooth returns the exponential moving average of the column's values with the
// given weight in [0,1), corrected for its start as TensorBoard does it:
// without the correction the first values would be drawn towards zero. A row
// counts as the values that it stands for, so that the line is the same however
// they were merged; with a row counted as one, a few rows of twenty steps each
// would hold it back for hundreds of steps. Rows without a finite value are NaN
// and don't count.
func (c *Column) Smooth(weight float64) []float64 {
	out := make([]float64, len(c.Mean))
	acc, norm := 0.0, 0.0
	for i, m := range c.Mean {
		if c.count[i] == 0 {
			out[i] = math.NaN()
			continue
		}
		past := weight
		if n := c.count[i]; n > 1 {
			past = math.Pow(weight, float64(n))
		}
		acc = past*acc + (1-past)*float64(m)
		norm = past*norm + (1 - past) // 1 - weight^n
		out[i] = acc / norm
	}
	return out
}
