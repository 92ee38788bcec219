package tui

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

func TestWideCharactersAreNeverCut(t *testing.T) {
	c := newCanvas(5, 1)
	c.all().text(0, 0, plain, "a広広い")
	if got := c.encode(newPalette(3, true)); runewidth.StringWidth(got) > 5 || !strings.HasPrefix(got, "a広広") {
		t.Errorf("%q", got)
	}
	c = newCanvas(4, 1)
	c.all().text(0, 0, plain, "a広広")
	if got := c.encode(newPalette(3, true)); got != "a広" {
		t.Errorf("%q", got)
	}
}
