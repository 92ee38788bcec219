package record

import (
	"math"
	"slices"
	"testing"

	"cifartui/train/config"
	"cifartui/train/event"
)

// life are the first events of a run of 4 epochs of 3 batches, to the end of
// epoch 2, numbered.
func life() []event.Event {
	c := config.Default()
	c.Batch, c.Epochs, c.Patience, c.LR = 10, 4, 5, 0.5
	list := []event.Event{
		&event.RunStarted{Config: c, StepsPerEpoch: 3, TrainImages: 30},
		&event.StateChanged{State: event.StateRunning},
	}
	for epoch := 1; epoch <= 2; epoch++ {
		for step := 1; step <= 3; step++ {
			total := int64(3*(epoch-1) + step)
			list = append(list, &event.StepDone{Epoch: epoch, Step: step, Steps: 3, Total: total, Count: 1,
				LR: 0.5, ImagesPerSecond: 10, Elapsed: float64(total), Phases: event.Phases{Forward: 1}})
		}
		list = append(list, &event.EpochDone{Epoch: epoch, Epochs: 4, Total: int64(3 * epoch), LR: 0.5, Seconds: 4, Elapsed: 4 * float64(epoch),
			Acc: event.Float(epoch), ValAcc: event.Float(3 - epoch), ValLoss: event.Float(3 - epoch), PatienceLeft: 6 - epoch},
			&event.Evaluated{Epoch: epoch})
	}
	for i, e := range list {
		e.Head().Event, e.Head().Seq, e.Head().Run = event.KindOf(e), uint64(i+1), "r"
	}
	return list
}

func lived(events ...event.Event) *Run {
	r := new(Run)
	for _, e := range events {
		r.Apply(e)
	}
	return r
}

func TestRunAddsUp(t *testing.T) {
	r := lived(life()...)
	if r.Name != "r" || len(r.Epochs) != 2 || r.State != event.StateRunning || r.Phases.Forward != 6 || r.Seq != 12 {
		t.Errorf("%+v", r)
	}
	if epoch, step, steps := r.Position(); epoch != 3 || step != 0 || steps != 3 {
		t.Errorf("between two epochs it is at epoch %d, %d of %d", epoch, step, steps)
	}
	if r.Total() != 6 || r.Elapsed() != 8 || r.LearnRate() != 0.5 || r.PatienceLeft() != 4 {
		t.Errorf("total %d, elapsed %v, rate %v, patience %d", r.Total(), r.Elapsed(), r.LearnRate(), r.PatienceLeft())
	}
	if acc, epoch := r.Best(); acc != 2 || epoch != 1 || r.BestAcc().Epoch != 2 || r.BestValLoss().Epoch != 2 {
		t.Errorf("best %v at %d", acc, epoch)
	}
	// 3 batches of a second and one of validation, twice.
	if epoch, whole := r.Remaining(); epoch != 4 || whole != 8 {
		t.Errorf("%v s of the epoch and %v of the run are left, want 4 and 8", epoch, whole)
	}
}

// A plan knows that the epochs to come take longer than those on smaller images.
func TestAPlanTellsWhatIsLeft(t *testing.T) {
	r := lived(life()...)
	planned := &event.Planned{Epochs: 4, Seconds: 28}
	r.Apply(planned)
	if _, whole := r.Remaining(); whole != 8 {
		t.Errorf("%v s are left of a run without a budget, want 8", whole)
	}
	c := r.Started.Config
	c.Budget = 30
	started := *r.Started
	started.Config = c
	r.Started = &started
	if _, whole := r.Remaining(); whole != 20 {
		t.Errorf("%v s are left of 28 planned after 8, want 20", whole)
	}
}

