package canvas

import (
	"regexp"
	"strings"
	"testing"

	"cifartui/tui/style"

	"github.com/mattn/go-runewidth"
)

func TestWideCharactersAreNeverCut(t *testing.T) {
	c := New(5, 1)
	c.All().Text(0, 0, style.Plain, "a広広い")
	if got := c.Encode(style.NewPalette(3, true), &style.Unicode); runewidth.StringWidth(got) > 5 || !strings.HasPrefix(got, "a広広") {
		t.Errorf("%q", got)
	}
	c = New(4, 1)
	c.All().Text(0, 0, style.Plain, "a広広")
	if got := c.Encode(style.NewPalette(3, true), &style.Unicode); got != "a広" {
		t.Errorf("%q", got)
	}
}

// What lies over half of a wide character leaves a blank of it, so that what
// stands behind it in the row stays where it is.
func TestWhatLiesOverHalfAWideCharacterMovesNothing(t *testing.T) {
	for at, want := range []string{"x 広い|", " x広い|", "名x い|", "名 xい|", "名広x |", "名広 x|", "名広いx"} {
		for _, text := range []string{"x", "広"} {
			c := New(8, 1)
			c.All().Text(0, 0, style.Plain, "名広い|")
			c.All().Text(at, 0, style.Plain, text)
			got := c.Encode(style.NewPalette(3, true), &style.Unicode)
			if text == "x" && got != want {
				t.Errorf("x at %d: %q, want %q", at, got, want)
			}
			if n := Width(got); at < 5 && n != 7 {
				t.Errorf("%s at %d: %q is %d wide, want 7", text, at, got, n)
			}
		}
	}
}

// What is shortened takes no more columns than there are, not even for its dots.
func TestElidedIsNeverWiderThanAskedFor(t *testing.T) {
	for w := -1; w < 8; w++ {
		for _, g := range []*style.Glyphs{&style.Unicode, &style.ASCII} {
			for _, text := range []string{"", "a", "a name", "広い画面"} {
				if got := Elide(text, w, g); Width(got) > max(w, 0) {
					t.Errorf("%q in %d columns is %q", text, w, got)
				}
			}
		}
	}
}

// An error in several lines is shown in one, its words apart.
func TestLinesOfATextStayApart(t *testing.T) {
	c := New(20, 1)
	c.All().Text(0, 0, style.Plain, "a: gone\nb: gone\x1b[2J")
	if got := c.Encode(style.NewPalette(3, true), &style.Unicode); got != "a: gone b: gone[2J" {
		t.Errorf("%q", got)
	}
}

// Frames, bars and signs take a column each whatever the locale.
func TestWidthsAreThoseOfEveryLocale(t *testing.T) {
	runewidth.DefaultCondition.EastAsianWidth = true // as runewidth has it with ja_JP.UTF-8
	defer func() { runewidth.DefaultCondition.EastAsianWidth = false }()
	for text, want := range map[string]int{"●─█▏…→°": 7, "é": 1, "広い": 4} {
		c := New(20, 1)
		if end := c.All().Text(0, 0, style.Plain, text+"|"); end != want+1 || Width(text) != want {
			t.Errorf("%q is %d wide and drawn %d wide, want %d", text, Width(text), end-1, want)
		}
	}
	if got := Elide("●●●●", 3, &style.Unicode); got != "●●…" {
		t.Errorf("shortened to %q", got)
	}
}

// Names are cut by what they take on the screen, not by characters.
func TestNamesAreCutByTheirWidth(t *testing.T) {
	for _, c := range []struct {
		name string
		w    int
		want string
	}{{"airplane", 3, "air"}, {"飛行機", 3, "飛"}, {"飛行機", 4, "飛行"}, {"кошка", 3, "кош"}, {"", 3, ""}} {
		if got := Cut(c.name, c.w); got != c.want {
			t.Errorf("%q in %d columns: %q, want %q", c.name, c.w, got, c.want)
		}
	}
}

// A table's last column keeps as far from the border as the first.
func TestTablesKeepFromTheBorder(t *testing.T) {
	c := New(24, 4)
	in := c.All().Box(style.Plain, &style.ASCII)
	Table{
		Columns: []TableColumn{{Title: "run", Width: 4, Grows: true}, {Title: "left", Width: 6, Right: true}},
		Rows:    [][]style.Span{{style.Plain.Text("a"), style.Plain.Text("12m30s")}},
		Chosen:  -1,
	}.Draw(in, &style.ASCII)
	codes := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for _, line := range strings.Split(codes.ReplaceAllString(c.Encode(style.NewPalette(3, true), &style.ASCII), ""), "\n")[1:3] {
		if !strings.HasSuffix(line, " |") || strings.HasSuffix(line, "  |") {
			t.Errorf("%q", line)
		}
	}
}
