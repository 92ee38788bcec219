// Package eventtest has events for tests, and holds lines of events.jsonl to
// their schema.
package eventtest

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Batches are events as a source has them at hand; then it ends.
type Batches [][]event.Event

// Next gives the next batch, whatever its length, and io.EOF behind the last.
func (b *Batches) Next(context.Context, int) ([]event.Event, error) {
	if len(*b) == 0 {
		return nil, io.EOF
	}
	first := (*b)[0]
	*b = (*b)[1:]
	return first, nil
}

// All returns one event of each kind, with every kind of value in it.
func All() []event.Event {
	acc := event.Float(0.5)
	events := []event.Event{
		&event.RunStarted{Config: config.Default(), Folder: "runs/a", Classes: []string{"cat"}, Resumed: true},
		&event.StepDone{Epoch: 1, Step: 2, Steps: 3, Total: 2, Count: 2, Loss: event.Float(math.NaN()), MinLoss: event.Float(math.Inf(-1)), MaxLoss: event.Float(math.Inf(1)), Acc: 1.0 / 3, LR: 1e-7, ImagesPerSecond: 1e21, Elapsed: 0.1},
		&event.EpochDone{Epoch: 1, Loss: 2.5, PatienceLeft: -1},
		&event.Evaluated{Epoch: 1, Confusion: [][]int{{1, 2}, {3, 4}}, Samples: []event.Sample{{Index: 3, Label: 1, Confidence: 0.5, Pixels: []byte{1, 2, 3}}}},
		&event.CheckpointSaved{File: "last.ckpt", Reason: "last", Removed: []string{"a"}},
		&event.StateChanged{State: event.StatePaused, Reason: `say "why" \ é`},
		&event.LearnRateChanged{From: 1, To: 0.5},
		&event.Planned{Epochs: 14, LastSteps: 300, Budget: 1875, Seconds: 1840.5, EpochSeconds: 131},
		&event.Warning{Message: "disk\nfull"},
		&event.RunEnded{Outcome: event.OutcomeFinished, BestAcc: acc, TestAcc: &acc},
	}
	for i, e := range events {
		h := e.Head()
		h.Event, h.Seq, h.Run = event.KindOf(e), uint64(i+1), "a"
		h.Time = time.Date(2026, 11, 23, 14, 5, 0, i*1e6, time.UTC)
	}
	return events
}

// Step is one batch, whose numbers are its total.
func Step(run string, total int64) *event.StepDone {
	return &event.StepDone{
		Header: event.Header{Event: event.KindStep, Seq: uint64(total), Run: run}, Epoch: 1, Step: int(total), Steps: 1 << 20, Total: total, Count: 1,
		Loss: event.Float(total), MinLoss: event.Float(total), MaxLoss: event.Float(total), Acc: 0.5, LR: 1, ImagesPerSecond: 100, Elapsed: float64(total),
		Phases: event.Phases{Data: 1, Forward: 2, Backward: 3, Optimizer: 4},
	}
}

// Write writes events.jsonl as the trainer does, and numbers the events.
func Write(t testing.TB, folder string, events ...event.Event) {
	t.Helper()
	var b []byte
	for i, e := range events {
		e.Head().Seq = uint64(i + 1)
		e.Head().Event = event.KindOf(e)
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b = append(append(b, line...), '\n')
	}
	if err := os.WriteFile(filepath.Join(folder, rundir.EventsFile), b, 0o666); err != nil {
		t.Fatal(err)
	}
}