// The last epoch of a run with a budget has as many batches as its plan says: before
// the first of them, after a resume within it, and at the end.
func TestAShorterLastEpoch(t *testing.T) {
	at := func(when string, r *Run, epoch, step, steps int) {
		t.Helper()
		if e, s, all := r.Position(); e != epoch || s != step || all != steps {
			t.Errorf("%s: at epoch %d, step %d of %d, want %d, %d of %d", when, e, s, all, epoch, step, steps)
		}
	}
	r := lived(life()...)
	started := *r.Started
	started.Config.Budget = 30
	r.Started = &started
	r.Apply(&event.Planned{Epochs: 4, LastSteps: 2, Seconds: 14})
	at("before the last but one", r, 3, 0, 3)
	r.Apply(&event.Planned{Epochs: 3, LastSteps: 2, Seconds: 11})
	at("before the last", r, 3, 0, 2)
	r.Apply(&event.StepDone{Epoch: 3, Step: 1, Steps: 2, Total: 7, ImagesPerSecond: 10, Elapsed: 9})
	// A batch of a second, and one of validation, as after the three before.
	if epoch, whole := r.Remaining(); epoch != 2 || whole != 2 {
		t.Errorf("%v s of the epoch and %v of the run are left, want 2 and 2", epoch, whole)
	}
	resume := *r.Started
	resume.Header = event.Header{}
	resume.Resumed, resume.ResumedEpoch, resume.ResumedStep, resume.ResumedTotal, resume.Config.Epochs = true, 3, 1, 7, 3
	killed := *r
	killed.Step = nil
	killed.Apply(&resume)
	at("resumed", &killed, 3, 1, 2)
	for _, r := range []*Run{r, &killed} {
		r.Apply(&event.EpochDone{Epoch: 3, Epochs: 3, Total: 8, Elapsed: 11})
		at("done", r, 3, 2, 2)
		r.Apply(&event.RunEnded{Outcome: event.OutcomeFinished, Epoch: 3})
		at("ended", r, 3, 2, 2)
	}
	// Given no budget, or a longer one, it is as any other.
	resume.Config.Budget, resume.ResumedStep, resume.ResumedTotal = 0, 0, 6
	r.Apply(&resume)
	at("without a budget", r, 3, 0, 3)
}

// The part of a run that is done counts a shorter last epoch as short, also where only
// the end of its record was read and the start is not known.
func TestProgressCountsBatches(t *testing.T) {
	c := config.Config{Epochs: 50, Budget: 30}
	plan := &event.Planned{Epochs: 4, LastSteps: 2}
	third := &event.EpochDone{Epoch: 3, Epochs: 4, Total: 30}
	begun := lived(&event.RunStarted{Config: c, StepsPerEpoch: 10}, plan)
	for _, k := range []struct {
		when string
		r    *Run
		want float64
	}{
		{"nothing", lived(), 0},
		{"begun", begun, 0},
		{"in the first", lived(&event.RunStarted{Config: c, StepsPerEpoch: 10}, plan, &event.StepDone{Epoch: 1, Step: 8, Steps: 10, Total: 8}), 0.25},
		{"three done", lived(plan, third), 30. / 32},
		{"in the last", lived(plan, third, &event.StepDone{Epoch: 4, Step: 1, Steps: 2, Total: 31}), 31. / 32},
		{"all done", lived(plan, third, &event.EpochDone{Epoch: 4, Epochs: 4, Total: 32}), 1},
		{"of one epoch", lived(&event.Planned{Epochs: 1, LastSteps: 4}, &event.StepDone{Epoch: 1, Step: 1, Steps: 4, Total: 1}), 0.25},
		{"without a plan", lived(&event.EpochDone{Epoch: 3, Epochs: 4, Total: 30}), 0.75},
	} {
		if got := k.r.Progress(c); math.Abs(got-k.want) > 1e-9 {
			t.Errorf("%s: %v is done, want %v", k.when, got, k.want)
		}
	}
	if got := lived(third).WholeSteps(); got != 10 {
		t.Errorf("%v steps in an epoch, want 10", got)
	}
	if got := lived(plan, &event.EpochDone{Epoch: 4, Epochs: 4, Total: 32}).WholeSteps(); got != 10 {
		t.Errorf("%v steps in an epoch that is not the short one, want 10", got)
	}
}

// A run that its settings end after some batches is done after them.
func TestProgressOfSoManySteps(t *testing.T) {
	c := config.Config{Epochs: 50, MaxSteps: 40}
	r := lived(&event.RunStarted{Config: c, StepsPerEpoch: 100}, &event.StepDone{Epoch: 1, Step: 10, Steps: 100, Total: 10})
	if got := r.Progress(c); got != 0.25 {
		t.Errorf("%v is done after 10 of 40 steps, want 0.25", got)
	}
}

func TestKnownEventsChangeNothing(t *testing.T) {
	r := lived(life()...)
	for _, e := range life() {
		if c := r.Apply(e); !c.Known {
			t.Errorf("event %d is taken twice", e.Head().Seq)
		}
	}
	if len(r.Epochs) != 2 || r.Phases.Forward != 6 {
		t.Errorf("%+v", r)
	}
}

