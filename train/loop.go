package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
)

// run is one call of Trainer.Run. It belongs to the training goroutine. Its
// parts each know their own trade; what is done in which order is here.
type run struct {
	*announcer // tells what happens
	t          *Trainer
	config     config.Config
	ctx        context.Context

	at   standing // where the run stands
	net  *learner // what learns; nil until it is built
	pace pace     // of a run with a budget
	keep keeper   // what is kept
	ask  asked    // what was asked for
}

// Run trains until all epochs are done, the patience has run out, a command
// asks it to stop, ctx ends (which is a stop after the batch), or something
// fails. It is called once. emit is called on this goroutine and must not
// block: [event.Bus.Publish] is made for it. The error is nil unless the run failed;
// it wraps ErrDiverged when the loss is not finite.
func (t *Trainer) Run(ctx context.Context, emit func(event.Event)) error {
	t.options.Shared.Lock()
	defer t.options.Shared.Unlock()
	r := &run{
		announcer: &announcer{name: t.name, now: t.options.Now, log: t.log, emit: emit, seq: t.seq},
		t:         t, config: t.config, ctx: ctx,
		at: standAt(t.from, t.options.Now), keep: keeper{store: t.store},
	}
	if t.from != nil {
		r.keep.best = t.from.Best
	}
	t.store.GaveUp = func(file string) { r.keep.givenUp = append(r.keep.givenUp, file) }
	defer t.Close() // also after a panic
	defer func() { r.keep.wait() }()
	defer func() { r.net.close() }()
	r.log.Keep(t.beginning(), r.at.History)
	r.started()
	outcome, err := r.train()
	if err != nil {
		outcome = outcomeOf(err)
	}
	if serr := r.finish(outcome); serr != nil && err == nil {
		outcome, err = outcomeOf(serr), serr
	}
	r.at.clock.stop()
	r.passTurn()
	r.ended(outcome, err)
	t.asked = r.stillAsked()
	r.net.close()
	_ = t.Close()                                       // of a lock file that nothing is written to
	if err == nil && outcome != event.OutcomeDetached { // who goes on writes a whole one
		err = r.log.Lost()
	}
	return err
}

// outcomeOf is how a run ends that an error ends.
func outcomeOf(err error) event.Outcome {
	if errors.Is(err, ErrDiverged) {
		return event.OutcomeDiverged
	}
	return event.OutcomeFailed
}

// train trains all epochs that are left.
func (r *run) train() (event.Outcome, error) {
	if outcome := r.await(); outcome != "" {
		return outcome, r.ask.failure
	}
	if err := r.build(); err != nil {
		if errors.Is(err, context.Canceled) { // the end was asked for meanwhile
			return r.await(), r.ask.failure
		}
		return "", err
	}
	if r.t.resumed && r.over() {
		r.nothingLeft()
		if r.stepsUp() {
			return r.atLimit()
		}
	}
	for !r.at.over(r.config) {
		if outcome, err := r.epoch(); outcome != "" || err != nil {
			return outcome, err
		}
	}
	if outcome, err := r.test(); outcome != "" || err != nil {
		return outcome, err
	}
	if r.at.Monitor.Over(r.config) {
		return event.OutcomeEarlyStopped, nil
	}
	return event.OutcomeFinished, nil
}

