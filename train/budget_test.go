package train

import (
	"math"
	"math/rand/v2"
	"os"
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
	// 7 s less 1.5% and 0.56 s are 9 epochs of 0.7 s.
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
	}{"slower": {20 * time.Millisecond, []int{9, 5}}, "faster": {5 * time.Millisecond, []int{9, 16}}} {
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

// TestAPlanSurvivesAKill: whenever it comes, the run ends with the same bits.
func TestAPlanSurvivesAKill(t *testing.T) {
	t.Parallel()
	o, _ := paced(t, 4)
	o.Config.SaveSeconds = 1e-9
	copies := t.TempDir()
	var folders []string
	folder, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		if e, ok := e.(*event.CheckpointSaved); ok && e.File == checkpoint.LastFile && len(folders) < 12 && e.Seq%2 == 1 {
			c := filepath.Join(copies, string(rune('a'+len(folders))), filepath.Base(tr.Folder()))
			if err := os.CopyFS(c, os.DirFS(tr.Folder())); err != nil {
				t.Error(err)
			}
			folders = append(folders, c)
		}
	})
	want := checkpointtest.Last(t, folder)
	if len(folders) < 6 {
		t.Fatalf("only %d instants", len(folders))
	}
	for _, f := range folders {
		mustTrain(t, resume(o, f), nil)
		checkpointtest.Same(t, checkpointtest.Last(t, f), want)
	}
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
		"a longer": {10 * time.Millisecond, 14, []int{18, 19}}, // less is kept when less is left
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

// Small epochs fill what whole ones leave of a budget, as near as can be to the part
// that the settings ask for.
func TestSmallEpochsFillTheBudget(t *testing.T) {
	at := func(epoch, step int, seconds float64, p *checkpoint.Plan) standing {
		s := standing{Position: checkpoint.Position{Epoch: epoch, Step: step, Plan: p}}
		s.clock.total = time.Duration(seconds * float64(time.Second))
		return s
	}
	planned := &checkpoint.Plan{Epochs: 17, Small: 6}
	for name, c := range map[string]struct {
		budget float64
		at     standing
		want   length
	}{
		"as asked for":             {850, at(1, 0, 0, nil), length{8, 3}},   // 135 + 700 of 837 s
		"one more":                 {900, at(1, 0, 0, nil), length{9, 4}},   // 180 + 700 of 886
		"one fewer":                {1800, at(1, 0, 0, nil), length{16, 5}}, // 225 + 1540 of 1773, where 6 and 10 are 1670
		"too short for one":        {100, at(1, 0, 0, nil), length{1, 0}},   // 140, as there is always one
		"no fewer than are done":   {1875, at(7, 0, 1500, planned), length{8, 6}},
		"no fewer than have begun": {1875, at(7, 1, 1500, &checkpoint.Plan{Epochs: 17, Small: 7}), length{9, 7}},
		"not after a whole one":    {1875, at(8, 0, 1400, planned), length{10, 6}},
		"nor within one":           {1875, at(7, 1, 1400, planned), length{9, 6}},
	} {
		o := tinyOptions(t, func(*config.Config) {})
		o.Config.Budget, o.Config.SmallEpochs, o.Config.SmallSize = config.Seconds(c.budget), 0.35, 16
		r := &run{
			config: o.Config, at: c.at, pace: pace{16: 45, 32: 140},
			net: &learner{config: o.Config, backend: o.Backend, spec: nn.Spec{Size: 32}, steps: 100},
		}
		got := r.fitting(reserve)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v: %.0f of %.0f s", name, got, c.want, r.left(got), r.room(reserve))
		}
	}
}

// A machine that is slower and faster from epoch to epoch does not get small epochs
// for whole ones, again and again.
func TestNoiseDoesNotFillTheBudgetWithSmallEpochs(t *testing.T) {
	o := tinyOptions(t, func(*config.Config) {})
	o.Config.Budget, o.Config.SmallEpochs, o.Config.SmallSize = 1875, 0.35, 16
	noise := rand.New(rand.NewPCG(1, 2))
	for try := range 200 {
		r := &run{
			config: o.Config, at: standing{Position: checkpoint.Position{Epoch: 1}},
			net:  &learner{config: o.Config, backend: o.Backend, spec: nn.Spec{Size: 32}, steps: 100},
			pace: pace{16: 46 + 6*noise.Float64(), 32: 140 + 20*noise.Float64()},
		}
		plan := func(l length) { r.at.Plan = &checkpoint.Plan{Epochs: l.epochs, Small: l.small} }
		for plan(r.fitting(reserve)); r.at.Epoch <= r.planned().small; plan(r.better()) {
			took := 46 + 7*noise.Float64()
			r.at.clock.total += time.Duration(took * float64(time.Second))
			r.at.Epoch++
			r.pace.learn(16, took)
		}
		if l := r.planned(); math.Abs(float64(l.small)-0.35*float64(l.epochs)) > 1.5 {
			t.Errorf("try %d: %d of %d epochs are small", try, l.small, l.epochs)
		}
	}
}
