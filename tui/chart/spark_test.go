package chart

import (
	"math"
	"testing"
	"unicode/utf8"

	"cifartui/tui/style"
)

// A curve in one row goes from its least value to its greatest, has a gap where there
// is no number, and is no wider than there is room.
func TestSparkline(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		values         []float64
		unicode, ascii string
	}{
		{nil, "", ""},
		{[]float64{0.5}, "\u2802", "="},
		{[]float64{0.5, 0.5, 0.5, 0.5}, "\u2812\u2812", "===="},
		{[]float64{0, 1}, "\u2878", "_#"},
		{[]float64{nan, nan}, "\u2800", "xx"},
		{[]float64{0, nan, math.Inf(1), 1}, "\u2840\u2808", "_xx#"},
	} {
		if got := Sparkline(c.values, 4, &style.Unicode); got != c.unicode {
			t.Errorf("%v is %+q, want %+q", c.values, got, c.unicode)
		}
		if got := Sparkline(c.values, 4, &style.ASCII); got != c.ascii {
			t.Errorf("%v is %q, want %q", c.values, got, c.ascii)
		}
	}
	long := make([]float64, 1000)
	for w := range 12 {
		for _, g := range []*style.Glyphs{&style.Unicode, &style.ASCII} {
			if got := Sparkline(long, w, g); utf8.RuneCountInString(got) != w {
				t.Errorf("%q is not %d wide", got, w)
			}
		}
	}
}
