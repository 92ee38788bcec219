package chart

import (
	"math"
	"math/rand/v2"
	"testing"
)

// fill adds n steps of one value and returns the values.
func fill(s *Series, n int, value func(i int) float64) []float64 {
	vs := make([]float64, n)
	for i := range vs {
		vs[i] = value(i)
		s.Add(1, Moment{float64(i+1) / 100, float64(i + 1), float64(i+1) / 10}, One(vs[i]))
	}
	return vs
}

func TestSeriesStaysWithinItsCapacityAndLosesNoSpike(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, capacity := range []int{2, 3, 7, 64, 1000} {
		for _, n := range []int{1, 2, 63, 64, 65, 1000, 12345} {
			s := NewSeries(capacity, 1)
			spike := rng.IntN(n)
			vs := fill(s, n, func(i int) float64 {
				if i == spike {
					return 1000
				}
				return rng.Float64()
			})
			if s.Len() > capacity {
				t.Fatalf("capacity %d, %d steps: %d rows", capacity, n, s.Len())
			}
			var sum, steps float64
			lo, hi := math.Inf(1), math.Inf(-1)
			c := s.Values[0]
			for i := range s.Len() {
				sum += float64(c.Mean[i]) * float64(s.n[i])
				steps += float64(s.n[i])
				lo, hi = math.Min(lo, float64(c.lo[i])), math.Max(hi, float64(c.hi[i]))
				if i > 0 && s.At[ByStep][i] <= s.At[ByStep][i-1] {
					t.Fatalf("capacity %d, %d steps: row %d does not rise", capacity, n, i)
				}
			}
			wantSum, wantLo := 0.0, math.Inf(1)
			for _, v := range vs {
				wantSum += v
				wantLo = math.Min(wantLo, v)
			}
			if steps != float64(n) || hi != 1000 || math.Abs(lo-wantLo) > 1e-6 || math.Abs(sum/wantSum-1) > 1e-4 {
				t.Errorf("capacity %d, %d steps: %v steps, sum %v of %v, from %v to %v", capacity, n, steps, sum, wantSum, lo, hi)
			}
			if s.Last(ByStep) != float64(n) || s.Last(ByTime) != float64(n)/10 {
				t.Errorf("capacity %d, %d steps: ends at %v, %v", capacity, n, s.Last(ByStep), s.Last(ByTime))
			}
		}
	}
}

func TestSeriesKeepsWhatIsNotFiniteApart(t *testing.T) {
	s := NewSeries(4, 1)
	for i, v := range []float64{1, math.NaN(), math.Inf(1), 2, 3, 4, 5, 6} {
		s.Add(1, Moment{ByStep: float64(i + 1)}, One(v))
	}
	c := s.Values[0]
	bad := 0
	for i := range s.Len() {
		if c.bad[i] {
			bad++
		}
		if math.IsInf(float64(c.Mean[i]), 0) || math.IsInf(float64(c.hi[i]), 0) {
			t.Errorf("row %d holds an infinity", i)
		}
	}
	if bad == 0 {
		t.Error("no row tells of values that were not finite")
	}
}

func TestSeriesRewinds(t *testing.T) {
	s := NewSeries(1000, 1)
	fill(s, 500, func(i int) float64 { return float64(i) })
	s.Rewind(200)
	if s.Len() != 200 || s.Last(ByStep) != 200 {
		t.Fatalf("%d rows up to %v, want 200", s.Len(), s.Last(ByStep))
	}
	s.Add(1, Moment{ByStep: 201}, One(7))
	if s.Len() != 201 || s.Values[0].Mean[200] != 7 {
		t.Error("a rewound series does not go on")
	}
	s.Rewind(0)
	if s.Len() != 0 {
		t.Errorf("%d rows before the first step", s.Len())
	}
}

// TensorBoard's moving average: what it shows for these values at 0.6, by the
// formula in its tf_scalar_dashboard (each value weighs 1-w, the sum of weights
// divided out).
func TestSmoothingIsTensorBoards(t *testing.T) {
	s := NewSeries(100, 1)
	values := []float64{1, 3, 2, math.NaN(), 5}
	fill(s, len(values), func(i int) float64 { return values[i] })
	got := s.Values[0].Smooth(0.6)
	last, num := 0.0, 0
	for i, v := range values {
		if math.IsNaN(v) {
			if !math.IsNaN(got[i]) {
				t.Errorf("row %d: %v in a gap", i, got[i])
			}
			continue
		}
		last = last*0.6 + 0.4*v
		num++
		if want := last / (1 - math.Pow(0.6, float64(num))); math.Abs(got[i]-want) > 1e-9 {
			t.Errorf("row %d: %v, want %v", i, got[i], want)
		}
	}
	for i, v := range s.Values[0].Smooth(0) {
		if !math.IsNaN(v) && v != values[i] {
			t.Errorf("unsmoothed row %d is %v, want %v", i, v, values[i])
		}
	}
}

// However steps were merged on their way, and however few rows are kept, the
// smoothed line is about the same, and lies within what it smooths.
func TestSmoothingDoesNotDependOnMerging(t *testing.T) {
	const steps = 1200
	value := func(i int) float64 { return 0.5 + 1.8*math.Exp(-float64(i)/150) }
	single := NewSeries(steps, 1)
	fill(single, steps, value)
	want := single.Values[0].Smooth(0.9)
	for _, n := range []int{5, 20, 60} {
		merged := NewSeries(steps, 1)
		for i := 0; i < steps; i += n {
			v := Sample{Lo: value(i + n - 1), Hi: value(i)}
			for k := range n {
				v.Mean += value(i+k) / float64(n)
			}
			merged.Add(int64(n), Moment{ByStep: float64(i + n)}, v)
		}
		c := &merged.Values[0]
		for i, v := range c.Smooth(0.9) {
			if step := (i + 1) * n; n <= 20 && math.Abs(v-want[step-1]) > 0.1 {
				t.Errorf("%d steps a row: %v after step %d, %v a step at a time", n, v, step, want[step-1])
			}
			// A weight of 0.9 looks back some ten steps: the row before, at most.
			if before := c.hi[max(i-1, 0)]; n >= 20 && (v < float64(c.lo[i]) || v > float64(before)) {
				t.Errorf("%d steps a row: %v in row %d is off %v to %v", n, v, i, c.lo[i], before)
			}
		}
	}
}

func TestPlacesConvertBetweenAxes(t *testing.T) {
	s := NewSeries(1000, 1)
	fill(s, 100, func(int) float64 { return 0 })
	for _, c := range []struct {
		v        float64
		from, to Axis
		want     float64
	}{
		{50, ByStep, ByTime, 5}, {5, ByTime, ByStep, 50}, {0.505, ByEpoch, ByStep, 50.5},
		{0, ByStep, ByTime, 0}, {1000, ByStep, ByTime, 10}, {7, ByStep, ByStep, 7},
	} {
		if got := s.Convert(c.v, c.from, c.to); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v on axis %d is %v on axis %d, want %v", c.v, c.from, got, c.to, c.want)
		}
	}
}
