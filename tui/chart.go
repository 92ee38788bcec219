package tui

import (
	"math"
	"strings"

	"github.com/guptarohit/asciigraph"
)

// A chart is a frame with lines over one x axis, ready to be drawn. It is made
// anew for each frame from what is known of a run.
type chart struct {
	title  string
	note   string // beside the title: smoothing, log scale
	lines  []chartLine
	axis   axis
	x0, x1 float64
	log    bool
	raw    bool // also draw the lines unsmoothed
	marks  []chartMark
	cursor float64 // place of the cursor; NaN: none
	read   []part  // the read-out in the lower border
	empty  string  // what to say when there is nothing to draw
	xName  string
	floor  float64 // lowest value that the axis may begin at, NaN: any
	ceil   float64 // highest value that it may end at, NaN: any
}

// A chartLine is one line of a chart and how it looks.
type chartLine struct {
	name     string
	polyline polyline
	style    style
	rawStyle style
	stroke   int // which of the glyphs' line sets
}

// A chartMark is a place on the x axis worth a sign.
type chartMark struct {
	at    float64
	sign  string
	words string // in the title, "" for none
	style style
}

// draw draws the chart into a, frame included.
func (ch chart) draw(a area, g *glyphs) {
	if a.w < 12 || a.h < 4 {
		return
	}
	in := a.box(frame, g)
	ch.drawTitle(a, g)
	if ch.drawPlot(in, g) {
		ch.drawRead(a)
	}
}

// drawBare draws the chart without a frame: its title, and the plot below.
func (ch chart) drawBare(a area, g *glyphs) {
	if a.w < 12 || a.h < 4 {
		return
	}
	a.line(0, 1, []part{{0, []span{{dim, ch.title}}}}, ch.read)
	ch.drawPlot(a.sub(0, 1, a.w, a.h-1), g)
}

// drawTitle writes the title and the legend into the upper border.
func (ch chart) drawTitle(a area, g *glyphs) {
	left := []part{{0, []span{{plain, " "}, {heading, ch.title}, {plain, " "}}}}
	if ch.note != "" {
		left = append(left, part{9, []span{{dim, " " + ch.note + " "}}})
	}
	var right []part
	row := a.sub(2, 0, a.w-4, 1)
	legend, dashes := width(ch.title)+2, 2
	for _, l := range ch.lines {
		legend += width(l.name) + 5
	}
	if legend > row.w {
		dashes = 1
	}
	for i, l := range ch.lines {
		stroke := strings.Repeat(strokes(g)[l.stroke%len(unicodeStrokes)].Horizontal, dashes)
		end := ""
		if dashes == 2 || i == len(ch.lines)-1 {
			end = " "
		}
		right = append(right, part{1, []span{{l.style, " " + stroke + " " + l.name + end}}})
	}
	for _, l := range ch.lines {
		if len(l.polyline.gaps(ch.x0, ch.x1, 1)) > 0 {
			right = append(right, part{2, []span{{trouble, " " + g.nonFinite + " "}, {dim, "not finite "}}})
			break
		}
	}
	for i, m := range ch.marks {
		if m.words != "" {
			right = append(right, part{3 + i, []span{{m.style, " " + m.sign + " "}, {dim, m.words + " "}}})
		}
	}
	row.line(0, 0, left, right)
}

// drawRead writes the read-out into the lower border, as much as fits.
func (ch chart) drawRead(a area) { a.label(2, a.h-1, a.w-4, 1, ch.read) }

// drawPlot draws axes and lines and reports whether there was anything.
func (ch chart) drawPlot(in area, g *glyphs) bool {
	below := 2 // the axis and its labels
	if in.h < 6 {
		below = 1
	}
	const left = yLabelWidth + 1
	rows, cols := in.h-below, in.w-left-1
	all := noExtent
	for _, l := range ch.lines {
		e := l.polyline.limits(ch.x0, ch.x1, ch.raw)
		if !e.empty() {
			all = all.with(e.lo).with(e.hi)
		}
	}
	if rows < 2 || cols < 4 || all.empty() {
		for i, line := range wrap(ch.empty, in.w-2) {
			in.centre(max(0, in.h/2-1)+i, dim, line)
		}
		return false
	}
	s := ch.scale(all, rows)
	plot := in.sub(left, 0, cols, rows)

	for r := range rows {
		in.put(left-1, r, frame, g.axisV)
	}
	for _, t := range yTicks(s.lo, s.hi, rows, s.log) {
		r := rows - 1 - int(math.Round(s.row(t.at)))
		in.text(0, r, dim, t.label)
		in.put(left-1, r, frame, g.axisTick)
	}
	ch.drawXAxis(in.sub(left-1, rows, cols+1, below), g)

	if ch.raw {
		for _, l := range ch.lines {
			if g.unicode {
				drawBraille(plot, s, l.polyline.extents(ch.x0, ch.x1, 2*cols), l.rawStyle)
			} else {
				drawColumns(plot, s, l.polyline.extents(ch.x0, ch.x1, cols), l.rawStyle)
			}
		}
	}
	if x := ch.column(ch.cursor, cols); x >= 0 {
		for y := range rows {
			plot.put(x, y, cursorLine, g.cursor)
		}
	}
	for _, l := range ch.lines {
		drawLine(plot, s, l.polyline.columns(ch.x0, ch.x1, cols), strokes(g)[l.stroke%len(unicodeStrokes)], l.style, g)
	}
	return true
}

