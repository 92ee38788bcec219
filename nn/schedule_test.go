package nn

import (
	"math"
	"testing"
)

// The factors are those of PyTorch 1.13: OneCycleLR, CosineAnnealingLR with
// T_max the number of steps, MultiStepLR at half and three quarters.
func TestSchedulesMatchPyTorch(t *testing.T) {
	for _, c := range []struct {
		name  string
		total int64
		rates map[int64]float64
	}{
		{"constant", 20, map[int64]float64{0: 1, 10: 1, 19: 1}},
		{"onecycle", 20, map[int64]float64{0: 0.04, 1: 0.1316718427, 5: 1, 10: 0.7169430018, 18: 0.01253999376, 19: 4e-06}},
		{"onecycle", 100, map[int64]float64{0: 0.04, 1: 0.04281378057, 25: 0.9556362014, 29: 1, 50: 0.7938934506, 98: 0.0005074647155, 99: 4e-06}},
		{"cosine", 20, map[int64]float64{0: 1, 1: 0.9938441703, 5: 0.8535533906, 10: 0.5, 18: 0.02447174185, 19: 0.006155829702}},
		{"cosine", 100, map[int64]float64{0: 1, 1: 0.9997532802, 25: 0.8535533906, 29: 0.8064535268, 98: 0.0009866357859, 99: 0.0002467198171}},
		{"step", 100, map[int64]float64{0: 1, 49: 1, 50: 0.1, 74: 0.1, 75: 0.01, 99: 0.01}},
	} {
		s, err := NewSchedule(c.name, 0)
		if err != nil {
			t.Fatal(err)
		}
		for step, want := range c.rates {
			if got := s.Rate(float64(step), c.total); math.Abs(got-want) > 1e-9*want+1e-12 {
				t.Errorf("%s at %d of %d: %.10g, want %.10g", c.name, step, c.total, got, want)
			}
		}
	}
}

// TestTriangleIsOne: up along a straight line, and down along another.
func TestTriangleIsOne(t *testing.T) {
	for _, c := range []struct {
		warmup float64
		rates  map[float64]float64
	}{
		{0, map[float64]float64{0: 0.05, 0.5: 0.05, 10: 0.5, 20: 1, 60: 0.5, 60.5: 0.49375, 99: 0.0125}},
		{0.5, map[float64]float64{0: 0.05, 10: 0.2, 50: 1, 75: 0.5, 99: 0.02}},
	} {
		s, err := NewSchedule("triangle", c.warmup)
		if err != nil {
			t.Fatal(err)
		}
		for step, want := range c.rates {
			if got := s.Rate(step, 100); math.Abs(got-want) > 1e-12 {
				t.Errorf("warm-up %v: %v at %v of 100, want %v", c.warmup, got, step, want)
			}
		}
	}
}

// TestWarmUpComesFirst: then the schedule runs its course in what is left.
func TestWarmUpComesFirst(t *testing.T) {
	for _, name := range []string{"constant", "step", "cosine"} {
		plain, err := NewSchedule(name, 0)
		if err != nil {
			t.Fatal(err)
		}
		warm, err := NewSchedule(name, 0.25)
		if err != nil {
			t.Fatal(err)
		}
		for step := range 100 {
			want := plain.Rate(float64(step-25), 75)
			if step < 25 {
				want = max(0.05, float64(step)/25)
			}
			if got := warm.Rate(float64(step), 100); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s at step %d of 100: %v, want %v", name, step, got, want)
			}
		}
	}
	for _, bad := range []float64{-0.1, 1, math.NaN()} {
		_, err := NewSchedule("cosine", bad)
		mention(t, err, "warm-up")
	}
}

func TestSchedulesStayBetween0And1(t *testing.T) {
	for _, name := range ScheduleNames() {
		s, err := NewSchedule(name, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, total := range []int64{0, 1, 2, 3, 4, 5, 7, 782} {
			for _, step := range []int64{0, 1, 2, 3, 6, total - 1, total, total + 5} {
				if r := s.Rate(float64(step), total); !(r >= 0 && r <= 1) {
					t.Errorf("%s: %v at %d of %d", name, r, step, total)
				}
			}
			if s.Rate(float64(total+5), total) != s.Rate(float64(total-1), total) {
				t.Errorf("%s: the rate moves beyond the end of %d steps", name, total)
			}
		}
	}
}

func TestUnknownScheduleIsRefusedWithTheKnownOnes(t *testing.T) {
	_, err := NewSchedule("poly", 0)
	mention(t, err, "poly", "constant, step, cosine, onecycle, triangle")
}
