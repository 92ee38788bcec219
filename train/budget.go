package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"

	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/event"
	"cifartui/train/feed"
)

// A run with a budget of training time has as many epochs as fit it. Some of its
// batches are trained and taken back to see how long they take; what comes of it
// is a checkpoint.Plan, which is saved, so that a resume goes on with the same
// bits. The plan is changed, with the schedule going on from where it stands, at
// the end of an epoch or by a resume, when the run would miss its budget.

const (
	// measureBatches are trained to see how long one takes, at least, and more as
	// long as measurePart of the budget and the epoch last.
	measureBatches = 3
	measurePart    = 0.005
	// ending is the part of the budget that is kept for the end of the run, and
	// reserve that of the time which is left for what is not measured: checkpoints,
	// and a machine that gets slower.
	ending  = 0.003
	reserve = 0.012
	// spare is the part of the time that must be left besides for a plan to get
	// one epoch longer, so that plans do not go back and forth.
	spare = 0.01
	// fillEpochs is by how many the small epochs may be more or fewer than the part
	// of all that the settings make them, to use time that is left. With more, a
	// machine that is slower and faster from epoch to epoch would get small ones for
	// whole ones time and again, and never take one back.
	fillEpochs = 1
	// resumeTolerance is how far a resumed run may miss its budget and still go on
	// as it was planned: less is as well a machine that was busy for a moment.
	resumeTolerance = 0.25
)

// plan sets the epochs of a run with a budget, or looks after a resume whether
// those set before still fit.
func (r *run) plan() error {
	budget := float64(r.config.Budget)
	if budget == 0 {
		r.at.Plan = nil
		return nil
	}
	if r.at.Plan != nil && r.at.over(r.config) && float64(r.t.from.Config.Budget) >= budget {
		return nil
	}
	if r.at.Plan != nil {
		r.at.clock.stop() // what a kill or a move costs is not training
	}
	pace, err := r.net.measure(r.ctx, r.at.Epoch, r.rate(), r.t.commands.waiting)
	r.at.clock.start()
	if err != nil {
		return err
	}
	r.pace = pace
	if r.at.Plan != nil && float64(r.t.from.Config.Budget) == budget {
		miss := r.at.clock.seconds() + r.left(r.planned()) - budget
		if math.Abs(miss) < resumeTolerance*budget {
			r.announcePlan()
			return nil
		}
	}
	r.setPlan(r.fitting(reserve))
	return r.saveLast()
}

// replan learns from the epoch that is just done how long one takes, and changes
// the plan if there is a better one.
func (r *run) replan(e *event.EpochDone) {
	if r.at.Plan == nil || r.at.over(r.config) {
		return
	}
	r.pace.learn(r.net.sizeAt(e.Epoch, r.planned().small), e.Seconds)
	r.setPlan(r.better())
}

// better is the length that is planned, or another if the run would be over its
// budget or leave time unused: that of two epochs, or of one with time to spare.
func (r *run) better() length {
	planned, fit := r.planned(), r.fitting(reserve)
	left := r.left(planned)
	epoch := r.pace[r.net.small()]
	switch gain := r.left(fit) - left; {
	case left > r.room(reserve), gain >= 2*r.pace[r.net.spec.Size]:
		return fit
	case gain >= epoch/2:
		if sure := r.fitting(reserve + spare); r.left(sure)-left >= epoch/2 {
			return sure
		}
	}
	return planned
}

// pace is how many seconds an epoch takes, by the size of its images.
type pace map[int]float64

// learn corrects the pace by an epoch. What it tells of images of other sizes is
// taken half: epochs on small ones are short, and a machine that others use is
// faster and slower from one to the next.
func (p pace) learn(size int, seconds float64) {
	if p[size] <= 0 || seconds <= 0 {
		return
	}
	factor := seconds / p[size]
	for s := range p {
		if s == size {
			p[s] = seconds
		} else {
			p[s] *= math.Sqrt(factor)
		}
	}
}

// length is how many epochs a run has, and how many of them, the first, train on
// smaller images.
type length struct{ epochs, small int }

// planned is the length that the plan gives.
func (r *run) planned() length { return length{r.at.Plan.Epochs, r.at.small(r.config)} }

// left is how many seconds a run of such a length takes from here on.
func (r *run) left(l length) float64 {
	small := max(0, min(l.small, l.epochs)-r.at.Epoch+1)
	whole := l.epochs - r.at.Epoch + 1 - small
	here := r.pace[r.net.sizeAt(r.at.Epoch, l.small)]
	return float64(small)*r.pace[r.net.small()] + float64(whole)*r.pace[r.net.spec.Size] -
		here*float64(r.at.Step)/float64(r.net.steps)
}

// room is how many seconds are left of the budget, less a part of them and what the
// end takes.
func (r *run) room(kept float64) float64 {
	budget := float64(r.config.Budget)
	return (budget-r.at.clock.seconds())*(1-kept) - budget*ending
}

// fitting is the length that the budget, less a part of what is left, has room for.
// There is always one more epoch to do. As whole epochs are long, a few small ones
// more or fewer than the settings' part use the time that they leave.
func (r *run) fitting(kept float64) length {
	before := r.at.small(r.config)
	least := r.at.Epoch - 1 // those done are small
	switch done := least; {
	case done > before || done == before && r.at.Step > 0: // not all of them
		return r.longest(kept, func(int) int { return before })
	case r.at.Step > 0:
		least++
	}
	fit := r.longest(kept, r.config.SmallOf)
	if r.net.small() == r.net.spec.Size {
		return fit
	}
	if fit.small < least {
		fit = r.longest(kept, func(int) int { return least })
	}
	lost := math.Inf(1)
	for small := max(least, fit.small-2*fillEpochs); small <= max(least, fit.small+2*fillEpochs); small++ {
		l := r.longest(kept, func(int) int { return small })
		unused := r.room(kept) - r.left(l)
		off := math.Abs(float64(small) - r.config.SmallEpochs*float64(l.epochs))
		if unused < 0 || small >= l.epochs || off > fillEpochs {
			continue
		}
		// One that the settings did not ask for counts as half an unused one.
		if unused += off / 2 * r.pace[r.net.small()]; unused < lost {
			fit, lost = l, unused
		}
	}
	return fit
}

