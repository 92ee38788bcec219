package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cifartui/cifar"
	"cifartui/cifar/cifartest"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
)

// fakeClock is a clock that goes on by a second at each look.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 11, 23, 14, 5, 0, 0, time.Local)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.now
}

func (c *fakeClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestPauseHaltsBetweenTwoBatchesAndIsNoTrainingTime(t *testing.T) {
	o := tinyOptions(t)
	clock := newFakeClock()
	o.Now = clock.Now
	straight, _ := mustTrain(t, o, nil)

	paused := make(chan struct{}, 1)
	tr := newTrainer(t, o)
	rec := &recorder{at: func(e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 7 {
			if err := tr.Send(event.Pause{To: event.To{Why: "space pressed"}}); err != nil {
				t.Error(err)
			}
		}
		if s, ok := e.(*event.StateChanged); ok && s.State == event.StatePaused {
			if s.Epoch != 2 || s.Step != 2 || s.Reason != "space pressed" {
				t.Errorf("paused: %+v", s)
			}
			paused <- struct{}{}
		}
	}}
	done := make(chan error, 1)
	go func() { done <- tr.Run(context.Background(), rec.emit) }()
	<-paused
	clock.add(5 * time.Hour)
	for _, c := range []event.Command{event.Save{To: event.To{Why: "s pressed"}}, event.SetLearnRate{Rate: 1}, event.Resume{To: event.To{Run: tr.Name()}}} {
		if err := tr.Send(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	checkpointtest.Same(t, checkpointtest.Last(t, tr.Folder()), checkpointtest.Last(t, straight))
	end := rec.events[len(rec.events)-1].(*event.RunEnded)
	if end.Seconds > 3600 {
		t.Errorf("the run took %v s: the pause was counted", end.Seconds)
	}
	var states []event.State
	for _, s := range of[*event.StateChanged](rec.events) {
		states = append(states, s.State)
	}
	want := []event.State{event.StateStarting, event.StateRunning, event.StatePaused, event.StateSaving, event.StatePaused, event.StateRunning, event.StateFinished}
	if !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
	i := slices.IndexFunc(rec.events, func(e event.Event) bool { c, ok := e.(*event.CheckpointSaved); return ok && c.Reason == "manual" })
	if i < 0 || rec.events[i].(*event.CheckpointSaved).File != "CIFAR10-EP02-STEP00002.safetensors" {
		t.Errorf("no manual checkpoint at epoch 2, step 2")
	}
	if c := of[*event.LearnRateChanged](rec.events); len(c) != 1 || c[0].From != 1 || c[0].To != 1 || c[0].Total != 7 {
		t.Errorf("learning rate changes: %+v", c)
	}
	if err := tr.Send(event.Pause{}); err == nil {
		t.Error("a command after the end was taken")
	}
	if err := newTrainer(t, o).Close(); err != nil {
		t.Errorf("close a trainer that was not run: %v", err)
	}
}

func TestCommandForAnotherRunIsRefused(t *testing.T) {
	tr := newTrainer(t, tinyOptions(t))
	defer tr.Close()
	if err := tr.Send(event.Pause{To: event.To{Run: "other"}}); err == nil {
		t.Error("taken")
	}
}

func TestStopAfterEpochAndItsTakingBack(t *testing.T) {
	_, rec := mustTrain(t, tinyOptions(t), func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 2 {
			tr.Send(event.Stop{After: event.AfterEpoch})
		}
	})
	end := rec.events[len(rec.events)-1].(*event.RunEnded)
	if end.Outcome != event.OutcomeStopped || end.Epoch != 1 {
		t.Errorf("ended %+v, want stopped after epoch 1", end)
	}
	_, rec = mustTrain(t, tinyOptions(t), func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 2 {
			tr.Send(event.Stop{After: event.AfterEpoch})
		} else if ok && s.Total == 3 {
			tr.Send(event.Resume{})
		}
	})
	if end := rec.events[len(rec.events)-1].(*event.RunEnded); end.Outcome != event.OutcomeFinished {
		t.Errorf("ended %+v, want finished: the stop was taken back", end)
	}
}

// What was asked for and is not done when a run is handed over is known to who goes
// on with it: a stop after the epoch, a pause, and a learning rate that came before
// there was a network.
func TestWhatIsAskedOutlivesAHandOver(t *testing.T) {
	o := tinyOptions(t)
	tr := newTrainer(t, o)
	rec := &recorder{at: func(e event.Event) {
		switch e := e.(type) {
		case *event.StepDone:
			if e.Total == 2 {
				tr.Send(event.Stop{After: event.AfterEpoch})
				tr.Send(event.Pause{})
			}
		case *event.StateChanged:
			if e.State == event.StatePaused {
				tr.Send(event.Detach{})
			}
		}
	}}
	if err := tr.Run(context.Background(), rec.emit); err != nil {
		t.Fatal(err)
	}
	asked := tr.Asked()
	if len(asked) != 2 {
		t.Fatalf("asked %+v, want a stop and a pause", asked)
	}
	next := newTrainer(t, resume(o, tr.Folder()))
	for _, c := range asked {
		if err := next.Send(c); err != nil {
			t.Fatal(err)
		}
	}
	paused := false
	rec = &recorder{at: func(e event.Event) {
		if s, ok := e.(*event.StateChanged); ok && s.State == event.StatePaused && !paused {
			paused = true
			next.Send(event.Resume{})
		}
	}}
	if err := next.Run(context.Background(), rec.emit); err != nil {
		t.Fatal(err)
	}
	if end := rec.events[len(rec.events)-1].(*event.RunEnded); !paused || end.Outcome != event.OutcomeStopped || end.Epoch != 1 {
		t.Errorf("paused %v, ended %+v, want stopped after epoch 1", paused, end)
	}

	early := newTrainer(t, o)
	early.Send(event.SetLearnRate{Rate: 0.25})
	early.Send(event.Detach{})
	if err := early.Run(context.Background(), new(recorder).emit); err != nil {
		t.Fatal(err)
	}
	if a := early.Asked(); len(a) != 1 || a[0].(event.SetLearnRate).Rate != 0.25 {
		t.Errorf("asked %+v, want the learning rate", a)
	}
}

// A stop after the epoch that comes while an epoch is saved is for that one.
func TestStopAfterAnEpochThatHasJustBeenTold(t *testing.T) {
	_, rec := mustTrain(t, tinyOptions(t), func(tr *Trainer, e event.Event) {
		if e, ok := e.(*event.EpochDone); ok && e.Epoch == 1 {
			tr.Send(event.Stop{After: event.AfterEpoch})
		}
	})
	if end := rec.events[len(rec.events)-1].(*event.RunEnded); end.Outcome != event.OutcomeStopped || end.Epoch != 1 {
		t.Errorf("ended %+v, want stopped after epoch 1", end)
	}
}

func TestEndedContextStopsWithACheckpoint(t *testing.T) {
	o := tinyOptions(t)
	ctx, cancel := context.WithCancel(context.Background())
	tr := newTrainer(t, o)
	rec := &recorder{at: func(e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 4 {
			cancel()
		}
	}}
	if err := tr.Run(ctx, rec.emit); err != nil {
		t.Fatal(err)
	}
	if c := checkpointtest.Last(t, tr.Folder()); c.Total != 4 {
		t.Errorf("saved at batch %d, want 4", c.Total)
	}
}

func TestStopWhilePausedAndWhileValidating(t *testing.T) {
	o := tinyOptions(t)
	o.Dataset.Test = cifartest.ColoursOf(tinySize, 210, 2) // three batches
	straight, _ := mustTrain(t, o, nil)
	folder, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		switch e := e.(type) {
		case *event.StepDone:
			if e.Total == 5 { // the epoch's last: this is taken while validating
				tr.Send(event.Pause{})
			}
		case *event.StateChanged:
			if e.State == event.StatePaused {
				tr.Send(event.Stop{After: event.AfterBatch})
			}
		}
	})
	if c := checkpointtest.Last(t, folder); c.Epoch != 1 || c.Step != 5 || len(c.History) != 0 {
		t.Errorf("saved at epoch %d step %d with %d epochs done", c.Epoch, c.Step, len(c.History))
	}
	_, _ = mustTrain(t, resume(o, folder), nil)
	checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))
}

