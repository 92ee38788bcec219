package chart

import (
	"math"

	"cifartui/tui/canvas"
	"cifartui/tui/style"
)

// brailleDots are the bits of a braille character's dots, by column and by row
// from the bottom.
var brailleDots = [2][4]rune{{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}}

// drawBraille draws ranges, two a column, in dots of a quarter row.
func drawBraille(a canvas.Area, s scale, es []extent, st style.Style) {
	for i, e := range es {
		if e.empty() {
			continue
		}
		for d := dotRow(s, e.lo); d <= dotRow(s, e.hi); d++ {
			c := a.At(i/2, a.H-1-d/4)
			if c.Rune < 0x2800 || c.Rune > 0x28ff {
				*c = canvas.Cell{Rune: 0x2800}
			}
			c.Rune |= brailleDots[i%2][d%4]
			c.Style = st
		}
	}
}

// fineRows is below how many rows a plot's lines are drawn in braille, whose dots
// are a quarter row high: in steps of whole rows several runs would be one.
const fineRows = 12

// fine reports whether lines are drawn in braille, in a plot of so many rows.
func fine(rows int, g *style.Glyphs) bool { return g.Unicode && rows < fineRows }

// dashes tell fine lines apart without colours: which of the dots along a line
// are there.
var dashes = []string{"########", "##..##..", "#.#.#.#.", "####....", "###.#...", "#...#..."}

// dashed reports whether dot i of a line of that stroke is there.
func dashed(stroke, i int) bool {
	d := dashes[stroke%len(dashes)]
	return d[i%len(d)] == '#'
}

// fineSample is a piece of a fine line, cells long, for the legend.
func fineSample(stroke, cells int) string {
	var out []rune
	for i := range cells {
		r := rune(0x2800)
		for half := range 2 {
			if dashed(stroke, 2*i+half) {
				r |= brailleDots[half][2]
			}
		}
		out = append(out, r)
	}
	return string(out)
}

// drawFine draws values, two a column, in dots of a quarter row, each joined to
// the one before. Cells of lines that are drawn already, which owned tells, are
// shared; what else is there gives way.
func drawFine(a canvas.Area, s scale, values []float64, l Line, owned []bool, g *style.Glyphs) {
	put := func(i, d int) {
		x, y := i/2, a.H-1-d/4
		if x >= a.W || y < 0 || y >= a.H {
			return
		}
		c := a.At(x, y)
		if !owned[y*a.W+x] {
			owned[y*a.W+x] = true
			*c = canvas.Cell{Rune: 0x2800}
		}
		if c.Rune >= 0x2800 && c.Rune <= 0x28ff {
			c.Rune |= brailleDots[i%2][d%4]
			c.Style = l.Style
		}
	}
	before := math.NaN()
	for i, v := range values {
		alone := math.IsNaN(before) && (i == len(values)-1 || !Finite(values[i+1]))
		switch {
		case !Finite(v):
			before = math.NaN()
			continue
		case alone:
			a.Put(i/2, a.H-1-int(math.Round(s.row(v))), l.Style, g.Dot)
		default:
			d := dotRow(s, v)
			from := d
			if !math.IsNaN(before) {
				from = dotRow(s, before)
			}
			steep := max(d-from, from-d) > 1
			if dashed(l.Stroke, i) || steep {
				put(i, d)
			}
			for k := min(d, from) + 1; k < max(d, from); k++ {
				put(i, k)
			}
		}
		before = v
	}
}

// dotRow is the dot of a value, counted from the bottom.
func dotRow(s scale, v float64) int { return int(math.Round(s.row(v)*4 + 1.5)) }
