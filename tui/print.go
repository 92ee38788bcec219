package tui

import (
	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// A Printer draws what is printed on a terminal line after line, without a
// screen, with the characters and colours that a screen would have there.
type Printer struct {
	glyphs  *style.Glyphs
	palette *style.Palette
	width   int
}

// NewPrinter returns what prints for a terminal of some columns, as theme and
// the environment say, see [Options].
func NewPrinter(theme string, env func(string) string, width int) *Printer {
	g, p := Options{Theme: theme, Env: env}.Look()
	return &Printer{g, p, width}
}

// A Likelihood is a class and how likely a network finds it, from 0 to 1.
type Likelihood struct {
	Class string
	Share float64
}

// Sizes of a prediction's parts.
const (
	predictionGap  = 2  // columns between picture and bars
	leastBars      = 24 // columns: with fewer the picture makes room
	widestBar      = 40
	percentColumns = 7 // a blank, and format.Percent's
)

// Prediction returns lines that show a picture's name, the picture, see
// [canvas.SideOf], and beside it the likelihoods as bars, in the given order.
func (p *Printer) Prediction(name string, px []byte, list []Likelihood) string {
	dots := pictureSide
	for dots > pictureSide/4 && dots+predictionGap+leastBars > p.width {
		dots /= 2
	}
	left := dots + predictionGap
	if left+leastBars > p.width {
		dots, left = 0, 0
	}
	c := canvas.New(p.width, 1+max(dots/2, len(list)))
	all := c.All()
	all.Text(0, 0, style.Heading, canvas.Elide(name, all.W, p.glyphs))
	all.Sub(0, 1, dots, dots/2).Picture(px, dots, p.palette, p.glyphs)
	p.bars(all.Sub(left, 1, all.W-left, all.H-1), list)
	return c.Encode(p.palette, p.glyphs) + "\n"
}

// bars draws likelihoods, a row each: name, bar, percent.
func (p *Printer) bars(a canvas.Area, list []Likelihood) {
	names := 0
	for _, l := range list {
		names = max(names, canvas.Width(l.Class))
	}
	names = min(names, a.W/2)
	bar := min(a.W-names-1-percentColumns, widestBar)
	for y, l := range list {
		role := style.Plain
		if y == 0 {
			role = style.Heading
		}
		a.Text(0, y, role, canvas.Elide(l.Class, names, p.glyphs))
		a.Bar(names+1, y, bar, l.Share, p.glyphs)
		a.Right(names+1+bar+percentColumns, y, role, format.Percent(l.Share))
	}
}