// denseHook is a backend that does something before a dense layer's next product.
type denseHook struct {
	nn.Backend
	do func()
}

func (b *denseHook) Dense(y, x, w, bias *nn.Buffer, rows int) {
	if do := b.do; do != nil {
		do()
	}
	b.Backend.Dense(y, x, w, bias, rows)
}

// Commands are obeyed while the best weights are tested at a run's end, and not
// after it; a save has the run's own weights then, and the test begins anew.
func TestCommandsWhileTheBestWeightsAreTested(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.ValSplit = 10 })
	o.Dataset.Test = cifartest.ColoursOf(tinySize, 210, 2) // three batches
	straight, first := mustTrain(t, o, nil)
	want := first.events[len(first.events)-1].(*event.RunEnded)
	for _, stop := range []bool{false, true} {
		hook := &denseHook{Backend: o.Backend}
		o := o
		o.Backend = hook
		tr := newTrainer(t, o)
		batches := 0
		interrupt := func() {
			if batches++; batches == 2 {
				tr.Send(event.Pause{})
			}
		}
		paused := false
		rec := &recorder{at: func(e event.Event) {
			switch e := e.(type) {
			case *event.CheckpointSaved:
				if e.Reason == "last" && e.Epoch == 4 && !paused { // all epochs are done
					hook.do = interrupt
				}
			case *event.StateChanged:
				if e.State != event.StatePaused || paused {
					return
				}
				paused, hook.do = true, nil
				tr.Send(event.Save{})
				if stop {
					tr.Send(event.Stop{After: event.AfterBatch})
				}
				tr.Send(event.Resume{})
			}
		}}
		if err := tr.Run(context.Background(), rec.emit); err != nil {
			t.Fatal(err)
		}
		end := rec.events[len(rec.events)-1].(*event.RunEnded)
		if !paused || batches != 2 {
			t.Errorf("stop %v: paused %v, after %d batches of the test", stop, paused, batches)
		}
		if stop {
			if end.Outcome != event.OutcomeStopped || end.TestAcc != nil {
				t.Errorf("ended %+v, want stopped and not tested", end)
			}
			_, rec := mustTrain(t, resume(o, tr.Folder()), nil)
			end = rec.events[len(rec.events)-1].(*event.RunEnded)
		}
		if end.Outcome != event.OutcomeFinished || end.TestAcc == nil || *end.TestAcc != *want.TestAcc || *end.TestLoss != *want.TestLoss {
			t.Errorf("stop %v: ended %+v, want %+v", stop, end, want)
		}
		checkpointtest.Same(t, checkpointtest.Last(t, tr.Folder()), checkpointtest.Last(t, straight))
	}
}

