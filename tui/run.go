package tui

import (
	"fmt"
	"math"
	"slices"
	"time"

	"cifartui/train/event"
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

// A rateMark is a learning rate set by a person.
type rateMark struct {
	total int64
	to    float64
}

// A run is all that the screen knows of a run, made of its events alone.
type run struct {
	name    string
	started event.RunStarted
	state   event.State
	lost    string  // set when no more events come of a run that has not ended
	asked   string  // what a person asked for and has not happened yet
	wanted  float64 // the learning rate asked for; 0: none under way
	step    *event.StepDone
	stepAt  time.Time // when step came here
	epoch   *event.EpochDone
	ended   *event.RunEnded

	steps, epochs *chart.Series
	done          []*event.EpochDone // the newest epochRows at most, for the comparison's table
	// pending are steps and epochs not yet in the series: the charts take them
	// up once a second, so that they are not sent to the terminal ten times.
	pending []event.Event

	bestAcc, bestLoss best // of validation
	bestTrain         best
	reached           []reached
	rates             []rateMark
	overfitting       overfitting
	overfits          bool

	eval   *event.Evaluated // the newest
	pixels map[int][]byte   // images by index; at most the validation set
	saved  []*event.CheckpointSaved
	log    []logLine
	hidden bool // in the comparison
}

// reached is the first time that a validation accuracy was reached.
type reached struct {
	acc     float64
	epoch   int
	seconds float64
}

// A logLine is one line of a run's log.
type logLine struct {
	at    time.Time
	style style.Style
	text  string
}

func newRun(name string) *run {
	return &run{
		name: name, state: event.StateStarting,
		steps:  chart.NewSeries(stepRows, stepValues),
		epochs: chart.NewSeries(epochRows, epochValues),
		pixels: map[int][]byte{},
	}
}

// apply learns from an event. It returns a few words for the message line when
// a person would want to be told.
func (r *run) apply(e event.Event, at time.Time) (notice string) {
	switch e := e.(type) {
	case *event.RunStarted:
		r.start(e)
	case *event.StepDone:
		r.step, r.stepAt = e, at
		r.pend(e)
	case *event.EpochDone:
		r.epoch = e
		if len(r.done) == epochRows {
			r.done = slices.Delete(r.done, 0, epochRows/4)
		}
		r.done = append(r.done, e)
		r.pend(e)
		r.epochDone(e)
		return ""
	case *event.Evaluated:
		r.evaluated(e)
	case *event.CheckpointSaved:
		return r.checkpoint(e)
	case *event.StateChanged:
		return r.changed(e)
	case *event.LearnRateChanged:
		r.asked = ""
		if e.To == r.wanted {
			r.wanted = 0
		}
		r.rates = append(r.rates, rateMark{e.Total, e.To})
		r.writeLog(e, style.Plain, fmt.Sprintf("learning rate %s to %s at epoch %d, step %d", format.Rate(e.From), format.Rate(e.To), e.Epoch, e.Step))
		return fmt.Sprintf("Learning rate is %s since epoch %d, step %d.", format.Rate(e.To), e.Epoch, e.Step)
	case *event.Planned:
		r.started.Config.Epochs = e.Epochs
		r.writeLog(e, style.Plain, fmt.Sprintf("%s fit the budget of %s: %s an epoch", format.Plural(e.Epochs, "epoch"), format.Duration(e.Budget), format.Duration(e.EpochSeconds)))
		return fmt.Sprintf("%s fit the budget.", format.Plural(e.Epochs, "epoch"))
	case *event.Warning:
		r.writeLog(e, style.Caution, e.Message)
		return e.Message
	case *event.RunEnded:
		return r.end(e)
	}
	return ""
}

func (r *run) start(e *event.RunStarted) {
	if !e.Resumed {
		*r = *newRun(r.name)
	}
	r.started, r.ended, r.asked, r.state = *e, nil, "", event.StateStarting
	if !e.Resumed {
		r.writeLog(e, style.Plain, fmt.Sprintf("started on %s: %s training and %s validation images, batch %d, %s, %s kernels",
			e.Dataset, format.Count(int64(e.TrainImages)), format.Count(int64(e.ValImages)), e.Config.Batch, format.Plural(e.Threads, "thread"), e.Kernels))
		return
	}
	r.flush()
	r.rewind(e.ResumedTotal)
	r.writeLog(e, style.Plain, fmt.Sprintf("resumed at epoch %d, step %d", e.ResumedEpoch, e.ResumedStep))
}

// rewind drops what was done after step total and never saved.
func (r *run) rewind(total int64) {
	r.steps.Rewind(total)
	r.epochs.Rewind(total)
	r.done = slices.DeleteFunc(r.done, func(e *event.EpochDone) bool { return e.Total > total })
	if r.step != nil && r.step.Total > total {
		r.step = nil
	}
	if r.epoch != nil && r.epoch.Total > total {
		r.epoch = nil
	}
	for len(r.rates) > 0 && r.rates[len(r.rates)-1].total > total {
		r.rates = r.rates[:len(r.rates)-1]
	}
	r.bestAcc, r.bestLoss, r.bestTrain, r.reached = best{}, best{}, best{}, nil
	for i := range r.epochs.Len() {
		v := func(c int) float64 { return float64(r.epochs.Values[c].Mean[i]) }
		r.better(int(math.Round(r.epochs.At[chart.ByEpoch][i])), v(epochAcc), v(epochValAcc), v(epochValLoss), r.epochs.At[chart.ByTime][i])
	}
	r.overfitting, r.overfits = findOverfitting(r.epochs, epochLoss, epochValLoss)
}

func (r *run) pend(e event.Event) {
	r.pending = append(r.pending, e)
	if len(r.pending) >= pendingMost {
		r.flush()
	}
}

// flush moves pending events into the series that the charts draw.
func (r *run) flush() {
	epochs := false
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
			r.epochs.Add(1, chart.Moment{float64(e.Epoch), float64(e.Total), e.Elapsed},
				chart.One(float64(e.Loss)), chart.One(float64(e.Acc)), chart.One(float64(e.ValLoss)), chart.One(float64(e.ValAcc)),
				chart.One(e.Seconds), chart.One(e.ImagesPerSecond))
			epochs = true
		}
	}
	r.pending = r.pending[:0]
	if epochs {
		r.overfitting, r.overfits = findOverfitting(r.epochs, epochLoss, epochValLoss)
	}
}

