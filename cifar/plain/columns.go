package plain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Columns lays out rows of cells, two spaces apart: the columns that left names, from
// 0, to the left, the others to the right. Each cell is a [Line].
func Columns(rows [][]string, left ...int) string {
	var widths []int
	for _, cells := range rows {
		for i, c := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(Line(c)))
		}
	}
	var b strings.Builder
	for _, cells := range rows {
		line := ""
		for i, c := range cells {
			if i > 0 {
				line += "  "
			}
			c = Line(c)
			pad := strings.Repeat(" ", widths[i]-runewidth.StringWidth(c))
			if slices.Contains(left, i) {
				line += c + pad
			} else {
				line += pad + c
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// Cut is text in at most so many columns of a terminal, with dots in place of what it
// drops.
func Cut(text string, columns int) string {
	if columns < 1 {
		return ""
	}
	return runewidth.Truncate(text, columns, "…")
}

// Few lists names, the first so many of a long list: "a, b and 7 more".
func Few(names []string, most int) string {
	if more := len(names) - most; more > 1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
