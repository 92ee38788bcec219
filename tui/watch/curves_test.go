package watch

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/survey"
	"cifartui/tui"
)

// sweep are two runs that differ in their batch, and one that has not begun and of
// which no setting is known.
func sweep() []*survey.Run {
	member := func(batch int) func(*survey.Run) { return func(r *survey.Run) { r.Config.Batch = batch } }
	return []*survey.Run{
		made("sweep/batch=64", 3, 12, member(64)), made("sweep/batch=128", 2, 12, member(128)),
		made("sweep/batch=256", 1, 0, func(r *survey.Run) { r.Config, r.State, r.Epochs = config.Config{}, survey.NotBegun, 0 }),
	}
}

// Settings that are not known set no runs apart.
func TestARunThatHasNotBegunSetsNoneApart(t *testing.T) {
	var rows []*row
	for _, r := range sweep() {
		rows = append(rows, &row{Run: r})
	}
	if got, want := labels(rows), []string{"batch 64", "batch 128", "sweep/batch=256"}; !slices.Equal(got, want) {
		t.Errorf("the runs are called %q, want %q", got, want)
	}
	b := newBench(t, tui.Options{Theme: "none"}, 120, 36, sweep()...)
	b.press("tab")
	if !strings.Contains(b.View(), "The settings are not known yet.") {
		t.Errorf("of a run that has not begun:\n%s", b.View())
	}
	b.press("a")
	if !strings.Contains(b.View(), "1 difference ") {
		t.Errorf("of runs that differ in their batch:\n%s", b.View())
	}
}

// The epochs of a long run are whole in the list.
func TestEpochsOfALongRunAreNotCut(t *testing.T) {
	b := newBench(t, tui.Options{Theme: "none"}, 120, 36, made("long", 1, 1234, func(r *survey.Run) { r.Epochs = 2000 }))
	if !strings.Contains(b.View(), "1234/2000") {
		t.Errorf("the list is\n%s", b.View())
	}
}

// Points that have no place on an axis are left out there, and are there again on
// the next.
func TestACurveIsWholeOnEachAxis(t *testing.T) {
	r := made("untimed", 1, 12, nil)
	for i := range r.Points {
		r.Points[i].Seconds = math.NaN()
	}
	b := newBench(t, tui.Options{Theme: "none"}, 120, 36, r)
	for _, points := range []int{12, 0, 12} { // by images, time, epochs
		b.press("t")
		if got := b.curves.of(r).Len(); got != points {
			t.Errorf("by %s %d points, want %d", axisNames[b.curves.axis], got, points)
		}
	}
}

// A question for the times that was let pass is asked again, and no time is waited
// for of a run without epochs.
func TestTimesAreAskedForUntilTheyCome(t *testing.T) {
	r := made("run", 1, 12, nil)
	for i := range r.Points {
		r.Points[i].Seconds = math.NaN()
	}
	b := newBench(t, tui.Options{Theme: "none"}, 120, 36, r, made("begun", 2, 0, liveIn(event.StateRunning)))
	b.press("t", "t")
	first := b.list.rows["/data/runs/run"].asked
	if first.IsZero() || !strings.Contains(b.View(), "Reading the times") {
		t.Fatalf("not asked for:\n%s", b.View())
	}
	b.Update(tickMsg{testNow.Add(timesPause - time.Second)})
	if !b.list.rows["/data/runs/run"].asked.Equal(first) {
		t.Error("asked for again at once")
	}
	b.Update(tickMsg{testNow.Add(timesPause)})
	if b.list.rows["/data/runs/run"].asked.Equal(first) {
		t.Error("not asked for again")
	}
	b.press("down")
	if !strings.Contains(b.View(), "Curves begin with the first epoch.") {
		t.Errorf("of a run without epochs:\n%s", b.View())
	}
}