// build makes the network and the images ready, with what the run starts from.
func (r *run) build() (err error) {
	if r.config.Preprocess == cifar.ZCA && r.t.from == nil {
		r.warn("the whitening matrix is computed from the training images, once for these: it takes a minute of two cores, or more, and a pause comes after it")
		if n := r.t.options.Dataset.Train; n.Len()-r.config.ValSplit < n.ImageBytes() {
			r.warn(fmt.Sprintf("%d images are too few for --preprocess zca: what none of them shows is multiplied by up to 1,000 in others; take %d or more", n.Len()-r.config.ValSplit, n.ImageBytes()))
		}
	}
	ctx, cancel := r.untilHalted()
	r.net, err = newLearner(ctx, r.t.options, r.config, r.t.spec, r.t.from)
	cancel()
	if err != nil {
		return err
	}
	switch {
	case r.t.from != nil:
		if err := r.net.resume(r.t.from); err != nil {
			return fmt.Errorf("resume %s: %w", r.t.folder, err)
		}
	case r.t.init != nil:
		if err := r.net.begin(r.t.init); err != nil {
			return fmt.Errorf("weights: %s: %w", r.config.Init, err)
		}
		fallthrough
	default:
		r.at.Rate = r.net.solver.LearnRate()
	}
	if err := r.net.allocate(); err != nil {
		return err
	}
	r.keep.store.Remove(r.at.Obsolete)
	r.at.Obsolete = nil
	r.restorePending()
	r.keep.lastSave = r.at.clock.seconds()
	if c := r.t.options.Checkpoint; c != "" && c != checkpoint.LastFile {
		// The record has taken back what comes after it: a kill must not bring that
		// back from the last one.
		if err := r.saveLast(); err != nil {
			return err
		}
	}
	if err := r.plan(); err != nil {
		return err
	}
	if r.t.from != nil {
		if err := r.resettle(); err != nil {
			return err
		}
	}
	if r.ask.rate != nil { // asked for after all that was given with the start
		r.setRate(*r.ask.rate)
	}
	return nil
}