// epochDone keeps the best values.
func (r *run) epochDone(e *event.EpochDone) {
	r.better(e.Epoch, float64(e.Acc), float64(e.ValAcc), float64(e.ValLoss), e.Elapsed)
	r.writeLog(e, style.Plain, fmt.Sprintf("epoch %*d  train %s %s  val %s %s  %s", len(fmt.Sprint(e.Epochs)),
		e.Epoch, format.Fixed4(float64(e.Loss)), format.Percent(float64(e.Acc)), format.Fixed4(float64(e.ValLoss)), format.Percent(float64(e.ValAcc)), format.Duration6(e.Seconds)))
}

func (r *run) better(epoch int, acc, valAcc, valLoss, elapsed float64) {
	if chart.Finite(acc) && (r.bestTrain.epoch == 0 || acc > r.bestTrain.value) {
		r.bestTrain = best{acc, epoch}
	}
	if chart.Finite(valAcc) && (r.bestAcc.epoch == 0 || valAcc > r.bestAcc.value) {
		r.bestAcc = best{valAcc, epoch}
		r.reached = append(r.reached, reached{valAcc, epoch, elapsed})
	}
	if chart.Finite(valLoss) && (r.bestLoss.epoch == 0 || valLoss < r.bestLoss.value) {
		r.bestLoss = best{valLoss, epoch}
	}
}

// timeTo returns the seconds of training to a validation accuracy, NaN before it
// is reached.
func (r *run) timeTo(acc float64) float64 {
	for _, t := range r.reached {
		if t.acc >= acc {
			return t.seconds
		}
	}
	return math.NaN()
}

// learnRate is the newest learning rate.
func (r *run) learnRate() float64 {
	switch {
	case r.step != nil:
		return r.step.LR
	case r.epoch != nil:
		return r.epoch.LR
	}
	return r.started.Config.LR
}

// imagesPerSecond is the run's newest speed, 0 before its first step.
func (r *run) imagesPerSecond() float64 {
	switch {
	case r.epoch != nil:
		return r.epoch.ImagesPerSecond
	case r.step != nil:
		return r.step.ImagesPerSecond
	}
	return 0
}

