package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"cifartui/cifar/plain"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Report writes a run's events as log lines, for when no screen shows them:
// text in the article's form, or one JSON object a line. It writes no escape
// codes and no carriage returns.
type Report struct {
	// Out takes the lines, Err the warnings.
	Out, Err io.Writer
	// JSON chooses JSON over text.
	JSON bool
	// Every prints a line for each so many batches, with their means; 0: none.
	// The source should be a Bus.SubscribeSteps(Every).
	Every int
	// Names puts the run's name in front of each line, for a comparison.
	Names bool

	runs map[string]*reportRun
	err  error // of the first line that could not be written
}

// reportRun is what the report must remember of a run.
type reportRun struct {
	started event.RunStarted // the newest, with the epochs of the newest plan
	steps   *event.StepDone  // not yet printed
}

// Run writes a source's events until the source or ctx ends. It goes on reading
// when the lines cannot be written, and returns that error at the end.
func (r *Report) Run(ctx context.Context, src event.Source) error {
	for {
		events, err := src.Next(ctx, 256)
		for _, e := range events {
			r.Write(e)
		}
		if errors.Is(err, io.EOF) {
			return r.err
		}
		if err != nil {
			return errors.Join(r.err, err)
		}
	}
}

// Write writes the lines for one event; most have none.
func (r *Report) Write(e event.Event) {
	if r.runs == nil {
		r.runs = make(map[string]*reportRun)
	}
	name := e.Head().Run
	run := r.runs[name]
	if run == nil {
		run = new(reportRun)
		r.runs[name] = run
	}
	switch e := e.(type) {
	case *event.RunStarted:
		run.started = *e
	case *event.Planned:
		run.started.Config.Epochs = e.Epochs
	case *event.StepDone:
		r.step(run, e)
		return
	case *event.Warning:
		if r.JSON {
			r.printJSON(r.Err, warningJSON{e.Event, name, e.Message})
			return
		}
		r.print(r.Err, r.prefix(name)+"warning: "+oneLine(e.Message))
		return
	}
	if r.JSON {
		r.object(run, e)
		return
	}
	for _, line := range run.text(e) {
		r.print(r.Out, r.prefix(name)+line)
	}
}

// step gathers steps and prints them when Every are together.
func (r *Report) step(run *reportRun, e *event.StepDone) {
	if r.Every == 0 {
		return
	}
	if run.steps == nil {
		c := *e
		run.steps = &c
	} else {
		run.steps.Merge(e)
	}
	s := run.steps
	// A merged event of a bus that was not asked for groups may reach over a
	// multiple of Every.
	every := int64(r.Every)
	if s.Total/every == (s.Total-int64(s.Count))/every {
		return
	}
	run.steps = nil
	if r.JSON {
		r.object(run, s)
		return
	}
	r.print(r.Out, fmt.Sprintf("%sEpoch %d step %d/%d - loss: %.4f - acc: %.4f - lr: %g - %.0f images/s%s",
		r.prefix(s.Run), s.Epoch, s.Step, s.Steps, s.Loss, s.Acc, s.LR, s.ImagesPerSecond, run.label()))
}

func (r *Report) prefix(name string) string {
	if r.Names {
		return oneLine(name) + ": "
	}
	return ""
}

// label marks every line that shows an accuracy of the demo set.
func (run *reportRun) label() string {
	if run.started.Demo {
		return " (demo set)"
	}
	return ""
}

// text is an event in words.
func (run *reportRun) text(e event.Event) []string {
	switch e := e.(type) {
	case *event.RunStarted:
		return []string{startLine(e)}
	case *event.EpochDone:
		return []string{fmt.Sprintf("Epoch %d/%d %.0fs - loss: %.4f - acc: %.4f - val_loss: %.4f - val_acc: %.4f%s",
			e.Epoch, e.Epochs, e.Seconds, e.Loss, e.Acc, e.ValLoss, e.ValAcc, run.label())}
	case *event.CheckpointSaved:
		if e.Reason == "manual" {
			return []string{fmt.Sprintf("Saved %s at epoch %d, step %d", e.File, e.Epoch, e.Step)}
		}
	case *event.StateChanged:
		if e.State == event.StatePaused {
			return []string{fmt.Sprintf("Paused at epoch %d, step %d%s", e.Epoch, e.Step, because(e.Reason))}
		}
	case *event.LearnRateChanged:
		return []string{fmt.Sprintf("Learning rate set from %g to %g at epoch %d, step %d", e.From, e.To, e.Epoch, e.Step)}
	case *event.Planned:
		return []string{fmt.Sprintf("%d epochs%s fit the budget of %s: about %s an epoch, %s in all", e.Epochs, e.Aside(), length(e.Budget), length(e.EpochSeconds), length(e.Seconds))}
	case *event.RunEnded:
		return run.end(e)
	}
	return nil
}

