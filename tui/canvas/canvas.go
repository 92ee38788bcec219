// Package canvas is what the screen is drawn on: a grid of cells, and areas of it
// that cut off what does not fit, so that no view can overflow. It draws text,
// frames, lines of parts of which the least important go first, tables, bars and
// pictures, and encodes all of it with as few colour codes as it takes.
package canvas

import (
	"strings"

	"cifartui/tui/style"

	"github.com/mattn/go-runewidth"
)

// A Cell is one character of the screen. The right half of a wide character
// holds rune 0.
type Cell struct {
	Rune   rune
	Style  style.Style
	FG, BG style.Colour // of images only
}

var blank = Cell{Rune: ' '}

// A Canvas is the screen under construction. Everything is drawn on it and
// what lies outside is cut off, so no view can wrap or overflow.
type Canvas struct {
	w, h  int
	cells []Cell
}

// New returns a blank canvas, w columns wide and h rows high.
func New(w, h int) *Canvas {
	c := &Canvas{w: w, h: h, cells: make([]Cell, w*h)}
	for i := range c.cells {
		c.cells[i] = blank
	}
	return c
}

// All returns the whole canvas as an area.
func (c *Canvas) All() Area { return Area{c: c, W: c.w, H: c.h} }

// Encode writes the canvas as lines of text with as few colour codes as it
// takes, for a terminal that has the characters of g. Blank line ends are left out.
func (c *Canvas) Encode(p *style.Palette, g *style.Glyphs) string {
	if !g.Unicode {
		c.onlyASCII()
	}
	var b strings.Builder
	b.Grow(c.w*c.h*2 + 64)
	for y := range c.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		row := c.cells[y*c.w : (y+1)*c.w]
		end := len(row)
		for end > 0 && row[end-1].Rune == ' ' && row[end-1].BG == style.NoColour && !p.PaintsBlank(row[end-1].Style) {
			end--
		}
		pen := Cell{}
		for _, cl := range row[:end] {
			if cl.Rune == 0 {
				continue
			}
			if cl.Rune == ' ' && cl.BG == style.NoColour && pen.BG == style.NoColour && !p.PaintsBlank(cl.Style) && !p.PaintsBlank(pen.Style) {
				cl.Style, cl.FG = pen.Style, pen.FG // the ink of a blank is not seen
			}
			if cl.Style != pen.Style || cl.FG != pen.FG || cl.BG != pen.BG {
				p.Switch(&b, cl.Style, cl.FG, cl.BG)
				pen.Style, pen.FG, pen.BG = cl.Style, cl.FG, cl.BG
			}
			b.WriteRune(cl.Rune)
		}
		if pen.Style != style.Plain || pen.FG != style.NoColour || pen.BG != style.NoColour {
			p.Switch(&b, style.Plain, style.NoColour, style.NoColour)
		}
	}
	return b.String()
}

// An Area is a rectangle of a canvas with its own coordinates. Drawing outside
// it has no effect.
type Area struct {
	c    *Canvas
	x, y int
	W, H int // columns and rows
}

// Sub returns the part of a at x, y, w wide and h high, cut to what a holds.
func (a Area) Sub(x, y, w, h int) Area {
	x, y = max(x, 0), max(y, 0)
	w, h = max(min(w, a.W-x), 0), max(min(h, a.H-y), 0)
	return Area{a.c, a.x + x, a.y + y, w, h}
}

func (a Area) inside(x, y int) bool { return x >= 0 && y >= 0 && x < a.W && y < a.H }

// At returns the cell at x, y, or a cell of no effect outside.
func (a Area) At(x, y int) *Cell {
	if !a.inside(x, y) {
		return &Cell{}
	}
	return &a.c.cells[(a.y+y)*a.c.w+a.x+x]
}

// Put draws one narrow rune.
func (a Area) Put(x, y int, s style.Style, r rune) { a.set(x, y, Cell{Rune: r, Style: s}) }

// set sets a cell. What is left of a wide character that half lay there becomes a
// blank: alone it would move all that stands behind it by a column.
func (a Area) set(x, y int, cell Cell) {
	if !a.inside(x, y) {
		return
	}
	row, at := a.c.cells[(a.y+y)*a.c.w:(a.y+y+1)*a.c.w], a.x+x
	if row[at].Rune == 0 && at > 0 {
		row[at-1].Rune = ' '
	}
	if at+1 < len(row) && row[at+1].Rune == 0 {
		row[at+1].Rune = ' '
	}
	row[at] = cell
}

// Text draws t from x on and returns the column after it. A wide character
// that would be cut in half becomes a blank.
func (a Area) Text(x, y int, s style.Style, t string) int {
	for _, r := range t {
		if r == '\n' || r == '\t' { // of an error in several lines
			r = ' '
		}
		switch w := widths.RuneWidth(r); {
		case w <= 0 || r < ' ':
			continue
		case w == 1:
			a.Put(x, y, s, r)
			x++
		default:
			if a.inside(x, y) && a.inside(x+1, y) {
				a.Put(x, y, s, r)
				a.set(x+1, y, Cell{Style: s})
			} else {
				a.Put(x, y, s, ' ')
				a.Put(x+1, y, s, ' ')
			}
			x += w
		}
	}
	return x
}

// Right draws t so that it ends before column x.
func (a Area) Right(x, y int, s style.Style, t string) { a.Text(x-Width(t), y, s, t) }

// Centre draws t in the middle of row y.
func (a Area) Centre(y int, s style.Style, t string) { a.Text(max(0, (a.W-Width(t))/2), y, s, t) }

// Fill sets every cell of the area.
func (a Area) Fill(s style.Style, r rune) {
	for y := range a.H {
		for x := range a.W {
			a.Put(x, y, s, r)
		}
	}
}

