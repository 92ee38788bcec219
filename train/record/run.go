// Package record is what a run leaves in writing. [Log] appends its events to
// events.jsonl, [Open] reads them back, and a [Run] is what they add up to:
// whoever wants to know how a run stands asks that one. From the same events
// other writers make history.csv ([OpenCSV]), the lines of a headless run
// ([Report]), and, in packages of their own, TensorBoard files and metrics: each
// is a [Sink].
package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Run is what the events of one run add up to. The zero value is a run that
// nothing is known of. It is fed by Apply and is not safe for use by several
// goroutines; the events that it points to are never changed.
type Run struct {
	Name string
	// Started is the newest RunStarted; nil if none came.
	Started *event.RunStarted
	// Epochs are the epochs done, by number, each once.
	Epochs []*event.EpochDone
	// Step is the newest step; nil before the first, and after a resume until
	// there is one that it didn't take back.
	Step *event.StepDone
	// Evaluated is the newest confusion matrix and samples.
	Evaluated *event.Evaluated
	// Checkpoints are the files saved and not replaced since, oldest first,
	// each once.
	Checkpoints []*event.CheckpointSaved
	// Planned is the newest plan of a run with a budget; nil: none is known.
	Planned *event.Planned
	// LearnRates are the changes made by a person.
	LearnRates []*event.LearnRateChanged
	// Warnings counts the warnings, and Phases adds up where the time of the
	// steps went, since the newest RunStarted: in one process.
	Warnings int
	Phases   event.Phases
	// State is what the run was doing at the newest event, and Reason why.
	State  event.State
	Reason string
	// Ended is set while the run is over; a resume clears it.
	Ended *event.RunEnded
	// Seq and Time are those of the newest event.
	Seq  uint64
	Time time.Time
}

// Change is what an event changed in a [Run].
type Change struct {
	// Known is set when the event is no newer than what the run knows: nothing
	// has changed.
	Known bool
	// Began is set at the start of the run, which drops all that was known of
	// another of its name; Resumed when it goes on from a checkpoint, which drops
	// what [takenBack] says.
	Began, Resumed bool
	// GivenBack is set when the event is an older epoch than the newest that is known,
	// which the record had lost and has again: it is in its place.
	GivenBack bool
	// Before is the state before the event.
	Before event.State
}

// Read reads the record of one run folder. The run has the folder's name,
// whatever it was called before somebody renamed or copied the folder.
func Read(folder string) (*Run, error) {
	r, err := Open(folder)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	run := new(Run)
	for {
		events, err := r.Next(context.Background(), 4096)
		for _, e := range events {
			run.Apply(e)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", folder, err)
		}
	}
	run.Name = rundir.Name(folder)
	return run, nil
}

// plan puts the epochs that fit a budget in the place of the configured ones.
func (r *Run) plan(e *event.Planned) {
	r.Planned = e
	if r.Started == nil {
		return
	}
	started := *r.Started // events are never changed
	started.Config.Epochs = e.Epochs
	r.Started = &started
}

// Apply takes the next event and tells what it has changed. An event whose
// number is no higher than the newest one's is known already, as happens where a
// reader gets the past from a file and the present from the run, unless it is an
// epoch that the run lacks; one without a number is always new.
func (r *Run) Apply(e event.Event) Change {
	h := e.Head()
	c := Change{Before: r.State}
	if h.Seq > 0 && h.Seq <= r.Seq {
		epoch, ok := e.(*event.EpochDone)
		c.GivenBack = ok && r.giveBack(epoch)
		c.Known = !c.GivenBack
		return c
	}
	switch e := e.(type) {
	case *event.RunStarted:
		c.Began, c.Resumed = !e.Resumed, e.Resumed
		r.start(e)
	case *event.StepDone:
		r.Step = e
		r.Phases.Add(e.Phases)
		if r.State == event.StateStarting || r.State == "" {
			r.State = event.StateRunning // the line that said so is lost
		}
	case *event.EpochDone:
		if last := r.LastEpoch(); last != nil && last.Epoch >= e.Epoch { // a record may hold one twice
			r.Epochs = slices.DeleteFunc(r.Epochs, func(o *event.EpochDone) bool { return o.Epoch >= e.Epoch })
		}
		r.Epochs = append(r.Epochs, e)
	case *event.Evaluated:
		r.Evaluated = e
	case *event.CheckpointSaved:
		r.Checkpoints = slices.DeleteFunc(r.Checkpoints, func(o *event.CheckpointSaved) bool {
			return o.File == e.File || slices.Contains(e.Removed, o.File)
		})
		r.Checkpoints = append(r.Checkpoints, e)
	case *event.StateChanged:
		r.State, r.Reason = e.State, e.Reason
	case *event.LearnRateChanged:
		r.LearnRates = append(r.LearnRates, e)
	case *event.Planned:
		r.plan(e)
	case *event.Warning:
		r.Warnings++
	case *event.RunEnded:
		r.Ended, r.State = e, e.Outcome.State()
	}
	r.Seq, r.Time = max(r.Seq, h.Seq), h.Time
	if r.Name == "" {
		r.Name = h.Run
	}
	return c
}