// longest is the longest length that fits, of which so many epochs are small.
func (r *run) longest(kept float64, smallOf func(epochs int) int) length {
	const most = 10_000
	of := func(epochs int) length { return length{epochs, smallOf(epochs)} }
	room := r.room(kept)
	return of(r.at.Epoch + sort.Search(most, func(more int) bool { return r.left(of(r.at.Epoch+more+1)) > room }))
}

// setPlan plans the run to have such a length, unless it does already.
func (r *run) setPlan(l length) {
	if r.at.Plan != nil && r.planned() == l {
		return
	}
	p := &checkpoint.Plan{Epochs: l.epochs, Small: l.small, Step: r.at.Total}
	if at, total := r.net.progress(&r.at); r.at.Total > 0 && total > 0 {
		p.From = min(at/float64(total), 1)
	}
	r.at.Plan = p
	r.keep.unsaved = true
	r.announcePlan()
}

// announcePlan tells what is planned.
func (r *run) announcePlan() {
	planned := r.planned()
	left := r.left(planned)
	e := &event.Planned{
		Epochs: planned.epochs, Budget: float64(r.config.Budget), Seconds: r.at.clock.seconds() + left,
		EpochSeconds: left / max(1, float64(planned.epochs-r.at.Epoch+1)),
	}
	if r.net.small() != r.net.spec.Size {
		e.SmallEpochs = planned.small
	}
	r.announce(e)
}

// measure returns about how many seconds an epoch takes, by the size of its
// images. It trains some batches and validates some images, and takes back what
// that has changed. When hurry says so, as somebody waits, one batch will do.
func (l *learner) measure(ctx context.Context, epoch int, rate float64, hurry func() bool) (pace, error) {
	restore, err := l.remember()
	if err != nil {
		return nil, err
	}
	p := pace{}
	for _, size := range l.sizes() {
		if err := l.resize(size); err != nil {
			return nil, err
		}
		step, err := l.timeSteps(ctx, epoch, rate, hurry)
		if err != nil {
			return nil, fmt.Errorf("measure some batches for the budget: %w", err)
		}
		p[size] = step * float64(l.steps)
	}
	if err := restore(); err != nil {
		return nil, err
	}
	validation, err := l.timeValidation(ctx)
	if err != nil {
		return nil, fmt.Errorf("measure the validation for the budget: %w", err)
	}
	for size := range p {
		p[size] += validation
	}
	return p, nil
}

// remember returns what brings everything that trains back to where it is.
func (l *learner) remember() (restore func() error, err error) {
	weights, err := l.net.Weights()
	if err != nil {
		return nil, err
	}
	state, err := l.solver.State()
	if err != nil {
		return nil, err
	}
	var average []nn.Tensor
	if l.average != nil {
		if average, err = l.average.Weights(); err != nil {
			return nil, err
		}
	}
	return func() error {
		err := errors.Join(l.net.SetWeights(weights), l.solver.SetState(state))
		if l.average != nil {
			err = errors.Join(err, l.average.SetWeights(average))
		}
		return err
	}, nil
}

// timeSteps returns the seconds of a training step. The first ones, which are for
// getting warm, are not counted where there are others.
func (l *learner) timeSteps(ctx context.Context, number int, rate float64, hurry func() bool) (float64, error) {
	epoch, err := l.images.EpochAt(ctx, l.size, number, 0)
	if err != nil {
		return 0, err
	}
	defer epoch.Close()
	l.solver.SetLearnRate(rate)
	began, submitted := l.now(), 0
	from, took, counted := began, 0.0, -1
	for {
		enough := counted >= measureBatches && took >= measurePart*float64(l.config.Budget) || submitted > 0 && hurry()
		for !enough && submitted < l.steps && l.step.Pending() < l.step.Ahead() {
			if _, err := epoch.Submit(l.step, 0); err != nil {
				return 0, err
			}
			submitted++
		}
		if l.step.Pending() == 0 {
			break
		}
		if _, err := l.step.Result(); err != nil {
			return 0, err
		}
		now := l.now()
		if counted++; counted == 0 {
			from = now
		}
		took = now.Sub(from).Seconds()
	}
	if counted < 1 {
		return from.Sub(began).Seconds(), nil
	}
	return took / float64(counted), nil
}

// timeValidation returns the seconds of a validation. The first batch is counted
// where it is the only one.
func (l *learner) timeValidation(ctx context.Context) (float64, error) {
	images, err := l.imagesOf(l.val)
	if err != nil {
		return 0, err
	}
	epoch, err := images.Epoch(ctx, 1, 0)
	if err != nil {
		return 0, err
	}
	defer epoch.Close()
	const most = 600 // images
	began := l.now()
	from, took, counted, warm := began, 0.0, 0, 0
	for counted < most {
		rows := 0
		err := epoch.Evaluate(l.eval, func(e feed.Evaluation) error { rows = len(e.Labels); return nil })
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		now := l.now()
		if warm == 0 {
			from, warm = now, rows
			continue
		}
		counted += rows
		took = now.Sub(from).Seconds()
	}
	if counted == 0 {
		took, counted = from.Sub(began).Seconds(), max(1, warm)
	}
	return took / float64(counted) * float64(l.val.Len()), nil
}
