package train

import (
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
)

// pacer is a machine whose only work is to update parameters: a clock that moves
// by tick whenever it does, and not otherwise.
type pacer struct {
	nn.Backend
	now, tick atomic.Int64
	updated   func() // called after each; nil: nothing is
}

func (p *pacer) SGD(x, g, m *nn.Buffer, lr, momentum, decay float32, decoupled bool) {
	p.now.Add(p.tick.Load())
	p.Backend.SGD(x, g, m, lr, momentum, decay, decoupled)
	if p.updated != nil {
		p.updated()
	}
}

func (p *pacer) clock() time.Time { return time.Unix(0, p.now.Load()) }

// paced trains tiny epochs of 5 steps, 0.7 s each at first, within a budget.
func paced(t *testing.T, budget config.Seconds) (Options, *pacer) {
	o := tinyOptions(t, func(c *config.Config) {
		c.Optimizer, c.Momentum, c.Schedule, c.Budget, c.Epochs = "sgd", 0.9, "triangle", budget, 3
	})
	p := &pacer{Backend: o.Backend}
	p.tick.Store(int64(10 * time.Millisecond)) // 14 parameters a step
	o.Backend, o.Now = p, p.clock
	return o, p
}

func plans(events []event.Event) (epochs []int) {
	for _, e := range of[*event.Planned](events) {
		epochs = append(epochs, e.Epochs)
	}
	return epochs
}

// TestABudgetSetsTheEpochs: measuring takes 4 steps, 0.56 s, and changes nothing.
func TestABudgetSetsTheEpochs(t *testing.T) {
	o, _ := paced(t, 7)
	folder, rec := mustTrain(t, o, nil)
	c := checkpointtest.Last(t, folder)
	// 7 s less 1.6% and 0.56 s are 9 epochs of 0.7 s.
	if got := plans(rec.events); !slices.Equal(got, []int{9}) || len(c.History) != 9 || c.History[0].Epochs != 9 {
		t.Fatalf("planned %v, trained %d", got, len(c.History))
	}
	if c.Elapsed > 7 || c.Elapsed < 6 {
		t.Errorf("the run took %v s of 7", c.Elapsed)
	}
	steps := of[*event.StepDone](rec.events)
	if r := steps[len(steps)-1].LR; r > 0.0005 {
		t.Errorf("the last rate is %v: the schedule has not come to its end", r)
	}
	o.Config.Budget, o.Config.Epochs = 0, 9
	plain, _ := mustTrain(t, o, nil)
	if h, p := c.History[0], checkpointtest.Last(t, plain).History[0]; h.Loss != p.Loss {
		t.Errorf("loss %v after an epoch with a budget, %v without: measuring has changed the training", h.Loss, p.Loss)
	}
}

// TestARunThatGetsSlowerKeepsItsBudget, and one that gets faster uses it.
func TestARunThatGetsSlowerKeepsItsBudget(t *testing.T) {
	for name, c := range map[string]struct {
		tick time.Duration
		want []int
	}{"slower": {20 * time.Millisecond, []int{9, 6}}, "faster": {5 * time.Millisecond, []int{9, 16, 17}}} {
		t.Run(name, func(t *testing.T) {
			o, p := paced(t, 7)
			folder, rec := mustTrain(t, o, func(_ *Trainer, e event.Event) {
				if e, ok := e.(*event.EpochDone); ok && e.Epoch == 2 {
					p.tick.Store(int64(c.tick))
				}
			})
			if got := plans(rec.events); !slices.Equal(got, c.want) {
				t.Errorf("planned %v, want %v", got, c.want)
			}
			if e := checkpointtest.Last(t, folder).Elapsed; e > 7.001 || e < 6 {
				t.Errorf("the run took %v s of 7", e)
			}
			rates := of[*event.StepDone](rec.events)
			for i := 11; i < len(rates); i++ { // it has come down from its peak
				if d := rates[i-1].LR - rates[i].LR; d > 0.003 || d < -0.0025 {
					t.Errorf("the rate jumps from %v to %v at step %d", rates[i-1].LR, rates[i].LR, i)
				}
			}
			if r := rates[len(rates)-1].LR; r > 0.0009 {
				t.Errorf("the last rate is %v", r)
			}
		})
	}
}