func TestLearningRateAcrossScheduleAndResume(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.LR, c.Schedule = "sgd", 0.1, "cosine" })
	folder, rec := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 5 {
			tr.Send(event.SetLearnRate{Rate: 0.02})
			tr.Send(event.SetLearnRate{Rate: math.NaN()})
		}
		if s, ok := e.(*event.StepDone); ok && s.Total == 8 {
			tr.Send(event.Stop{After: event.AfterBatch})
		}
	})
	steps := of[*event.StepDone](rec.events)
	if got := steps[5].LR; math.Abs(got-0.02) > 1e-12 {
		t.Errorf("the batch after the change had rate %v, want 0.02", got)
	}
	factor := func(step float64) float64 { return (1 + math.Cos(math.Pi*step/15)) / 2 }
	if got, want := steps[7].LR, 0.02*factor(7)/factor(5); math.Abs(got-want) > 1e-12 {
		t.Errorf("two batches later %v, want %v: the schedule goes on, scaled", got, want)
	}
	if w := of[*event.Warning](rec.events); len(w) != 1 || !strings.Contains(w[0].Message, "NaN") {
		t.Errorf("warnings %v, want one about NaN", w)
	}
	_, rec = mustTrain(t, resume(o, folder), nil)
	if got, want := of[*event.StepDone](rec.events)[0].LR, 0.02*factor(8)/factor(5); math.Abs(got-want) > 1e-12 {
		t.Errorf("after the resume %v, want %v", got, want)
	}
}

func TestMaxStepsEndsWithTheWeights(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.MaxSteps = 3 })
	folder, rec := mustTrain(t, o, nil)
	if n := len(of[*event.StepDone](rec.events)); n != 3 {
		t.Errorf("%d steps, want 3", n)
	}
	if end := rec.events[len(rec.events)-1].(*event.RunEnded); end.Outcome != event.OutcomeFinished || end.Epoch != 0 {
		t.Errorf("ended %+v", end)
	}
	if files := weightFiles(t, folder); !slices.Equal(files, []string{"CIFAR10-EP01-STEP00003.safetensors"}) {
		t.Errorf("weights %v", files)
	}
}

