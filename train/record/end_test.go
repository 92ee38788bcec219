package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// glanceAt looks at a run of such a record and such a table of its epochs.
func glanceAt(t *testing.T, events []event.Event, table string) *Run {
	t.Helper()
	folder := folderA(t)
	for i, e := range events {
		h := e.Head()
		h.Event, h.Seq, h.Run = event.KindOf(e), uint64(1+i), "a"
	}
	writeLog(t, folder, events)
	if err := os.WriteFile(filepath.Join(folder, rundir.HistoryFile), []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	run, err := Glance(folder)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// A table that ends before the epochs that are done, as it could not be opened at a
// resume or was cut, is not what a run is known by.
func TestGlanceAtARunWhoseTableLacksEpochs(t *testing.T) {
	for name, last := range map[string]event.Event{
		"ended":           &event.RunEnded{Outcome: event.OutcomeStopped, Epoch: 4},
		"within an epoch": &event.StepDone{Epoch: 5, Count: 1},
		"between two":     &event.StateChanged{State: event.StateRunning},
		"going on":        &event.RunStarted{Resumed: true, ResumedEpoch: 5},
		"long within one": &event.StepDone{Epoch: 5, Count: 1},
	} {
		begin := &event.RunStarted{}
		events := []event.Event{begin, &event.StateChanged{State: event.StateRunning}}
		table := csvHeader
		for epoch := range 4 {
			e := &event.EpochDone{Epoch: 1 + epoch, ValAcc: event.Float(0.1 * float64(1+epoch))}
			if events = append(events, e); epoch < 2 {
				table += csvRow(e)
			}
		}
		if name == "long within one" { // the last epoch is not in the end that is read
			for range 2 * endSize / 60 {
				events = append(events, &event.Warning{Message: strings.Repeat("w", 60)})
			}
		}
		events = append(events, last)
		run := glanceAt(t, events, table)
		if _, best := run.Best(); len(run.Epochs) != 4 || best != 4 {
			t.Errorf("%s: %d epochs, the best is %d; want 4 and the last", name, len(run.Epochs), best)
		}
	}
}

// What a resume takes back is not known from a table that was not written anew then.
func TestGlanceAtARunWhoseTableIsOfBeforeAResume(t *testing.T) {
	for done := range 2 {
		events := []event.Event{&event.RunStarted{}}
		table := csvHeader
		for epoch := range 4 {
			e := &event.EpochDone{Epoch: 1 + epoch, ValAcc: event.Float(0.1 * float64(1+epoch))}
			events, table = append(events, e), table+csvRow(e)
		}
		events = append(events, &event.RunStarted{Resumed: true, ResumedEpoch: 3}, &event.StateChanged{State: event.StateRunning})
		if done == 1 {
			events = append(events, &event.EpochDone{Epoch: 3, ValAcc: 0.05})
		}
		run := glanceAt(t, events, table)
		if _, best := run.Best(); run.EpochsDone() != 2+done || best != 2 {
			t.Errorf("%d epochs since: %d are done, the best is %d; want %d and 2", done, run.EpochsDone(), best, 2+done)
		}
	}
}

func FuzzEndOfARecord(f *testing.F) {
	f.Add([]byte("{\"event\":\"epoch\",\"seq\":1}\n{\"event\":\"run_ended\"}\n"))
	f.Add([]byte("\n\n{\"event\":\"\n"))
	f.Add([]byte(`{"event":"state_changed","state":"paused"}` + "\n" + `{"event":"run_`))
	f.Fuzz(func(t *testing.T, lines []byte) {
		events, newest := lastEvents(lines)
		if newest.Event == "" && len(events) > 0 {
			t.Errorf("something was read of nothing: %+v", events)
		}
		run := new(Run)
		for _, e := range events {
			run.Apply(e)
		}
	})
}
