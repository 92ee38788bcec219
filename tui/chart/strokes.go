package chart

import (
	"cifartui/tui/style"

	"github.com/guptarohit/asciigraph"
)

// strokes are the characters of a chart's lines, solid first, so that lines are
// told apart without colours too.
func strokes(g *style.Glyphs) []asciigraph.CharSet {
	if g.Unicode {
		return unicodeStrokes
	}
	return asciiStrokes
}

var unicodeStrokes = []asciigraph.CharSet{
	charSet("─", "│", "╭", "╮", "╰", "╯"),
	charSet("╌", "╎", "╭", "╮", "╰", "╯"),
	charSet("━", "┃", "┏", "┓", "┗", "┛"),
	charSet("┈", "┊", "╭", "╮", "╰", "╯"),
	charSet("═", "║", "╔", "╗", "╚", "╝"),
	charSet("╍", "╏", "┏", "┓", "┗", "┛"),
}

var asciiStrokes = []asciigraph.CharSet{
	charSet("-", "|", "/", "\\", "\\", "/"),
	charSet("=", ":", "+", "+", "+", "+"),
	asciigraph.CreateCharSet("o"),
	asciigraph.CreateCharSet("."),
	asciigraph.CreateCharSet("x"),
	asciigraph.CreateCharSet("#"),
}

func charSet(h, v, dr, dl, ur, ul string) asciigraph.CharSet {
	return asciigraph.CharSet{
		Horizontal: h, VerticalLine: v,
		ArcDownRight: dr, ArcDownLeft: dl, ArcUpRight: ur, ArcUpLeft: ul,
		EndCap: h, StartCap: h,
	}
}
