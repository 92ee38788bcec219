package style

import (
	"strconv"
	"strings"
	"testing"

	"github.com/muesli/termenv"
)

func TestLocalesChooseCharacters(t *testing.T) {
	for _, c := range []struct {
		vars    []string
		windows bool
		unicode bool
	}{
		{[]string{"LANG", "en_US.UTF-8"}, false, true},
		{[]string{"LANG", "de_DE.utf8"}, false, true},
		{[]string{"LANG", "C"}, false, false},
		{[]string{"LANG", "C.UTF-8", "TERM", "linux"}, false, false},
		{[]string{"LANG", ""}, false, false},
		{[]string{"LANG", ""}, true, true},
		{[]string{"LANG", "C", "LC_CTYPE", "C.UTF-8"}, false, true},
		{[]string{"LANG", "C.UTF-8", "LC_CTYPE", "C.UTF-8", "LC_ALL", "POSIX"}, false, false},
	} {
		if got := GlyphsFor(env(c.vars...), c.windows).Unicode; got != c.unicode {
			t.Errorf("%v: unicode is %v", c.vars, got)
		}
	}
}

// Runs that share a colour differ in their strokes, of which there are as many.
func TestRunsAreToldApart(t *testing.T) {
	seen := map[[2]int]bool{}
	for i := range runStyles * runStyles {
		how := [2]int{int(Run(i)), RunStroke(i) % runStyles}
		if seen[how] {
			t.Errorf("run %d looks like another one", i)
		}
		seen[how] = true
	}
}

// On a light background nothing is drawn in white or in a bright colour, also where
// there are but 16.
func TestSixteenColoursAreReadOnALightBackground(t *testing.T) {
	dark, light := NewPalette(termenv.ANSI, true), NewPalette(termenv.ANSI, false)
	for s := range styles {
		if looks[s].bgBasic != "" { // it brings its background
			continue
		}
		for code := range strings.SplitSeq(light.Code(s), ";") {
			if n, _ := strconv.Atoi(code); n == 37 || n > 90 && n <= 97 {
				t.Errorf("style %d is %s on light, %s on dark", s, light.Code(s), dark.Code(s))
			}
		}
	}
}

// env is an environment of these variables, of a UTF-8 terminal else.
func env(set ...string) func(string) string {
	vars := map[string]string{"LANG": "C.UTF-8", "TERM": "xterm-256color"}
	for i := 0; i+1 < len(set); i += 2 {
		vars[set[i]] = set[i+1]
	}
	return func(k string) string { return vars[k] }
}