// giveBack puts an epoch into its place that the run lacks, and reports whether it
// does. One that a resume has taken back it does not lack.
func (r *Run) giveBack(e *event.EpochDone) bool {
	if r.Started != nil && e.Seq < r.Started.Seq && takenBack(e, r.Started) {
		return false
	}
	i, found := slices.BinarySearchFunc(r.Epochs, e.Epoch, func(o *event.EpochDone, n int) int { return o.Epoch - n })
	switch {
	case !found:
		r.Epochs = slices.Insert(r.Epochs, i, e)
	case r.Epochs[i].Seq > 0 && r.Epochs[i].Seq < e.Seq: // done anew, of which the record had lost the line
		r.Epochs[i] = e
	default:
		return false
	}
	return true
}

// start opens the run, or opens it again.
func (r *Run) start(e *event.RunStarted) {
	if !e.Resumed {
		*r = Run{Name: r.Name}
	}
	r.Started, r.Ended, r.State, r.Reason = e, nil, event.StateStarting, ""
	r.Warnings, r.Phases = 0, event.Phases{}
	r.Epochs = slices.DeleteFunc(r.Epochs, func(o *event.EpochDone) bool { return takenBack(o, e) })
	r.LearnRates = slices.DeleteFunc(r.LearnRates, func(o *event.LearnRateChanged) bool { return takenBack(o, e) })
	if r.Evaluated != nil && takenBack(r.Evaluated, e) {
		r.Evaluated = nil
	}
	if r.Step != nil && takenBack(r.Step, e) {
		r.Step = nil
	}
}

// takenBack reports whether a resume does anew what an earlier event tells of: a
// process was killed after its last checkpoint, and the resume goes on from
// there. Steps and settings go by the batches done. An epoch goes by its number:
// all its batches may have been done at the checkpoint and its validation not,
// which then comes again.
func takenBack(e event.Event, resume *event.RunStarted) bool {
	if !resume.Resumed {
		return true
	}
	switch e := e.(type) {
	case *event.StepDone:
		return e.Total > resume.ResumedTotal
	case *event.LearnRateChanged:
		return e.Total > resume.ResumedTotal
	case *event.EpochDone:
		return e.Epoch >= resume.ResumedEpoch
	case *event.Evaluated:
		return e.Epoch >= resume.ResumedEpoch
	}
	return false // what was said and written stays so
}

// LastEpoch is the newest epoch done, nil before the first.
func (r *Run) LastEpoch() *event.EpochDone {
	if len(r.Epochs) == 0 {
		return nil
	}
	return r.Epochs[len(r.Epochs)-1]
}

// Position is the epoch under way, from 1, and the batches done of those in it.
// Between two epochs it is the next one, with none done; when none comes after
// the last, that one, with all done.
func (r *Run) Position() (epoch, step, steps int) {
	epoch = 1
	last := 0 // the last that may come
	if s := r.Started; s != nil {
		last = s.Config.Epochs
		if s.Resumed {
			epoch, step = max(1, s.ResumedEpoch), s.ResumedStep
		}
	}
	if e := r.LastEpoch(); e != nil && e.Epoch >= epoch {
		epoch, step, last = e.Epoch+1, 0, max(last, e.Epochs)
	}
	if s := r.Step; s != nil && (s.Epoch > epoch || s.Epoch == epoch && s.Step >= step) {
		return s.Epoch, s.Step, s.Steps
	}
	if epoch > 1 && step == 0 && (r.Ended != nil || last > 0 && epoch > last) {
		epoch--
		step = r.stepsOf(epoch)
	}
	return epoch, step, r.stepsOf(epoch)
}

// stepsOf is how many batches an epoch has, as far as is known: the last one of a run
// with a budget may have fewer than others.
func (r *Run) stepsOf(epoch int) int {
	if s := r.Step; s != nil && s.Epoch == epoch && s.Steps > 0 {
		return s.Steps
	}
	if last := r.lastSteps(epoch); last > 0 {
		return last
	}
	return int(math.Round(r.WholeSteps()))
}

