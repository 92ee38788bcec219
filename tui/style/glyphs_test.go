package style

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
		if got := GlyphsFor(env(c.vars...), c.windows).Unicode; got != c.unicode {
			t.Errorf("%v: unicode is %v", c.vars, got)
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
