package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/event"
	"cifartui/train/feed"
	"cifartui/train/record"
)

// run is one call of Trainer.Run. It belongs to the training goroutine.
type run struct {
	*Trainer
	ctx   context.Context
	tell  func(event.Event)
	clock stopwatch
	state event.State

	// What trains.
	loader     *cifar.Loader
	val        *cifar.Set
	prep       *cifar.Preprocess
	net        *nn.Network
	average    *nn.Network // moving average of net's weights; nil: there is none
	solver     nn.Solver
	step       *nn.Step
	eval       *nn.Eval
	feed       *feed.Feed  // of the training set
	valFeed    *feed.Feed  // of what is validated, from the first time on
	ahead      []submitted // batches of step that are under way
	lastResult time.Time   // when the newest result was read
	schedule   nn.Schedule
	steps      int // batches in an epoch
	rows       int // images in a whole batch

	pos checkpoint.Position
	// best are the best weights: always with a validation split, whose end
	// needs them, else until they are written.
	best     []checkpoint.Tensor
	pending  []weightsFile // could not be written yet
	unsaved  bool          // something has changed since the last last.ckpt
	lastSave float64       // the clock at the last try to write one
	logBad   bool          // the event log could not be written at the last look

	// What commands have asked for.
	paused, afterEpoch bool
	stop               event.Outcome
	reason             string // of the newest
	failure            error  // of a save that was asked for
	turn               bool   // this run has the turn
}

// Run trains until all epochs are done, the patience has run out, a command
// asks it to stop, ctx ends (which is a stop after the batch), or something
// fails. It is called once. emit is called on this goroutine and must not
// block: [event.Bus.Publish] is made for it. The error is nil unless the run failed;
// it wraps ErrDiverged when the loss is not finite.
func (t *Trainer) Run(ctx context.Context, emit func(event.Event)) error {
	r := &run{Trainer: t, ctx: ctx, tell: emit}
	r.clock.now = t.Now
	defer func() {
		// The lock is released when all else is done. Closing a lock file that
		// nothing was written to cannot lose anything.
		_ = t.Close()
	}()
	defer r.closeFeeds()
	defer r.free()
	r.position()
	r.started()
	for _, n := range t.notes {
		r.warn(n)
	}
	outcome, err := r.all()
	if err != nil {
		outcome = event.OutcomeFailed
		if errors.Is(err, ErrDiverged) {
			outcome = event.OutcomeDiverged
		}
	}
	if serr := r.finish(outcome); serr != nil && err == nil {
		outcome, err = event.OutcomeFailed, serr
	}
	r.clock.stop()
	r.giveTurn()
	r.ended(outcome, err)
	return err
}

// position sets where the run starts.
func (r *run) position() {
	r.pos = checkpoint.Position{Epoch: 1}
	if r.from != nil {
		r.pos = r.from.Position
		r.best = r.from.Best
	}
	r.pos.Seq = r.seq
	r.clock.total = time.Duration(r.pos.Elapsed * float64(time.Second))
}

// started emits RunStarted.
func (r *run) started() {
	e := &event.RunStarted{
		Config:      r.Config,
		Folder:      r.folder,
		Dataset:     r.Dataset.Name,
		Demo:        r.Dataset.Demo,
		Classes:     r.Dataset.Classes,
		TrainImages: r.Dataset.Train.Len() - r.Config.ValSplit,
		ValImages:   r.Config.ValSplit,
		ValIsTest:   r.Config.ValSplit == 0,
		LearnRate:   nn.BaseRate(r.Config.Optimizer, r.Config.LR),
		Kernels:     r.Backend.Name(),
		Threads:     r.Backend.Threads(),
		PID:         os.Getpid(),
		Version:     r.Version,
		Resumed:     r.resumed,
		Elapsed:     r.pos.Elapsed,
	}
	if e.ValIsTest {
		e.ValImages = r.Dataset.Test.Len()
	}
	e.Config.Epochs = r.epochs()
	e.StepsPerEpoch = (e.TrainImages + r.Config.Batch - 1) / r.Config.Batch
	if r.resumed {
		e.ResumedEpoch, e.ResumedStep, e.ResumedTotal = r.pos.Epoch, r.pos.Step, r.pos.Total
	}
	r.emit(e)
	r.setState(event.StateStarting, "")
}

