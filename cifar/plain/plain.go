// Package plain makes text that comes from elsewhere fit for a terminal. Names of
// files, what a server says and errors that quote them may hold characters that break
// a line, steer the terminal or turn the order of what is read; these are replaced.
// What is to stand in columns, in one line or in few words is in columns.go.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line is text in one line.
func Line(text string) string { return strings.Map(shown, text) }

// Lines is text that keeps its lines and tabs.
func Lines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return shown(r)
	}, text)
}

// Is reports whether a name is shown in one line as it is.
func Is(name string) bool { return utf8.ValidString(name) && Line(name) == name }

// shown is what stands for a character.
func shown(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}
