package plain

import "testing"

// What breaks a line, steers a terminal or turns the order of text is replaced; what
// is written in any language is not.
func TestTextFitForATerminal(t *testing.T) {
	for text, want := range map[string]struct {
		line, lines string
		is          bool
	}{
		"größer 猫 é!":         {"größer 猫 é!", "größer 猫 é!", true},
		"":                    {"", "", true},
		"a\n\tb":              {"a\ufffd\ufffdb", "a\n\tb", false},
		"\x1b[2J\u009b1m\r\a": {"\ufffd[2J\ufffd1m\ufffd\ufffd", "\ufffd[2J\ufffd1m\ufffd\ufffd", false},
		"cat\u202egnp.exe":    {"cat\ufffdgnp.exe", "cat\ufffdgnp.exe", false},
		"half \xff":           {"half \ufffd", "half \ufffd", false},
		"\u2028":              {"\ufffd", "\ufffd", false},
	} {
		if line, lines, is := Line(text), Lines(text), Is(text); line != want.line || lines != want.lines || is != want.is {
			t.Errorf("%q: line %q, lines %q, shown as it is: %v, want %q, %q, %v", text, line, lines, is, want.line, want.lines, want.is)
		}
	}
}
