package tui

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// A cell is one character of the screen. The right half of a wide character
// holds rune 0.
type cell struct {
	r      rune
	style  style
	fg, bg colour // of images only
}

var blank = cell{r: ' '}

// A canvas is the screen under construction. Everything is drawn on it and
// what lies outside is cut off, so no view can wrap or overflow.
type canvas struct {
	w, h  int
	cells []cell
}

func newCanvas(w, h int) *canvas {
	c := &canvas{w: w, h: h, cells: make([]cell, w*h)}
	for i := range c.cells {
		c.cells[i] = blank
	}
	return c
}

// all returns the whole canvas as an area.
func (c *canvas) all() area { return area{c, 0, 0, c.w, c.h} }

// encode writes the canvas as lines of text with as few colour codes as it
// takes. Blank line ends are left out.
func (c *canvas) encode(p *palette) string {
	var b strings.Builder
	b.Grow(c.w*c.h*2 + 64)
	for y := range c.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		row := c.cells[y*c.w : (y+1)*c.w]
		end := len(row)
		for end > 0 && row[end-1].r == ' ' && row[end-1].bg == noColour && !p.paintsBlank(row[end-1].style) {
			end--
		}
		pen := cell{}
		for _, cl := range row[:end] {
			if cl.r == 0 {
				continue
			}
			if cl.r == ' ' && cl.bg == noColour && pen.bg == noColour && !p.paintsBlank(cl.style) && !p.paintsBlank(pen.style) {
				cl.style, cl.fg = pen.style, pen.fg // the ink of a blank is not seen
			}
			if cl.style != pen.style || cl.fg != pen.fg || cl.bg != pen.bg {
				p.switchTo(&b, cl.style, cl.fg, cl.bg)
				pen.style, pen.fg, pen.bg = cl.style, cl.fg, cl.bg
			}
			b.WriteRune(cl.r)
		}
		if pen.style != plain || pen.fg != noColour || pen.bg != noColour {
			p.switchTo(&b, plain, noColour, noColour)
		}
	}
	return b.String()
}

// An area is a rectangle of a canvas with its own coordinates. Drawing outside
// it has no effect.
type area struct {
	c          *canvas
	x, y, w, h int
}

// sub returns the part of a at x, y, w wide and h high, cut to what a holds.
func (a area) sub(x, y, w, h int) area {
	x, y = max(x, 0), max(y, 0)
	w, h = max(min(w, a.w-x), 0), max(min(h, a.h-y), 0)
	return area{a.c, a.x + x, a.y + y, w, h}
}

func (a area) inside(x, y int) bool { return x >= 0 && y >= 0 && x < a.w && y < a.h }

// at returns the cell at x, y, or a cell of no effect outside.
func (a area) at(x, y int) *cell {
	if !a.inside(x, y) {
		return &cell{}
	}
	return &a.c.cells[(a.y+y)*a.c.w+a.x+x]
}

// put draws one narrow rune.
func (a area) put(x, y int, s style, r rune) { *a.at(x, y) = cell{r: r, style: s} }

// text draws t from x on and returns the column after it. A wide character
// that would be cut in half becomes a blank.
func (a area) text(x, y int, s style, t string) int {
	for _, r := range t {
		switch w := runewidth.RuneWidth(r); {
		case w <= 0 || r < ' ':
			continue
		case w == 1:
			a.put(x, y, s, r)
			x++
		default:
			if a.inside(x, y) && a.inside(x+1, y) {
				a.put(x, y, s, r)
				*a.at(x+1, y) = cell{style: s}
			} else {
				a.put(x, y, s, ' ')
				a.put(x+1, y, s, ' ')
			}
			x += w
		}
	}
	return x
}

// right draws t so that it ends before column x.
func (a area) right(x, y int, s style, t string) { a.text(x-width(t), y, s, t) }

// centre draws t in the middle of row y.
func (a area) centre(y int, s style, t string) { a.text(max(0, (a.w-width(t))/2), y, s, t) }

// fill sets every cell of the area.
func (a area) fill(s style, r rune) {
	for y := range a.h {
		for x := range a.w {
			a.put(x, y, s, r)
		}
	}
}

