package train

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
)

// planning is a run that is only planned: epochs of 400 batches, a third of them on
// smaller images.
func planning(o Options, budget float64, p pace) *run {
	o.Config.Budget, o.Config.SmallEpochs, o.Config.SmallSize = config.Seconds(budget), 0.35, 16
	return &run{
		config: o.Config, at: standing{Position: checkpoint.Position{Epoch: 1}}, pace: p,
		net: &learner{config: o.Config, backend: o.Backend, spec: nn.Spec{Size: 32}, steps: 400},
	}
}

// replanTo sets a plan, and reports whether it is another one.
func (r *run) replanTo(l length) bool {
	if r.at.Plan != nil && r.planned() == l {
		return false
	}
	r.at.Plan = &checkpoint.Plan{Epochs: l.epochs, Small: l.small, LastSteps: l.last}
	return true
}

func (r *run) spend(seconds float64) {
	r.at.clock.total += time.Duration(seconds * float64(time.Second))
}

// The last epoch has as many batches as the others leave time for, unless they are
// too few for an epoch of their own.
func TestTheLastEpochFillsTheBudget(t *testing.T) {
	o, planned := tinyOptions(t), &checkpoint.Plan{Epochs: 17, Small: 6}
	for name, c := range map[string]struct {
		budget, spent float64
		epoch, step   int
		plan          *checkpoint.Plan
		want          length
	}{
		"of a whole one":           {850, 0, 1, 0, nil, length{8, 3, 358}}, // 150 + 700 s less 14 of 836
		"too few for another":      {874, 0, 1, 0, nil, length{8, 3, 0}},   // 850 of 860
		"enough for another":       {895, 0, 1, 0, nil, length{9, 3, 63}},  // 850 + 10 + 20 of 881
		"too short for one":        {100, 0, 1, 0, nil, length{1, 0, 272}},
		"too short for any":        {5, 0, 1, 0, nil, length{1, 0, 40}},
		"no fewer than are done":   {1875, 1500, 7, 0, planned, length{9, 6, 215}},
		"no fewer than have begun": {1875, 1500, 7, 1, &checkpoint.Plan{Epochs: 17, Small: 7}, length{10, 7, 61}},
		"not after a whole one":    {1875, 1400, 8, 0, planned, length{11, 6, 89}},
		"nor within one":           {1875, 1400, 7, 1, planned, length{10, 6, 90}},
		"nor after one alone":      {1875, 100, 2, 0, &checkpoint.Plan{Epochs: 1, Small: -1, LastSteps: 200}, length{14, 0, 172}},
		"what is done of it stays": {1875, 1870, 17, 300, planned, length{17, 6, 300}},
	} {
		r := planning(o, c.budget, pace{batches: map[int]float64{16: 40, 32: 130}, validation: 10})
		r.at.Epoch, r.at.Step, r.at.Plan = c.epoch, c.step, c.plan
		r.spend(c.spent)
		if got := r.fitting(); got != c.want {
			t.Errorf("%s: %+v, want %+v: %.1f of %.1f s", name, got, c.want, r.needs(got), r.room(reserve))
		}
	}
}

// lived plans a run and lets its epochs take as many times what they should as
// machine says. It returns the part of the budget that was used, and how often there
// was another plan.
func (r *run) lived(machine func(epoch int) float64) (used float64, plans int) {
	is := pace{batches: map[int]float64{}, validation: r.pace.validation}
	for _, size := range []int{16, 32} {
		is.batches[size] = r.pace.batches[size]
		r.pace.batches[size] *= machine(0)
	}
	r.spend(0.01 * float64(r.config.Budget)) // for measuring
	r.replanTo(r.fitting())
	for {
		size, slow := r.net.sizeAt(r.at.Epoch, r.planned().small), machine(r.at.Epoch)
		trained := slow * is.batches[size]
		r.spend(trained*float64(r.steps())/float64(r.net.steps) + slow*is.validation)
		r.pace.learn(size, trained, slow*is.validation)
		r.at.nextEpoch()
		if r.at.over(r.config) {
			return r.at.clock.seconds() / float64(r.config.Budget), plans
		}
		if r.replanTo(r.better()) {
			plans++
		}
	}
}