// column returns the plot's column of place v, or -1.
func (ch chart) column(v float64, cols int) int {
	if math.IsNaN(v) || v < ch.x0 || v > ch.x1 || ch.x1 <= ch.x0 {
		return -1
	}
	return min(int((v-ch.x0)/(ch.x1-ch.x0)*float64(cols)), cols-1)
}

// drawXAxis draws the axis, its ticks, labels and marks. Column 0 is the
// corner.
func (ch chart) drawXAxis(a area, g *glyphs) {
	cols := a.w - 1
	a.put(0, 0, frame, g.axisCorner)
	for x := range cols {
		a.put(1+x, 0, frame, g.axisH)
	}
	name := a.w - width(ch.xName)
	if cols < 32 { // labels matter more
		name = a.w
	}
	free := 0
	for _, t := range xTicks(ch.axis, ch.x0, ch.x1, cols) {
		x := 1 + ch.column(math.Min(math.Max(t.at, ch.x0), ch.x1), cols)
		a.put(x, 0, frame, g.axisTickDown)
		from := max(x-width(t.label)/2, 0)
		if from >= free && from+width(t.label) < name {
			free = a.text(from, 1, dim, t.label) + 1
		}
	}
	a.text(name, 1, dim, ch.xName)
	for _, l := range ch.lines {
		for _, x := range l.polyline.gaps(ch.x0, ch.x1, cols) {
			a.text(1+x, 0, trouble, g.nonFinite)
		}
	}
	for i := len(ch.marks) - 1; i >= 0; i-- { // the first one lies on top
		if x := ch.column(ch.marks[i].at, cols); x >= 0 {
			a.text(1+x, 0, ch.marks[i].style, ch.marks[i].sign)
		}
	}
}

// A scale maps values to rows of a plot, counted from the bottom.
type scale struct {
	lo, hi float64 // at the middle of the lowest and of the highest row
	rows   int
	log    bool
}

// smallest is the least value that a log scale shows.
const smallest = 1e-9

func (ch chart) scale(e extent, rows int) scale {
	lo, hi := e.lo, e.hi
	if ch.log {
		lo, hi = math.Max(lo, smallest), math.Max(hi, smallest)
		if hi < lo*1.05 {
			lo, hi = lo/1.1, hi*1.1
		}
		return scale{lo, hi, rows, true}
	}
	lo, hi = bounds(lo, hi, rows)
	if !math.IsNaN(ch.floor) && e.lo >= ch.floor {
		lo = math.Max(lo, ch.floor)
	}
	if !math.IsNaN(ch.ceil) && e.hi <= ch.ceil {
		hi = math.Min(hi, ch.ceil)
	}
	return scale{lo, hi, rows, false}
}

// row returns v's place between 0, the lowest row, and rows-1.
func (s scale) row(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		v, lo, hi = math.Log(math.Max(v, smallest)), math.Log(lo), math.Log(hi)
	}
	if hi <= lo {
		return 0
	}
	return math.Min(math.Max((v-lo)/(hi-lo), 0), 1) * float64(s.rows-1)
}

// drawLine draws values, one a column, as asciigraph joins them. asciigraph
// gets them in units of rows, so that its scale is the plot's; a point more,
// as it draws the way from each to the next; and never an infinity, on which
// it panics.
func drawLine(a area, s scale, values []float64, set asciigraph.CharSet, st style, g *glyphs) {
	rows := make([]float64, len(values)+1)
	some := false
	for i, v := range values {
		rows[i] = math.NaN()
		if finite(v) {
			rows[i], some = s.row(v), true
		}
	}
	if !some {
		return
	}
	rows[len(values)] = math.NaN()
	text := asciigraph.Plot(rows,
		asciigraph.Height(a.h-1), asciigraph.LowerBound(0), asciigraph.UpperBound(float64(a.h-1)),
		asciigraph.Offset(1), asciigraph.SeriesChars(set),
		asciigraph.YAxisValueFormatter(func(float64) string { return "" }))
	for y, line := range strings.Split(text, "\n") {
		x := -1 // asciigraph's own axis
		for _, r := range line {
			if x >= 0 && r != ' ' && x < len(values) && finite(values[x]) {
				a.put(x, y, st, r)
			}
			x++
		}
	}
	for i := range values { // a point between two gaps would be half a dash
		if finite(values[i]) && (i == 0 || !finite(values[i-1])) && (i == len(values)-1 || !finite(values[i+1])) {
			a.put(i, a.h-1-int(math.Round(rows[i])), st, g.dot)
		}
	}
}

// brailleDots are the bits of a braille character's dots, by column and by row
// from the bottom.
var brailleDots = [2][4]rune{{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}}

// drawBraille draws ranges, two a column, in dots of a quarter row.
func drawBraille(a area, s scale, es []extent, st style) {
	dot := func(v float64) int { return int(math.Round(s.row(v)*4 + 1.5)) }
	for i, e := range es {
		if e.empty() {
			continue
		}
		for d := dot(e.lo); d <= dot(e.hi); d++ {
			c := a.at(i/2, a.h-1-d/4)
			if c.r < 0x2800 || c.r > 0x28ff {
				*c = cell{r: 0x2800}
			}
			c.r |= brailleDots[i%2][d%4]
			c.style = st
		}
	}
}

// drawColumns draws ranges, one a column, for terminals without braille.
func drawColumns(a area, s scale, es []extent, st style) {
	for x, e := range es {
		if e.empty() {
			continue
		}
		for r := int(math.Round(s.row(e.lo))); r <= int(math.Round(s.row(e.hi))); r++ {
			a.put(x, a.h-1-r, st, '\'')
		}
	}
}