// A budget ends with an epoch of fewer batches, and all that tells of it knows.
func TestABudgetEndsWithAShorterEpoch(t *testing.T) {
	t.Parallel()
	o, _ := paced(t, 4)
	o.Config.CheckpointEvery = 1
	folder, rec := mustTrain(t, o, nil)
	// 4 s less 1.6% and 0.56 s are 24 steps of 0.14 s.
	p := of[*event.Planned](rec.events)
	if len(p) != 1 || p[0].Epochs != 5 || p[0].LastSteps != 4 || p[0].Seconds > 4 || p[0].Seconds < 0.98*4 {
		t.Fatalf("planned %+v, want 5 epochs, the last of 4 steps", p)
	}
	var run record.Run
	var losses, images float64
	steps := 0
	for _, e := range rec.events {
		run.Apply(e)
		switch e := e.(type) {
		case *event.StepDone:
			steps++
			want := 5
			if e.Epoch == 5 {
				want = 4
				rows := min(8, 40-8*(e.Step-1))
				losses, images = losses+float64(e.Loss)*float64(rows), images+float64(rows)
			}
			if _, _, all := run.Position(); e.Steps != want || all != want {
				t.Errorf("epoch %d has %d steps, %d by the record, want %d", e.Epoch, e.Steps, all, want)
			}
		case *event.EpochDone:
			if e.Epoch == 5 && math.Abs(float64(e.Loss)-losses/images) > 1e-9 {
				t.Errorf("the last epoch's loss is %v, its batches' %v", e.Loss, losses/images)
			}
		case *event.CheckpointSaved:
			if e.Reason == "every" && e.Epoch == 5 && e.Step != 4 {
				t.Errorf("the weights of the last epoch are of step %d", e.Step)
			}
		}
	}
	if epoch, step, all := run.Position(); steps != 24 || epoch != 5 || step != 4 || all != 4 {
		t.Errorf("%d steps, at epoch %d, step %d of %d", steps, epoch, step, all)
	}
	if c := checkpointtest.Last(t, folder); c.Elapsed > 4 || c.Elapsed < 0.97*4 || len(c.History) != 5 {
		t.Errorf("the run took %v s of 4, %d epochs", c.Elapsed, len(c.History))
	}
	// A triangle over 24 steps comes down to the last but for one part of its slope.
	rates := of[*event.StepDone](rec.events)
	if a, b := rates[22].LR, rates[23].LR; math.Abs(a-2*b) > 1e-9 {
		t.Errorf("the last rates are %v and %v: the schedule does not end with the run", a, b)
	}
}

// TestAPlanSurvivesAKill: whenever it comes, the run ends with the same bits, also
// on a device that has several steps under way.
func TestAPlanSurvivesAKill(t *testing.T) {
	t.Parallel()
	o, p := paced(t, 4)
	o.Config.SaveSeconds = 1e-9
	copies := t.TempDir()
	var folders []string
	shorter := 0
	folder, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		waitForSaves(tr, e)
		if e, ok := e.(*event.CheckpointSaved); ok && e.File == checkpoint.LastFile && (e.Total%3 == 0 || e.Total > 20) {
			c := filepath.Join(copies, string(rune('a'+len(folders))), filepath.Base(tr.Folder()))
			killed(t, c, tr.Folder())
			folders = append(folders, c)
			if e.Epoch == 5 && e.Step > 0 {
				shorter++
			}
		}
	})
	want := checkpointtest.Last(t, folder)
	if want.Plan.LastSteps != 4 || len(folders) < 6 || shorter < 4 {
		t.Fatalf("%d instants, %d in the last epoch, of %d steps", len(folders), shorter, want.Plan.LastSteps)
	}
	for i, f := range folders {
		again := resume(o, f)
		if i >= len(folders)-shorter && i%2 == 0 {
			again.Backend = latePacer{&lateCPU{CPU: p.Backend.(*nn.CPU)}, p}
		}
		mustTrain(t, again, nil)
		checkpointtest.Same(t, checkpointtest.Last(t, f), want)
	}
}

