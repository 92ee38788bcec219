package canvas

import (
	"cifartui/tui/style"
)

// A TableColumn is one column of a table. Where there is little room, columns of
// higher rank are left out first; the column that grows takes what is left.
type TableColumn struct {
	Title string
	Width int
	Rank  int
	Right bool // aligned
	Grows bool
}

// A Table is rows of text under titles, one of them chosen.
type Table struct {
	Columns []TableColumn
	Rows    [][]style.Span
	Chosen  int // -1: none
}

const columnGap = 2

// fit returns the columns that fit into w, with their widths.
func (t Table) fit(w int) (at []int, widths []int) {
	for {
		total, worst := 0, 0
		at, widths = at[:0], widths[:0]
		for i, c := range t.Columns {
			if c.Rank >= 0 {
				at, widths = append(at, i), append(widths, c.Width)
				total += c.Width + columnGap
				worst = max(worst, c.Rank)
			}
		}
		if total-columnGap <= w || worst == 0 {
			for k, i := range at {
				if t.Columns[i].Grows {
					widths[k] += w - (total - columnGap)
				}
			}
			return at, widths
		}
		cols := append([]TableColumn(nil), t.Columns...)
		for i := range cols {
			if cols[i].Rank == worst {
				cols[i].Rank = -1
			}
		}
		t.Columns = cols
	}
}

// Draw draws titles and rows, scrolled so that the chosen row is seen.
func (t Table) Draw(a Area, g *style.Glyphs) {
	at, widths := t.fit(a.W - 3) // the sign of what is chosen and a blank to its right, and one to the border
	cell := func(y, k, x int, s style.Span) {
		c := t.Columns[at[k]]
		text := Elide(s.Text, widths[k], g)
		if c.Right {
			a.Right(x+widths[k], y, s.Style, text)
		} else {
			a.Text(x, y, s.Style, text)
		}
	}
	x := 2
	for k, i := range at {
		cell(0, k, x, style.Dim.Text(t.Columns[i].Title))
		x += widths[k] + columnGap
	}
	top := scrolled(t.Chosen, len(t.Rows), a.H-1)
	for y := 1; y < a.H && top+y-1 < len(t.Rows); y++ {
		i := top + y - 1
		if i == t.Chosen {
			a.Sub(0, y, a.W, 1).Fill(style.Chosen, ' ')
			a.Text(0, y, style.Chosen, g.Selected)
		}
		x := 2
		for k, c := range at {
			s := t.Rows[i][c]
			if i == t.Chosen {
				s.Style = style.Chosen
			}
			cell(y, k, x, s)
			x += widths[k] + columnGap
		}
	}
}

// scrolled returns the first of n rows to show in a window of h so that the
// chosen one is in it.
func scrolled(chosen, n, h int) int {
	return max(0, min(chosen-h/2, n-h))
}
