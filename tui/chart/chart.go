// Package chart draws curves in a terminal.
//
// A [Series] holds the history of some values in bounded memory (series.go). A
// [Polyline] is one of them over an x axis (polyline.go), a [Window] the part of
// the axis that is seen (window.go), and a [Chart] lines in a frame with axes,
// marks and a read-out. Smoothed lines are asciigraph's, raw ones braille
// (braille.go), as are all in plots of few rows. A curve in one row of text, as of a
// list, is a [Sparkline] (spark.go).
package chart

import (
	"math"
	"strings"

	"cifartui/tui/canvas"
	"cifartui/tui/style"

	"github.com/guptarohit/asciigraph"
)

// A Chart is a frame with lines over one x axis, ready to be drawn. It is made
// anew for each frame from what is known of a run.
type Chart struct {
	Title  string
	Note   string // beside the title: smoothing, log scale
	Lines  []Line
	Axis   Axis
	X0, X1 float64
	Log    bool
	Raw    bool // also draw the lines unsmoothed
	Marks  []Mark
	Cursor float64       // place of the cursor; NaN: none
	Read   []canvas.Part // the read-out in the lower border
	Empty  string        // what to say when there is nothing to draw
	XName  string
	Floor  float64 // lowest value that the axis may begin at, NaN: any
	Ceil   float64 // highest value that it may end at, NaN: any
}

// A Line is one line of a chart and how it looks.
type Line struct {
	Name     string // in the legend; "" leaves it out of there
	Polyline Polyline
	Style    style.Style
	RawStyle style.Style
	Stroke   int // which of the glyphs' line sets
}

// A Mark is a place on the x axis worth a sign.
type Mark struct {
	At    float64
	Sign  string
	Words string // in the title, "" for none
	Style style.Style
}

// Draw draws the chart into a, frame included.
func (ch Chart) Draw(a canvas.Area, g *style.Glyphs) {
	if a.W < 12 || a.H < 4 {
		return
	}
	in := a.Box(style.Frame, g)
	rows, _ := plotRows(in.H)
	ch.drawTitle(a, g, fine(rows, g))
	if ch.drawPlot(in, g) {
		ch.drawRead(a)
	}
}

// DrawBare draws the chart without a frame: its title, and the plot below.
func (ch Chart) DrawBare(a canvas.Area, g *style.Glyphs) {
	if a.W < 12 || a.H < 4 {
		return
	}
	a.Line(0, 1, []canvas.Part{canvas.Ranked(0, style.Dim.Text(ch.Title))}, ch.Read)
	ch.drawPlot(a.Sub(0, 1, a.W, a.H-1), g)
}

// drawTitle writes the title and the legend into the upper border.
func (ch Chart) drawTitle(a canvas.Area, g *style.Glyphs, fine bool) {
	left := []canvas.Part{canvas.Ranked(0, style.Plain.Text(" "), style.Heading.Text(ch.Title), style.Plain.Text(" "))}
	if ch.Note != "" {
		left = append(left, canvas.Ranked(9, style.Dim.Text(" "+ch.Note+" ")))
	}
	var right []canvas.Part
	row := a.Sub(2, 0, a.W-4, 1)
	legend, dashes := canvas.Width(ch.Title)+2, 2
	for _, l := range ch.Lines {
		legend += canvas.Width(l.Name) + 5
	}
	if legend > row.W {
		dashes = 1
	}
	for i, l := range ch.Lines {
		if l.Name == "" {
			continue
		}
		stroke := strings.Repeat(strokes(g)[l.Stroke%len(unicodeStrokes)].Horizontal, dashes)
		if fine {
			stroke = fineSample(l.Stroke, dashes)
		}
		end := ""
		if dashes == 2 || i == len(ch.Lines)-1 {
			end = " "
		}
		right = append(right, canvas.Ranked(1, l.Style.Text(" "+stroke+" "+l.Name+end)))
	}
	for _, l := range ch.Lines {
		if len(l.Polyline.gaps(ch.X0, ch.X1, 1)) > 0 {
			right = append(right, canvas.Ranked(2, style.Trouble.Text(" "+g.NonFinite+" "), style.Dim.Text("not finite ")))
			break
		}
	}
	for i, m := range ch.Marks {
		if m.Words != "" {
			right = append(right, canvas.Ranked(3+i, m.Style.Text(" "+m.Sign+" "), style.Dim.Text(m.Words+" ")))
		}
	}
	row.Line(0, 0, left, right)
}

