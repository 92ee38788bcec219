package tui

import (
	"math"
	"strings"
)

// bar draws a progress bar w columns wide, ends included.
func (a area) bar(x, y, w int, share float64, g *glyphs) {
	for _, s := range barSpans(w, share, g) {
		x = a.text(x, y, s.s, s.t)
	}
}

func barSpans(w int, share float64, g *glyphs) []span {
	inner := max(w-2, 0)
	if math.IsNaN(share) {
		share = 0
	}
	eighths := int(math.Round(min(max(share, 0), 1) * float64(inner) * 8))
	if g.barParts == nil {
		eighths = eighths / 8 * 8
	}
	full, rest := eighths/8, eighths%8
	fill := strings.Repeat(string(g.barFull), full)
	if rest > 0 {
		fill += string(g.barParts[rest-1])
		full++
	}
	return []span{
		{barRest, g.barOpen},
		{barFill, fill},
		{barRest, strings.Repeat(string(g.barEmpty), inner-full) + g.barClose},
	}
}
