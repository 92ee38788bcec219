package terminal

import (
	"strconv"
	"strings"

	"github.com/muesli/termenv"
)

// darkColour reads a colour as terminals write it, rgb:RRRR/GGGG/BBBB with one
// to four digits each, and reports whether it is a dark one.
func darkColour(s string) (dark, ok bool) {
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(s, "rgba:"), "rgb:"), "/")
	if len(parts) < 3 || !strings.HasPrefix(s, "rgb") {
		return false, false
	}
	luma := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(parts[i], 16, 16)
		if err != nil || parts[i] == "" {
			return false, false
		}
		luma += weight * float64(v) / float64(uint64(1)<<(4*len(parts[i]))-1)
	}
	return luma < 0.5, true
}

// DarkByEnv reads COLORFGBG ("15;0", "0;default;15"), which some terminals set.
func DarkByEnv(env func(string) string) (dark, ok bool) {
	parts := strings.Split(env("COLORFGBG"), ";")
	bg, err := strconv.Atoi(parts[len(parts)-1])
	if len(parts) < 2 || err != nil {
		return false, false
	}
	return bg < 7 || bg == 8, true
}

// Colours returns which colours a terminal has, by its environment.
func Colours(env func(string) string, windows bool) termenv.Profile {
	term, colour := env("TERM"), env("COLORTERM")
	switch {
	case env("NO_COLOR") != "" || term == "dumb":
		return termenv.Ascii
	case colour == "truecolor" || colour == "24bit" || windows || env("WT_SESSION") != "":
		return termenv.TrueColor
	case has(term, "direct", "truecolor", "kitty", "ghostty", "alacritty", "foot", "wezterm"):
		return termenv.TrueColor // these tell of 24-bit colours by their name
	case has(term, "256color", "tmux", "screen"):
		return termenv.ANSI256
	}
	return termenv.ANSI
}

// has reports whether s holds one of parts.
func has(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