// build makes the data and the network ready.
func (r *run) build() error {
	trainSet := r.Dataset.Train
	r.val = r.Dataset.Test
	var err error
	if n := r.Config.ValSplit; n > 0 {
		if trainSet, r.val, err = trainSet.Split(n, r.Config.Seed); err != nil {
			return err
		}
	}
	if r.prep, err = cifar.NewPreprocess(r.Config.Preprocess, trainSet); err != nil {
		return err
	}
	r.loader = cifar.NewLoader(trainSet, cifar.LoaderConfig{
		Batch: r.Config.Batch, Shuffle: r.Config.Shuffle, Augment: r.Config.Augment,
		Reflect: r.Config.Fill == "reflect", Alternate: r.Config.Flips == "alternate",
		Preprocess: r.prep, Seed: r.Config.Seed,
	})
	r.steps = r.loader.Steps()
	if r.net, err = nn.New(r.Backend, r.spec, r.Config.Seed); err != nil {
		return err
	}
	if r.Config.Average > 0 {
		if r.average, err = nn.New(r.Backend, r.spec, r.Config.Seed); err != nil {
			return err
		}
	}
	r.solver, err = nn.NewSolver(r.Backend, r.Config.Optimizer, nn.SolverOptions{
		LR: r.Config.LR, Momentum: r.Config.Momentum, WeightDecay: r.Config.WeightDecay,
		BiasLR: r.Config.BiasLR, DenseLR: r.Config.DenseLR, DenseMomentum: r.Config.DenseMomentum, DenseDecay: r.Config.DenseDecay,
	})
	if err != nil {
		return err
	}
	if r.schedule, err = nn.NewSchedule(r.Config.Schedule, r.Config.Warmup); err != nil {
		return err
	}
	if r.feed, err = feed.New(r.Backend, r.loader); err != nil {
		return err
	}
	if err := r.load(); err != nil {
		return err
	}
	r.rows = min(r.Config.Batch, trainSet.Len())
	return r.allocate()
}

// allocate makes what trains and evaluates batches.
func (r *run) allocate() (err error) {
	if r.step, err = r.net.NewStep(r.rows, r.solver); err != nil {
		return err
	}
	if r.average != nil {
		r.step.Average(r.average, 1-r.Config.Average)
	}
	r.eval, err = r.judged().NewEval(r.evalBatch())
	return err
}

// judged is the network that is validated, and whose weights are kept.
func (r *run) judged() *nn.Network {
	if r.average != nil {
		return r.average
	}
	return r.net
}

// load sets the weights and the optimiser's state that the run starts from.
func (r *run) load() error {
	switch {
	case r.from != nil:
		if err := r.net.SetWeights(ofNetwork(r.from.Weights)); err != nil {
			return fmt.Errorf("resume %s: %w", r.folder, err)
		}
		if err := r.solver.SetState(ofNetwork(r.from.Solver)); err != nil {
			return fmt.Errorf("resume %s: %w", r.folder, err)
		}
		if r.average != nil {
			if err := r.average.SetWeights(ofNetwork(r.from.Average)); err != nil {
				return fmt.Errorf("resume %s: moving average: %w", r.folder, err)
			}
		}
		r.from.Weights, r.from.Solver, r.from.Average = nil, nil, nil
		if r.pos.Step > 0 && r.pos.Sums.LR == 0 { // a file of an old version
			r.pos.Sums.LR = r.rate()
		}
		if lr := r.Config.LR; lr != r.from.Config.LR && lr > 0 {
			r.setRate(lr * r.factor()) // a new base, wherever the schedule stands
		}
		return nil
	case r.init != nil:
		if err := r.net.SetWeights(ofNetwork(r.init)); err != nil {
			return fmt.Errorf("weights: %s: %w", r.Config.Init, err)
		}
		if r.average != nil {
			if err := r.average.SetWeights(ofNetwork(r.init)); err != nil {
				return fmt.Errorf("weights: %s: %w", r.Config.Init, err)
			}
		}
	}
	r.pos.Rate = r.solver.LearnRate()
	return nil
}

// free gives back what allocate took. The weights and the optimiser stay.
func (r *run) free() {
	if r.step != nil {
		r.step.Close()
	}
	if r.eval != nil {
		r.eval.Close()
	}
	r.step, r.eval = nil, nil
}