// someone is a machine of its own: epochs of 36 to 60 s on smaller images and of 130
// to 160 on whole ones, validation included.
func someone(noise *rand.Rand) pace {
	return pace{
		batches:    map[int]float64{16: 30 + 20*noise.Float64(), 32: 124 + 26*noise.Float64()},
		validation: 6 + 4*noise.Float64(),
	}
}

const tries = 300

// Where epochs take what they took before, all of the budget is used but for what is
// kept, and once in a run there is another plan.
func TestASteadyMachineUsesItsBudget(t *testing.T) {
	o := tinyOptions(t)
	for budget, least := range map[float64]float64{300: 0.98, 900: 0.96, 1875: 0.98, 7200: 0.98} {
		noise := rand.New(rand.NewPCG(1, 2))
		for try := range tries {
			used, plans := planning(o, budget, someone(noise)).lived(func(int) float64 { return 1 })
			if used > 1 || used < least || plans > 2 {
				t.Errorf("try %d: %.4f of %.0f s used, %d other plans", try, used, budget, plans)
			}
		}
	}
}

// A machine that is slower and faster from epoch to epoch uses its budget, too, is
// not over it by more than an epoch may be longer, and gets another plan only now
// and then.
func TestANoisyMachineUsesItsBudget(t *testing.T) {
	o := tinyOptions(t)
	noise := rand.New(rand.NewPCG(1, 2))
	var mean, over float64
	changes := 0
	for try := range tries {
		r := planning(o, 1875, someone(noise))
		used, plans := r.lived(func(int) float64 { return 0.9 + 0.2*noise.Float64() })
		if used > 1.01 || used < 0.96 {
			t.Errorf("try %d: %.4f of the budget used", try, used)
		}
		if l := r.planned(); math.Abs(float64(l.small)-0.35*float64(l.epochs)) > 1.5 {
			t.Errorf("try %d: %d of %d epochs are small", try, l.small, l.epochs)
		}
		mean += used / tries
		if used > 1 {
			over++
		}
		changes += plans
	}
	if mean < 0.985 || over > 0.05*tries || changes > 5*tries {
		t.Errorf("%.4f of the budgets used, %.0f of %d runs over it, %d other plans", mean, over, tries, changes)
	}
}

// Of a short budget the last epoch is a large part: a machine that is slower and
// faster from epoch to epoch is left time for it, and few runs are over.
func TestANoisyMachineKeepsAShortBudget(t *testing.T) {
	o := tinyOptions(t)
	for _, budget := range []float64{300, 450, 600} {
		noise := rand.New(rand.NewPCG(1, 2))
		var mean, over, most float64
		for range tries {
			used, _ := planning(o, budget, someone(noise)).lived(func(int) float64 { return 0.9 + 0.2*noise.Float64() })
			mean += used / tries
			most = max(most, used)
			if used > 1 {
				over++
			}
		}
		t.Logf("%.0f s: %.4f used, %.3f of the runs over it, by %.4f at most", budget, mean, over/tries, most-1)
		if mean < 0.96 || over > 0.18*tries || most > 1.055 {
			t.Errorf("%.0f s: %.4f used, %.0f of %d runs over it, %.4f at most", budget, mean, over, tries, most)
		}
	}
}

// A machine that becomes another one gets a plan for that, and few besides.
func TestAnotherMachineGetsAnotherPlan(t *testing.T) {
	o := tinyOptions(t)
	for _, factor := range []float64{0.6, 0.7, 1.4, 1.6} {
		noise := rand.New(rand.NewPCG(1, 2))
		for try := range tries {
			from := 1 + noise.IntN(10)
			used, plans := planning(o, 1875, someone(noise)).lived(func(epoch int) float64 {
				if epoch >= from {
					return factor
				}
				return 1
			})
			if used > 1 || used < 0.96 || plans > 4 {
				t.Errorf("try %d: %g times as long from epoch %d on: %.4f of the budget used, %d other plans", try, factor, from, used, plans)
			}
		}
	}
}