// box draws a frame round the area and returns what is inside it.
func (a area) box(s style, g *glyphs) area {
	for x := 1; x < a.w-1; x++ {
		a.put(x, 0, s, g.h)
		a.put(x, a.h-1, s, g.h)
	}
	for y := 1; y < a.h-1; y++ {
		a.put(0, y, s, g.v)
		a.put(a.w-1, y, s, g.v)
	}
	a.put(0, 0, s, g.topLeft)
	a.put(a.w-1, 0, s, g.topRight)
	a.put(0, a.h-1, s, g.bottomLeft)
	a.put(a.w-1, a.h-1, s, g.bottomRight)
	return a.sub(1, 1, a.w-2, a.h-2)
}

// spans draws pieces of text one after the other and returns the next column.
func (a area) spans(x, y int, ss ...span) int {
	for _, s := range ss {
		x = a.text(x, y, s.s, s.t)
	}
	return x
}

// width returns the number of columns that t takes.
func width(t string) int { return runewidth.StringWidth(t) }

func spansWidth(ss []span) int {
	n := 0
	for _, s := range ss {
		n += width(s.t)
	}
	return n
}

// A part is a piece of a line that is shown or dropped as a whole: the
// higher its rank, the earlier it goes when the line is too long.
type part struct {
	rank  int
	spans []span
}

// ranked makes a part of spans.
func ranked(rank int, spans ...span) part { return part{rank: rank, spans: spans} }

// line draws parts on row y, left ones from the left edge, right ones at the
// right edge, gap columns apart, and drops the least important until all fit.
func (a area) line(y, gap int, left, right []part) {
	left, right = fit(a.w, gap, left, right)
	x := 0
	for _, p := range left {
		x = a.spans(x, y, p.spans...) + gap
	}
	x = a.w
	for i := len(right) - 1; i >= 0; i-- {
		x -= spansWidth(right[i].spans)
		a.spans(x, y, right[i].spans...)
		x -= gap
	}
}

// label writes parts into row y of a border, from column x on and no wider than
// w, with a blank before and after them.
func (a area) label(x, y, w, gap int, parts []part) {
	parts, _ = fit(w-2, gap, parts, nil)
	if len(parts) == 0 {
		return
	}
	row := a.sub(x, y, w, 1)
	n := partsWidth(parts, gap)
	row.sub(0, 0, n+2, 1).fill(plain, ' ')
	row.sub(1, 0, w-2, 1).line(0, gap, parts, nil)
}

// fit drops the least important parts until all that are left fit into w
// columns, or only one is left.
func fit(w, gap int, left, right []part) (l, r []part) {
	l, r = append([]part(nil), left...), append([]part(nil), right...)
	for len(l)+len(r) > 1 && partsWidth(l, gap)+partsWidth(r, gap)+gap*min(len(l), len(r), 1) > w {
		worst := -1
		for _, p := range append(l[:len(l):len(l)], r...) {
			worst = max(worst, p.rank)
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
func partsWidth(ps []part, gap int) int {
	n := gap * max(len(ps)-1, 0)
	for _, p := range ps {
		n += spansWidth(p.spans)
	}
	return n
}

func lastOfRank(ps []part, rank int) int {
	for i := len(ps) - 1; i >= 0; i-- {
		if ps[i].rank == rank {
			return i
		}
	}
	return -1
}

// elide shortens t to at most w columns, with dots in place of what it drops.
func elide(t string, w int, g *glyphs) string {
	if width(t) <= w {
		return t
	}
	return runewidth.Truncate(t, max(w, 0), g.dots)
}

// wrap breaks t into lines of at most w columns, between words where it can.
func wrap(t string, w int) []string {
	w = max(w, 1)
	var lines []string
	for _, para := range strings.Split(t, "\n") {
		line := ""
		for _, word := range strings.Fields(para) {
			for width(word) > w { // a path longer than the line
				if line != "" {
					lines, line = append(lines, line), ""
				}
				head := runewidth.Truncate(word, w, "")
				if head == "" {
					break
				}
				lines, word = append(lines, head), word[len(head):]
			}
			switch {
			case line == "":
				line = word
			case width(line)+1+width(word) <= w:
				line += " " + word
			default:
				lines, line = append(lines, line), word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// asciiOnly replaces every character of the canvas that an ASCII terminal
// can't show, such as those in a run's name.
func (c *canvas) asciiOnly() {
	for i := range c.cells {
		switch r := c.cells[i].r; {
		case r == 0:
			c.cells[i].r = ' '
		case r > '~':
			c.cells[i].r = '?'
		}
	}
}
