package chart

import (
	"math"
	"strings"

	"cifartui/tui/style"
)

// Sparkline draws values in one row of at most w columns, from their least to their
// greatest: as a thin line of braille, or where there is none as levels.
func Sparkline(values []float64, w int, g *style.Glyphs) string {
	if !g.Unicode {
		return levels(means(values, w), g)
	}
	return thinLine(means(values, 2*w))
}

// means are the mean of each of n parts of the values, fewer where there are fewer
// values, scaled from 0 to 1. A part without a finite value is NaN.
func means(values []float64, n int) []float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	parts := make([]float64, min(n, len(values)))
	for i := range parts {
		from, to := i*len(values)/len(parts), (i+1)*len(values)/len(parts)
		sum, n := 0.0, 0
		for _, v := range values[from:to] {
			if Finite(v) {
				sum, n = sum+v, n+1
			}
		}
		parts[i] = sum / float64(n) // NaN without any
		if n > 0 {
			lo, hi = min(lo, parts[i]), max(hi, parts[i])
		}
	}
	for i := range parts {
		if hi-lo < 1e-4 { // flat
			parts[i] += 0.5 - lo
		} else {
			parts[i] = (parts[i] - lo) / (hi - lo)
		}
	}
	return parts
}

// levels shows each value as one of the levels of a terminal without braille.
func levels(values []float64, g *style.Glyphs) string {
	signs := []rune(g.Levels)
	var b strings.Builder
	for _, v := range values {
		if math.IsNaN(v) {
			b.WriteString(g.NonFinite)
			continue
		}
		b.WriteRune(signs[min(int(v*float64(len(signs))), len(signs)-1)])
	}
	return b.String()
}

// thinLine draws values as a line of dots, two a column, each joined to the one
// before.
func thinLine(values []float64) string {
	cells := make([]rune, (len(values)+1)/2)
	before := -1
	for i, v := range values {
		if math.IsNaN(v) {
			before = -1
			continue
		}
		dot := int(math.Round(v * 3))
		from := dot
		if before >= 0 && before != dot { // the way from there to here
			from = before + sign(dot-before)
		}
		for d := min(from, dot); d <= max(from, dot); d++ {
			cells[i/2] |= brailleDots[i%2][d]
		}
		before = dot
	}
	for i := range cells {
		cells[i] += 0x2800
	}
	return string(cells)
}

func sign(d int) int {
	if d < 0 {
		return -1
	}
	return 1
}
