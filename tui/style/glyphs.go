package style

import (
	"strings"
)

// Glyphs are the characters that the screen is drawn with: one set for UTF-8
// terminals and one of ASCII only.
type Glyphs struct {
	Unicode bool

	H, V, TopLeft, TopRight, BottomLeft, BottomRight rune // frames

	AxisV, AxisTick, AxisCorner, AxisH, AxisTickDown rune

	Dots      string // in place of text left out
	Cursor    rune   // vertical line of a chart's cursor
	Best      string // marks on a chart's axis
	Overfit   string
	Rate      string
	NonFinite string
	Dot       rune // a point with no neighbours

	BarFull, BarEmpty   rune
	BarParts            []rune // eighths of a cell, from one to seven
	BarOpen, BarClose   string
	Running, Paused     string // before the state's name
	Busy, Waiting, Done string
	Failed              string
	Selected            string // before the chosen row of a list
	Left, Right         string // keys
	Up, Down            string
	Celsius             string
	Sep                 string

	Marked string // before a marked row of a list
	Levels string // of a curve in one row, from low to high

	Ramp string // from empty to full, for images without colour
}

// Unicode are the characters for terminals that take UTF-8.
var Unicode = Glyphs{
	Unicode: true,
	H:       '─', V: '│', TopLeft: '╭', TopRight: '╮', BottomLeft: '╰', BottomRight: '╯',
	AxisV: '│', AxisTick: '┤', AxisCorner: '└', AxisH: '─', AxisTickDown: '┬',
	Dots: "…", Cursor: '┊', Best: "▼", Overfit: "◆", Rate: "▲", NonFinite: "×", Dot: '•',
	BarFull: '█', BarEmpty: ' ', BarParts: []rune("▏▎▍▌▋▊▉"), BarOpen: "▕", BarClose: "▏",
	Running: "●", Paused: "‖", Busy: "◐", Waiting: "○", Done: "✓", Failed: "✗", Selected: "▸",
	Left: "←", Right: "→", Up: "↑", Down: "↓", Celsius: "°C", Sep: "·",
	Marked: "■", Levels: "▁▂▃▄▅▆▇█",
	Ramp: " .:-=+*#%@",
}

// ASCII are the characters for all others.
var ASCII = Glyphs{
	H: '-', V: '|', TopLeft: '+', TopRight: '+', BottomLeft: '+', BottomRight: '+',
	AxisV: '|', AxisTick: '+', AxisCorner: '+', AxisH: '-', AxisTickDown: '+',
	Dots: "~", Cursor: ':', Best: "v", Overfit: "!", Rate: "^", NonFinite: "x", Dot: 'o',
	BarFull: '#', BarEmpty: '.', BarOpen: "[", BarClose: "]",
	Running: "*", Paused: "=", Busy: "~", Waiting: "o", Done: "+", Failed: "!", Selected: ">",
	Left: "left", Right: "right", Up: "up", Down: "down", Celsius: "C", Sep: "-",
	Marked: "x", Levels: "_.-~=+*#",
	Ramp: " .:-=+*#%@",
}

// GlyphsFor chooses the set by the locale, as a C program would: LC_ALL, else
// LC_CTYPE, else LANG. Windows terminals take UTF-8 whatever the locale; the
// font of Linux' own console lacks most of what is needed.
func GlyphsFor(env func(string) string, windows bool) *Glyphs {
	if env("TERM") == "linux" {
		return &ASCII
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(name)); v != "" {
			if strings.Contains(v, "utf-8") || strings.Contains(v, "utf8") {
				return &Unicode
			}
			return &ASCII
		}
	}
	if windows {
		return &Unicode
	}
	return &ASCII
}