// untilHalted is the run's context, which ends too when a command is there that ends
// the run at once. cancel is called when it is no more needed.
func (r *run) untilHalted() (ctx context.Context, cancel func()) {
	ctx, cancel = context.WithCancel(r.ctx)
	go func() {
		select {
		case <-r.t.commands.halt:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// epoch trains what is left of an epoch, validates, and keeps what came of it.
func (r *run) epoch() (event.Outcome, error) {
	if r.at.Step == 0 {
		r.at.EpochStart = r.at.clock.seconds()
	}
	if outcome, err := r.batches(); outcome != "" || err != nil {
		return outcome, err
	}
	v, outcome, err := r.validate()
	if outcome != "" || err != nil {
		return outcome, err
	}
	if !event.Float(v.loss()).Finite() {
		return "", r.diverged(fmt.Sprintf("the validation loss is %v after epoch %d", v.loss(), r.at.Epoch))
	}
	e := r.at.validated(r.config, v)
	r.endSave() // so that a record never tells of two epochs that no checkpoint has
	r.announce(e)
	v.said.Epoch = e.Epoch
	// Where it can't be written, what lies there tells that it is of another
	// epoch; that the disk is full the checkpoint will say.
	if r.t.lock.Taken(r.t.folder) == nil {
		_ = v.said.Write(r.t.options.disk, r.t.folder)
	}
	r.announce(&event.Evaluated{Epoch: e.Epoch, Confusion: v.confusion, Samples: v.worst(r.net.val)})
	if err := r.keepWeights(e); err != nil {
		return "", err
	}
	r.learn(e)
	r.at.nextEpoch()
	r.replan()
	if err := r.beginSave(); err != nil {
		return "", err
	}
	r.passTurn()
	r.listen() // a stop after the epoch that came while it ended is meant for this one
	if r.ask.afterEpoch && !r.at.over(r.config) {
		return event.OutcomeStopped, nil
	}
	return "", nil
}

// batches trains the batches that are left of the epoch. On a backend that runs
// behind the host's back several are under way; the run stands at the last one
// whose result was read, and await reads all of them before it obeys a command.
func (r *run) batches() (event.Outcome, error) {
	if outcome := r.await(); outcome != "" { // for the turn, before memory is taken
		return outcome, r.ask.failure
	}
	size := r.net.sizeAt(r.at.Epoch, r.at.small(r.config))
	if err := r.net.resize(size); err != nil {
		return "", err
	}
	images, err := r.net.images.EpochAt(r.ctx, size, r.at.Epoch, r.at.Step)
	if err != nil {
		return "", err
	}
	defer images.Close()
	defer func() { r.net.forget() }() // what an error has left under way
	for steps := r.steps(); r.at.Step < steps; {
		if outcome := r.await(); outcome != "" {
			return outcome, r.ask.failure
		}
		if r.at.Step == steps { // await has read the last ones
			break
		}
		if r.stepsUp() {
			return r.atLimit()
		}
		if err := r.net.submit(r.ctx, images, &r.at); err != nil {
			return "", fmt.Errorf("epoch %d, step %d: %w", r.at.Epoch, r.at.Step+r.net.underWay()+1, err)
		}
		if r.net.underWay() == 0 {
			continue // the context has ended: await sees it too, and stops
		}
		if err := r.batch(); err != nil {
			return "", err
		}
		if r.keep.written() {
			r.takeIn()
		}
		if r.saveIsDue() {
			if err := r.save(); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// batch takes the result of the oldest batch under way.
func (r *run) batch() error {
	b, err := r.net.result()
	if err != nil {
		return fmt.Errorf("epoch %d, step %d: %w", r.at.Epoch, r.at.Step+1, err)
	}
	if !event.Float(b.Loss).Finite() {
		return r.diverged(fmt.Sprintf("the loss is %v at epoch %d, step %d (batch %d of the run)", b.Loss, r.at.Epoch, r.at.Step+1, r.at.Total+1))
	}
	r.announce(r.at.trained(b, r.steps()))
	r.keep.unsaved = true
	return nil
}

// settle takes the results of all batches under way, so that the run stands
// where the weights are.
func (r *run) settle() error {
	for r.net != nil && r.net.underWay() > 0 {
		if err := r.batch(); err != nil {
			return err
		}
	}
	return nil
}

// steps are the batches of the epoch under way.
func (r *run) steps() int { return r.at.steps(r.net.steps) }

// rate is the learning rate of the next batch.
func (r *run) rate() float64 { return r.at.Rate * r.factor() }

// factor is the schedule's at the next batch.
func (r *run) factor() float64 { return r.net.factor(&r.at) }

// test evaluates the best weights on the test set, when that was not used to
// choose them. It happens once in a run. What is asked for meanwhile is obeyed at
// once, and then it begins anew.
func (r *run) test() (event.Outcome, error) {
	if !r.t.testsAtEnd() || r.keep.best == nil {
		return "", nil
	}
	r.endSave()
	for r.at.Test == nil {
		if r.interrupted() {
			if outcome := r.await(); outcome != "" {
				return outcome, r.ask.failure
			}
		}
		v, whole, err := r.testBest()
		if err != nil {
			return "", err
		}
		if whole {
			r.at.Test = &checkpoint.TestResult{Acc: event.Float(v.acc()), Loss: event.Float(v.loss())}
			r.keep.unsaved = true
		}
	}
	return "", nil
}

// testBest is one try of test. The network has the best weights meanwhile, so that
// nothing may be obeyed before it ends, whole or not.
func (r *run) testBest() (v validation, whole bool, err error) {
	if err := r.net.allocate(); err != nil { // given back with the turn
		return v, false, err
	}
	last, err := r.net.evaluated().Weights()
	if err != nil {
		return v, false, err
	}
	if err := r.net.evaluated().SetWeights(ofNetwork(r.keep.best)); err != nil {
		return v, false, err
	}
	v, err = r.net.evaluate(r.ctx, r.t.options.Dataset.Test, func() bool {
		whole = !r.interrupted()
		return whole
	})
	if err != nil {
		return v, false, err
	}
	return v, whole, r.net.evaluated().SetWeights(last)
}

// finish saves what is not saved yet, so that a resume goes on from here. It
// tries several times, since this is the last chance.
func (r *run) finish(outcome event.Outcome) error {
	r.endSave()
	if outcome == event.OutcomeFailed || outcome == event.OutcomeDiverged || r.net == nil {
		return nil
	}
	const tries = 3
	for i := 1; r.keep.unsaved || len(r.keep.pending) > 0; i++ {
		if err := r.saveLast(); err != nil {
			return err
		}
		if !r.keep.unsaved {
			break
		}
		if i == tries {
			return r.lost()
		}
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

// lost is the error of a run whose end could not be saved.
func (r *run) lost() error {
	if err := r.keep.failure; err != nil {
		return fmt.Errorf("epoch %d, step %d could not be saved, and what was trained since the last save is lost: %w: mend that, and resume", r.at.Epoch, r.at.Step, err)
	}
	f := r.keep.pending[0]
	return fmt.Errorf("weights of epoch %d could not be written: %w: mend that, and resume", f.epoch, f.failure)
}

// started tells that the run starts, and what a person should know of it.
func (r *run) started() {
	e := r.t.beginning()
	e.Resumed, e.Elapsed, e.Config.Epochs = r.t.resumed, r.at.Elapsed, r.at.epochs(r.config)
	if r.t.resumed {
		e.ResumedEpoch, e.ResumedStep, e.ResumedTotal = r.at.Epoch, r.at.Step, r.at.Total
	}
	r.announce(e)
	r.become(event.StateStarting, "")
	for _, w := range r.t.warnings {
		r.warn(w)
	}
	if r.config.SmallEpochs > 0 {
		if err := checkSize(r.t.options.Backend, r.config.Small()); err != nil {
			r.warn(err.Error() + ": the first epochs are on whole images")
		}
	}
}

// beginning tells what is trained, as of a run that begins.
func (t *Trainer) beginning() *event.RunStarted {
	data := t.options.Dataset
	e := &event.RunStarted{
		Config:      t.config,
		Folder:      absolute(t.folder),
		Dataset:     data.Name,
		Demo:        data.Demo,
		Classes:     data.Classes,
		TrainImages: data.Train.Len() - t.config.ValSplit,
		ValImages:   t.config.ValSplit,
		ValIsTest:   t.validatesOnTest(),
		LearnRate:   nn.BaseRate(t.config.Optimizer, t.config.LR),
		Kernels:     t.options.Backend.Name(),
		Threads:     t.options.Backend.Threads(),
		AtOnce:      t.options.AtOnce,
		PID:         os.Getpid(),
		Version:     t.options.Version,
	}
	if t.config.ValSplit == 0 {
		e.ValImages = cmp.Or(data.Val, data.Test).Len()
	}
	e.StepsPerEpoch = (e.TrainImages + t.config.Batch - 1) / t.config.Batch
	return e
}

// absolute is a path that means the same from every folder, if that can be told.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// become changes the state.
func (r *run) become(s event.State, reason string) {
	if s == r.at.state {
		return
	}
	r.at.state = s
	r.announce(&event.StateChanged{State: s, Reason: reason, Epoch: r.at.Epoch, Step: r.at.Step})
}

// ended tells how the run ended.
func (r *run) ended(outcome event.Outcome, err error) {
	e := &event.RunEnded{Outcome: outcome, Epoch: len(r.at.History), Seconds: r.at.clock.seconds()}
	state := event.StateFinished
	if err != nil {
		e.Error, state = err.Error(), event.StateFailed
		e.GoesOn = outcome == event.OutcomeFailed && r.t.options.GoesOn != nil && r.t.options.GoesOn(err)
	}
	if outcome == event.OutcomeStopped {
		e.Signal = r.ask.signal
	}
	h := record.Run{Epochs: r.at.History}
	if b := h.BestAcc(); b != nil {
		e.BestAcc, e.BestAccEpoch = b.Acc, b.Epoch
	}
	if b := h.BestValAcc(); b != nil {
		e.BestValAcc, e.BestValAccEpoch = b.ValAcc, b.Epoch
	}
	if t := r.at.Test; t != nil {
		e.TestAcc, e.TestLoss = &t.Acc, &t.Loss
	}
	r.become(state, r.ask.reason)
	r.announce(e)
}