func TestDivergenceKeepsTheLastGoodCheckpointAndSaysWhere(t *testing.T) {
	// The decay makes a single step of the highest rate enough.
	o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.LR, c.WeightDecay, c.SaveSeconds = "sgd", 0.01, 30, 1e-9 })
	folder, rec, err := train(t, o, func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 6 {
			tr.Send(event.SetLearnRate{Rate: 1e6})
		}
	})
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "epoch 2") || !strings.Contains(err.Error(), checkpoint.LastFile) {
		t.Errorf("error %v, want one that says where and names %s", err, checkpoint.LastFile)
	}
	end := rec.events[len(rec.events)-1].(*event.RunEnded)
	if end.Outcome != event.OutcomeDiverged || end.Error == "" {
		t.Errorf("ended %+v", end)
	}
	c := checkpointtest.Last(t, folder)
	if c.Total != 6 { // at 7 the weights were finite too, but gave this loss
		t.Errorf("last.ckpt is of batch %d, want 6, the last good one", c.Total)
	}
	o.Config.LR = 0.02
	_, rec = mustTrain(t, resume(o, folder), nil)
	if c := of[*event.LearnRateChanged](rec.events); len(c) != 1 || c[0].To != 0.02 {
		t.Errorf("learning rate after the resume: %+v", c)
	}
}

// poisoned is a processor whose optimizer spoils the weights from the moment that
// it is told to.
type poisoned struct {
	nn.Backend
	spoil atomic.Bool
}

func (p *poisoned) SGD(x, g, m *nn.Buffer, lr, momentum, decay float32, decoupled bool) {
	p.Backend.SGD(x, g, m, lr, momentum, decay, decoupled)
	if p.spoil.Load() {
		x.Floats[0] = float32(math.Inf(1))
	}
}

// Weights that turn out not to be finite when a stopped run saves are a divergence
// like that of a loss.
func TestDivergenceThatTheLastSaveFinds(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Optimizer = "sgd" })
	b := &poisoned{Backend: o.Backend}
	o.Backend = b
	folder, rec, err := train(t, o, func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 6 {
			b.spoil.Store(true)
		}
		stopAt(7)(tr, e)
	})
	if end := rec.events[len(rec.events)-1].(*event.RunEnded); !errors.Is(err, ErrDiverged) || end.Outcome != event.OutcomeDiverged {
		t.Errorf("ended as %s with %v", end.Outcome, err)
	}
	if c := checkpointtest.Last(t, folder); c.Total != 5 {
		t.Errorf("last.ckpt is of batch %d, want 5, the last good one", c.Total)
	}
}

