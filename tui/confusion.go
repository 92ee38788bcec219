package tui

import (
	"fmt"
	"math"

	"cifartui/train/event"
	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"

	"github.com/mattn/go-runewidth"
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

// drawMatrix draws the matrix in a frame from row top on, narrow in percent where
// it must. chosen is the cell that is chosen, nil for none; of more columns than
// there is room for those round it are drawn.
func (v *samplesView) drawMatrix(a canvas.Area, top int, chosen *cell) {
	g, c := v.glyphs, v.matrix
	in := a.Box(style.Frame, g)
	parts := []canvas.Part{
		canvas.Ranked(0, style.Heading.Text(" confusion ")),
		canvas.Ranked(2, style.Dim.Text(" rows: what it is, columns: what was said ")),
	}
	if chosen != nil && chosen.is < len(c.counts) {
		parts[1] = canvas.Ranked(1, style.Plain.Text(" "+c.words(*chosen)+" "))
	}
	a.Sub(2, 0, a.W-4, 1).Line(0, 0, parts, []canvas.Part{canvas.Ranked(1, style.Dim.Text(fmt.Sprintf(" epoch %d ", c.epoch)))})
	n := len(c.counts)
	name, shares := classWidth, true
	cellW := max(4, min(11, (in.W-classWidth-2*shareWidth-1)/max(n, 1)))
	percents := false
	if in.W < c.least()-2 {
		shares = false
		if cellW = 4; in.W < classWidth+n*cellW {
			name, cellW, percents = 6, 3, true
		}
	}
	if in.W < name+n*cellW { // some classes must be left out: those that are not can be read
		name, cellW, percents = classWidth, 5, false
		for _, s := range c.names {
			name = max(name, min(canvas.Width(s)+1, in.W/4))
		}
	}
	left := 0 // the first column drawn
	if fit := max(1, (in.W-name)/cellW); n > fit {
		n = fit
		if chosen != nil {
			left = max(0, chosen.said-fit+1)
		}
	}
	for j := range n {
		in.Right(name+(j+1)*cellW, 0, style.Dim, abbreviate(c.names[left+j], cellW-1))
	}
	if shares {
		in.Right(name+n*cellW+shareWidth+1, 0, style.Dim, "precision")
		in.Right(name+n*cellW+2*shareWidth+1, 0, style.Dim, "recall")
	}
	y := 1
	for i := top; i < len(c.counts) && y < in.H; i++ {
		s := style.Plain
		if chosen != nil && *chosen == (cell{i, -1}) {
			s = style.Chosen
		}
		in.Text(0, y, s, canvas.Elide(c.names[i], name-1, g))
		for j := range n {
			v := c.counts[i][left+j]
			text := fmt.Sprint(v)
			if percents {
				text = fmt.Sprintf("%.0f", min(99, 100*float64(v)/float64(max(c.totals[i], 1))))
			}
			if v == 0 {
				text = g.Sep
			}
			s := c.cellStyle(i, left+j)
			if chosen != nil && *chosen == (cell{i, left + j}) {
				s = style.Chosen
			}
			in.Right(name+(j+1)*cellW, y, s, text)
		}
		if shares {
			in.Right(name+n*cellW+shareWidth+1, y, style.Plain, share(c.precision[i]))
			in.Right(name+n*cellW+2*shareWidth+1, y, style.Plain, share(c.recall[i]))
		}
		y++
	}
	if y < in.H && shares {
		in.Text(0, y, style.Dim, "accuracy")
		in.Right(name+n*cellW+2*shareWidth+1, y, style.Heading, share(c.accuracy))
	}
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

// abbreviate cuts a class' name without dots.
func abbreviate(s string, w int) string {
	return runewidth.Truncate(s, w, "")
}
