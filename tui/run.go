package tui

import (
	"fmt"
	"math"
	"slices"
	"time"

	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/tui/chart"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// How much is kept of a run, whatever its length.
const (
	stepRows    = 1 << 15 // about 3 MB
	epochRows   = 1 << 14
	logLines    = 2000
	pendingMost = 1 << 12
)

// Values of a step's row.
const (
	stepLoss = iota
	stepAcc
	stepSpeed
	stepValues
)

// Values of an epoch's row.
const (
	epochLoss = iota
	epochAcc
	epochValLoss
	epochValAcc
	epochSeconds
	epochSpeed
	epochValues
)

// A best is the best value of a run and the epoch it came at; epoch 0: none.
type best struct {
	value float64
	epoch int
}

// A run is a run as the screen knows it: what its events add up to, and what is
// the screen's own: points for charts, the log, and what the person has asked for.
type run struct {
	record.Run           // its Started is never nil
	stepAt     time.Time // when Step came here
	lost       string    // set when no more events come of a run that has not ended
	asked      string    // what a person asked for and has not happened yet
	wanted     float64   // the learning rate asked for; 0: none under way

	steps, epochs *chart.Series
	// pending are steps and epochs not yet in the series: the charts take them
	// up once a second, so that they are not sent to the terminal ten times.
	pending []event.Event
	// stale is set when epochs came that were done before others: their series is to be
	// made anew.
	stale       bool
	overfitting overfitting
	overfits    bool

	pixels map[int][]byte // images by index; at most the validation set
	log    []logLine
	hidden bool // in the comparison
	// savesPaused is set while a paused run saves, after which it is paused as before.
	savesPaused bool
}

// A logLine is one line of a run's log.
type logLine struct {
	at    time.Time
	style style.Style
	text  string
}

func newRun(name string) *run {
	return &run{
		Run:    record.Run{Name: name, State: event.StateStarting, Started: new(event.RunStarted)},
		steps:  chart.NewSeries(stepRows, stepValues),
		epochs: chart.NewSeries(epochRows, epochValues),
		pixels: map[int][]byte{},
	}
}

// apply learns from an event. It returns a few words for the message line when
// a person would want to be told.
func (r *run) apply(e event.Event, at time.Time) (notice string) {
	change := r.Apply(e)
	if change.Known {
		return ""
	}
	switch e := e.(type) {
	case *event.RunStarted:
		r.start(e)
	case *event.StepDone:
		r.stepAt = at
		r.pend(e)
	case *event.EpochDone:
		if r.stale = r.stale || change.GivenBack; !change.GivenBack {
			r.pend(e)
		}
		r.epochDone(e)
	case *event.Evaluated:
		r.evaluated(e)
	case *event.CheckpointSaved:
		return r.checkpoint(e)
	case *event.StateChanged:
		return r.changed(e, change.Before)
	case *event.LearnRateChanged:
		r.asked = ""
		if e.To == r.wanted {
			r.wanted = 0
		}
		r.writeLog(e, style.Plain, fmt.Sprintf("learning rate %s to %s at epoch %d, step %d", format.Rate(e.From), format.Rate(e.To), e.Epoch, e.Step))
		return fmt.Sprintf("Learning rate is %s since epoch %d, step %d.", format.Rate(e.To), e.Epoch, e.Step)
	case *event.Planned:
		r.writeLog(e, style.Plain, fmt.Sprintf("%s%s fit the budget of %s: %s an epoch", format.Plural(e.Epochs, "epoch"), e.Aside(), format.Duration(e.Budget), format.Duration(e.EpochSeconds)))
		return fmt.Sprintf("%s fit the budget.", format.Plural(e.Epochs, "epoch"))
	case *event.Warning:
		if e.Refuses != "" { // what was asked for will not come
			r.asked = ""
		}
		if e.Refuses == "lr" {
			r.wanted = 0
		}
		r.writeLog(e, style.Caution, e.Message)
		return e.Message
	case *event.RunEnded:
		return r.end(e)
	}
	return ""
}

func (r *run) start(e *event.RunStarted) {
	if !e.Resumed {
		known := r.Run
		*r = *newRun(r.Name)
		r.Run = known
		r.writeLog(e, style.Plain, fmt.Sprintf("started on %s: %s training and %s validation images, batch %d, %s",
			e.Dataset, format.Count(int64(e.TrainImages)), format.Count(int64(e.ValImages)), e.Config.Batch, computesOn(e)))
		return
	}
	r.asked, r.wanted = "", 0
	r.flush()
	r.steps.Rewind(e.ResumedTotal)
	kept := int64(0) // the batches at the end of the last epoch that counts
	if last := r.LastEpoch(); last != nil {
		kept = last.Total
	}
	r.epochs.Rewind(kept)
	r.overfitting, r.overfits = findOverfitting(r.epochs, epochLoss, epochValLoss)
	r.writeLog(e, style.Plain, fmt.Sprintf("resumed at epoch %d, step %d", e.ResumedEpoch, e.ResumedStep))
}

func (r *run) pend(e event.Event) {
	r.pending = append(r.pending, e)
	if len(r.pending) >= pendingMost {
		r.flush()
	}
}

// flush moves pending events into the series that the charts draw.
func (r *run) flush() {
	epochs := r.stale
	if r.stale {
		r.stale, r.epochs = false, chart.NewSeries(epochRows, epochValues)
		r.pending = slices.DeleteFunc(r.pending, func(e event.Event) bool { _, ok := e.(*event.EpochDone); return ok })
		for _, e := range r.Epochs {
			r.addEpoch(e)
		}
	}
	for _, e := range r.pending {
		switch e := e.(type) {
		case *event.StepDone:
			at := chart.Moment{chart.ByEpoch: float64(e.Epoch - 1), chart.ByStep: float64(e.Total), chart.ByTime: e.Elapsed}
			if e.Steps > 0 {
				at[chart.ByEpoch] += float64(e.Step) / float64(e.Steps)
			}
			r.steps.Add(int64(e.Count), at,
				chart.Sample{Mean: float64(e.Loss), Lo: float64(e.MinLoss), Hi: float64(e.MaxLoss)},
				chart.One(float64(e.Acc)), chart.One(e.ImagesPerSecond))
		case *event.EpochDone:
			r.addEpoch(e)
			epochs = true
		}
	}
	r.pending = r.pending[:0]
	if epochs {
		r.overfitting, r.overfits = findOverfitting(r.epochs, epochLoss, epochValLoss)
	}
}

func (r *run) addEpoch(e *event.EpochDone) {
	r.epochs.Add(1, chart.Moment{float64(e.Epoch), float64(e.Total), e.Elapsed},
		chart.One(float64(e.Loss)), chart.One(float64(e.Acc)), chart.One(float64(e.ValLoss)), chart.One(float64(e.ValAcc)),
		chart.One(e.Seconds), chart.One(e.ImagesPerSecond))
}

// epochDone writes the epoch's line into the log.
func (r *run) epochDone(e *event.EpochDone) {
	r.writeLog(e, style.Plain, fmt.Sprintf("epoch %*d  train %s %s  val %s %s  %s", len(fmt.Sprint(e.Epochs)),
		e.Epoch, format.Fixed4(float64(e.Loss)), format.Percent(float64(e.Acc)), format.Fixed4(float64(e.ValLoss)), format.Percent(float64(e.ValAcc)), format.Duration6(e.Seconds)))
}

// bestAcc is the best validation accuracy.
func (r *run) bestAcc() best {
	if e := r.BestValAcc(); e != nil {
		return best{float64(e.ValAcc), e.Epoch}
	}
	return best{}
}

// bestLoss is the best validation loss.
func (r *run) bestLoss() best {
	if e := r.BestValLoss(); e != nil {
		return best{float64(e.ValLoss), e.Epoch}
	}
	return best{}
}

// timeTo returns the seconds of training to a validation accuracy, NaN before it
// is reached.
func (r *run) timeTo(acc float64) float64 {
	if e := r.Reached(acc); e != nil {
		return e.Elapsed
	}
	return math.NaN()
}

// imagesPerSecond is the run's newest speed, 0 before its first step.
func (r *run) imagesPerSecond() float64 {
	switch {
	case r.LastEpoch() != nil:
		return r.LastEpoch().ImagesPerSecond
	case r.Step != nil:
		return r.Step.ImagesPerSecond
	}
	return 0
}

func (r *run) evaluated(e *event.Evaluated) {
	for _, s := range e.Samples {
		if len(s.Pixels) > 0 {
			r.pixels[s.Index] = s.Pixels
		}
	}
}

func (r *run) checkpoint(e *event.CheckpointSaved) string {
	if e.Reason == "last" {
		return "" // one an epoch: not worth a word
	}
	r.writeLog(e, style.Plain, fmt.Sprintf("saved %s (%s)", e.File, e.Reason))
	if e.Reason == "manual" {
		r.asked = ""
		return "Saved " + e.File + "."
	}
	return ""
}

func (r *run) changed(e *event.StateChanged, before event.State) string {
	if e.State != event.StateSaving {
		r.asked = ""
	}
	words := string(e.State)
	if e.Reason != "" {
		words += " (" + e.Reason + ")"
	}
	if e.State == event.StateStarting || before == event.StateStarting && e.State == event.StateRunning {
		return "" // the start has told so
	}
	if e.State == event.StateWaiting || before == event.StateWaiting && e.State == event.StateRunning {
		return "" // turns of a comparison
	}
	if e.State == event.StateFinished || e.State == event.StateFailed {
		return "" // the end, which comes next, tells more
	}
	r.writeLog(e, style.Plain, fmt.Sprintf("%s at epoch %d, step %d", words, e.Epoch, e.Step))
	stays := r.savesPaused && before == event.StateSaving
	r.savesPaused = e.State == event.StateSaving && before == event.StatePaused
	switch e.State {
	case event.StatePaused:
		if stays {
			return "" // what was saved stays to be read
		}
		return fmt.Sprintf("Paused after step %d of epoch %d.", e.Step, e.Epoch)
	case event.StateStopping:
		return "Stopping."
	case event.StateRunning:
		if before == event.StatePaused {
			return "Training goes on."
		}
	}
	return ""
}

func (r *run) end(e *event.RunEnded) string {
	r.asked = ""
	r.flush()
	st := style.Plain
	if r.State == event.StateFailed {
		st = style.Trouble
	}
	words := r.outcome()
	r.writeLog(e, st, words)
	return words
}

// outcome says in a sentence how the run ended.
func (r *run) outcome() string {
	e := r.Ended
	took := format.Duration(e.Seconds)
	bestWords := ""
	if e.BestValAccEpoch > 0 {
		bestWords = fmt.Sprintf(" Best val_acc %s at epoch %d.", format.Percent(float64(e.BestValAcc)), e.BestValAccEpoch)
	}
	if e.TestAcc != nil {
		bestWords += fmt.Sprintf(" Test accuracy %s.", format.Percent(float64(*e.TestAcc)))
	}
	switch e.Outcome {
	case event.OutcomeFinished:
		if r.AtStepLimit() {
			return fmt.Sprintf("The limit of %s steps (--max-steps) ended it after %s in %s.", format.Count(r.Started.Config.MaxSteps), format.Plural(e.Epoch, "epoch"), took) + bestWords
		}
		return fmt.Sprintf("Finished %s in %s.", format.Plural(e.Epoch, "epoch"), took) + bestWords
	case event.OutcomeEarlyStopped:
		return fmt.Sprintf("Stopped early after %s in %s: no better value came.", format.Plural(e.Epoch, "epoch"), took) + bestWords
	case event.OutcomeStopped:
		return fmt.Sprintf("Stopped and saved after %s; it can be resumed.", format.Plural(e.Epoch, "epoch")) + bestWords
	case event.OutcomeDetached:
		return "The run goes on in another process."
	case event.OutcomeDiverged:
		return "The loss is no longer finite: " + e.Error
	}
	if e.GoesOn {
		return "The run goes on from its last checkpoint: " + e.Error
	}
	return "The run failed: " + e.Error
}

// writeLog appends a line to the log.
func (r *run) writeLog(e event.Event, s style.Style, text string) {
	if len(r.log) >= logLines {
		r.log = append(r.log[:0], r.log[logLines/4:]...)
	}
	r.log = append(r.log, logLine{e.Head().Time, s, text})
}

// live reports whether the run is at work or paused.
func (r *run) live() bool { return r.Ended == nil && r.Started.StepsPerEpoch > 0 }

// atWork reports whether the run is training, so that more will come of it by itself.
func (r *run) atWork() bool {
	return r.live() && r.lost == "" && (r.State == event.StateRunning || r.State == event.StateStopping)
}

// elapsed is the run's training time in seconds. Between events it goes on
// with the clock while the run works.
func (r *run) elapsed(now time.Time) float64 {
	e := r.Elapsed()
	if r.Ended == nil && r.Step != nil && r.Step.Elapsed >= e && r.State == event.StateRunning && r.lost == "" && now.After(r.stepAt) {
		e += now.Sub(r.stepAt).Seconds()
	}
	return e
}

// computesOn says what computes, in words: a GPU has no threads.
func computesOn(e *event.RunStarted) string {
	if e.Threads == 0 {
		return e.Kernels + " kernels"
	}
	return format.Plural(e.Threads, "thread") + ", " + e.Kernels + " kernels"
}
