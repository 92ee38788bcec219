package tui

import (
	"math"
	"testing"

	"cifartui/tui/chart"
)

func TestOverfittingIsSeenAndNothingElse(t *testing.T) {
	make := func(n int, train, val func(e float64) float64) *chart.Series {
		s := chart.NewSeries(1000, epochValues)
		for i := 1; i <= n; i++ {
			e := float64(i)
			s.Add(1, chart.Moment{chart.ByEpoch: e, chart.ByStep: 782 * e}, chart.One(train(e)), chart.One(0), chart.One(val(e)), chart.One(0), chart.One(0), chart.One(0))
		}
		return s
	}
	falls := func(e float64) float64 { return 2 / e }
	// The article's: the test loss turns up after epoch 40 of 106.
	turns := func(e float64) float64 {
		return 0.42 + 0.0002*(e-40)*(e-40)*math.Min(1, math.Max(0.2, (e-40)/10)) + 0.01*math.Sin(5*e)
	}
	for _, c := range []struct {
		name       string
		s          *chart.Series
		want       bool
		near, part float64
	}{
		{"the article's run", make(106, falls, turns), true, 40, 6},
		{"both fall", make(106, falls, func(e float64) float64 { return 0.4 + 1/e }), false, 0, 0},
		{"both rise", make(50, func(e float64) float64 { return e }, func(e float64) float64 { return 1 + math.Abs(e-20)/20 }), false, 0, 0},
		{"one noisy epoch", make(30, falls, func(e float64) float64 {
			if e == 30 {
				return 0.9
			}
			return 0.4 + 1/e
		}), false, 0, 0},
		{"too early to say", make(43, falls, turns), false, 0, 0},
		{"no epoch", make(0, falls, turns), false, 0, 0},
		{"only gaps", make(9, falls, func(float64) float64 { return math.NaN() }), false, 0, 0},
	} {
		got, ok := findOverfitting(c.s, epochLoss, epochValLoss)
		if ok != c.want || ok && math.Abs(got.epoch-c.near) > c.part {
			t.Errorf("%s: %v at epoch %v, want %v near %v", c.name, ok, got.epoch, c.want, c.near)
		}
	}
}
