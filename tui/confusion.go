package tui

import (
	"fmt"
	"math"

	"cifartui/train/event"
	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// A confusion is a confusion matrix ready to be shown: how often images of each
// class were taken for each.
type confusion struct {
	epoch     int
	names     []string
	counts    [][]int
	precision []float64 // of what was said to be the class, the share that is
	recall    []float64 // of what is the class, the share that was said to be
	totals    []int     // images of the class
	accuracy  float64
}

// newConfusion makes a confusion of an event; rows that are too short count as
// zeros.
func newConfusion(e *event.Evaluated, names []string) confusion {
	n := len(e.Confusion)
	c := confusion{epoch: e.Epoch, counts: make([][]int, n), precision: make([]float64, n), recall: make([]float64, n), totals: make([]int, n)}
	said := make([]int, n)
	right, all := 0, 0
	for i := range n {
		c.names = append(c.names, class(names, i))
		c.counts[i] = make([]int, n)
		copy(c.counts[i], e.Confusion[i])
		for j, v := range c.counts[i] {
			c.totals[i] += v
			said[j] += v
		}
		right += c.counts[i][i]
		all += c.totals[i]
	}
	for i := range n {
		c.precision[i] = float64(c.counts[i][i]) / float64(said[i])
		c.recall[i] = float64(c.counts[i][i]) / float64(c.totals[i])
	}
	c.accuracy = float64(right) / float64(all)
	return c
}

// least is the least width that the whole matrix takes.
func (c confusion) least() int { return 2 + classWidth + len(c.counts)*4 + 2*shareWidth + 1 }

const (
	classWidth = 11 // a class' name and a blank
	shareWidth = 11 // precision and recall
)

// A cell is a place in the matrix: what images are, and what they were taken for,
// -1 for anything.
type cell struct{ is, said int }

// share shows a share of an image count, which may be 0/0.
func share(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return format.Percent(v)
}

// words say what a cell stands for, and how many images that are.
func (c confusion) words(at cell) string {
	if at.said < 0 {
		return fmt.Sprintf("%s: %s", c.names[at.is], format.Plural(c.totals[at.is], "image"))
	}
	return fmt.Sprintf("%s taken for %s: %s", c.names[at.is], c.names[at.said], format.Plural(c.counts[at.is][at.said], "image"))
}

// A matrixLayout is how a matrix is laid out in so much room.
type matrixLayout struct {
	name, cell int  // widths of a class' name and of a cell, blanks included
	n, left    int  // columns drawn, and the first of them
	percents   bool // of the class, in place of counts
	shares     bool // precision and recall are shown
}

// layout lays the matrix out in w columns, narrow in percent where it must. Of more
// columns than there is room for those round the chosen cell are drawn.
func (c confusion) layout(w int, chosen *cell) matrixLayout {
	n := len(c.counts)
	l := matrixLayout{name: classWidth, cell: max(4, min(11, (w-classWidth-2*shareWidth-1)/max(n, 1))), n: n, shares: true}
	if w < c.least()-2 {
		l.shares = false
		if l.cell = 4; w < classWidth+n*l.cell {
			l.name, l.cell, l.percents = 6, 3, true
		}
	}
	if w < l.name+n*l.cell { // some classes must be left out: those that are not can be read
		l.name, l.cell, l.percents = classWidth, 5, false
		for _, s := range c.names {
			l.name = max(l.name, min(canvas.Width(s)+1, w/4))
		}
	}
	if fit := max(1, (w-l.name)/l.cell); n > fit {
		l.n = fit
		if chosen != nil {
			l.left = max(0, chosen.said-fit+1)
		}
	}
	return l
}

// column is where column j of those drawn ends; behind the last one come those of
// precision and recall.
func (l matrixLayout) column(j int) int { return l.name + (j+1)*l.cell }

func (l matrixLayout) precision() int { return l.name + l.n*l.cell + shareWidth + 1 }
func (l matrixLayout) recall() int    { return l.precision() + shareWidth }

// drawMatrix draws the matrix in a frame from row top on. chosen is the cell that is
// chosen, nil for none.
func (v *samplesView) drawMatrix(a canvas.Area, top int, chosen *cell) {
	c := v.matrix
	in := a.Box(style.Frame, v.glyphs)
	parts := []canvas.Part{
		canvas.Ranked(0, style.Heading.Text(" confusion ")),
		canvas.Ranked(2, style.Dim.Text(" rows: what it is, columns: what was said ")),
	}
	if chosen != nil && chosen.is < len(c.counts) {
		parts[1] = canvas.Ranked(1, style.Plain.Text(" "+c.words(*chosen)+" "))
	}
	a.Sub(2, 0, a.W-4, 1).Line(0, 0, parts, []canvas.Part{canvas.Ranked(1, style.Dim.Text(fmt.Sprintf(" epoch %d ", c.epoch)))})
	l := c.layout(in.W, chosen)
	if l.percents {
		a.Right(a.W-2, a.H-1, style.Dim, " percent of a row ")
	}
	for j := range l.n {
		in.Right(l.column(j), 0, style.Dim, canvas.Cut(c.names[l.left+j], l.cell-1))
	}
	if l.shares {
		in.Right(l.precision(), 0, style.Dim, "precision")
		in.Right(l.recall(), 0, style.Dim, "recall")
	}
	y := 1
	for i := top; i < len(c.counts) && y < in.H; i++ {
		c.drawRow(in.Sub(0, y, in.W, 1), i, l, chosen, v.glyphs)
		y++
	}
	if y < in.H && l.shares {
		in.Text(0, y, style.Dim, "accuracy")
		in.Right(l.recall(), y, style.Heading, share(c.accuracy))
	}
}

// drawRow draws how often images of class i were taken for each.
func (c confusion) drawRow(a canvas.Area, i int, l matrixLayout, chosen *cell, g *style.Glyphs) {
	s := style.Plain
	if chosen != nil && *chosen == (cell{i, -1}) {
		s = style.Chosen
	}
	a.Text(0, 0, s, canvas.Elide(c.names[i], l.name-1, g))
	for j := range l.n {
		v := c.counts[i][l.left+j]
		text := fmt.Sprint(v)
		if l.percents {
			text = percentOf(v, c.totals[i])
		}
		if v == 0 {
			text = g.Sep
		}
		s := c.cellStyle(i, l.left+j)
		if chosen != nil && *chosen == (cell{i, l.left + j}) {
			s = style.Chosen
		}
		a.Right(l.column(j), 0, s, text)
	}
	if l.shares {
		a.Right(l.precision(), 0, style.Plain, share(c.precision[i]))
		a.Right(l.recall(), 0, style.Plain, share(c.recall[i]))
	}
}

// percentOf shows a count as whole percent of a total: 100 where it is all of it, and
// as its neighbours are blank then there is room for three digits.
func percentOf(count, total int) string {
	if count == total {
		return "100"
	}
	return fmt.Sprintf("%.0f", min(99, 100*float64(count)/float64(max(total, 1))))
}

// cellStyle is the style of a cell: right answers stand out, and the more mistakes
// the warmer.
func (c confusion) cellStyle(i, j int) style.Style {
	v := float64(c.counts[i][j]) / float64(max(c.totals[i], 1))
	switch {
	case i == j:
		return style.Diagonal
	case c.counts[i][j] == 0:
		return style.Frame
	case v >= 0.10:
		return style.Wrong3
	case v >= 0.03:
		return style.Wrong2
	}
	return style.Wrong1
}