// Box draws a frame round the area and returns what is inside it.
func (a Area) Box(s style.Style, g *style.Glyphs) Area {
	for x := 1; x < a.W-1; x++ {
		a.Put(x, 0, s, g.H)
		a.Put(x, a.H-1, s, g.H)
	}
	for y := 1; y < a.H-1; y++ {
		a.Put(0, y, s, g.V)
		a.Put(a.W-1, y, s, g.V)
	}
	a.Put(0, 0, s, g.TopLeft)
	a.Put(a.W-1, 0, s, g.TopRight)
	a.Put(0, a.H-1, s, g.BottomLeft)
	a.Put(a.W-1, a.H-1, s, g.BottomRight)
	return a.Sub(1, 1, a.W-2, a.H-2)
}

// Spans draws pieces of text one after the other and returns the next column.
func (a Area) Spans(x, y int, ss ...style.Span) int {
	for _, s := range ss {
		x = a.Text(x, y, s.Style, s.Text)
	}
	return x
}

// widths counts the columns of characters alike in every locale. Those whose width
// is ambiguous, of which frames, bars and curves are made, take one: so Bubble Tea
// counts them, and so terminals draw them unless told otherwise, also where the
// locale is Chinese, Japanese or Korean and runewidth of itself would count two.
var widths = &runewidth.Condition{StrictEmojiNeutral: true}

// Width returns the number of columns that t takes.
func Width(t string) int { return widths.StringWidth(t) }

// Cut shortens t to at most w columns, with nothing in place of what it drops.
func Cut(t string, w int) string { return widths.Truncate(t, w, "") }

func spansWidth(ss []style.Span) int {
	n := 0
	for _, s := range ss {
		n += Width(s.Text)
	}
	return n
}

// A Part is a piece of a line that is shown or dropped as a whole: the
// higher its rank, the earlier it goes when the line is too long.
type Part struct {
	Rank  int
	Spans []style.Span
}

// Ranked makes a part of spans.
func Ranked(rank int, spans ...style.Span) Part { return Part{Rank: rank, Spans: spans} }

// Line draws parts on row y, left ones from the left edge, right ones at the
// right edge, gap columns apart, and drops the least important until all fit.
func (a Area) Line(y, gap int, left, right []Part) {
	left, right = fit(a.W, gap, left, right)
	x := 0
	for _, p := range left {
		x = a.Spans(x, y, p.Spans...) + gap
	}
	x = a.W
	for i := len(right) - 1; i >= 0; i-- {
		x -= spansWidth(right[i].Spans)
		a.Spans(x, y, right[i].Spans...)
		x -= gap
	}
}

// Label writes parts into row y of a border, from column x on and no wider than
// w, with a blank before and after them.
func (a Area) Label(x, y, w, gap int, parts []Part) {
	parts, _ = fit(w-2, gap, parts, nil)
	if len(parts) == 0 {
		return
	}
	row := a.Sub(x, y, w, 1)
	n := partsWidth(parts, gap)
	row.Sub(0, 0, n+2, 1).Fill(style.Plain, ' ')
	row.Sub(1, 0, w-2, 1).Line(0, gap, parts, nil)
}

// fit drops the least important parts until all that are left fit into w
// columns, or only one is left.
func fit(w, gap int, left, right []Part) (l, r []Part) {
	l, r = append([]Part(nil), left...), append([]Part(nil), right...)
	for len(l)+len(r) > 1 && partsWidth(l, gap)+partsWidth(r, gap)+gap*min(len(l), len(r), 1) > w {
		worst := -1
		for _, p := range append(l[:len(l):len(l)], r...) {
			worst = max(worst, p.Rank)
		}
		if i := lastOfRank(r, worst); i >= 0 {
			r = append(r[:i], r[i+1:]...)
		} else {
			i = lastOfRank(l, worst)
			l = append(l[:i], l[i+1:]...)
		}
	}
	return l, r
}

// partsWidth is the width of parts, gap columns apart.
func partsWidth(ps []Part, gap int) int {
	n := gap * max(len(ps)-1, 0)
	for _, p := range ps {
		n += spansWidth(p.Spans)
	}
	return n
}

func lastOfRank(ps []Part, rank int) int {
	for i := len(ps) - 1; i >= 0; i-- {
		if ps[i].Rank == rank {
			return i
		}
	}
	return -1
}

// Elide shortens t to at most w columns, with dots in place of what it drops.
func Elide(t string, w int, g *style.Glyphs) string {
	switch {
	case Width(t) <= w:
		return t
	case w < Width(g.Dots):
		return ""
	}
	return widths.Truncate(t, w, g.Dots)
}

// Wrap breaks t into lines of at most w columns, between words where it can.
func Wrap(t string, w int) []string {
	w = max(w, 1)
	var lines []string
	for _, para := range strings.Split(t, "\n") {
		line := ""
		for _, word := range strings.Fields(para) {
			for Width(word) > w { // a path longer than the line
				if line != "" {
					lines, line = append(lines, line), ""
				}
				head := Cut(word, w)
				if head == "" {
					break
				}
				lines, word = append(lines, head), word[len(head):]
			}
			switch {
			case line == "":
				line = word
			case Width(line)+1+Width(word) <= w:
				line += " " + word
			default:
				lines, line = append(lines, line), word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// onlyASCII replaces every character of the canvas that an ASCII terminal
// can't show, such as those in a run's name.
func (c *Canvas) onlyASCII() {
	for i := range c.cells {
		switch r := c.cells[i].Rune; {
		case r == 0:
			c.cells[i].Rune = ' '
		case r > '~':
			c.cells[i].Rune = '?'
		}
	}
}