// latePacer is a pacer whose results come late.
type latePacer struct {
	*lateCPU
	pace *pacer
}

func (p latePacer) SGD(x, g, m *nn.Buffer, lr, momentum, decay float32, decoupled bool) {
	p.pace.SGD(x, g, m, lr, momentum, decay, decoupled)
}

// TestAResumeOnAnotherMachineFitsTheBudget: it measures again, and plans anew when
// the machine is far slower or the budget another.
func TestAResumeOnAnotherMachineFitsTheBudget(t *testing.T) {
	for name, c := range map[string]struct {
		tick   time.Duration
		budget config.Seconds
		want   []int
	}{
		"same":     {10 * time.Millisecond, 7, []int{9}},
		"slower":   {30 * time.Millisecond, 7, []int{5}},       // 3 are done,
		"a longer": {10 * time.Millisecond, 14, []int{19, 19}}, // less is kept when less is left
	} {
		t.Run(name, func(t *testing.T) {
			o, p := paced(t, 7)
			folder, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
				if e, ok := e.(*event.EpochDone); ok && e.Epoch == 3 {
					if err := tr.Send(event.Stop{After: event.AfterEpoch}); err != nil {
						t.Error(err)
					}
				}
			})
			p.tick.Store(int64(c.tick))
			o.Config.Budget = c.budget
			_, rec := mustTrain(t, resume(o, folder), nil)
			if got := plans(rec.events); !slices.Equal(got, c.want) {
				t.Errorf("planned %v, want %v", got, c.want)
			}
			if e := checkpointtest.Last(t, folder).Elapsed; e > float64(c.budget) {
				t.Errorf("the run took %v s of %v", e, c.budget)
			}
		})
	}
}

