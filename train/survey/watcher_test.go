package survey

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
	"cifartui/train/runs"
	"cifartui/train/survey/surveytest"
)

var began = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

func here(s surveytest.Shape) surveytest.Shape {
	s.Host = config.Machine("", time.Now()).Host
	return s
}

// begin starts a run that this process trains, lock and all.
func begin(t *testing.T, folder string, s surveytest.Shape) *surveytest.Writer {
	t.Helper()
	w, err := surveytest.Begin(folder, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	lock, err := rundir.LockFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Release() })
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRunsThatBeginGrowEndAndVanishAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "runs")
		c := watch(t, dir) // a folder that is made later
		c.until(t, "the empty list", func() bool { return c.listed })
		must(t, os.Mkdir(dir, 0o755))

		folder := filepath.Join(dir, "a")
		w, err := surveytest.Begin(folder, here(surveytest.Default(began)))
		must(t, err)
		lock, err := rundir.LockFolder(folder)
		must(t, err)
		c.until(t, "a live run", func() bool { r := c.runs[folder]; return r != nil && r.Live })
		must(t, w.Epoch())
		c.until(t, "its first epoch", func() bool { return c.runs[folder].Epoch == 1 })
		first := c.runs[folder]
		must(t, w.Epoch())
		must(t, w.State(event.StatePaused))
		c.until(t, "a pause after two epochs", func() bool { r := c.runs[folder]; return r.Paused() && len(r.Points) == 2 })
		if len(first.Points) != 1 {
			t.Errorf("what was told before has changed: %d points", len(first.Points))
		}
		if p := c.runs[folder].Points[1]; p.Epoch != 2 || p.Seconds <= first.Points[0].Seconds || p.Images < 100000 || p.Images > 100100 {
			t.Errorf("second epoch %+v", p)
		}
		must(t, w.End(event.OutcomeStopped))
		must(t, lock.Release())
		c.until(t, "its end", func() bool { r := c.runs[folder]; return !r.Live && r.State == "stopped" })

		// Somebody resumes it.
		must(t, os.WriteFile(filepath.Join(folder, "x"), nil, 0o644))
		again := begin(t, filepath.Join(dir, "b"), here(surveytest.Default(began)))
		must(t, again.Close())
		c.until(t, "another run", func() bool { return c.runs[filepath.Join(dir, "b")] != nil })
		must(t, os.RemoveAll(folder))
		c.until(t, "that the first is gone", func() bool { return c.runs[folder] == nil })
	})
}

// A run that is killed says nothing: its lock is free.
func TestAKilledRunIsNoLongerLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		folder := filepath.Join(dir, "a")
		w, err := surveytest.Begin(folder, here(surveytest.Default(began)))
		must(t, err)
		defer w.Close()
		lock, err := rundir.LockFolder(folder)
		must(t, err)
		c := watch(t, dir)
		c.until(t, "a live run", func() bool { r := c.runs[folder]; return r != nil && r.Live })
		must(t, lock.Release())
		c.until(t, "an interrupted one", func() bool { return !c.runs[folder].Live && c.runs[folder].State == runs.Interrupted })
	})
}

// A run of another machine that dies is seen to, also where the clock that its
// record was written by is ahead: no record grows in the future.
func TestAClockThatIsAheadKeepsNoRunAlive(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a")
	must(t, surveytest.Make(folder, surveytest.Default(began)))
	now := time.Now()
	ahead := now.Add(10 * time.Minute)
	must(t, os.Chtimes(filepath.Join(folder, rundir.EventsFile), ahead, ahead))
	e := &entry{folder: folder, name: "a"}
	if e.told = e.inspect("here", now); e.told == nil || !e.told.Live {
		t.Fatalf("%+v, want a run that may be live", e.told)
	}
	if r, _ := e.look("here", now.Add(quietAfter+time.Second)); r == nil || r.Live {
		t.Errorf("%+v, want a run whose record has not grown for long", r)
	}
}

