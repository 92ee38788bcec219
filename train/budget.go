package train

import (
	"cmp"
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

// A run with a budget of training time has as many epochs as fit it, the last one
// with as many batches as the others leave time for. Some of its batches are
// trained and taken back to see how long they take; what comes of it is a
// checkpoint.Plan, which is saved, so that a resume goes on with the same bits. The
// plan is changed, with the schedule going on from where it stands, at
// the end of an epoch or by a resume, when the run would miss its budget.

const (
	// measureBatches are trained to see how long one takes, at least, and more as
	// long as measurePart of the budget and the epoch last.
	measureBatches = 3
	measurePart    = 0.005
	// ending is the part of the budget that is kept for the end of the run, at least:
	// an epoch may take longer than the one before, and after the last nothing makes up
	// for it. See keptForTheEnd.
	ending = 0.006
	// reserve is the part of the time left that is kept for what is not measured:
	// checkpoints, and a machine that gets slower.
	reserve = 0.01
	// tolerance is the part of the time left by which a plan may be wrong and stay.
	tolerance = 0.05
	// leastPart is the part of an epoch that is worth a validation, at least.
	leastPart = 0.1
	// changed is the part by which a machine is another one than before: less is as
	// well one that was busy for a moment.
	changed = 0.25
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
		if math.Abs(miss) < changed*budget {
			r.announcePlan()
			return nil
		}
	}
	fit := r.fitting()
	if r.at.Plan != nil && r.at.over(r.config) && r.needs(fit) > r.room(0) {
		return nil // a longer budget, but by less than a part of an epoch
	}
	r.setPlan(fit)
	return r.saveLast()
}

// learn corrects the pace by the epoch that is just done.
func (r *run) learn(e *event.EpochDone) {
	if r.at.Plan != nil {
		trained := r.at.Sums.Trained - r.at.EpochStart
		r.pace.learn(r.net.sizeAt(e.Epoch, r.planned().small), trained, e.Seconds-trained)
	}
}

// replan changes the plan if there is a better one.
func (r *run) replan() {
	if r.at.Plan != nil && !r.at.over(r.config) {
		r.setPlan(r.better())
	}
}

// better is the length that is planned, or another if the run would clearly be over
// its budget or leave time unused: one epoch takes longer than the next. Before the
// last epoch, for which nothing makes up, it is held to its time more closely.
func (r *run) better() length {
	planned, fit := r.planned(), r.fitting()
	left, end := r.left(planned), ending*float64(r.config.Budget)
	over, unused := r.needs(planned)-r.room(0), r.left(fit)-left
	most := tolerance * left
	mostOver := most
	if r.at.Epoch == planned.epochs {
		mostOver = min(most, end)
	}
	if over > mostOver || unused > most+end {
		return fit
	}
	return planned
}

// pace is how many seconds the batches of a whole epoch take, by the size of its
// images, and its validation.
type pace struct {
	batches    map[int]float64
	validation float64
	// epochs have taught it, and were so much off what it said before: squares is the
	// sum of the squares of the parts.
	epochs  int
	squares float64
}

// unsteady is by what part an epoch takes longer or shorter than the pace says, as
// far as is known.
func (p *pace) unsteady() float64 { return math.Sqrt(p.squares / float64(max(1, p.epochs))) }

// learn corrects the pace by an epoch. What it tells is taken half, as a machine
// that others use is faster and slower from one to the next, unless it is so much
// that something else has changed.
func (p *pace) learn(size int, trained, validated float64) {
	if p.batches[size] <= 0 || trained <= 0 {
		return
	}
	factor := trained / p.batches[size]
	if off := factor - 1; math.Abs(off) < changed {
		p.epochs++
		p.squares += off * off
		factor = (1 + factor) / 2
	}
	for s := range p.batches {
		p.batches[s] *= factor
	}
	p.validation = (p.validation + validated) / 2
}

// length is how many epochs a run has, how many of them, the first, train on
// smaller images, and how many batches the last one has; 0: all.
type length struct{ epochs, small, last int }

// planned is the length that the plan gives.
func (r *run) planned() length {
	return length{r.at.Plan.Epochs, r.at.small(r.config), r.at.Plan.LastSteps}
}

// left is how many seconds a run of such a length takes from here on.
func (r *run) left(l length) float64 {
	small := max(0, min(l.small, l.epochs)-r.at.Epoch+1)
	whole := l.epochs - r.at.Epoch + 1 - small
	seconds := float64(small)*r.pace.batches[r.net.small()] + float64(whole)*r.pace.batches[r.net.spec.Size] +
		float64(small+whole)*r.pace.validation
	seconds -= float64(r.at.Step) * r.perBatch(r.at.Epoch, l.small)
	if l.last > 0 {
		seconds -= float64(r.net.steps-l.last) * r.perBatch(l.epochs, l.small)
	}
	return seconds
}

// needs is left, and what is kept for the end.
func (r *run) needs(l length) float64 { return r.left(l) + r.keptForTheEnd(l) }

