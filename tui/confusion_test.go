package tui

import (
	"strings"
	"testing"
)

// Where counts have no room the matrix is in percent: then it says so, and a hundred is
// not shown as less.
func TestAMatrixInPercentSaysSo(t *testing.T) {
	events := newScript("model_20261123_1405", 64, 200).run(1).events
	for width, percent := range map[int]bool{48: true, 120: false} {
		b := scene(t, viewSamples, events, width, 30, Options{})
		b.press("m", "m")
		if says := strings.Contains(b.View(), "percent of a row"); says != percent {
			t.Errorf("%d columns: says that it is in percent: %v", width, says)
		}
	}
	for _, c := range []struct {
		count, total int
		want         string
	}{{1000, 1000, "100"}, {999, 1000, "99"}, {12, 1000, "1"}, {1, 1000, "0"}, {2, 3, "67"}} {
		if got := percentOf(c.count, c.total); got != c.want {
			t.Errorf("%d of %d is %s percent, want %s", c.count, c.total, got, c.want)
		}
	}
}
