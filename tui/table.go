package tui

// A tableColumn is one column of a table. Where there is little room, columns of
// higher rank are left out first; the column that grows takes what is left.
type tableColumn struct {
	title string
	width int
	rank  int
	right bool // aligned
	grows bool
}

// A table is rows of text under titles, one of them chosen.
type table struct {
	columns []tableColumn
	rows    [][]span
	chosen  int // -1: none
}

const columnGap = 2

// fit returns the columns that fit into w, with their widths.
func (t table) fit(w int) (at []int, widths []int) {
	for worst := 0; ; {
		total := 0
		worst = 0
		at, widths = at[:0], widths[:0]
		for i, c := range t.columns {
			if c.rank >= 0 {
				at, widths = append(at, i), append(widths, c.width)
				total += c.width + columnGap
				worst = max(worst, c.rank)
			}
		}
		if total-columnGap <= w || worst == 0 {
			for k, i := range at {
				if t.columns[i].grows {
					widths[k] += w - (total - columnGap)
				}
			}
			return at, widths
		}
		cols := append([]tableColumn(nil), t.columns...)
		for i := range cols {
			if cols[i].rank == worst {
				cols[i].rank = -1
			}
		}
		t.columns = cols
	}
}

// draw draws titles and rows, scrolled so that the chosen row is seen.
func (t table) draw(a area, g *glyphs) {
	at, widths := t.fit(a.w - 2)
	cell := func(y, k, x int, s span) {
		c := t.columns[at[k]]
		text := elide(s.t, widths[k], g)
		if c.right {
			a.right(x+widths[k], y, s.s, text)
		} else {
			a.text(x, y, s.s, text)
		}
	}
	x := 2
	for k, i := range at {
		cell(0, k, x, span{dim, t.columns[i].title})
		x += widths[k] + columnGap
	}
	top := scrolled(t.chosen, len(t.rows), a.h-1)
	for y := 1; y < a.h && top+y-1 < len(t.rows); y++ {
		i := top + y - 1
		if i == t.chosen {
			a.sub(0, y, a.w, 1).fill(chosen, ' ')
			a.text(0, y, chosen, g.selected)
		}
		x := 2
		for k, c := range at {
			s := t.rows[i][c]
			if i == t.chosen {
				s.s = chosen
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