// all trains all epochs.
func (r *run) all() (event.Outcome, error) {
	if outcome := r.await(); outcome != "" {
		return outcome, r.failure
	}
	if err := r.build(); err != nil {
		return "", err
	}
	r.store.Remove(r.pos.Obsolete)
	r.pos.Obsolete = nil
	r.restorePending()
	r.lastSave = r.clock.seconds()
	if err := r.plan(); err != nil {
		return "", err
	}
	if r.allDone() && r.resumed {
		r.warn(r.nothingLeft())
	}
	for !r.allDone() {
		if outcome, err := r.epoch(); outcome != "" || err != nil {
			return outcome, err
		}
	}
	if err := r.test(); err != nil {
		return "", err
	}
	if r.pos.Monitor.Over(r.Config) {
		return event.OutcomeEarlyStopped, nil
	}
	return event.OutcomeFinished, nil
}

func (r *run) allDone() bool {
	// The patience is looked at between epochs only: within one it cannot have
	// run out, unless a resume has made it shorter.
	return r.pos.Epoch > r.epochs() || r.pos.Step == 0 && r.pos.Monitor.Over(r.Config)
}

func (r *run) nothingLeft() string {
	if r.pos.Epoch > r.epochs() {
		if r.Config.Budget > 0 {
			return fmt.Sprintf("all %d epochs that fit the budget are done: to train on, resume with a longer --budget", r.epochs())
		}
		return fmt.Sprintf("all %d epochs are done: to train on, resume with more --epochs", r.epochs())
	}
	return fmt.Sprintf("the run stopped early, after %d epochs without a better %s: to train on, resume with more --patience, or 0", r.pos.Monitor.Wait, r.Config.Monitor)
}

// epoch trains what is left of an epoch, and validates.
func (r *run) epoch() (event.Outcome, error) {
	if r.pos.Step == 0 {
		r.pos.EpochStart = r.clock.seconds()
	}
	if outcome, err := r.batches(); outcome != "" || err != nil {
		return outcome, err
	}
	v, outcome, err := r.validate(r.val, true)
	if outcome != "" || err != nil {
		return outcome, err
	}
	if err := r.endEpoch(v); err != nil {
		return "", err
	}
	r.giveTurn()
	if r.afterEpoch && !r.allDone() {
		return event.OutcomeStopped, nil
	}
	return "", nil
}

// dropoutKey is drawn from the seed and the number of the batch in the run, by
// the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func dropoutKey(seed uint64, batch int64) uint64 {
	mix := func(z uint64) uint64 {
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	return mix(mix(seed+0x9e3779b97f4a7c15) + uint64(batch)*0x9e3779b97f4a7c15)
}

// rate is the learning rate of the next batch.
func (r *run) rate() float64 { return r.pos.Rate * r.factor() }

// factor is the schedule's at the next batch to be submitted.
func (r *run) factor() float64 {
	at, total := r.progress()
	return r.schedule.Rate(at, total)
}

// progress is where the next batch to be submitted stands in the schedule, and
// the steps of that.
func (r *run) progress() (at float64, total int64) {
	total = int64(r.epochs()) * int64(r.steps)
	if m := r.Config.MaxSteps; m > 0 {
		total = min(total, m)
	}
	step := r.pos.Total + int64(len(r.ahead))
	if p := r.pos.Plan; p != nil {
		return p.At(step, total), total
	}
	return float64(step), total
}

// epochs are those of the whole run, as far as is known.
func (r *run) epochs() int {
	if p := r.pos.Plan; p != nil {
		return p.Epochs
	}
	return r.Config.Epochs
}

