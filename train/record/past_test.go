package record

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// The epochs that a resume gives back to a record that was cut or deleted are told
// to the screen that was open before, between what was left and what comes, and known
// in their order; of a record that is whole nothing is told twice.
func TestEpochsGivenBackByAResumeAreTold(t *testing.T) {
	at := func(seq uint64) event.Header { return event.Header{Seq: seq, Run: "a"} }
	write := func(path string, events ...event.Event) {
		t.Helper()
		for _, e := range events {
			e.Head().Event = event.KindOf(e)
		}
		writeLog(t, filepath.Dir(path), events)
	}
	for name, damage := range map[string]func(path string) error{
		"whole":   func(string) error { return nil },
		"cut":     func(path string) error { return os.Truncate(path, 1000) },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"deleted": os.Remove,
		"lost from its middle": func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			lines := bytes.SplitAfter(b, []byte("\n"))
			return os.WriteFile(path, bytes.Join(slices.Delete(lines, 2, 4), nil), 0o644)
		},
	} {
		folder := folderA(t)
		path := filepath.Join(folder, rundir.EventsFile)
		first := &event.RunStarted{Header: at(1)}
		var epochs []event.Event
		for i := range uint64(4) {
			epochs = append(epochs, &event.EpochDone{Header: at(2 + i), Epoch: 1 + int(i)})
		}
		write(path, append([]event.Event{first}, epochs...)...)
		if err := damage(path); err != nil {
			t.Fatal(err)
		}
		live := &eventList{
			&event.RunStarted{Header: at(6), Resumed: true, ResumedEpoch: 5},
			&event.EpochDone{Header: at(7), Epoch: 5},
		}
		src, err := Resumed(folder, live)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Mend(rundir.OS{}, folder, first, epochs); err != nil {
			t.Fatal(err)
		}
		write(path, *live...) // the log is ahead of who listens
		var got []uint64
		run, known := new(Run), []int(nil)
		for err == nil {
			var events []event.Event
			events, err = src.Next(t.Context(), 3)
			for _, e := range events {
				got = append(got, e.Head().Seq)
				run.Apply(e)
			}
		}
		for _, e := range run.Epochs {
			known = append(known, e.Epoch)
		}
		if !slices.Equal(known, []int{1, 2, 3, 4, 5}) {
			t.Errorf("%s: the epochs %v are known", name, known)
		}
		slices.Sort(got)
		if !errors.Is(err, io.EOF) || !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 6, 7}) {
			t.Errorf("%s: told %v, %v", name, got, err)
		}
	}
}

// Where the file system gives files no identity, a record is never another one: who
// reads along would open it again without end.
func TestARecordWithoutAnIdentityIsNotOpenedAgain(t *testing.T) {
	folder := folderA(t)
	path := filepath.Join(folder, rundir.EventsFile)
	other := filepath.Join(t.TempDir(), "other")
	for _, p := range []string{path, other} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.path = other
	if !r.Replaced() {
		t.Error("another file has the record's place, and it is not seen")
	}
	r.path = path
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.info = rundir.Identity(st, other); r.Replaced() { // each look at a path finds another file
		t.Error("a file without an identity is taken for another")
	}
	r.path = other
	if r.Replaced() {
		t.Error("a file without an identity is taken for another")
	}
}

// The runs of a comparison that was handed over to a process which a signal has ended
// have ended by that signal; one that had ended before stays as it was.
func TestCallOffEndsWhatWasHandedOver(t *testing.T) {
	folder := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(folder, rundir.ComparisonFile), `{"runs":["a","b","c"],"sweeps":[{"key":"seed","values":["1","2","3"]}]}`)
	for run, end := range map[string]string{
		"a": `{"event":"run_ended","seq":2,"run":"a","outcome":"detached","epoch":3}` + "\n",
		"b": `{"event":"run_ended","seq":2,"run":"b","outcome":"finished","epoch":3}` + "\n",
		"c": "",
	} {
		write(filepath.Join(folder, run, rundir.ConfigFile), "{}")
		write(filepath.Join(folder, run, rundir.EventsFile), `{"event":"run_started","seq":1,"run":"`+run+`"}`+"\n"+end)
	}
	for range 2 { // once is enough
		if err := CallOff(folder, "SIGTERM"); err != nil {
			t.Fatal(err)
		}
	}
	for run, want := range map[string]*event.RunEnded{
		"a": {Header: event.Header{Seq: 3}, Outcome: event.OutcomeStopped, Signal: "SIGTERM", Epoch: 3},
		"b": {Header: event.Header{Seq: 2}, Outcome: event.OutcomeFinished, Epoch: 3},
		"c": nil,
	} {
		r, err := Read(filepath.Join(folder, run))
		if err != nil {
			t.Fatal(err)
		}
		got := r.Ended
		if (got == nil) != (want == nil) {
			t.Fatalf("%s: %+v, want %+v", run, got, want)
		}
		if got != nil && (got.Seq != want.Seq || got.Outcome != want.Outcome || got.Signal != want.Signal || got.Epoch != want.Epoch) {
			t.Errorf("%s: %+v, want %+v", run, got, want)
		}
	}
}
