package plain

import (
	"testing"

	"github.com/mattn/go-runewidth"
)

// Cells stand under each other whatever they hold, and steer no terminal.
func TestColumnsStandUnderEachOther(t *testing.T) {
	rows := [][]string{{"写真", "1", "x"}, {"ab", "22"}, {"a\x1b[2J\nb", "3", ""}}
	if got, want := Columns(rows, 0), "写真      1  x\nab       22\na\uFFFD[2J\uFFFDb   3\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Columns(nil); got != "" {
		t.Errorf("no rows: %q", got)
	}
}

func TestCutIsNeverWiderThanAskedFor(t *testing.T) {
	for columns := -1; columns < 12; columns++ {
		for _, text := range []string{"", "a", "a long line", "広い画面です"} {
			got := Cut(text, columns)
			if runewidth.StringWidth(got) > max(columns, 0) {
				t.Errorf("%q in %d columns is %q", text, columns, got)
			}
			if runewidth.StringWidth(text) <= columns && got != text {
				t.Errorf("%q fits %d columns and is %q", text, columns, got)
			}
		}
	}
}

func TestFewNamesAreListedWhole(t *testing.T) {
	for most, want := range map[int]string{1: "a and 2 more", 2: "a, b, c", 3: "a, b, c", 5: "a, b, c"} {
		if got := Few([]string{"a", "b", "c"}, most); got != want {
			t.Errorf("%d at most: %q, want %q", most, got, want)
		}
	}
}