func (r *run) evaluated(e *event.Evaluated) {
	r.eval = e
	for _, s := range e.Samples {
		if len(s.Pixels) > 0 {
			r.pixels[s.Index] = s.Pixels
		}
	}
}

func (r *run) checkpoint(e *event.CheckpointSaved) string {
	kept := r.saved[:0]
	for _, c := range r.saved {
		if c.File != e.File && !slices.Contains(e.Removed, c.File) {
			kept = append(kept, c)
		}
	}
	r.saved = append(kept, e)
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

func (r *run) changed(e *event.StateChanged) string {
	before := r.state
	r.state = e.State
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
	r.writeLog(e, style.Plain, fmt.Sprintf("%s at epoch %d, step %d", words, e.Epoch, e.Step))
	switch e.State {
	case event.StatePaused:
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
	r.ended, r.asked = e, ""
	r.flush()
	r.state = event.StateFinished
	st := style.Plain
	if e.Outcome == event.OutcomeFailed || e.Outcome == event.OutcomeDiverged {
		r.state, st = event.StateFailed, style.Trouble
	}
	words := r.outcome()
	r.writeLog(e, st, words)
	return words
}

// outcome says in a sentence how the run ended.
func (r *run) outcome() string {
	e := r.ended
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
		return fmt.Sprintf("Finished %s in %s.", format.Plural(e.Epoch, "epoch"), took) + bestWords
	case event.OutcomeEarlyStopped:
		return fmt.Sprintf("Stopped early after %s in %s: no better value came.", format.Plural(e.Epoch, "epoch"), took) + bestWords
	case event.OutcomeStopped:
		return fmt.Sprintf("Stopped and saved after %s; it can be resumed.", format.Plural(e.Epoch, "epoch")) + bestWords
	case event.OutcomeDetached:
		return "The run goes on in another process."
	case event.OutcomeDiverged:
		return "The loss is no longer finite: " + e.Error
	default:
		return "The run failed: " + e.Error
	}
}

// writeLog appends a line to the log.
func (r *run) writeLog(e event.Event, s style.Style, text string) {
	if len(r.log) >= logLines {
		r.log = append(r.log[:0], r.log[logLines/4:]...)
	}
	r.log = append(r.log, logLine{e.Head().Time, s, text})
}

// live reports whether the run is at work or paused.
func (r *run) live() bool { return r.ended == nil && r.started.StepsPerEpoch > 0 }

// progress returns the epoch at work (from 1), and the steps done of steps in
// it.
func (r *run) progress() (epoch, step, steps int) {
	steps = r.started.StepsPerEpoch
	switch {
	case r.step != nil && (r.epoch == nil || r.step.Epoch > r.epoch.Epoch):
		return r.step.Epoch, r.step.Step, r.step.Steps
	case r.epoch != nil && r.ended != nil:
		return r.epoch.Epoch, steps, steps
	case r.epoch != nil:
		return r.epoch.Epoch + 1, 0, steps
	}
	return 1, 0, steps
}

// elapsed is the run's training time in seconds. Between events it goes on
// with the clock while the run works.
func (r *run) elapsed(now time.Time) float64 {
	e := r.started.Elapsed
	if r.epoch != nil {
		e = math.Max(e, r.epoch.Elapsed)
	}
	if r.ended != nil {
		return math.Max(e, r.ended.Seconds)
	}
	if r.step == nil || r.step.Elapsed < e {
		return e
	}
	e = r.step.Elapsed
	if r.state == event.StateRunning && r.lost == "" && now.After(r.stepAt) {
		e += now.Sub(r.stepAt).Seconds()
	}
	return e
}

// left estimates the seconds to the end of the epoch and of the whole run, -1
// where there is nothing to judge by. Early stopping may end it sooner.
func (r *run) left() (epoch, whole float64) {
	n, step, steps := r.progress()
	perStep := 0.0
	if r.step != nil && r.step.ImagesPerSecond > 0 {
		perStep = float64(r.started.Config.Batch) / r.step.ImagesPerSecond
	}
	if perStep == 0 {
		return -1, -1
	}
	epoch = float64(steps-step) * perStep
	full := float64(steps) * perStep
	if r.epoch != nil && r.epoch.Seconds > full {
		epoch += r.epoch.Seconds - full // validation
		full = r.epoch.Seconds
	}
	return epoch, epoch + float64(max(r.started.Config.Epochs-n, 0))*full
}
