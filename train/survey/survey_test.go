package survey

import (
	"context"
	"math"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/runs"
	"cifartui/train/survey/surveytest"
)

// collect gathers what a watcher tells until a condition holds.
type collected struct {
	w       *Watcher
	runs    map[string]*Run
	listed  bool
	problem string
}

// watch begins to watch some folders. In a bubble of synctest a watcher rests for no
// time; the bubble's clock is years behind that of the file system, as another
// machine's may be minutes.
func watch(t testing.TB, folders ...string) *collected {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := New(folders...)
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return &collected{w: w, runs: map[string]*Run{}}
}

const patience = 2 * time.Minute

func (c *collected) until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !holds() {
		u, err := c.w.Next(ctx)
		if err != nil {
			t.Fatalf("within %v not seen: %s; known: %d runs", patience, what, len(c.runs))
		}
		for _, r := range u.Runs {
			c.runs[r.Folder] = r
		}
		for _, f := range u.Gone {
			delete(c.runs, f)
		}
		c.listed, c.problem = u.Listed, u.Problem
	}
}

// What is left of a run with a budget goes by its plan, whose last epoch may be short.
func TestRemainingKnowsAShorterLastEpoch(t *testing.T) {
	seconds := func(c config.Config, events ...event.Event) float64 {
		run := &record.Run{}
		for _, e := range events {
			run.Apply(e)
		}
		return remaining(&Run{Info: runs.Info{Live: true}, Config: c, Elapsed: run.Elapsed()}, run)
	}
	third := &event.EpochDone{Epoch: 3, Epochs: 4, Total: 30, Elapsed: 60}
	for _, k := range []struct {
		what   string
		c      config.Config
		events []event.Event
		want   float64
	}{
		{"without a budget", config.Config{Epochs: 4}, []event.Event{third}, 20},
		{"with a plan", config.Config{Epochs: 50, Budget: 70}, []event.Event{&event.Planned{Epochs: 4, LastSteps: 5, Seconds: 71}, third}, 11},
		{"with a plan that is overdue", config.Config{Epochs: 50, Budget: 50}, []event.Event{&event.Planned{Epochs: 4, LastSteps: 5, Seconds: 50}, third}, 0},
		{"of so many steps", config.Config{Epochs: 50, MaxSteps: 40}, []event.Event{third}, 20},
		{"without a plan", config.Config{Epochs: 4, Budget: 70}, []event.Event{third}, 20},
	} {
		if got := seconds(k.c, k.events...); math.Abs(got-k.want) > 1e-9 {
			t.Errorf("%s: %v s are left, want %v", k.what, got, k.want)
		}
	}
}

// The images of an epoch that only the table tells of are those of a whole one, also
// once a shorter last one is done.
func TestImagesBeforeAShorterLastEpoch(t *testing.T) {
	run := &record.Run{}
	for _, e := range []event.Event{&event.EpochDone{Epoch: 1}, &event.Planned{Epochs: 2, LastSteps: 3}, &event.EpochDone{Epoch: 2, Epochs: 2, Total: 13, Batch: 5}} {
		run.Apply(e)
	}
	if p := pointsOf(nil, run, 0, 7); p[0].Images != 50 || p[1].Images != 65 {
		t.Errorf("%v and %v images, want 50 and 65", p[0].Images, p[1].Images)
	}
}

// An epoch has as many images as the data, also where its last batch is smaller.
func TestImagesOfAShorterLastBatch(t *testing.T) {
	run := &record.Run{}
	run.Apply(&event.RunStarted{Config: config.Config{Batch: 64}, TrainImages: 50000, StepsPerEpoch: 782})
	run.Apply(&event.EpochDone{Epoch: 1, Total: 782, Batch: 64})
	if p := pointsOf(nil, run, 0, 64); math.Abs(p[0].Images-50000) > 1e-6 {
		t.Errorf("%v images, want 50,000", p[0].Images)
	}
}

func BenchmarkListing1000(b *testing.B) {
	dir := b.TempDir()
	if err := surveytest.Many(dir, 1000, 200); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c := watch(b, dir)
		c.until(b, "all runs", func() bool { return c.listed && len(c.runs) == 1000 })
	}
}
