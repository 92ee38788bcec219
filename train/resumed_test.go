package train

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// stopAt stops a run after a batch.
func stopAt(total int64) func(*Trainer, event.Event) {
	return func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == total {
			tr.Send(event.Stop{After: event.AfterBatch})
		}
	}
}

// A learning rate that a person gives at a resume is the one that is trained with,
// also over one that was set while the run trained, and a kill does not bring that
// back.
func TestGivenRateWinsOverOneSetLive(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.LR = "sgd", 0.01 })
	folder, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 1 {
			tr.Send(event.SetLearnRate{Rate: 0.005})
		}
		stopAt(3)(tr, e)
	})
	first := func(o Options, at func(*Trainer, event.Event)) (float64, *recorder) {
		t.Helper()
		_, rec := mustTrain(t, o, at)
		return of[*event.StepDone](rec.events)[0].LR, rec
	}
	kept := resume(o, folder)
	if lr, _ := first(kept, stopAt(4)); lr != 0.005 {
		t.Errorf("resumed without a rate it goes on at %g, want the 0.005 set live", lr)
	}
	given := resume(o, folder)
	given.NewRate = true
	var last []byte
	path := filepath.Join(folder, rundir.CheckpointsDir, "last.ckpt")
	lr, rec := first(given, func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && last == nil {
			last, _ = os.ReadFile(path) // what a kill at this batch would leave
			tr.Send(event.Stop{To: event.To{Why: fmt.Sprint(s.Total)}, After: event.AfterBatch})
		}
	})
	if lr != 0.01 {
		t.Errorf("resumed with a rate of 0.01 it goes on at %g", lr)
	}
	if c := of[*event.LearnRateChanged](rec.events); len(c) != 1 || c[0].From != 0.005 || c[0].To != 0.01 {
		t.Errorf("changes told: %+v", c)
	}
	if err := os.WriteFile(path, last, 0o644); err != nil {
		t.Fatal(err)
	}
	if lr, _ := first(kept, stopAt(6)); lr != 0.01 {
		t.Errorf("after a kill it goes on at %g, want the 0.01 given", lr)
	}
}

// A learning rate that is asked for while a resumed run is made ready, or waits for
// its first turn, is newer than the one that was given with the resume.
func TestARateAskedForAtTheStartWinsOverTheGivenOne(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.LR = "sgd", 0.01 })
	folder, _ := mustTrain(t, o, stopAt(3))
	given := resume(o, folder)
	given.NewRate, given.Config.LR = true, 0.02
	_, rec := mustTrain(t, given, func(tr *Trainer, e event.Event) {
		if _, ok := e.(*event.RunStarted); ok {
			tr.Send(event.SetLearnRate{Rate: 0.005})
		}
	})
	if lr := of[*event.StepDone](rec.events)[0].LR; lr != 0.005 {
		t.Errorf("it goes on at %g, want the 0.005 asked for", lr)
	}
	if c := of[*event.LearnRateChanged](rec.events); len(c) != 2 || c[1].From != 0.02 || c[1].To != 0.005 {
		t.Errorf("changes told: %+v", c)
	}
}

// A kill does not bring back the rate of before one that was set live: by the next
// batch it is in the checkpoint, wherever that was written last.
func TestARateSetLiveOutlivesAKill(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.LR, c.SaveSeconds = "sgd", 0.01, 0 })
	left := ""
	mustTrain(t, o, func(tr *Trainer, e event.Event) {
		s, ok := e.(*event.StepDone)
		switch {
		case ok && s.Total == 1:
			tr.Send(event.SetLearnRate{Rate: 0.005})
		case ok && s.LR == 0.005 && left == "":
			left = filepath.Join(t.TempDir(), filepath.Base(tr.Folder()))
			killed(t, left, tr.Folder())
		}
	})
	if left == "" {
		t.Fatal("no batch at the rate that was set")
	}
	_, rec := mustTrain(t, resume(o, left), stopAt(5))
	if lr := of[*event.StepDone](rec.events)[0].LR; lr != 0.005 {
		t.Errorf("after a kill it goes on at %g, want the 0.005 set live", lr)
	}
}