// length writes seconds as a length of time.
func length(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

func startLine(e *event.RunStarted) string {
	data := e.Dataset
	if e.Demo {
		data = "the demo set"
	}
	val := "held out of the training set"
	switch {
	case e.ValIsTest:
		val = "the test set"
	case e.Config.ValSplit == 0:
		val = "images of their own"
	}
	kernels := e.Kernels + " kernels"
	switch e.Threads {
	case 0: // a GPU's
	case 1:
		kernels += ", 1 thread"
	default:
		kernels += fmt.Sprintf(", %d threads", e.Threads)
	}
	if e.AtOnce > 1 {
		kernels += fmt.Sprintf(", %d runs at once", e.AtOnce)
	}
	s := fmt.Sprintf("Run %s: %s, %d images, validated on %d (%s); batch %d, %s; %s",
		oneLine(e.Run), data, e.TrainImages, e.ValImages, val, e.Config.Batch, kernels, oneLine(e.Folder))
	if e.Resumed {
		s += fmt.Sprintf("; going on at epoch %d after %d steps", e.ResumedEpoch, e.ResumedStep)
	}
	return s
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + oneLine(reason) + ")"
}

// end is the last lines of a run: how it ended, and the article's three.
func (run *reportRun) end(e *event.RunEnded) []string {
	var lines []string
	switch e.Outcome {
	case event.OutcomeFinished:
		if c := run.started.Config; endedByLimit(e, c, c.Epochs) {
			lines = append(lines, fmt.Sprintf("Ended by the limit of %d steps (--max-steps) after %d of %d epochs; go on with: cifartui --resume %s --max-steps 0",
				c.MaxSteps, e.Epoch, c.Epochs, rundir.Quote(oneLine(run.started.Folder))))
		}
	case event.OutcomeEarlyStopped:
		lines = append(lines, fmt.Sprintf("Stopped early after epoch %d: the monitored value got no better", e.Epoch))
	case event.OutcomeStopped:
		by := "on request"
		if e.Signal != "" {
			by = "by " + oneLine(e.Signal)
		}
		lines = append(lines, fmt.Sprintf("Stopped %s; go on with: cifartui --resume %s", by, rundir.Quote(oneLine(run.started.Folder))))
	case event.OutcomeDetached:
		return []string{"Handed over to another process"}
	case event.OutcomeDiverged, event.OutcomeFailed:
		lines = append(lines, "Failed: "+oneLine(e.Error))
	}
	testing := "Validation"
	if run.started.ValIsTest {
		testing = "Testing"
	}
	lines = append(lines,
		fmt.Sprintf("@ Total Time Spent: %.2f seconds", e.Seconds),
		run.best("Training", e.BestAcc, e.BestAccEpoch),
		run.best(testing, e.BestValAcc, e.BestValAccEpoch))
	if e.TestAcc != nil {
		lines = append(lines, fmt.Sprintf("@ Testing Accuracy of the best weights: %.2f %%%s", 100**e.TestAcc, run.label()))
	}
	return lines
}

func (run *reportRun) best(what string, acc event.Float, epoch int) string {
	if epoch == 0 {
		return fmt.Sprintf("@ Best %s Accuracy: none, no epoch is done", what)
	}
	return fmt.Sprintf("@ Best %s Accuracy: %.2f %% achieved at EP #%d.%s", what, 100*acc, epoch, run.label())
}

// The JSON lines. Their fields are a part of the events' own, by the same names.
type (
	startJSON struct {
		Event         event.Kind `json:"event"`
		Run           string     `json:"run"`
		Folder        string     `json:"folder"`
		Dataset       string     `json:"dataset"`
		Demo          bool       `json:"demo"`
		TrainImages   int        `json:"train_images"`
		ValImages     int        `json:"val_images"`
		ValIsTest     bool       `json:"val_is_test"`
		StepsPerEpoch int        `json:"steps_per_epoch"`
		Kernels       string     `json:"kernels"`
		Threads       int        `json:"threads"`
		Version       string     `json:"version"`
		ResumedEpoch  int        `json:"resumed_epoch,omitempty"`
		ResumedStep   int        `json:"resumed_step,omitempty"`
	}
	stepJSON struct {
		Event event.Kind  `json:"event"`
		Run   string      `json:"run"`
		Epoch int         `json:"epoch"`
		Step  int         `json:"step"`
		Loss  event.Float `json:"loss"`
		Acc   event.Float `json:"acc"`
		LR    float64     `json:"lr"`
		Demo  bool        `json:"demo,omitempty"`
	}
	epochJSON struct {
		Event           event.Kind  `json:"event"`
		Run             string      `json:"run"`
		Epoch           int         `json:"epoch"`
		Epochs          int         `json:"epochs"`
		Batch           int         `json:"batch"`
		Loss            event.Float `json:"loss"`
		Acc             event.Float `json:"acc"`
		ValLoss         event.Float `json:"val_loss"`
		ValAcc          event.Float `json:"val_acc"`
		LR              float64     `json:"lr"`
		Seconds         float64     `json:"seconds"`
		ImagesPerSecond float64     `json:"images_per_second"`
		Demo            bool        `json:"demo,omitempty"`
	}
	savedJSON struct {
		Event  event.Kind `json:"event"`
		Run    string     `json:"run"`
		File   string     `json:"file"`
		Reason string     `json:"reason"`
		Epoch  int        `json:"epoch"`
		Step   int        `json:"step"`
	}
	stateJSON struct {
		Event  event.Kind  `json:"event"`
		Run    string      `json:"run"`
		State  event.State `json:"state"`
		Reason string      `json:"reason,omitempty"`
		Epoch  int         `json:"epoch"`
		Step   int         `json:"step"`
	}
	rateJSON struct {
		Event event.Kind `json:"event"`
		Run   string     `json:"run"`
		From  float64    `json:"from"`
		To    float64    `json:"to"`
		Epoch int        `json:"epoch"`
		Step  int        `json:"step"`
	}
	plannedJSON struct {
		Event        event.Kind `json:"event"`
		Run          string     `json:"run"`
		Epochs       int        `json:"epochs"`
		SmallEpochs  int        `json:"small_epochs,omitempty"`
		LastSteps    int        `json:"last_steps,omitempty"`
		Budget       float64    `json:"budget"`
		Seconds      float64    `json:"seconds"`
		EpochSeconds float64    `json:"epoch_seconds"`
	}
	warningJSON struct {
		Event   event.Kind `json:"event"`
		Run     string     `json:"run"`
		Message string     `json:"message"`
	}
	endJSON struct {
		Event           event.Kind    `json:"event"`
		Run             string        `json:"run"`
		Outcome         event.Outcome `json:"outcome"`
		Error           string        `json:"error,omitempty"`
		Epoch           int           `json:"epoch"`
		Seconds         float64       `json:"seconds"`
		BestAcc         *event.Float  `json:"best_acc"` // null: no epoch is done
		BestAccEpoch    *int          `json:"best_acc_epoch"`
		BestValAcc      *event.Float  `json:"best_val_acc"`
		BestValAccEpoch *int          `json:"best_val_acc_epoch"`
		TestAcc         *event.Float  `json:"test_acc,omitempty"`
		TestLoss        *event.Float  `json:"test_loss,omitempty"`
		Demo            bool          `json:"demo,omitempty"`
	}
)

// object prints an event as JSON. Events that only a screen wants have no line.
func (r *Report) object(run *reportRun, e event.Event) {
	var v any
	switch e := e.(type) {
	case *event.RunStarted:
		v = startJSON{e.Event, e.Run, e.Folder, e.Dataset, e.Demo, e.TrainImages, e.ValImages, e.ValIsTest, e.StepsPerEpoch, e.Kernels, e.Threads, e.Version, e.ResumedEpoch, e.ResumedStep}
	case *event.StepDone:
		v = stepJSON{e.Event, e.Run, e.Epoch, e.Step, e.Loss, e.Acc, e.LR, run.started.Demo}
	case *event.EpochDone:
		v = epochJSON{e.Event, e.Run, e.Epoch, e.Epochs, e.Batch, e.Loss, e.Acc, e.ValLoss, e.ValAcc, e.LR, e.Seconds, e.ImagesPerSecond, run.started.Demo}
	case *event.CheckpointSaved:
		v = savedJSON{e.Event, e.Run, e.File, e.Reason, e.Epoch, e.Step}
	case *event.StateChanged:
		v = stateJSON{e.Event, e.Run, e.State, e.Reason, e.Epoch, e.Step}
	case *event.LearnRateChanged:
		v = rateJSON{e.Event, e.Run, e.From, e.To, e.Epoch, e.Step}
	case *event.Planned:
		v = plannedJSON{e.Event, e.Run, e.Epochs, e.SmallEpochs, e.LastSteps, e.Budget, e.Seconds, e.EpochSeconds}
	case *event.RunEnded:
		end := endJSON{Event: e.Event, Run: e.Run, Outcome: e.Outcome, Error: e.Error, Epoch: e.Epoch, Seconds: e.Seconds,
			TestAcc: e.TestAcc, TestLoss: e.TestLoss, Demo: run.started.Demo}
		if e.BestAccEpoch > 0 {
			end.BestAcc, end.BestAccEpoch = &e.BestAcc, &e.BestAccEpoch
		}
		if e.BestValAccEpoch > 0 {
			end.BestValAcc, end.BestValAccEpoch = &e.BestValAcc, &e.BestValAccEpoch
		}
		v = end
	default:
		return
	}
	r.printJSON(r.Out, v)
}

func (r *Report) printJSON(w io.Writer, v any) {
	b, err := json.Marshal(v)
	if err != nil { // a number that JSON has not, from a damaged record
		r.keep(err)
		return
	}
	r.print(w, string(b))
}

func (r *Report) print(w io.Writer, line string) {
	_, err := io.WriteString(w, line+"\n")
	r.keep(err)
}

func (r *Report) keep(err error) {
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("write the log: %w", err)
	}
}

// oneLine makes one line of a text that may come from a file name or an error.
func oneLine(s string) string { return plain.Line(strings.ReplaceAll(s, "\n", "; ")) }
