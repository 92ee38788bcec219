package cifar

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

// On a terminal the line is written anew; in a log the transfer takes a line
// each tenth of the way, and nothing else does.
func TestProgressLine(t *testing.T) {
	show := func(width int) string {
		var b strings.Builder
		l := NewProgressLine(&b, width)
		for done := range int64(1001) {
			l.Show(Progress{Stage: StageDownload, Done: done << 20, Total: 1000 << 20})
		}
		l.Show(Progress{Stage: StageRead, Done: 1, Total: 2})
		l.End()
		return b.String()
	}
	log := show(0)
	if n := strings.Count(log, "\n"); n != 11 || strings.ContainsAny(log, "\r\x1b") {
		t.Errorf("%d lines in a log, want 11 and no escape codes:\n%q", n, log)
	}
	if want := "fetching CIFAR-10  500.0 of 1000.0 MiB  50%\n"; !strings.Contains(log, want) {
		t.Errorf("no line %q in\n%s", want, log)
	}
	if seen := show(80); strings.Contains(seen, "\n") || !strings.HasSuffix(seen, "\r\x1b[K") || !strings.Contains(seen, "reading the images") {
		t.Errorf("on a terminal: %q", seen[max(0, len(seen)-200):])
	}
}

// A line wider than the terminal would go on in the next, and each that is written
// anew would leave one behind.
func TestProgressLineFitsTheTerminal(t *testing.T) {
	for _, width := range []int{1, 20, 80} {
		var b strings.Builder
		l := NewProgressLine(&b, width)
		l.Show(Progress{Stage: StageDownload, Done: 1 << 20, Total: 1000 << 20, Note: "a note"})
		for _, line := range strings.Split(b.String(), "\r\x1b[K") {
			if n := runewidth.StringWidth(line); n >= width {
				t.Errorf("%q is %d columns wide, of %d", line, n, width)
			}
		}
	}
}

// A demo set of the usual size is drawn at once, and silently in a log; a large one
// takes a line each tenth of the way.
func TestALargeDemoSetShowsInALog(t *testing.T) {
	log := func(total int64) string {
		var b strings.Builder
		l := NewProgressLine(&b, 0)
		for done := range total + 1 {
			l.Show(Progress{Stage: StageDraw, Done: done, Total: total})
		}
		return b.String()
	}
	if got := log(demoTrain + demoTest); got != "" {
		t.Errorf("the usual set: %q", got)
	}
	if got := log(50_000); strings.Count(got, "\n") != 11 || !strings.Contains(got, "drawing the demo set  25000 of 50000 images  50%\n") {
		t.Errorf("a large set: %q", got)
	}
}

func TestEveryStageHasWords(t *testing.T) {
	for _, s := range []Stage{StageWait, StageDownload, StageVerify, StageUnpack, StageRead, StageDraw, StageRetry} {
		if (Progress{Stage: s}).What() == string(s) {
			t.Errorf("stage %q has no words", string(s))
		}
	}
	if got := (Progress{Stage: StageRetry, Note: "it broke"}).String(); got != "trying again  it broke" {
		t.Errorf("%q", got)
	}
}

// Tries that fail one after the other, without a byte between them, each say why, on a
// terminal too: what is wider than it can't be written anew.
func TestEachRetryIsALine(t *testing.T) {
	for _, width := range []int{0, 80} {
		var b strings.Builder
		l := NewProgressLine(&b, width)
		l.Show(Progress{Stage: StageDownload, Total: 100})
		for _, why := range []string{"no route", "refused", "refused"} {
			l.Show(Progress{Stage: StageRetry, Total: 100, Note: why})
		}
		l.End()
		got := strings.TrimPrefix(b.String(), "\r\x1b[Kfetching CIFAR-10  0.0 of 0.0 MiB  0%\r\x1b[K")
		got = strings.TrimPrefix(got, "fetching CIFAR-10  0.0 of 0.0 MiB  0%\n")
		if strings.Count(got, "\n") != 3 || !strings.Contains(got, "no route") || strings.Count(got, "refused") != 2 || strings.Contains(got, "\r") {
			t.Errorf("%d columns: %q", width, got)
		}
	}
}
