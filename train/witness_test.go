package train

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// wholeRecord fails unless a record begins as one does, goes up in numbers, and
// tells of some epochs, each once.
func wholeRecord(t *testing.T, what, folder string, epochs int) {
	t.Helper()
	run, err := record.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	for i := range epochs {
		if len(run.Epochs) != epochs || run.Epochs[i].Epoch != i+1 {
			t.Fatalf("%s: %d epochs in the record, want %d", what, len(run.Epochs), epochs)
		}
	}
	text, err := os.ReadFile(filepath.Join(folder, rundir.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for line := range bytes.Lines(text) {
		e, err := event.Decode(line)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if _, starts := e.(*event.RunStarted); last == 0 && !starts {
			t.Errorf("%s: the record begins with %s", what, e.Head().Event)
		}
		if e.Head().Seq <= last {
			t.Errorf("%s: event %d stands after %d", what, e.Head().Seq, last)
		}
		last = e.Head().Seq
	}
	if run.Ended == nil || run.Started == nil {
		t.Errorf("%s: the record does not tell of the start and the end", what)
	}
}

// A record that somebody deletes or cuts under a live run is put back, and that is
// said; what cannot be put back makes an error of the end.
func TestRecordDamagedUnderALiveRun(t *testing.T) {
	t.Parallel()
	half := func(path string) error {
		st, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, st.Size()/2)
	}
	for name, c := range map[string]struct {
		damage func(path string) error
		whole  bool
	}{
		"deleted":    {os.Remove, true},
		"moved away": {func(path string) error { return os.Rename(path, path+".1") }, true},
		"replaced": {func(path string) error {
			if err := os.WriteFile(path+".new", []byte("{}\n"), 0o644); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, true},
		"emptied":             {func(path string) error { return os.Truncate(path, 0) }, false},
		"emptied and deleted": {func(path string) error { return errors.Join(os.Truncate(path, 0), os.Remove(path)) }, false},
		"halved":              {half, false},
	} {
		for _, resumed := range []bool{false, true} {
			o := tinyOptions(t, func(c *config.Config) { c.Epochs = 4 })
			last := int64(0)
			if resumed {
				folder, rec := mustTrain(t, o, stopAt(4))
				o = resume(o, folder)
				steps := of[*event.StepDone](rec.events)
				last = steps[len(steps)-1].Total
			}
			done := false
			folder, rec, err := train(t, o, func(tr *Trainer, e event.Event) {
				if s, ok := e.(*event.StepDone); ok && !done && s.Total > last && s.Epoch == 3 {
					done = true
					tr.log.Flush(logFlushTime)
					if err := c.damage(filepath.Join(tr.Folder(), rundir.EventsFile)); err != nil {
						t.Error(err)
					}
				}
			})
			if (err == nil) != c.whole {
				t.Errorf("%s: ended with %v", name, err)
			}
			if w := of[*event.Warning](rec.events); len(w) != 1 || !strings.Contains(w[0].Message, rundir.EventsFile) {
				t.Errorf("%s: warnings %+v, want one of the record", name, w)
			}
			wholeRecord(t, name, folder, 4)
			if !c.whole {
				continue
			}
			total := int64(0)
			for _, e := range recordOf(t, folder) {
				if s, ok := e.(*event.StepDone); ok {
					total += int64(s.Count)
				}
			}
			steps := of[*event.StepDone](rec.events)
			if want := steps[len(steps)-1].Total; total != want {
				t.Errorf("%s: the record tells of %d steps, want %d", name, total, want)
			}
		}
	}
}

func recordOf(t *testing.T, folder string) []event.Event {
	t.Helper()
	r, err := record.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []event.Event
	for {
		events, err := r.Next(t.Context(), 1000)
		all = append(all, events...)
		if err != nil {
			return all
		}
	}
}

// A record that was emptied, deleted or cut before a resume gets the epochs back
// that the checkpoint knows.
func TestRecordDamagedBeforeAResume(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"deleted": os.Remove,
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"beginning cut": func(path string) error {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			at := bytes.Index(text, []byte(`"event":"epoch"`))
			at += bytes.IndexByte(text[at:], '\n') + 1
			return os.WriteFile(path, text[at:], 0o644)
		},
		"end cut": func(path string) error { return os.Truncate(path, 1000) },
	} {
		o := tinyOptions(t)
		folder, _ := mustTrain(t, o, nil)
		if err := damage(filepath.Join(folder, rundir.EventsFile)); err != nil {
			t.Fatal(err)
		}
		o = resume(o, folder)
		o.Config.Epochs = 4
		_, rec := mustTrain(t, o, nil)
		if w := of[*event.Warning](rec.events); len(w) != 1 || !strings.Contains(w[0].Message, "the checkpoint knows") {
			t.Errorf("%s: warnings %+v", name, w)
		}
		wholeRecord(t, name, folder, 4)
	}
	// One that is whole is left as it is.
	o := tinyOptions(t)
	folder, _ := mustTrain(t, o, nil)
	before, err := os.ReadFile(filepath.Join(folder, rundir.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	_, rec := mustTrain(t, resume(o, folder), nil)
	after, err := os.ReadFile(filepath.Join(folder, rundir.EventsFile))
	if err != nil || !bytes.HasPrefix(after, before) {
		t.Errorf("a whole record was changed: %v", err)
	}
	if w := of[*event.Warning](rec.events); len(w) != 1 || !strings.Contains(w[0].Message, "--epochs") {
		t.Errorf("warnings %+v", w)
	}
}

// Checkpoints that somebody deletes under a live run are written again; a run
// folder that is gone is not made anew, and is what the end's error tells of.
func TestFoldersDeletedUnderALiveRun(t *testing.T) {
	t.Parallel()
	o := tinyOptions(t)
	straight, _ := mustTrain(t, o, nil)
	at := func(do func(folder string) error) func(*Trainer, event.Event) {
		return func(tr *Trainer, e event.Event) {
			if s, ok := e.(*event.StepDone); ok && s.Epoch == 2 && s.Step == 1 {
				if err := do(tr.Folder()); err != nil {
					t.Error(err)
				}
			}
		}
	}
	folder, _ := mustTrain(t, o, at(func(f string) (err error) {
		for range 100 { // the last epoch's checkpoint may be written there at the same time
			if err = os.RemoveAll(filepath.Join(f, rundir.CheckpointsDir)); err == nil {
				break
			}
		}
		return err
	}))
	checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))
	folder, _, err := train(t, o, at(func(f string) error { return os.Rename(f, f+"-moved") }))
	if err == nil || !strings.Contains(err.Error(), "moved or deleted") {
		t.Errorf("ended with %v", err)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("the folder was made anew")
	}
	_, _ = mustTrain(t, resume(o, folder+"-moved"), nil)
	checkpointtest.Same(t, checkpointtest.Last(t, folder+"-moved"), checkpointtest.Last(t, straight))
}

// A run whose folder is another's now writes nothing there: neither where its own
// was moved away and a new run begun in its place, nor where the lock's file was
// deleted and another process goes on with it.
func TestFolderThatIsAnothersIsLeftAlone(t *testing.T) {
	t.Parallel()
	o := tinyOptions(t)
	straight, _ := mustTrain(t, o, nil)
	begun, moved := "", ""
	for name, lose := range map[string]func(t *testing.T, folder string){
		"begun anew": func(t *testing.T, folder string) {
			begun, moved = folder, folder+"-moved"
			if err := os.Rename(folder, moved); err != nil {
				t.Fatal(err)
			}
			n := tinyOptions(t)
			n.Config.Runs, n.Config.Name = filepath.Dir(folder), filepath.Base(folder)
			if at, _ := mustTrain(t, n, nil); at != folder {
				t.Fatalf("the new run is in %s, want %s", at, folder)
			}
		},
		"gone on with": func(t *testing.T, folder string) {
			if err := os.Remove(filepath.Join(folder, rundir.LockFile)); err != nil {
				t.Fatal(err)
			}
			_, _ = mustTrain(t, resume(tinyOptions(t), folder), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			done := false
			folder, _, err := train(t, o, func(tr *Trainer, e event.Event) {
				if s, ok := e.(*event.StepDone); ok && s.Epoch == 2 && s.Step == 1 && !done {
					done = true
					tr.log.Flush(logFlushTime)
					lose(t, tr.Folder())
					files = filesOf(t, tr.Folder())
				}
			})
			if err == nil || !strings.Contains(err.Error(), "another's now") {
				t.Errorf("ended with %v", err)
			}
			for file, text := range filesOf(t, folder) {
				if files[file] != text {
					t.Errorf("%s was written by a run that has lost its folder", file)
				}
			}
			checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))
		})
	}
	if begun == "" {
		return
	}
	_, _ = mustTrain(t, resume(o, moved), nil)
	checkpointtest.Same(t, checkpointtest.Last(t, moved), checkpointtest.Last(t, straight))
}

// filesOf are the files of a run folder, with what they hold.
func filesOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range []string{folder, filepath.Join(folder, rundir.CheckpointsDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Join(filepath.Base(dir), e.Name())] = string(text)
		}
	}
	return files
}
