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
		s, err := NewSchedule(c.name)
		if err != nil {
			t.Fatal(err)
		}
		for step, want := range c.rates {
			if got := s.Rate(step, c.total); math.Abs(got-want) > 1e-9*want+1e-12 {
				t.Errorf("%s at %d of %d: %.10g, want %.10g", c.name, step, c.total, got, want)
			}
		}
	}
}

func TestSchedulesStayBetween0And1(t *testing.T) {
	for _, name := range ScheduleNames() {
		s, err := NewSchedule(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, total := range []int64{0, 1, 2, 3, 4, 5, 7, 782} {
			for _, step := range []int64{0, 1, 2, 3, 6, total - 1, total, total + 5} {
				if r := s.Rate(step, total); !(r >= 0 && r <= 1) {
					t.Errorf("%s: %v at %d of %d", name, r, step, total)
				}
			}
			if s.Rate(total+5, total) != s.Rate(total-1, total) {
				t.Errorf("%s: the rate moves beyond the end of %d steps", name, total)
			}
		}
	}
}

func TestUnknownScheduleIsRefusedWithTheKnownOnes(t *testing.T) {
	_, err := NewSchedule("triangle")
	mention(t, err, "triangle", "constant, step, cosine, onecycle")
}
