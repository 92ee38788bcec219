package rundir

import (
	"strings"
	"unicode"
)

// Quote makes one word of s for a POSIX shell, and for csh and fish too: what a
// message gives a person to paste goes through it, as do commands for a shell.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./:=,+@", r))
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	// Between single quotes only the quote itself means anything, except that csh
	// reads ! and fish reads \ there.
	var b strings.Builder
	quoted := false
	for _, r := range s {
		special := r == '\'' || r == '!' || r == '\\'
		if special == quoted {
			b.WriteByte('\'')
			quoted = !quoted
		}
		if special {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	if quoted {
		b.WriteByte('\'')
	}
	if s == "" {
		return "''"
	}
	return b.String()
}
