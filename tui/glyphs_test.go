package tui

import "testing"

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
		if got := glyphsFor(env(c.vars...), c.windows).unicode; got != c.unicode {
			t.Errorf("%v: unicode is %v", c.vars, got)
		}
	}
}
