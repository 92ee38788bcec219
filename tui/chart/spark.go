package watch

import (
	"math"
	"strings"

	"cifartui/train/survey"
	"cifartui/tui/style"
)

// sparkline draws the val_acc of points in w columns, from its least to its
// greatest: as a thin line of braille, or where there is none as levels.
func sparkline(points []survey.Point, w int, g *style.Glyphs) string {
	if !g.Unicode {
		return levels(means(points, w), g)
	}
	return thinLine(means(points, 2*w))
}

// means are the mean val_acc of each of n parts of the points, fewer where there
// are fewer points, scaled from 0 to 1. A part without a finite value is NaN.
func means(points []survey.Point, n int) []float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	values := make([]float64, min(n, len(points)))
	for i := range values {
		from, to := i*len(points)/len(values), (i+1)*len(points)/len(values)
		sum, n := 0.0, 0
		for _, p := range points[from:to] {
			if v := float64(p.ValAcc); !math.IsNaN(v) && !math.IsInf(v, 0) {
				sum, n = sum+v, n+1
			}
		}
		values[i] = sum / float64(n) // NaN without any
		if n > 0 {
			lo, hi = min(lo, values[i]), max(hi, values[i])
		}
	}
	for i := range values {
		if hi-lo < 1e-4 { // flat
			values[i] += 0.5 - lo
		} else {
			values[i] = (values[i] - lo) / (hi - lo)
		}
	}
	return values
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

// sparkDots are the bits of a braille character's dots, by column and by row from
// the bottom.
var sparkDots = [2][4]rune{{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}}

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
			cells[i/2] |= sparkDots[i%2][d]
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