// Given more time, a run goes on from a shorter last epoch: one that is over stays as
// it is, another becomes a whole one. The schedule ends with the run all the same.
func TestAResumeWithALongerBudgetAfterAShorterEpoch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stop   int64 // after so many batches; 0: at the end, after 24
		budget config.Seconds
		steps  []int // by epoch
	}{
		"over":            {0, 7, []int{5, 5, 5, 5, 4, 5, 5, 5, 5, 1}},
		"under way":       {22, 7, []int{5, 5, 5, 5, 5, 5, 5, 5, 5}},
		"over, some more": {0, 5, []int{5, 5, 5, 5, 4, 5, 2}},
		"over, no more":   {0, 4.05, []int{5, 5, 5, 5, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := paced(t, 4)
			folder, _ := mustTrain(t, o, stopAt(c.stop))
			o.Config.Budget = c.budget
			_, rec := mustTrain(t, resume(o, folder), nil)
			last := checkpointtest.Last(t, folder)
			var steps []int
			before := int64(0)
			for _, e := range last.History {
				steps, before = append(steps, int(e.Total-before)), e.Total
			}
			if !slices.Equal(steps, c.steps) {
				t.Errorf("epochs of %v steps, want %v", steps, c.steps)
			}
			if last.Elapsed > float64(c.budget) {
				t.Errorf("the run took %v s of %v", last.Elapsed, c.budget)
			}
			r := of[*event.StepDone](rec.events)
			if len(r) == 0 {
				return
			}
			if a, b := r[0].LR, r[len(r)-1].LR; b > 0.001 || a <= b {
				t.Errorf("the rate goes on at %v and ends at %v", a, b)
			}
			if w := said(rec, "was at its end"); (len(w) > 0) != (c.stop == 0) {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

// The steps that there may be end a run with a budget wherever they end, and the
// schedule with them.
func TestABudgetAndAMostOfSteps(t *testing.T) {
	t.Parallel()
	for most, epochs := range map[int64]int{22: 4, 24: 5, 30: 5} {
		o, _ := paced(t, 4)
		o.Config.MaxSteps = most
		folder, rec := mustTrain(t, o, nil)
		rates := of[*event.StepDone](rec.events)
		n := len(rates)
		if n != int(min(most, 24)) || len(checkpointtest.Last(t, folder).History) != epochs {
			t.Errorf("of %d steps at most: %d, in %d epochs", most, n, len(checkpointtest.Last(t, folder).History))
		}
		if a, b := rates[n-2].LR, rates[n-1].LR; math.Abs(a-2*b) > 1e-9 {
			t.Errorf("of %d steps at most: the last rates are %v and %v", most, a, b)
		}
		_, rec = mustTrain(t, resume(o, folder), nil)
		if n := len(of[*event.StepDone](rec.events)); n > 0 {
			t.Errorf("of %d steps at most: %d more when it is resumed", most, n)
		}
	}
}

// Somebody who asks for a pause does not wait until all is measured.
func TestMeasuringGivesWayToACommand(t *testing.T) {
	o, p := paced(t, 1000) // of which 5 s, 36 batches, are measured
	tr := newTrainer(t, o)
	var asked sync.Once
	p.updated = func() {
		asked.Do(func() {
			if err := tr.Send(event.Stop{After: event.AfterBatch}); err != nil {
				t.Error(err)
			}
		})
	}
	if err := tr.Run(t.Context(), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	if s := p.clock().Sub(time.Unix(0, 0)).Seconds(); s > 0.5 { // one batch takes 0.14
		t.Errorf("%v s were trained before the stop was heard", s)
	}
}

// An epoch of a single batch, in which nothing comes after getting warm, has its
// time too.
func TestABudgetOfEpochsOfOneBatch(t *testing.T) {
	o, _ := paced(t, 1.4)
	o.Config.Batch = 64
	folder, rec := mustTrain(t, o, nil)
	// 1.4 s less 1.5% and the 0.14 s of measuring are 8 epochs of 0.14 s.
	if got, n := plans(rec.events), len(checkpointtest.Last(t, folder).History); !slices.Equal(got, []int{8}) || n != 8 {
		t.Errorf("planned %v, trained %d, want 8", got, n)
	}
}

// A loss that is not finite, behind which a device forgets the batches under way,
// is no trouble of measuring: training shows whether the run diverges.
func TestABudgetIsMeasuredOverALossThatIsNotFinite(t *testing.T) {
	o, b := late(t, func(c *config.Config) { c.Budget, c.MaxSteps = 60, 5 })
	b.spoil = 2
	mustTrain(t, o, nil)
}

// What a resume of a run with a budget is given is obeyed, or said to change
// nothing.
func TestAResumeWithABudgetIsGivenLessTimeOrMoreEpochs(t *testing.T) {
	o, _ := paced(t, 3)
	folder, _ := mustTrain(t, o, stopAt(3))
	o.Config.Epochs = 50
	_, rec := mustTrain(t, resume(o, folder), nil)
	if w := said(rec, "--epochs 50"); len(w) != 1 {
		t.Errorf("given 50 epochs: warnings %q", w)
	}
	before := checkpointtest.Last(t, folder)
	o.Config.Budget = 2
	_, rec = mustTrain(t, resume(o, folder), nil)
	if w := said(rec, "a longer --budget"); len(w) != 1 || len(of[*event.StepDone](rec.events)) > 0 {
		t.Errorf("given less time than it has had: warnings %q, %d steps", w, len(of[*event.StepDone](rec.events)))
	}
	checkpointtest.Same(t, checkpointtest.Last(t, folder), before)
}