// Stroke is a piece of a line of that stroke, two columns wide, for a legend of
// lines in a plot of so many rows.
func Stroke(stroke, rows int, g *style.Glyphs) string {
	if fine(rows, g) {
		return fineSample(stroke, 2)
	}
	return strings.Repeat(strokes(g)[stroke%len(unicodeStrokes)].Horizontal, 2)
}

// drawRead writes the read-out into the lower border, as much as fits.
func (ch Chart) drawRead(a canvas.Area) { a.Label(2, a.H-1, a.W-4, 1, ch.Read) }

// drawPlot draws axes and lines and reports whether there was anything.
func (ch Chart) drawPlot(in canvas.Area, g *style.Glyphs) bool {
	rows, below := plotRows(in.H)
	all := noExtent
	for _, l := range ch.Lines {
		e := l.Polyline.limits(ch.X0, ch.X1, ch.Raw)
		if !e.empty() {
			all = all.with(e.lo).with(e.hi)
		}
	}
	if rows < 2 || in.W < yLabelMost+6 || all.empty() {
		for i, line := range canvas.Wrap(ch.Empty, in.W-2) {
			in.Centre(max(0, in.H/2-1)+i, style.Dim, line)
		}
		return false
	}
	s := ch.scale(all, rows)
	ticks := yTicks(s.lo, s.hi, rows, s.log)
	left := YLabelWidth + 1
	if len(ticks) > 0 {
		left = len(ticks[0].label) + 1
	}
	cols := in.W - left - 1
	plot := in.Sub(left, 0, cols, rows)

	for r := range rows {
		in.Put(left-1, r, style.Frame, g.AxisV)
	}
	for _, t := range ticks {
		r := rows - 1 - int(math.Round(s.row(t.at)))
		in.Text(0, r, style.Dim, t.label)
		in.Put(left-1, r, style.Frame, g.AxisTick)
	}
	ch.drawXAxis(in.Sub(left-1, rows, cols+1, below), g)

	if ch.Raw {
		for _, l := range ch.Lines {
			if g.Unicode {
				drawBraille(plot, s, l.Polyline.extents(ch.X0, ch.X1, 2*cols), l.RawStyle)
			} else {
				drawColumns(plot, s, l.Polyline.extents(ch.X0, ch.X1, cols), l.RawStyle)
			}
		}
	}
	if x := ch.column(ch.Cursor, cols); x >= 0 {
		for y := range rows {
			plot.Put(x, y, style.CursorLine, g.Cursor)
		}
	}
	owned := make([]bool, cols*rows)
	for _, l := range ch.Lines {
		if fine(rows, g) {
			drawFine(plot, s, l.Polyline.columns(ch.X0, ch.X1, 2*cols), l, owned, g)
		} else {
			drawLine(plot, s, l.Polyline.columns(ch.X0, ch.X1, cols), strokes(g)[l.Stroke%len(unicodeStrokes)], l.Style, g)
		}
	}
	return true
}

// plotRows divides the height inside a chart: rows of the plot, and below them
// the axis and where there is room its labels.
func plotRows(h int) (rows, below int) {
	if h < 6 {
		return h - 1, 1
	}
	return h - 2, 2
}

// column returns the plot's column of place v, or -1.
func (ch Chart) column(v float64, cols int) int {
	if math.IsNaN(v) || v < ch.X0 || v > ch.X1 || ch.X1 <= ch.X0 {
		return -1
	}
	return min(int((v-ch.X0)/(ch.X1-ch.X0)*float64(cols)), cols-1)
}

