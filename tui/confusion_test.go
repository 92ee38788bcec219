package tui

import "testing"

// Names are cut by what they take on the screen, not by characters.
func TestNamesOfClassesAreCutByTheirWidth(t *testing.T) {
	for _, c := range []struct {
		name string
		w    int
		want string
	}{{"airplane", 3, "air"}, {"飛行機", 3, "飛"}, {"飛行機", 4, "飛行"}, {"кошка", 3, "кош"}, {"", 3, ""}} {
		if got := abbreviate(c.name, c.w); got != c.want {
			t.Errorf("%q in %d columns: %q, want %q", c.name, c.w, got, c.want)
		}
	}
}
