package canvas

import (
	"math"
	"strings"

	"cifartui/tui/style"
)

// Bar draws a progress bar w columns wide, ends included.
func (a Area) Bar(x, y, w int, share float64, g *style.Glyphs) {
	for _, s := range BarSpans(w, share, g) {
		x = a.Text(x, y, s.Style, s.Text)
	}
}

// BarSpans are the spans of a progress bar w columns wide, ends included, filled
// to a share from 0 to 1.
func BarSpans(w int, share float64, g *style.Glyphs) []style.Span {
	inner := max(w-2, 0)
	if math.IsNaN(share) {
		share = 0
	}
	eighths := int(math.Round(min(max(share, 0), 1) * float64(inner) * 8))
	if g.BarParts == nil {
		eighths = eighths / 8 * 8
	}
	full, rest := eighths/8, eighths%8
	fill := strings.Repeat(string(g.BarFull), full)
	if rest > 0 {
		fill += string(g.BarParts[rest-1])
		full++
	}
	return []style.Span{
		style.BarRest.Text(g.BarOpen),
		style.BarFill.Text(fill),
		style.BarRest.Text(strings.Repeat(string(g.BarEmpty), inner-full) + g.BarClose),
	}
}
