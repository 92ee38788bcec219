package tui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

// A picture and its bars in the terminals that there are: see the golden files.
// No line is wider than the terminal.
func TestPredictionsArePrintedAsTheTerminalCan(t *testing.T) {
	const side = 48
	px := make([]byte, 3*side*side)
	for i := range side * side {
		px[i], px[side*side+i], px[2*side*side+i] = byte(i%side*5), byte(i/side*5), 90
	}
	list := []Likelihood{{"автомобиль", 0.9312}, {"飛行機", 0.0412}, {"a class with a very long name", 0.02}, {"cat", 0}, {"dog", 0}}
	for _, c := range []struct {
		name, theme string
		env         []string
		width       int
	}{
		{"256", "dark", []string{"TERM=xterm-256color", "LANG=C.UTF-8"}, 100},
		{"no-color", "auto", []string{"TERM=xterm-256color", "LANG=C.UTF-8", "NO_COLOR=1"}, 60},
		{"ascii", "none", []string{"TERM=xterm", "LANG=C"}, 80},
		{"narrow", "none", []string{"TERM=xterm", "LANG=C.UTF-8"}, 40},
		{"narrowest", "none", []string{"TERM=xterm", "LANG=C.UTF-8"}, 20},
	} {
		env := func(name string) string {
			for _, e := range c.env {
				if v, ok := strings.CutPrefix(e, name+"="); ok {
					return v
				}
			}
			return ""
		}
		got := NewPrinter(c.theme, env, c.width).Prediction("pictures/a picture of something.jpg", px, list)
		golden(t, fmt.Sprintf("prediction-%s.ansi", c.name), got)
		for _, line := range strings.Split(colourCode.ReplaceAllString(got, ""), "\n") {
			if runewidth.StringWidth(line) > c.width {
				t.Errorf("%s: %q is wider than %d", c.name, line, c.width)
			}
		}
	}
}