// lastSteps is how many batches an epoch has that a plan ends with sooner; 0: the plan
// does not.
func (r *Run) lastSteps(epoch int) int {
	p := r.Planned
	if p == nil || p.Epochs != epoch || r.Started != nil && r.Started.Config.Budget == 0 {
		return 0
	}
	return p.LastSteps
}

// WholeSteps is how many batches an epoch has that is no shorter than others, by the
// newest start or, where that is not known, about as many as those done have had; 0:
// nothing is known.
func (r *Run) WholeSteps() float64 {
	if r.Started != nil {
		return float64(r.Started.StepsPerEpoch)
	}
	if s := r.Step; s != nil && s.Epoch > 1 {
		return float64(s.Total-int64(s.Step)) / float64(s.Epoch-1)
	} else if s != nil {
		return float64(s.Steps)
	}
	e := r.LastEpoch()
	if e == nil || e.Total <= 0 || e.Epoch <= 0 {
		return 0
	}
	if last := r.lastSteps(e.Epoch); last > 0 && e.Epoch > 1 {
		return float64(e.Total-int64(last)) / float64(e.Epoch-1)
	}
	return float64(e.Total) / float64(e.Epoch)
}

// Progress is the part of the run's batches that is done, from 0 to 1: of those that
// its epochs have and, where the settings allow fewer, of these. The settings are
// given, as not every reader of a record knows them from there.
func (r *Run) Progress(c config.Config) float64 {
	epoch, step, steps := r.Position()
	epochs := cmp.Or(r.EpochsInAll(), c.Epochs)
	whole := cmp.Or(r.WholeSteps(), float64(steps), 1)
	done := float64(epoch-1)*whole + float64(step)
	all := float64(epochs) * whole
	if last := r.lastSteps(epochs); last > 0 {
		all -= whole - float64(last)
	}
	part := 0.0
	if all > 0 {
		part = done / all
	}
	if c.MaxSteps > 0 {
		part = max(part, float64(r.Total())/float64(c.MaxSteps))
	}
	return min(part, 1)
}

// Total counts the batches done since the run's start, over all resumes.
func (r *Run) Total() int64 {
	var total int64
	if r.Started != nil {
		total = r.Started.ResumedTotal
	}
	if r.Step != nil {
		total = max(total, r.Step.Total)
	}
	if e := r.LastEpoch(); e != nil {
		total = max(total, e.Total)
	}
	return total
}

// Elapsed is the training time at the newest event in seconds, pauses left out.
func (r *Run) Elapsed() float64 {
	elapsed := 0.0
	if r.Started != nil {
		elapsed = r.Started.Elapsed
	}
	if r.Step != nil {
		elapsed = max(elapsed, r.Step.Elapsed)
	}
	if e := r.LastEpoch(); e != nil {
		elapsed = max(elapsed, e.Elapsed)
	}
	if r.Ended != nil {
		elapsed = max(elapsed, r.Ended.Seconds)
	}
	return elapsed
}

// LearnRate is the newest learning rate: of the last batch, or what a person has
// set after it; before any, the one it begins with (0: not known).
func (r *Run) LearnRate() float64 {
	rate, total := 0.0, int64(-1)
	if r.Started != nil {
		rate = cmp.Or(r.Started.LearnRate, r.Started.Config.LR)
	}
	if e := r.LastEpoch(); e != nil {
		rate, total = e.LR, e.Total
	}
	if s := r.Step; s != nil && s.Total >= total {
		rate, total = s.LR, s.Total
	}
	if n := len(r.LearnRates); n > 0 && r.LearnRates[n-1].Total >= total {
		rate = r.LearnRates[n-1].To
	}
	return rate
}

// PatienceLeft is how many epochs without a better value are left before early
// stopping; -1 when that is off.
func (r *Run) PatienceLeft() int {
	if e := r.LastEpoch(); e != nil {
		return e.PatienceLeft
	}
	if r.Started != nil && r.Started.Config.Patience > 0 {
		return r.Started.Config.Patience
	}
	return -1
}