// drawXAxis draws the axis, its ticks, labels and marks. Column 0 is the
// corner.
func (ch Chart) drawXAxis(a canvas.Area, g *style.Glyphs) {
	cols := a.W - 1
	a.Put(0, 0, style.Frame, g.AxisCorner)
	for x := range cols {
		a.Put(1+x, 0, style.Frame, g.AxisH)
	}
	name := a.W - canvas.Width(ch.XName)
	if cols < 32 { // labels matter more
		name = a.W
	}
	free := 0
	for _, t := range xTicks(ch.Axis, ch.X0, ch.X1, cols) {
		x := 1 + ch.column(math.Min(math.Max(t.at, ch.X0), ch.X1), cols)
		a.Put(x, 0, style.Frame, g.AxisTickDown)
		from := max(x-canvas.Width(t.label)/2, 0)
		if from >= free && from+canvas.Width(t.label) < name {
			free = a.Text(from, 1, style.Dim, t.label) + 1
		}
	}
	a.Text(name, 1, style.Dim, ch.XName)
	for _, l := range ch.Lines {
		for _, x := range l.Polyline.gaps(ch.X0, ch.X1, cols) {
			a.Text(1+x, 0, style.Trouble, g.NonFinite)
		}
	}
	for i := len(ch.Marks) - 1; i >= 0; i-- { // the first one lies on top
		if x := ch.column(ch.Marks[i].At, cols); x >= 0 {
			a.Text(1+x, 0, ch.Marks[i].Style, ch.Marks[i].Sign)
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

func (ch Chart) scale(e extent, rows int) scale {
	lo, hi := e.lo, e.hi
	if ch.Log {
		lo, hi = math.Max(lo, smallest), math.Max(hi, smallest)
		if hi < lo*1.05 {
			lo, hi = lo/1.1, hi*1.1
		}
		return scale{lo, hi, rows, true}
	}
	lo, hi = bounds(lo, hi, rows)
	if !math.IsNaN(ch.Floor) && e.lo >= ch.Floor {
		lo = math.Max(lo, ch.Floor)
	}
	if !math.IsNaN(ch.Ceil) && e.hi <= ch.Ceil {
		hi = math.Min(hi, ch.Ceil)
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
func drawLine(a canvas.Area, s scale, values []float64, set asciigraph.CharSet, st style.Style, g *style.Glyphs) {
	rows := make([]float64, len(values)+1)
	some := false
	for i, v := range values {
		rows[i] = math.NaN()
		if Finite(v) {
			rows[i], some = s.row(v), true
		}
	}
	if !some {
		return
	}
	rows[len(values)] = math.NaN()
	text := asciigraph.Plot(rows,
		asciigraph.Height(a.H-1), asciigraph.LowerBound(0), asciigraph.UpperBound(float64(a.H-1)),
		asciigraph.Offset(1), asciigraph.SeriesChars(set),
		asciigraph.YAxisValueFormatter(func(float64) string { return "" }))
	for y, line := range strings.Split(text, "\n") {
		x := -1 // asciigraph's own axis
		for _, r := range line {
			if x >= 0 && r != ' ' && x < len(values) && Finite(values[x]) {
				a.Put(x, y, st, r)
			}
			x++
		}
	}
	for i := range values { // a point between two gaps would be half a dash
		if Finite(values[i]) && (i == 0 || !Finite(values[i-1])) && (i == len(values)-1 || !Finite(values[i+1])) {
			a.Put(i, a.H-1-int(math.Round(rows[i])), st, g.Dot)
		}
	}
}

// drawColumns draws ranges, one a column, for terminals without braille.
func drawColumns(a canvas.Area, s scale, es []extent, st style.Style) {
	for x, e := range es {
		if e.empty() {
			continue
		}
		for r := int(math.Round(s.row(e.lo))); r <= int(math.Round(s.row(e.hi))); r++ {
			a.Put(x, a.H-1-r, st, '\'')
		}
	}
}