// A schedule over another number of epochs makes the rate jump: both rates are
// told, and they are those of the two lengths.
func TestOtherLengthTellsBothRates(t *testing.T) {
	t.Parallel()
	for _, schedule := range []string{"step", "cosine", "onecycle", "triangle"} {
		o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.LR, c.Schedule, c.Epochs = "sgd", 0.01, schedule, 4 })
		_, straight := mustTrain(t, o, nil)
		steps := of[*event.StepDone](straight.events)
		at := int64(len(steps) * 3 / 4)
		folder, _ := mustTrain(t, o, stopAt(at))
		same, rec := mustTrain(t, resume(o, folder), stopAt(at+1))
		if w := of[*event.Warning](rec.events); len(w) > 0 {
			t.Errorf("%s, the same length: warnings %+v", schedule, w)
		}
		longer := resume(o, same)
		longer.Config.Epochs = 9
		_, rec = mustTrain(t, longer, stopAt(at+2))
		old, now := steps[at+1].LR, of[*event.StepDone](rec.events)[0].LR
		want := fmt.Sprintf("goes on at %.4g instead of %.4g", now, old)
		if w := of[*event.Warning](rec.events); now == old || len(w) != 1 || !strings.Contains(w[0].Message, want) || !strings.Contains(w[0].Message, "9 epochs instead of 4 epochs") {
			t.Errorf("%s: warnings %+v, want one with %q", schedule, w, want)
		}
	}
}

// A resume that has nothing to train says why and what to give for more, and
// neither trains nor takes time.
func TestResumeOfAnEndedRunSaysWhatToGive(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*config.Config)
		says   string
	}{
		"epochs":                  {func(c *config.Config) { c.Epochs = 2 }, "--epochs"},
		"patience":                {func(c *config.Config) { c.Epochs, c.Patience, c.MinDelta = 9, 1, 1 }, "--patience"},
		"steps":                   {func(c *config.Config) { c.MaxSteps = 3 }, "--max-steps"},
		"steps of whole epochs":   {func(c *config.Config) { c.MaxSteps = 6 }, "--max-steps"},
		"steps and a val split":   {func(c *config.Config) { c.MaxSteps, c.ValSplit = 3, 10 }, "--max-steps"},
		"steps, the weights gone": {func(c *config.Config) { c.MaxSteps = 3 }, "--max-steps"},
	} {
		o := tinyOptions(t, c.change)
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		o.Now = func() time.Time { now = now.Add(time.Second); return now }
		folder, rec := mustTrain(t, o, nil)
		before := checkpointtest.Last(t, folder)
		files := weightFiles(t, folder)
		if strings.HasSuffix(name, "gone") {
			for _, f := range files {
				if err := os.Remove(filepath.Join(folder, rundir.CheckpointsDir, f)); err != nil {
					t.Fatal(err)
				}
			}
		}
		end := of[*event.RunEnded](rec.events)[0]
		_, rec = mustTrain(t, resume(o, folder), nil)
		if w := of[*event.Warning](rec.events); len(w) != 1 || !strings.Contains(w[0].Message, c.says) {
			t.Errorf("%s: warnings %+v, want one that names %s", name, w, c.says)
		}
		again := of[*event.RunEnded](rec.events)[0]
		// The time of the last checkpoint counts, which is a little less.
		if again.Outcome != end.Outcome || again.Seconds > end.Seconds || again.Seconds < before.Elapsed {
			t.Errorf("%s: ended %s after %g s, want %s after %g s at most", name, again.Outcome, again.Seconds, end.Outcome, end.Seconds)
		}
		if n := len(of[*event.StepDone](rec.events)); n > 0 {
			t.Errorf("%s: %d more steps", name, n)
		}
		checkpointtest.Same(t, checkpointtest.Last(t, folder), before)
		if got := weightFiles(t, folder); fmt.Sprint(got) != fmt.Sprint(files) {
			t.Errorf("%s: weights %v, want %v", name, got, files)
		}
	}
}
