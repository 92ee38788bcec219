package train

import (
	"fmt"
	"time"

	"cifartui/nn"
	"cifartui/train/event"
	"cifartui/train/feed"
)

// submitted is a batch that is under way.
type submitted struct {
	at     time.Time
	waited time.Duration // for its images
	rate   float64
}

// batches trains the batches that are left of the epoch. On a backend that runs
// behind the host's back several are under way; the run's position is that of
// the last one whose result was read, and await reads all of them before it
// obeys a command.
func (r *run) batches() (event.Outcome, error) {
	epoch, err := r.feed.Epoch(r.ctx, r.pos.Epoch, r.pos.Step)
	if err != nil {
		return "", err
	}
	defer epoch.Close()
	defer r.forget()
	for r.pos.Step < r.steps {
		if outcome := r.await(); outcome != "" {
			return outcome, r.failure
		}
		if r.pos.Step == r.steps { // await has read the last ones
			break
		}
		if r.overSteps() {
			return event.OutcomeFinished, r.saveNow("last")
		}
		if err := r.submit(epoch); err != nil {
			return "", err
		}
		if len(r.ahead) == 0 {
			continue // the context has ended: await sees it too, and stops
		}
		if err := r.result(); err != nil {
			return "", err
		}
		if s := r.Config.SaveSeconds; s > 0 && r.clock.seconds()-r.lastSave >= s {
			if err := r.settle(); err != nil {
				return "", err
			}
			if err := r.saveLast(); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// overSteps reports whether the run has trained as many batches as it may.
func (r *run) overSteps() bool {
	return r.Config.MaxSteps > 0 && r.pos.Total >= r.Config.MaxSteps
}

// submit puts as many batches of the epoch under way as the step wants.
func (r *run) submit(epoch *feed.Epoch) error {
	for len(r.ahead) < r.step.Ahead() && r.pos.Step+len(r.ahead) < r.steps {
		total := r.pos.Total + int64(len(r.ahead))
		if r.Config.MaxSteps > 0 && total >= r.Config.MaxSteps {
			return nil
		}
		s := submitted{at: r.Now(), rate: r.rate()}
		r.solver.SetLearnRate(s.rate)
		var err error
		s.waited, err = epoch.Submit(r.step, dropoutKey(r.Config.Seed, total))
		if r.ctx.Err() != nil && err != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("epoch %d, step %d: %w", r.pos.Epoch, r.pos.Step+len(r.ahead)+1, err)
		}
		r.ahead = append(r.ahead, s)
	}
	return nil
}

// settle reads the results of all batches under way.
func (r *run) settle() error {
	for len(r.ahead) > 0 {
		if err := r.result(); err != nil {
			return err
		}
	}
	return nil
}

// forget drops what an error has left under way.
func (r *run) forget() { r.ahead = r.ahead[:0] }

// result reads the result of the oldest batch under way.
func (r *run) result() error {
	res, err := r.step.Result()
	if err != nil {
		return fmt.Errorf("epoch %d, step %d: %w", r.pos.Epoch, r.pos.Step+1, err)
	}
	if !event.Float(res.Loss).Finite() {
		r.forget() // the step has, too
		return r.diverged(fmt.Sprintf("the loss is %v at epoch %d, step %d (batch %d of the run)", res.Loss, r.pos.Epoch, r.pos.Step+1, r.pos.Total+1))
	}
	b := r.ahead[0]
	r.ahead = append(r.ahead[:0], r.ahead[1:]...)
	r.trained(b, res)
	return nil
}

// trained moves the position over a batch, and tells of it.
func (r *run) trained(b submitted, res nn.Result) {
	forward, backward, optimizer := r.step.Phases()
	phases := event.Phases{Data: b.waited.Seconds(), Forward: forward.Seconds(), Backward: backward.Seconds(), Optimizer: optimizer.Seconds()}
	r.pos.Step++
	r.pos.Total++
	r.unsaved = true
	s := &r.pos.Sums
	s.Loss += event.Float(res.Loss * float64(res.Rows))
	s.Correct += res.Correct
	s.Rows += res.Rows
	s.LR = b.rate
	s.Phases.Add(phases)
	elapsed := r.clock.seconds()
	s.Trained = elapsed
	e := &event.StepDone{
		Epoch: r.pos.Epoch, Step: r.pos.Step, Steps: r.steps, Total: r.pos.Total,
		Count: 1, Loss: event.Float(res.Loss), MinLoss: event.Float(res.Loss), MaxLoss: event.Float(res.Loss),
		Acc: event.Float(float64(res.Correct) / float64(res.Rows)), LR: b.rate, Elapsed: elapsed, Phases: phases,
	}
	now := r.Now()
	from := b.at
	if r.lastResult.After(from) { // others were under way before it
		from = r.lastResult
	}
	r.lastResult = now
	if d := now.Sub(from).Seconds(); d > 0 {
		e.ImagesPerSecond = float64(res.Rows) / d
	}
	r.emit(e)
}

// closeFeeds gives the images' memory on the backend back.
func (r *run) closeFeeds() {
	for _, f := range []*feed.Feed{r.feed, r.valFeed} {
		if f != nil {
			f.Close()
		}
	}
	r.feed, r.valFeed = nil, nil
}
