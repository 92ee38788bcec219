package canvas

import (
	"strings"
	"testing"

	"cifartui/tui/style"

	"github.com/mattn/go-runewidth"
)

func TestWideCharactersAreNeverCut(t *testing.T) {
	c := New(5, 1)
	c.All().Text(0, 0, style.Plain, "a広広い")
	if got := c.Encode(style.NewPalette(3, true)); runewidth.StringWidth(got) > 5 || !strings.HasPrefix(got, "a広広") {
		t.Errorf("%q", got)
	}
	c = New(4, 1)
	c.All().Text(0, 0, style.Plain, "a広広")
	if got := c.Encode(style.NewPalette(3, true)); got != "a広" {
		t.Errorf("%q", got)
	}
}