// Half a line at the end of a record, and a folder whose files come one after the
// other, are shown as far as they are whole, and never as damaged for good.
func TestARunWrittenElsewhereIsShownWithoutATear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dir := filepath.Join(t.TempDir(), "a"), t.TempDir()
		s := surveytest.Default(began)
		s.Done, s.Outcome, s.Config.Epochs = 30, event.OutcomeFinished, 30
		must(t, surveytest.Make(src, s))
		whole, err := os.ReadFile(filepath.Join(src, rundir.EventsFile))
		must(t, err)

		folder := filepath.Join(dir, "a")
		must(t, os.Mkdir(folder, 0o755))
		c := watch(t, dir)
		c.until(t, "the list", func() bool { return c.listed })
		must(t, s.WriteSettings(folder))
		out, err := os.Create(filepath.Join(folder, rundir.EventsFile))
		must(t, err)
		defer out.Close()
		lastEpoch := 0
		check := func() {
			r := c.runs[folder]
			if r == nil {
				return
			}
			if strings.Contains(r.Problem, "can be read") || r.Epoch < lastEpoch {
				t.Fatalf("problem %q, epoch %d after %d", r.Problem, r.Epoch, lastEpoch)
			}
			for i, p := range r.Points {
				if p.Epoch != i+1 || !(p.ValAcc > 0.2) {
					t.Fatalf("point %d is %+v", i, p)
				}
			}
			lastEpoch = r.Epoch
		}
		// Pieces that end within lines.
		for at := 0; at < len(whole); {
			n := min(len(whole)-at, 7777)
			_, err := out.Write(whole[at : at+n])
			must(t, err)
			at += n
			sees := bytes.Count(whole[:at], []byte(`{"event":"epoch"`)) - 1
			if sees > lastEpoch+8 || at == len(whole) {
				c.until(t, "more epochs", func() bool { check(); return c.runs[folder] != nil && c.runs[folder].Epoch >= sees })
			}
		}
		c.until(t, "the end", func() bool { check(); return c.runs[folder].State == "finished" && c.runs[folder].Epoch == 30 })
		if c.runs[folder].Elsewhere == false {
			t.Error("another machine's run is not known as that")
		}
	})
}

// A comparison names runs before their folders are there.
func TestMembersOfAComparisonAreToldBeforeTheyBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		folder := filepath.Join(dir, "sweep")
		must(t, os.Mkdir(folder, 0o755))
		sweep, err := config.ParseSweep("batch=64,128")
		must(t, err)
		file := config.Comparison{Order: config.Interleave, Sweeps: []config.Sweep{sweep}, Runs: []string{"batch=64", "batch=128"}, Config: config.Default()}
		must(t, file.Write(folder))
		c := watch(t, dir)
		a, b := filepath.Join(folder, "batch=64"), filepath.Join(folder, "batch=128")
		c.until(t, "two runs", func() bool { return c.runs[a] != nil && c.runs[b] != nil })
		if r := c.runs[a]; r.State != NotBegun || r.Name != "sweep/batch=64" || r.Comparison != folder {
			t.Errorf("%+v", r.Info)
		}
		w := begin(t, a, here(surveytest.Default(began)))
		must(t, w.Epoch())
		c.until(t, "the first at work", func() bool { return c.runs[a].Live && c.runs[a].Epoch == 1 })
		file.Runs = file.Runs[:1]
		must(t, file.Write(folder))
		c.until(t, "one run", func() bool { return c.runs[b] == nil })
		must(t, os.RemoveAll(folder))
		c.until(t, "none", func() bool { return len(c.runs) == 0 })
	})
}

// A run whose record was deleted is told as one without.
func TestARecordThatIsGoneIsTold(t *testing.T) {
	t.Parallel()
	folder, host := filepath.Join(t.TempDir(), "a"), config.Machine("", time.Now()).Host
	s := here(surveytest.Default(began))
	s.Done = 2 // and not ended: it was killed
	must(t, surveytest.Make(folder, s))
	e := &entry{folder: folder, name: "a"}
	now := time.Now()
	e.told = e.inspect(host, now)
	if e.told == nil || e.told.Problem != "" || e.told.State != runs.Interrupted {
		t.Fatalf("told %+v", e.told)
	}
	must(t, os.Remove(filepath.Join(folder, rundir.EventsFile)))
	r, gone := e.look(host, now.Add(idleEvery))
	if gone || r == nil || !strings.Contains(r.Problem, "is missing") {
		t.Errorf("gone %v, told %+v", gone, r)
	}
}