// endEpoch tells of the epoch, and saves.
func (r *run) endEpoch(v validation) error {
	loss, acc := v.loss(), v.acc()
	if !event.Float(loss).Finite() {
		return r.diverged(fmt.Sprintf("the validation loss is %v after epoch %d", loss, r.pos.Epoch))
	}
	value := acc
	if r.Config.Monitor == "val_loss" {
		value = loss
	}
	best := r.pos.Monitor.Observe(r.Config, r.pos.Epoch, value)
	s := &r.pos.Sums
	elapsed := r.clock.seconds()
	e := &event.EpochDone{
		Epoch: r.pos.Epoch, Epochs: r.epochs(), Batch: r.Config.Batch, Total: r.pos.Total,
		Loss: s.Loss / event.Float(s.Rows), Acc: event.Float(s.Correct) / event.Float(s.Rows),
		ValLoss: event.Float(loss), ValAcc: event.Float(acc), LR: s.LR,
		Seconds: elapsed - r.pos.EpochStart, Elapsed: elapsed, Phases: s.Phases,
		Best: best, PatienceLeft: r.pos.Monitor.Left(r.Config),
	}
	if d := s.Trained - r.pos.EpochStart; d > 0 {
		e.ImagesPerSecond = float64(s.Rows) / d
	}
	r.emit(e)
	r.emit(&event.Evaluated{Epoch: e.Epoch, Confusion: v.confusion, Samples: v.worst(r.val)})
	r.pos.History = append(r.pos.History, e)
	if err := r.keepWeights(e); err != nil {
		return err
	}
	r.pos.Epoch++
	r.pos.Step = 0
	r.pos.Sums = checkpoint.Sums{}
	r.replan(e.Seconds)
	return r.saveLast()
}

// test evaluates the best weights on the test set, when that was not used to
// choose them. It happens once in a run.
func (r *run) test() error {
	if r.Config.ValSplit == 0 || r.pos.Test != nil || r.best == nil {
		return nil
	}
	if r.eval == nil { // given back with the turn
		if err := r.allocate(); err != nil {
			return err
		}
	}
	last, err := r.judged().Weights()
	if err != nil {
		return err
	}
	if err := r.judged().SetWeights(ofNetwork(r.best)); err != nil {
		return err
	}
	v, outcome, err := r.validate(r.Dataset.Test, false)
	if err != nil || outcome != "" {
		return err
	}
	if err := r.judged().SetWeights(last); err != nil {
		return err
	}
	r.pos.Test = &checkpoint.TestResult{Acc: event.Float(v.acc()), Loss: event.Float(v.loss())}
	r.unsaved = true
	return nil
}

// finish saves what is not saved yet, so that a resume goes on from here. It
// tries several times, since this is the last chance.
func (r *run) finish(outcome event.Outcome) error {
	if outcome == event.OutcomeFailed || outcome == event.OutcomeDiverged || r.net == nil {
		return nil
	}
	const tries = 3
	for i := 1; r.unsaved || len(r.pending) > 0; i++ {
		if err := r.saveLast(); err != nil {
			return err
		}
		if !r.unsaved {
			break
		}
		if i == tries {
			return fmt.Errorf("the last %s could not be written: what was trained since the one before it is lost", checkpoint.LastFile)
		}
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

// ended emits the last events.
func (r *run) ended(outcome event.Outcome, err error) {
	e := &event.RunEnded{Outcome: outcome, Epoch: len(r.pos.History), Seconds: r.clock.seconds()}
	state := event.StateFinished
	if err != nil {
		e.Error, state = err.Error(), event.StateFailed
	}
	h := record.Run{Epochs: r.pos.History}
	if b := h.BestAcc(); b != nil {
		e.BestAcc, e.BestAccEpoch = b.Acc, b.Epoch
	}
	if b := h.BestValAcc(); b != nil {
		e.BestValAcc, e.BestValAccEpoch = b.ValAcc, b.Epoch
	}
	if t := r.pos.Test; t != nil {
		e.TestAcc, e.TestLoss = &t.Acc, &t.Loss
	}
	r.setState(state, r.reason)
	r.emit(e)
}

// emit numbers an event, and gives it to the log and the readers.
func (r *run) emit(e event.Event) {
	r.pos.Seq++
	h := e.Head()
	h.Event, h.Seq, h.Run = event.KindOf(e), r.pos.Seq, r.name
	h.Time = r.Now().UTC().Truncate(time.Millisecond)
	r.log.Put(e)
	r.tell(e)
}

// warn emits a Warning.
func (r *run) warn(message string) { r.emit(&event.Warning{Message: message}) }

// setState emits a new state.
func (r *run) setState(s event.State, reason string) {
	if s == r.state {
		return
	}
	r.state = s
	r.emit(&event.StateChanged{State: s, Reason: reason, Epoch: r.pos.Epoch, Step: r.pos.Step})
}
