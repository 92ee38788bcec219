package control

import (
	"errors"
	"testing"
	"time"

	"cifartui/train/event"
)

// On a GPU several batches are under way when a command comes, and are told before it
// takes effect; a run that trains on and on has not heard it.
func TestBatchesUnderWayAreNoRefusal(t *testing.T) {
	at := event.Header{Run: "a", Time: time.Now().Add(time.Hour)}
	for _, c := range []struct {
		under int // batches under way
		heard bool
	}{{9, true}, {100, false}} {
		all := newOverview()
		all.apply(&event.RunStarted{Header: event.Header{Run: "a"}})
		told := errors.New("nothing")
		w := &waiter{request: Request{Cmd: VerbPause, Wait: true}, tell: func(err error) { told = err }, sent: time.Now()}
		w.prepare(all)
		for range c.under {
			w.see(&event.StepDone{Header: at, Count: 1})
		}
		w.see(&event.StateChanged{Header: at, State: event.StatePaused})
		if (told == nil) != c.heard {
			t.Errorf("after %d batches: %v", c.under, told)
		}
	}
}