// What a resume takes back, at every instant that a checkpoint can be of.
func TestResumeTakesBack(t *testing.T) {
	for name, c := range map[string]struct {
		epoch, step  int
		total        int64
		epochs       int // that stay
		newest       int64
		evaluated    int
		atEpoch, at  int
		changesOfTwo int // of two changes by hand, after batches 2 and 5
	}{
		"within the second epoch":      {2, 2, 5, 1, 0, 0, 2, 2, 2},
		"before the second epoch":      {2, 0, 3, 1, 0, 0, 2, 0, 1},
		"from the beginning":           {1, 0, 0, 0, 0, 0, 1, 0, 0},
		"after the epoch's last batch": {2, 3, 6, 1, 6, 0, 2, 3, 2}, // its validation comes again
		"after the second epoch":       {3, 0, 6, 2, 6, 2, 3, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var events []event.Event
			for _, e := range life() {
				e.Head().Seq = 0
				events = append(events, e)
				if s, ok := e.(*event.StepDone); ok && (s.Total == 2 || s.Total == 5) {
					events = append(events, &event.LearnRateChanged{From: 0.5, To: 2, Total: s.Total})
				}
			}
			r := lived(events...)
			resume := &event.RunStarted{Config: r.Started.Config, StepsPerEpoch: 3, Resumed: true,
				ResumedEpoch: c.epoch, ResumedStep: c.step, ResumedTotal: c.total, Elapsed: 1}
			if ch := r.Apply(resume); !ch.Resumed || ch.Began || ch.Before != event.StateRunning {
				t.Errorf("change %+v", ch)
			}
			newest, evaluated := int64(0), 0
			if r.Step != nil {
				newest = r.Step.Total
			}
			if r.Evaluated != nil {
				evaluated = r.Evaluated.Epoch
			}
			// Of steps and evaluations only the newest is known: it stays or goes.
			if len(r.Epochs) != c.epochs || newest != c.newest || evaluated != c.evaluated || len(r.LearnRates) != c.changesOfTwo {
				t.Errorf("%d epochs, step %d, evaluated %d, %d rates", len(r.Epochs), newest, evaluated, len(r.LearnRates))
			}
			if epoch, step, steps := r.Position(); epoch != c.atEpoch || step != c.at || steps != 3 {
				t.Errorf("at epoch %d, step %d of %d, want %d, %d", epoch, step, steps, c.atEpoch, c.at)
			}
			if r.State != event.StateStarting || r.Total() != c.total || r.Phases.Forward != 0 {
				t.Errorf("state %s, total %d, phases %v", r.State, r.Total(), r.Phases)
			}
			// The epoch comes again, once.
			for epoch := c.epoch; epoch <= 2; epoch++ {
				r.Apply(&event.EpochDone{Epoch: epoch, Total: int64(3 * epoch)})
			}
			if len(r.Epochs) != 2 || r.Epochs[0].Epoch != 1 || r.Epochs[1].Epoch != 2 {
				t.Errorf("epochs %+v", r.Epochs)
			}
		})
	}
}

func TestRateAskedForShowsUntilTheNextBatch(t *testing.T) {
	r := lived(life()...)
	r.Apply(&event.LearnRateChanged{From: 0.5, To: 0.25, Total: 6})
	if r.LearnRate() != 0.25 {
		t.Errorf("rate %v after it was set", r.LearnRate())
	}
	r.Apply(&event.StepDone{Epoch: 3, Step: 1, Steps: 3, Total: 7, LR: 0.125})
	if r.LearnRate() != 0.125 {
		t.Errorf("rate %v, want the newest batch's", r.LearnRate())
	}
}