// keptForTheEnd is how many seconds longer the last epoch may take. Of a short budget
// it is a large part, and more than is kept of any other where the machine is unsteady.
func (r *run) keptForTheEnd(l length) float64 {
	last := float64(cmp.Or(l.last, r.net.steps))*r.perBatch(l.epochs, l.small) + r.pace.validation
	return max(ending*float64(r.config.Budget), r.pace.unsteady()*last)
}

// perBatch is how many seconds a batch of an epoch takes.
func (r *run) perBatch(epoch, small int) float64 {
	return r.pace.batches[r.net.sizeAt(epoch, small)] / float64(r.net.steps)
}

// room is how many seconds are left of the budget, less a part of them.
func (r *run) room(kept float64) float64 {
	return (float64(r.config.Budget) - r.at.clock.seconds()) * (1 - kept)
}

// fitting is the length that the budget, less a reserve, has room for. Epochs that
// are done stay what they were, and after a whole one there is no small one.
func (r *run) fitting() length {
	before := r.at.small(r.config)
	least := r.at.Epoch - 1
	switch {
	case least > before || least == before && r.at.Step > 0:
		return r.longest(func(int) int { return before })
	case r.at.Step > 0:
		least++
	}
	return r.longest(func(epochs int) int { return max(least, r.config.SmallOf(epochs)) })
}

// longest is the longest length that fits, of which so many epochs are small. There
// is always something more to do, so that the schedule comes to its end.
func (r *run) longest(smallOf func(epochs int) int) length {
	const most = 10_000
	room, steps := r.room(reserve), r.net.steps
	whole := func(epochs int) length { return length{epochs: epochs, small: smallOf(epochs)} }
	fit := sort.Search(most, func(n int) bool { return r.needs(whole(r.at.Epoch+n)) > room })
	l := whole(r.at.Epoch + fit) // the first that does not
	// With each batch less, less is kept for its taking longer.
	left, batch, off := r.left(l), r.perBatch(l.epochs, l.small), r.pace.unsteady()
	over := max(
		(left+ending*float64(r.config.Budget)-room)/batch,
		(left+off*(float64(steps)*batch+r.pace.validation)-room)/(batch*(1+off)),
	)
	least := int(math.Ceil(leastPart * float64(steps)))
	switch l.last = steps - max(0, int(math.Ceil(over-1e-6))); { // less what rounding adds
	case fit == 0:
		l.last = max(l.last, least, r.at.Step)
	case l.last < least:
		return whole(l.epochs - 1)
	}
	if l.last >= steps {
		l.last = 0
	}
	return l
}

// setPlan plans the run to have such a length, unless it does already.
func (r *run) setPlan(l length) {
	if r.at.Plan != nil && r.planned() == l {
		return
	}
	p := &checkpoint.Plan{Epochs: l.epochs, Small: l.small, LastSteps: l.last, Step: r.at.Total}
	if l.small == 0 && r.config.SmallOf(l.epochs) > 0 {
		p.Small = -1
	}
	if at, total := r.net.progress(&r.at); r.at.Total > 0 && total > 0 {
		p.From = min(at/float64(total), 1)
	}
	before := r.rate()
	r.at.Plan = p
	r.keep.unsaved = true
	r.announcePlan()
	if p.From == 1 {
		r.reopen(before)
	}
}

// reopen has a schedule that was at its end go on as if it had been as long as the run
// is to be now: where it ended the rate may be 0. before is that.
func (r *run) reopen(before float64) {
	_, total := r.net.progress(&r.at)
	r.at.Plan.From = float64(r.at.Total) / float64(total)
	if now := r.rate(); now != before {
		r.warn(fmt.Sprintf("the schedule %q was at its end and is now over %s: the learning rate goes on at %.4g instead of %.4g",
			r.config.Schedule, lengthOf(r.at.Plan.Epochs, r.config.MaxSteps), now, before))
	}
}

// announcePlan tells what is planned.
func (r *run) announcePlan() {
	planned := r.planned()
	left, epochs := r.left(planned), float64(planned.epochs-r.at.Epoch+1)
	if planned.last > 0 {
		epochs -= 1 - float64(planned.last)/float64(r.net.steps)
	}
	e := &event.Planned{
		Epochs: planned.epochs, LastSteps: planned.last, Budget: float64(r.config.Budget),
		Seconds: r.at.clock.seconds() + left, EpochSeconds: left / max(1, epochs),
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
	p := pace{batches: map[int]float64{}}
	restore, err := l.remember()
	if err != nil {
		return p, err
	}
	for _, size := range l.sizes() {
		if err := l.resize(size); err != nil {
			return p, err
		}
		step, err := l.timeSteps(ctx, epoch, rate, hurry)
		if err != nil {
			return p, fmt.Errorf("measure some batches for the budget: %w", err)
		}
		p.batches[size] = step * float64(l.steps)
	}
	if err := restore(); err != nil {
		return p, err
	}
	if p.validation, err = l.timeValidation(ctx); err != nil {
		return p, fmt.Errorf("measure the validation for the budget: %w", err)
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
