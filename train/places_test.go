package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/runs"
)

// sameAsAlone wants the runs of tinyComparison to have the bits of runs that
// trained alone.
func sameAsAlone(t *testing.T, folder string) {
	t.Helper()
	for _, batch := range []int{16, 32, 8} {
		alone, _ := mustTrain(t, tinyOptions(t, func(c *config.Config) { c.Batch = batch }), nil)
		checkpointtest.Same(t, checkpointtest.Last(t, filepath.Join(folder, fmt.Sprintf("batch=%d", batch))), checkpointtest.Last(t, alone))
	}
}

func TestRunsThatTrainAtOnceHaveTheBitsOfRunsAlone(t *testing.T) {
	for _, order := range config.Orders() {
		o := tinyComparison(t, order)
		o.Backends = []nn.Backend{nn.NewCPU(4)}
		t.Cleanup(o.Backends[0].Close)
		o.Parallel = 2
		most := 0
		c, rec := compare(t, o, func(c *Comparison, e event.Event) {
			turns := c.members[0].seat.turns
			turns.mu.Lock()
			defer turns.mu.Unlock()
			n := 0
			for _, s := range turns.seats {
				if s.state == training {
					n++
				}
			}
			most = max(most, n)
		})
		if most != 2 {
			t.Errorf("%s: %d runs trained at once, want 2", order, most)
		}
		for _, e := range of[*event.RunStarted](rec.events) {
			if e.Threads != 2 || e.AtOnce != 2 {
				t.Errorf("%s trains on %d threads of 4, %d at once, want 2 and 2", e.Run, e.Threads, e.AtOnce)
			}
		}
		sameAsAlone(t, c.Folder())
		text := fmt.Sprint(runs.NewTable(folded(rec.events)).Findings)
		if !strings.Contains(text, "Up to 2 of these runs trained at once") {
			t.Errorf("the findings do not say that runs shared the processor: %s", text)
		}
	}
}

// Kernels panic when two runs use one backend at the same time.
func TestRunsAreDealtToSeveralDevices(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	o.Backends = append(o.Backends, nn.NewCPU(2)) // beside one of a single thread
	t.Cleanup(o.Backends[1].Close)
	c, rec := compare(t, o, nil)
	threads := map[string]int{}
	for _, e := range of[*event.RunStarted](rec.events) {
		threads[e.Run] = e.Threads
	}
	if threads["batch=16"] != 1 || threads["batch=32"] != 2 || threads["batch=8"] != 1 {
		t.Errorf("threads %v: want the devices one after the other", threads)
	}
	sameAsAlone(t, c.Folder())
}

// A resume trains as many at once as before, unless it is told otherwise.
func TestResumeKnowsHowManyTrainedAtOnce(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	o.Parallel = 3
	c := newComparison(t, o)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ asked, want int }{{0, 3}, {2, 2}, {0, 2}, {-1, 1}, {0, 1}} {
		o.Resume, o.Parallel = c.Folder(), step.asked
		again := newComparison(t, o)
		if again.places.atOnce != step.want {
			t.Errorf("asked for %d: %d at once, want %d", step.asked, again.places.atOnce, step.want)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlaceOfAPausedRunIsTaken(t *testing.T) {
	turns := newTurns(config.Sequential, 2)
	a, b, c := turns.newSeat(), turns.newSeat(), turns.newSeat()
	ended, end := context.WithCancel(t.Context())
	end()
	got := make(chan *seat, 3)
	ask := func(s *seat) {
		go func() {
			if s.Acquire(t.Context()) == nil {
				got <- s
			}
		}()
	}
	ask(c) // the last one asks first, and waits for those that are to come
	ask(a)
	ask(b)
	if first, second := <-got, <-got; first == c || second == c {
		t.Fatal("the third run trains beside the first")
	}
	if err := c.Acquire(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("the third run has a place: %v", err)
	}
	ask(c)
	a.see(&event.StateChanged{State: event.StatePaused})
	if next := <-got; next != c {
		t.Error("the place of the paused run went to another one")
	}
}
