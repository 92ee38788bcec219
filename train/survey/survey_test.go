package survey

import (
	"context"
	"testing"
	"time"

	"cifartui/train/survey/surveytest"
)

// collect gathers what a watcher tells until a condition holds.
type collected struct {
	w       *Watcher
	runs    map[string]*Run
	listed  bool
	problem string
}

func watch(t testing.TB, folders ...string) *collected {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := New(folders...)
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return &collected{w: w, runs: map[string]*Run{}}
}

const patience = 30 * time.Second

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
