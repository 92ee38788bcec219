package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cifartui/nn"
	"cifartui/train/event"
)

// What is different in a run that is resumed with other settings, and what is
// told of it. What must not be different is refused before, see
// config.CheckResume.

// resettle obeys the settings of a resume where they are others than those of the
// checkpoint, and tells what they change besides.
func (r *run) resettle() error {
	if r.at.Step > 0 && r.at.Sums.LR == 0 { // a file of an old version
		r.at.Sums.LR = r.rate()
	}
	if r.over() {
		return nil // there is nothing that they could change
	}
	from := r.t.from.Config
	r.tellLength()
	if !r.t.options.NewRate && r.config.LR == from.LR {
		return nil
	}
	rate := nn.BaseRate(r.config.Optimizer, r.config.LR)
	if rate == r.at.Rate {
		return nil
	}
	f := r.factor()
	e := &event.LearnRateChanged{From: r.at.Rate * f, To: rate * f, Epoch: r.at.Epoch, Step: r.at.Step, Total: r.at.Total}
	r.at.Rate = rate // wherever the schedule stands
	r.announce(e)
	return r.saveLast() // a kill would bring the old rate back
}

// tellLength tells what another length of the run does to what goes by it: the
// learning rate's schedule and the size of the images. With a budget both go on
// where they stand, and the epochs are not what was given.
func (r *run) tellLength() {
	from, was := r.t.from.Config, r.at
	if r.at.Plan != nil {
		if r.config.Epochs != from.Epochs {
			r.warn(fmt.Sprintf("--epochs %d changes nothing: the budget of time sets the epochs (--budget 0 leaves them to --epochs)", r.config.Epochs))
		}
		return
	}
	was.Plan = r.t.from.Plan
	rate := was.Rate * r.net.schedule.Rate(r.net.progressBy(from, &was))
	epochs, before := r.at.epochs(r.config), was.epochs(from)
	if now := r.rate(); now != rate {
		r.warn(fmt.Sprintf("the schedule %q is now over %s instead of %s: the learning rate goes on at %.4g instead of %.4g (--lr sets the rate that the schedule multiplies)",
			r.config.Schedule, lengthOf(epochs, r.config.MaxSteps), lengthOf(before, from.MaxSteps), now, rate))
	}
	if size, old := r.net.sizeAt(r.at.Epoch, r.at.small(r.config)), r.net.sizeAt(r.at.Epoch, was.small(from)); size != old {
		r.warn(fmt.Sprintf("of %d epochs instead of %d others are on smaller images: epoch %d trains on %dx%d pixels instead of %dx%d",
			epochs, before, r.at.Epoch, size, size, old, old))
	}
}

// lengthOf says how long a run is to be.
func lengthOf(epochs int, maxSteps int64) string {
	s := fmt.Sprintf("%d epochs", epochs)
	if maxSteps > 0 {
		s += fmt.Sprintf(" or %d steps", maxSteps)
	}
	return s
}

// over reports whether nothing is left to train.
func (r *run) over() bool { return r.at.over(r.config) || r.stepsUp() }

// stepsUp reports whether all steps that there may be are done. The last epoch is
// still validated if they end with it.
func (r *run) stepsUp() bool {
	m := r.config.MaxSteps
	return m > 0 && r.at.Total >= m && r.at.Step < r.steps()
}

// atLimit ends a run whose steps are up, and keeps its weights.
func (r *run) atLimit() (event.Outcome, error) {
	if outcome, err := r.test(); outcome != "" || err != nil {
		return outcome, err
	}
	w, err := r.weightsNow("last")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(r.keep.store.Folder, w.name)); !r.keep.unsaved && !errors.Is(err, fs.ErrNotExist) {
		return event.OutcomeFinished, nil // a resume found all done
	}
	return event.OutcomeFinished, r.saveNow("last")
}

// nothingLeft says why a resumed run has nothing to train, and what to give for
// more. Its clock stands still.
func (r *run) nothingLeft() {
	r.at.clock.rewind(r.at.Elapsed)
	c, epochs := r.config, r.at.epochs(r.config)
	switch {
	case r.at.Epoch > epochs && c.Budget > 0:
		r.warn(fmt.Sprintf("all %d epochs that fit the budget are done: to train on, resume with a longer --budget", epochs))
	case r.at.Epoch > epochs:
		r.warn(fmt.Sprintf("all %d epochs are done: to train on, resume with more --epochs", epochs))
	case r.stepsUp():
		r.warn(fmt.Sprintf("all %d steps of --max-steps are done: to train on, resume with more, or with --max-steps 0 for all %d epochs", c.MaxSteps, epochs))
	default:
		r.warn(fmt.Sprintf("the run stopped early, after %d epochs without a better %s: to train on, resume with more --patience, or 0", r.at.Monitor.Wait, c.Monitor))
	}
}