// The matrix of --preprocess zca takes a minute, in which nothing is trained that could
// be lost: who wants the end does not wait for it.
func TestAnEndDoesNotWaitForTheWhitening(t *testing.T) {
	for _, c := range []struct {
		ask  event.Command
		want event.Outcome
	}{
		{event.Stop{After: event.AfterBatch}, event.OutcomeStopped},
		{event.Detach{}, event.OutcomeDetached},
	} {
		o := ownOptions(t)
		o.Config.Preprocess, o.Dataset = cifar.ZCA, smallData()
		begun := make(chan *Trainer, 1)
		o.whiten = func(ctx context.Context, _ *cifar.Set) ([]float32, error) {
			if err := (<-begun).Send(c.ask); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		_, rec, err := train(t, o, func(tr *Trainer, e event.Event) {
			if _, ok := e.(*event.RunStarted); ok {
				begun <- tr
			}
		})
		if end := rec.events[len(rec.events)-1].(*event.RunEnded); err != nil || end.Outcome != c.want {
			t.Errorf("%T: ended as %s with %v", c.ask, end.Outcome, err)
		}
	}
}

// lost is a device that is lost when it is told to be.
type lost struct {
	nn.Backend
	gone atomic.Bool
}

var errGone = errors.New("the device is gone")

func (l *lost) Download(dst []float32, src *nn.Buffer) error {
	if l.gone.Load() {
		return errGone
	}
	return l.Backend.Download(dst, src)
}

// Who waits for a run whose caller goes on with it after such an error must know
// that this is not the end.
func TestEndTellsWhetherTheRunGoesOn(t *testing.T) {
	for _, after := range []error{errGone, ErrDiverged} {
		o := tinyOptions(t, func(c *config.Config) { c.SaveSeconds = 1e-9 })
		b := &lost{Backend: o.Backend}
		o.Backend = b
		o.GoesOn = func(err error) bool { return errors.Is(err, after) }
		_, rec, err := train(t, o, func(_ *Trainer, e event.Event) {
			if s, ok := e.(*event.StepDone); ok && s.Total == 3 {
				b.gone.Store(true)
			}
		})
		end := rec.events[len(rec.events)-1].(*event.RunEnded)
		if !errors.Is(err, errGone) || end.Outcome != event.OutcomeFailed || end.GoesOn != (after == errGone) {
			t.Errorf("ended %+v with %v", end, err)
		}
	}
}

func TestEarlyStoppingCountsFromTheBestEpoch(t *testing.T) {
	// Rate 0: nothing ever gets better than the first epoch.
	o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.Epochs, c.Patience = "sgd", 50, 3 })
	folder, rec := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 1 {
			tr.Send(event.SetLearnRate{Rate: 0})
		}
	})
	epochs := of[*event.EpochDone](rec.events)
	end := rec.events[len(rec.events)-1].(*event.RunEnded)
	if end.Outcome != event.OutcomeEarlyStopped || len(epochs) != 4 {
		t.Fatalf("%s after %d epochs, want early_stopped after 4", end.Outcome, len(epochs))
	}
	for i, e := range epochs {
		if e.PatienceLeft != 3-i || e.Best != (i == 0) {
			t.Errorf("epoch %d: best %v, patience left %d", e.Epoch, e.Best, e.PatienceLeft)
		}
	}
	// Resumed as it is, it has nothing left to do; with more patience it goes on
	// and does not take a later epoch for the best.
	_, rec = mustTrain(t, resume(o, folder), nil)
	if w := of[*event.Warning](rec.events); len(of[*event.StepDone](rec.events)) != 0 || len(w) != 1 || !strings.Contains(w[0].Message, "patience") {
		t.Errorf("the resume of a run that is over: %d steps, warnings %v", len(of[*event.StepDone](rec.events)), w)
	}
	o.Config.Patience = 5
	_, rec = mustTrain(t, resume(o, folder), nil)
	epochs = of[*event.EpochDone](rec.events)
	if len(epochs) != 2 || epochs[0].Best || epochs[1].Best {
		t.Errorf("%d more epochs, want 2 and none of them the best", len(epochs))
	}
	if got, want := weightFiles(t, folder), []string{fmt.Sprintf("CIFAR10-EP01-ACC%.4f.safetensors", end.BestValAcc)}; !slices.Equal(got, want) {
		t.Errorf("weights %v, want %v", got, want)
	}
}

// relay is a token that runs hand on.
type relay chan struct{}

func (t relay) Acquire(ctx context.Context) error {
	select {
	case <-t:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t relay) Release() { t <- struct{}{} }

func TestRunsTakeTurnsAnEpochEach(t *testing.T) {
	token := make(relay, 1)
	token <- struct{}{}
	bus := event.NewBus()
	sub := bus.SubscribeSteps(1)
	straight, _ := mustTrain(t, tinyOptions(t), nil)
	var folders []string
	var wg sync.WaitGroup
	for i := range 2 {
		o := tinyOptions(t)
		o.Config.Name = fmt.Sprint("run", i)
		o.Turns = token
		tr := newTrainer(t, o)
		folders = append(folders, tr.Folder())
		wg.Go(func() {
			if err := tr.Run(context.Background(), bus.Publish); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	bus.Close()
	var all []event.Event
	var order []string
	for {
		events, err := sub.Next(context.Background(), 100)
		if err != nil {
			break
		}
		for _, e := range events {
			all = append(all, e)
			if s, ok := e.(*event.StepDone); ok {
				if k := fmt.Sprint(s.Run, s.Epoch); len(order) == 0 || order[len(order)-1] != k {
					order = append(order, k)
				}
			}
		}
	}
	if len(order) != 6 {
		t.Errorf("the epochs are torn apart: %v", order)
	}
	byName := folded(all)
	for _, f := range folders {
		checkpointtest.Same(t, checkpointtest.Last(t, f), checkpointtest.Last(t, straight))
		if r := runOf(byName, filepath.Base(f)); r == nil || len(r.Epochs) != 3 || r.Ended == nil || r.State != event.StateFinished {
			t.Errorf("history of %s: %+v", f, r)
		}
	}
}
