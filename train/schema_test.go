package train

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"cifartui/train/event"
	"cifartui/train/event/eventtest"
	"cifartui/train/rundir"
)

// A real run's record is valid, line by line: one that was paused, saved,
// steered, stopped and gone on with, on a disk that gave trouble.
func TestRecordOfARealRunIsValid(t *testing.T) {
	s := eventtest.Load(t, "event/events.schema.json")
	o, _ := paced(t, 1.5) // enough for 2 epochs of 3 steps
	o.Config.ValSplit = 20
	folder, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		st, ok := e.(*event.StepDone)
		if !ok {
			return
		}
		var commands []event.Command
		switch st.Total {
		case 1:
			commands = []event.Command{event.Pause{To: event.To{Why: "test"}}, event.Save{}, event.SetLearnRate{Rate: 0.5}, event.SetLearnRate{Rate: -1}, event.Resume{}}
		case 3:
			commands = []event.Command{event.Stop{After: event.AfterBatch}}
		}
		for _, c := range commands {
			if err := tr.Send(c); err != nil {
				t.Error(err)
			}
		}
	})
	mustTrain(t, resume(o, folder), nil)
	b, err := os.ReadFile(filepath.Join(folder, rundir.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[event.Kind]bool)
	for line := range bytes.Lines(b) {
		if err := s.Check(line); err != nil {
			t.Errorf("%v\n%s", err, line)
		}
		if e, err := event.Decode(line); err != nil {
			t.Error(err)
		} else {
			seen[e.Head().Event] = true
		}
	}
	for _, e := range eventtest.All() {
		if !seen[event.KindOf(e)] {
			t.Errorf("the run told no %s: the test shows nothing of it", event.KindOf(e))
		}
	}
}
