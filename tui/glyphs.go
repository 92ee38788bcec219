package tui

import (
	"strings"
)

// glyphs are the characters that the screen is drawn with: one set for UTF-8
// terminals and one of ASCII only.
type glyphs struct {
	unicode bool

	h, v, topLeft, topRight, bottomLeft, bottomRight rune // frames

	axisV, axisTick, axisCorner, axisH, axisTickDown rune

	dots      string // in place of text left out
	cursor    rune   // vertical line of a chart's cursor
	best      string // marks on a chart's axis
	overfit   string
	rate      string
	nonFinite string
	dot       rune // a point with no neighbours

	barFull, barEmpty   rune
	barParts            []rune // eighths of a cell, from one to seven
	barOpen, barClose   string
	running, paused     string // before the state's name
	busy, waiting, done string
	failed              string
	selected            string // before the chosen row of a list
	left, right         string // keys
	up, down            string
	celsius             string
	sep                 string

	ramp string // from empty to full, for images without colour
}

var unicodeGlyphs = glyphs{
	unicode: true,
	h:       '─', v: '│', topLeft: '╭', topRight: '╮', bottomLeft: '╰', bottomRight: '╯',
	axisV: '│', axisTick: '┤', axisCorner: '└', axisH: '─', axisTickDown: '┬',
	dots: "…", cursor: '┊', best: "▼", overfit: "◆", rate: "▲", nonFinite: "×", dot: '•',
	barFull: '█', barEmpty: ' ', barParts: []rune("▏▎▍▌▋▊▉"), barOpen: "▕", barClose: "▏",
	running: "●", paused: "‖", busy: "◐", waiting: "○", done: "✓", failed: "✗", selected: "▸",
	left: "←", right: "→", up: "↑", down: "↓", celsius: "°C", sep: "·",
	ramp: " .:-=+*#%@",
}

var asciiGlyphs = glyphs{
	h: '-', v: '|', topLeft: '+', topRight: '+', bottomLeft: '+', bottomRight: '+',
	axisV: '|', axisTick: '+', axisCorner: '+', axisH: '-', axisTickDown: '+',
	dots: "~", cursor: ':', best: "v", overfit: "!", rate: "^", nonFinite: "x", dot: 'o',
	barFull: '#', barEmpty: '.', barOpen: "[", barClose: "]",
	running: "*", paused: "=", busy: "~", waiting: "o", done: "+", failed: "!", selected: ">",
	left: "left", right: "right", up: "up", down: "down", celsius: "C", sep: "-",
	ramp: " .:-=+*#%@",
}

// glyphsFor chooses the set by the locale, as a C program would: LC_ALL, else
// LC_CTYPE, else LANG. Windows terminals take UTF-8 whatever the locale; the
// font of Linux' own console lacks most of what is needed.
func glyphsFor(env func(string) string, windows bool) *glyphs {
	if env("TERM") == "linux" {
		return &asciiGlyphs
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(name)); v != "" {
			if strings.Contains(v, "utf-8") || strings.Contains(v, "utf8") {
				return &unicodeGlyphs
			}
			return &asciiGlyphs
		}
	}
	if windows {
		return &unicodeGlyphs
	}
	return &asciiGlyphs
}
