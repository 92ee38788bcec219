package rundir

import (
	"path/filepath"
	"strings"
	"unicode"
)

// RunsFolder holds the run folders where no other is named.
const RunsFolder = "runs"

// Argument is what a person types for a run's or a comparison's folder, quoted for
// the shell: its name where the program finds it by that, as in cmp/batch=64 for a
// run of a comparison, else its path.
func Argument(folder string) string {
	dir, name := filepath.Split(filepath.Clean(folder))
	if dir = filepath.Clean(dir); IsComparison(dir) {
		name = filepath.Base(dir) + "/" + name
		dir = filepath.Dir(dir)
	}
	if here, err := filepath.Abs(RunsFolder); dir == RunsFolder || err == nil && dir == here {
		return Quote(name)
	}
	return Quote(folder)
}

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
