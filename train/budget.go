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
	// reserve is the part of the budget that is kept for what is not measured:
	// checkpoints, the start and the end.
	reserve = 0.015
	// spare is the part of the budget that must be left besides for a plan to get
	// one epoch longer, so that plans do not go back and forth.
	spare = 0.01
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
	pace, err := r.net.measure(r.ctx, r.at.Epoch, r.rate())
	r.at.clock.start()
	if err != nil {
		return err
	}
	r.pace = pace
	if r.at.Plan != nil && float64(r.t.from.Config.Budget) == budget {
		miss := r.at.clock.seconds() + r.left(r.at.Plan.Epochs) - budget
		if math.Abs(miss) < resumeTolerance*budget {
			r.announcePlan()
			return nil
		}
	}
	r.setPlan(r.fitting(reserve))
	return r.saveLast()
}

// replan learns from the epoch that is just done how long one takes, and changes
// the plan if the run would otherwise be over its budget, or could have more epochs:
// two, or one with time to spare.
func (r *run) replan(e *event.EpochDone) {
	if r.at.Plan == nil || r.at.over(r.config) {
		return
	}
	r.pace.learn(r.net.sizeAt(e.Epoch, e.Epochs), e.Seconds)
	planned, fit := r.at.Plan.Epochs, r.fitting(reserve)
	if fit < planned || fit > planned+1 || r.fitting(reserve+spare) > planned {
		r.setPlan(fit)
	}
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

// left is how many seconds the run takes from here on if it has so many epochs.
func (r *run) left(epochs int) (seconds float64) {
	here := r.pace[r.net.sizeAt(r.at.Epoch, epochs)]
	seconds = -here * float64(r.at.Step) / float64(r.net.steps)
	for epoch := r.at.Epoch; epoch <= epochs; epoch++ {
		seconds += r.pace[r.net.sizeAt(epoch, epochs)]
	}
	return seconds
}

// fitting is how many epochs the budget, less a part of it, has room for, those done
// among them; there is always one more to do.
func (r *run) fitting(kept float64) int {
	const most = 10_000
	room := float64(r.config.Budget)*(1-kept) - r.at.clock.seconds()
	return r.at.Epoch + sort.Search(most, func(more int) bool { return r.left(r.at.Epoch+more+1) > room })
}

// setPlan plans the run to have so many epochs.
func (r *run) setPlan(epochs int) {
	p := &checkpoint.Plan{Epochs: epochs, Step: r.at.Total}
	if at, total := r.net.progress(&r.at); r.at.Total > 0 && total > 0 {
		p.From = min(at/float64(total), 1)
	}
	if was := r.at.Plan; was != nil && was.Epochs == p.Epochs {
		return
	}
	r.at.Plan = p
	r.keep.unsaved = true
	r.announcePlan()
}

// announcePlan tells what is planned.
func (r *run) announcePlan() {
	left := r.left(r.at.Plan.Epochs)
	r.announce(&event.Planned{
		Epochs: r.at.Plan.Epochs, Budget: float64(r.config.Budget), Seconds: r.at.clock.seconds() + left,
		EpochSeconds: left / max(1, float64(r.at.Plan.Epochs-r.at.Epoch+1)),
	})
}

// measure returns about how many seconds an epoch takes, by the size of its
// images. It trains some batches and validates some images, and takes back what
// that has changed.
func (l *learner) measure(ctx context.Context, epoch int, rate float64) (pace, error) {
	restore, err := l.remember()
	if err != nil {
		return nil, err
	}
	p := pace{}
	for _, size := range l.sizes() {
		if err := l.resize(size); err != nil {
			return nil, err
		}
		step, err := l.timeSteps(ctx, epoch, rate)
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
func (l *learner) timeSteps(ctx context.Context, number int, rate float64) (float64, error) {
	epoch, err := l.images[l.size].Epoch(ctx, number, 0)
	if err != nil {
		return 0, err
	}
	defer epoch.Close()
	l.solver.SetLearnRate(rate)
	began, submitted := l.now(), 0
	from, took, counted := began, 0.0, -1
	for {
		enough := counted >= measureBatches && took >= measurePart*float64(l.config.Budget)
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