// Remaining estimates the seconds to the end of the epoch and of the whole run
// from the newest speed and from what the last epoch took beyond its batches, that
// of the run with a budget from what its plan expects; -1 where there is nothing to
// judge by. Early stopping may end the run sooner.
func (r *Run) Remaining() (epoch, whole float64) {
	if r.Started == nil || r.Step == nil || r.Step.ImagesPerSecond <= 0 || r.Ended != nil {
		return -1, -1
	}
	n, step, steps := r.Position()
	batch := float64(r.Started.Config.Batch) / r.Step.ImagesPerSecond // seconds
	validation := 0.0
	if e := r.LastEpoch(); e != nil {
		validation = max(0, e.Seconds-float64(r.stepsOf(e.Epoch))*batch)
	}
	epoch = float64(steps-step)*batch + validation
	whole = epoch + float64(max(r.EpochsInAll()-n, 0))*(float64(steps)*batch+validation)
	if r.Planned != nil && r.Started.Config.Budget > 0 { // it knows that epochs on smaller images are short
		whole = max(epoch, r.Planned.Seconds-r.Elapsed())
	}
	if m := r.Started.Config.MaxSteps; m > 0 {
		left := max(0, m-r.Total())
		epochs := left / int64(max(1, steps)) // about
		whole = min(whole, float64(left)*batch+float64(epochs)*validation)
		epoch = min(epoch, whole)
	}
	return epoch, whole
}

// EpochsInAll is how many epochs the run is to have, as the newest event says that
// tells: with a budget, as many as fit it; 0 if none does.
func (r *Run) EpochsInAll() (epochs int) {
	var newest uint64
	says := func(h *event.Header, n int) {
		if n > 0 && h.Seq >= newest {
			epochs, newest = n, h.Seq
		}
	}
	if s := r.Started; s != nil {
		says(&s.Header, s.Config.Epochs)
	}
	if e := r.LastEpoch(); e != nil {
		says(&e.Header, e.Epochs)
	}
	if p := r.Planned; p != nil {
		says(&p.Header, p.Epochs)
	}
	return epochs
}

// AtStepLimit reports whether the run has ended as its settings allow no more
// batches, with epochs left.
func (r *Run) AtStepLimit() bool {
	return r.Ended != nil && r.Started != nil && endedByLimit(r.Ended, r.Started.Config, r.EpochsInAll())
}

// endedByLimit is AtStepLimit of a run of so many epochs.
func endedByLimit(e *event.RunEnded, c config.Config, epochs int) bool {
	return e.Outcome == event.OutcomeFinished && c.MaxSteps > 0 && e.Epoch < epochs
}

// EpochsDone is how many epochs are done: those known or, where they are not all
// known, what the run's end tells.
func (r *Run) EpochsDone() int {
	done := 0
	if e := r.LastEpoch(); e != nil {
		done = e.Epoch
	}
	if r.Ended != nil {
		done = max(done, r.Ended.Epoch)
	}
	return done
}

// Best is the best validation accuracy and its epoch (0: none yet), from the
// epochs known or, where they are not all known, from the run's end.
func (r *Run) Best() (valAcc event.Float, epoch int) {
	if e := r.Ended; e != nil && e.BestValAccEpoch > 0 {
		return e.BestValAcc, e.BestValAccEpoch
	}
	if e := r.BestValAcc(); e != nil {
		return e.ValAcc, e.Epoch
	}
	return 0, 0
}

// BestAcc is the epoch with the best training accuracy, nil before the first.
func (r *Run) BestAcc() *event.EpochDone {
	return bestEpoch(r.Epochs, func(e *event.EpochDone) float64 { return float64(e.Acc) })
}

// BestValAcc is the epoch with the best validation accuracy, nil before the
// first.
func (r *Run) BestValAcc() *event.EpochDone {
	return bestEpoch(r.Epochs, func(e *event.EpochDone) float64 { return float64(e.ValAcc) })
}

// BestValLoss is the epoch with the least validation loss, nil before the first.
func (r *Run) BestValLoss() *event.EpochDone {
	return bestEpoch(r.Epochs, func(e *event.EpochDone) float64 { return -float64(e.ValLoss) })
}

// bestEpoch is the first epoch with the greatest value, as equal is not better;
// nil without epochs. A value that is not finite is never the best.
func bestEpoch(epochs []*event.EpochDone, value func(*event.EpochDone) float64) *event.EpochDone {
	var best *event.EpochDone
	for _, e := range epochs {
		v := value(e)
		if !math.IsNaN(v) && !math.IsInf(v, 0) && (best == nil || v > value(best)) {
			best = e
		}
	}
	return best
}

// Reached is the first epoch whose validation accuracy is goal or better, nil
// when there is none yet.
func (r *Run) Reached(goal float64) *event.EpochDone {
	for _, e := range r.Epochs {
		if float64(e.ValAcc) >= goal {
			return e
		}
	}
	return nil
}
