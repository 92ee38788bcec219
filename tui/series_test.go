package tui

import (
	"math"
	"math/rand/v2"
	"testing"
)

// fill adds n steps of one value and returns the values.
func fill(s *series, n int, value func(i int) float64) []float64 {
	vs := make([]float64, n)
	for i := range vs {
		vs[i] = value(i)
		s.add(1, x{float64(i+1) / 100, float64(i + 1), float64(i+1) / 10}, one(vs[i]))
	}
	return vs
}

func TestSeriesStaysWithinItsCapacityAndLosesNoSpike(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, capacity := range []int{2, 3, 7, 64, 1000} {
		for _, n := range []int{1, 2, 63, 64, 65, 1000, 12345} {
			s := newSeries(capacity, 1)
			spike := rng.IntN(n)
			vs := fill(s, n, func(i int) float64 {
				if i == spike {
					return 1000
				}
				return rng.Float64()
			})
			if s.len() > capacity {
				t.Fatalf("capacity %d, %d steps: %d rows", capacity, n, s.len())
			}
			var sum, steps float64
			lo, hi := math.Inf(1), math.Inf(-1)
			c := s.values[0]
			for i := range s.len() {
				sum += float64(c.mean[i]) * float64(s.n[i])
				steps += float64(s.n[i])
				lo, hi = math.Min(lo, float64(c.lo[i])), math.Max(hi, float64(c.hi[i]))
				if i > 0 && s.at[byStep][i] <= s.at[byStep][i-1] {
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
			if s.last(byStep) != float64(n) || s.last(byTime) != float64(n)/10 {
				t.Errorf("capacity %d, %d steps: ends at %v, %v", capacity, n, s.last(byStep), s.last(byTime))
			}
		}
	}
}

func TestSeriesKeepsWhatIsNotFiniteApart(t *testing.T) {
	s := newSeries(4, 1)
	for i, v := range []float64{1, math.NaN(), math.Inf(1), 2, 3, 4, 5, 6} {
		s.add(1, x{byStep: float64(i + 1)}, one(v))
	}
	c := s.values[0]
	bad := 0
	for i := range s.len() {
		if c.bad[i] {
			bad++
		}
		if math.IsInf(float64(c.mean[i]), 0) || math.IsInf(float64(c.hi[i]), 0) {
			t.Errorf("row %d holds an infinity", i)
		}
	}
	if bad == 0 {
		t.Error("no row tells of values that were not finite")
	}
}

func TestSeriesRewinds(t *testing.T) {
	s := newSeries(1000, 1)
	fill(s, 500, func(i int) float64 { return float64(i) })
	s.rewind(200)
	if s.len() != 200 || s.last(byStep) != 200 {
		t.Fatalf("%d rows up to %v, want 200", s.len(), s.last(byStep))
	}
	s.add(1, x{byStep: 201}, one(7))
	if s.len() != 201 || s.values[0].mean[200] != 7 {
		t.Error("a rewound series does not go on")
	}
	s.rewind(0)
	if s.len() != 0 {
		t.Errorf("%d rows before the first step", s.len())
	}
}

// TensorBoard's moving average: what it shows for these values at 0.6, by the
// formula in its tf_scalar_dashboard (each value weighs 1-w, the sum of weights
// divided out).
func TestSmoothingIsTensorBoards(t *testing.T) {
	s := newSeries(100, 1)
	values := []float64{1, 3, 2, math.NaN(), 5}
	fill(s, len(values), func(i int) float64 { return values[i] })
	got := s.values[0].smooth(0.6)
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
	for i, v := range s.values[0].smooth(0) {
		if !math.IsNaN(v) && v != values[i] {
			t.Errorf("unsmoothed row %d is %v, want %v", i, v, values[i])
		}
	}
}

func TestPlacesConvertBetweenAxes(t *testing.T) {
	s := newSeries(1000, 1)
	fill(s, 100, func(int) float64 { return 0 })
	for _, c := range []struct {
		v        float64
		from, to axis
		want     float64
	}{
		{50, byStep, byTime, 5}, {5, byTime, byStep, 50}, {0.505, byEpoch, byStep, 50.5},
		{0, byStep, byTime, 0}, {1000, byStep, byTime, 10}, {7, byStep, byStep, 7},
	} {
		if got := s.convert(c.v, c.from, c.to); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v on axis %d is %v on axis %d, want %v", c.v, c.from, got, c.to, c.want)
		}
	}
}