func TestEndsAndTheirStates(t *testing.T) {
	for outcome, want := range map[event.Outcome]event.State{
		event.OutcomeFinished: event.StateFinished, event.OutcomeStopped: event.StateFinished,
		event.OutcomeDiverged: event.StateFailed, event.OutcomeFailed: event.StateFailed,
	} {
		r := lived(life()...)
		r.Apply(&event.RunEnded{Outcome: outcome, Epoch: 2, Seconds: 9, BestValAcc: 2, BestValAccEpoch: 1})
		if r.State != want || r.Elapsed() != 9 || r.EpochsDone() != 2 {
			t.Errorf("%s: state %s, elapsed %v", outcome, r.State, r.Elapsed())
		}
		if epoch, step, steps := r.Position(); epoch != 2 || step != 3 || steps != 3 {
			t.Errorf("%s: at epoch %d, step %d of %d", outcome, epoch, step, steps)
		}
		if _, whole := r.Remaining(); whole != -1 {
			t.Errorf("%s: %v s are left of a run that is over", outcome, whole)
		}
		r.Apply(&event.RunStarted{Config: r.Started.Config, Resumed: true, ResumedEpoch: 3, ResumedTotal: 6, StepsPerEpoch: 3})
		if r.Ended != nil || r.State != event.StateStarting {
			t.Errorf("%s: resumed, it is still %s", outcome, r.State)
		}
	}
}

func TestNoFiniteValueIsNeverTheBest(t *testing.T) {
	nan := event.Float(math.NaN())
	r := lived(&event.EpochDone{Epoch: 1, ValAcc: nan, ValLoss: nan, Acc: nan})
	if _, epoch := r.Best(); epoch != 0 || r.BestAcc() != nil || r.BestValLoss() != nil {
		t.Errorf("%+v", r.Epochs)
	}
	r.Apply(&event.EpochDone{Epoch: 2, ValAcc: 0.5, ValLoss: event.Float(math.Inf(-1)), Acc: 0.1})
	if acc, epoch := r.Best(); acc != 0.5 || epoch != 2 || r.BestValLoss() != nil {
		t.Errorf("best %v at %d", acc, epoch)
	}
}

// The newest of what says so tells how many epochs there are to be: not the last
// epoch, where a resume or a plan came after it.
func TestEpochsInAllAreTheNewestEvents(t *testing.T) {
	var r Run
	if n := r.EpochsInAll(); n != 0 {
		t.Errorf("%d epochs of a run that nothing is known of", n)
	}
	more, c := config.Default(), config.Default()
	c.Epochs, more.Epochs = 4, 7
	seq := uint64(0)
	for _, step := range []struct {
		e    event.Event
		want int
	}{
		{&event.RunStarted{Config: c}, 4},
		{&event.EpochDone{Epoch: 1, Epochs: 4}, 4},
		{&event.RunStarted{Config: more, Resumed: true, ResumedEpoch: 2}, 7},
		{&event.EpochDone{Epoch: 2, Epochs: 7}, 7},
		{&event.Planned{Epochs: 5}, 5},
		{&event.EpochDone{Epoch: 3, Epochs: 5}, 5},
	} {
		seq++
		step.e.Head().Seq = seq
		r.Apply(step.e)
		if n := r.EpochsInAll(); n != step.want {
			t.Errorf("after event %d, a %s: %d epochs, want %d", seq, event.KindOf(step.e), n, step.want)
		}
	}
}

// An epoch that comes late because its line was lost goes into its place, unless a
// resume has taken it back; of two lines of one epoch the newer one counts.
func TestEpochsThatComeLateAreInTheirPlace(t *testing.T) {
	at := func(seq uint64) event.Header { return event.Header{Seq: seq, Run: "a"} }
	r := new(Run)
	r.Apply(&event.RunStarted{Header: at(1)})
	r.Apply(&event.EpochDone{Header: at(2), Epoch: 1})
	r.Apply(&event.EpochDone{Header: at(4), Epoch: 3})
	r.Apply(&event.RunStarted{Header: at(6), Resumed: true, ResumedEpoch: 4})
	r.Apply(&event.EpochDone{Header: at(8), Epoch: 5})
	for _, c := range []struct {
		seq       uint64
		epoch     int
		givenBack bool
	}{
		{4, 3, false}, // known
		{5, 4, false}, // taken back
		{3, 2, true},
		{7, 4, true},
		{9, 6, false}, // the next one
	} {
		e := &event.EpochDone{Header: at(c.seq), Epoch: c.epoch}
		if got := r.Apply(e); got.GivenBack != c.givenBack {
			t.Errorf("epoch %d, number %d: %+v", c.epoch, c.seq, got)
		}
	}
	var got []uint64
	for _, e := range r.Epochs {
		got = append(got, e.Seq)
	}
	if !slices.Equal(got, []uint64{2, 3, 4, 7, 8, 9}) || r.Seq != 9 {
		t.Errorf("the epochs of %v are known, up to %d", got, r.Seq)
	}
}