// A comparison whose file is damaged has no runs to be listed: that it is there, and
// what is wrong with it, is told.
func TestAComparisonThatCannotBeReadIsTold(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "sweep")
	must(t, os.Mkdir(folder, 0o755))
	path := filepath.Join(folder, rundir.ComparisonFile)
	must(t, os.WriteFile(path, []byte(`{"runs":`), 0o644))
	c := watch(t, filepath.Dir(folder))
	c.until(t, "what is wrong with the comparison", func() bool { return strings.Contains(c.problem, path) })
	must(t, os.RemoveAll(folder))
	c.until(t, "its end", func() bool { return c.problem == "" })
}

// A run that was deleted of a comparison is gone with the next look at it: it is
// not told as one that has not begun.
func TestARunDeletedOfAComparisonIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "sweep")
	a, b := filepath.Join(folder, "batch=64"), filepath.Join(folder, "batch=128")
	for _, run := range []string{a, b} {
		must(t, surveytest.Make(run, here(surveytest.Default(began))))
	}
	sweep, err := config.ParseSweep("batch=64,128")
	must(t, err)
	file := config.Comparison{Order: config.Interleave, Sweeps: []config.Sweep{sweep}, Runs: []string{"batch=64", "batch=128"}, Config: config.Default()}
	must(t, file.Write(folder))
	w := New(dir)
	l := w.lookers[0]
	l.first(t.Context())
	u, err := w.Next(t.Context())
	must(t, err)
	if len(u.Runs) != 2 {
		t.Fatalf("told of %d runs", len(u.Runs))
	}
	file.Runs = file.Runs[:1]
	must(t, file.Write(folder))
	must(t, os.Chtimes(filepath.Join(folder, rundir.ComparisonFile), began, began)) // not the time that it had
	must(t, os.RemoveAll(b))
	l.answer(request{folder: b}, time.Now())
	u, err = w.Next(t.Context())
	must(t, err)
	if len(u.Runs) != 0 || len(u.Gone) != 1 || u.Gone[0] != b {
		t.Errorf("told %+v", u)
	}
}

// The table of epochs does not tell times; the record does, when they are wanted.
func TestTimesAreReadWhenTheyAreWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		folder := filepath.Join(dir, "a")
		s := surveytest.Default(began)
		s.Done, s.Outcome = 12, event.OutcomeFinished
		must(t, surveytest.Make(folder, s))
		c := watch(t, dir)
		c.until(t, "the run", func() bool { return c.runs[folder] != nil })
		c.w.Time(folder)
		c.until(t, "its times", func() bool { return c.runs[folder].Timed })
		for i, p := range c.runs[folder].Points {
			if want := float64(i+1) * 50000 / s.Speed; p.Seconds < want || p.Seconds > want*1.1 {
				t.Errorf("epoch %d ends after %g s, want about %g", i+1, p.Seconds, want)
			}
		}
	})
}

// What a list says of a run is what "cifartui runs" says of it.
func TestRunsAreDescribedAsInTheList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, surveytest.Many(dir, 12, 5))
	must(t, os.Remove(filepath.Join(dir, "run-0009", rundir.ConfigFile)))
	torn := filepath.Join(dir, "run-0003", rundir.EventsFile)
	must(t, os.Truncate(torn, 3000))
	must(t, os.Chtimes(torn, began, began)) // else its machine seems to be at work
	list, err := runs.List(dir)
	must(t, err)
	c := watch(t, dir)
	c.until(t, "all runs", func() bool { return c.listed && len(c.runs) == len(list) })
	for _, want := range list {
		if got := c.runs[want.Folder].Info; got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// A follower knows what a reader of the whole record knows, however the record
// was cut as it looked.
func TestAFollowerKnowsWhatAReaderKnows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "a")
	w, err := surveytest.Begin(folder, surveytest.Default(began))
	must(t, err)
	defer w.Close()
	f, err := record.Follow(folder)
	must(t, err)
	for i := range 20 {
		must(t, w.Epoch())
		must(t, w.Step())
		if i%3 == 0 {
			if _, err := f.Look(); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	must(t, w.End(event.OutcomeStopped))
	_, err = f.Look()
	must(t, err)
	want, err := record.Read(folder)
	must(t, err)
	got := f.Run()
	ga, ge := got.Best()
	wa, we := want.Best()
	if got.State != want.State || got.EpochsDone() != want.EpochsDone() || ga != wa || ge != we || got.Seq != want.Seq || len(got.Epochs) != len(want.Epochs) || got.Elapsed() != want.Elapsed() {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
