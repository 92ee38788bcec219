// Package record is what a run leaves in writing. [Log] appends its events to
// events.jsonl, [Open] reads them back, and a [Run] is what they add up to. From
// the same events other writers make history.csv ([OpenCSV]), the lines of a
// headless run ([Report]), and, in packages of their own, TensorBoard files and
// metrics: each is a [Sink].
package record

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"

	"cifartui/train/event"
)

// History is what a run's events add up to: the epochs, the bests, where it
// stands. Screens and tables show it. It is fed by Apply and is not safe for use
// by several goroutines.
type History struct {
	// Runs are the runs in the order they appeared.
	Runs []*Run
}

// RunHistory is one run of a [History].
type Run struct {
	Name string
	// Started is the last RunStarted; nil if its line is missing.
	Started *event.RunStarted
	// Epochs are the epochs done, by number.
	Epochs []*event.EpochDone
	// Evaluated is the newest confusion matrix and samples.
	Evaluated *event.Evaluated
	// Last is the newest step.
	Last *event.StepDone
	// Checkpoints are the files saved and not replaced since, oldest first,
	// each once.
	Checkpoints []*event.CheckpointSaved
	// LearnRates are the changes made by a person.
	LearnRates []*event.LearnRateChanged
	// Warnings are all there were, oldest first.
	Warnings []*event.Warning
	State    event.State
	// Reason is why the run is in State.
	Reason string
	// Ended is set while the run is over; a resume clears it.
	Ended *event.RunEnded
	// Elapsed is the training time in seconds, pauses left out.
	Elapsed float64
}

// ReadHistory reads a source to its end.
func ReadHistory(ctx context.Context, src event.Source) (*History, error) {
	h := new(History)
	for {
		events, err := src.Next(ctx, 4096)
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if err != nil {
			return h, err
		}
		for _, e := range events {
			h.Apply(e)
		}
	}
}

// Run returns the run of a name, nil if there is none.
func (h *History) Run(name string) *Run {
	for _, r := range h.Runs {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Apply takes the next event.
func (h *History) Apply(e event.Event) {
	name := e.Head().Run
	r := h.Run(name)
	if r == nil {
		r = &Run{Name: name}
		h.Runs = append(h.Runs, r)
	}
	r.apply(e)
}

func (r *Run) apply(e event.Event) {
	switch e := e.(type) {
	case *event.RunStarted:
		r.start(e)
	case *event.StepDone:
		r.Last, r.Elapsed = e, e.Elapsed
	case *event.EpochDone:
		r.Elapsed = e.Elapsed
		// By number, in case a record holds an epoch twice.
		r.Epochs = slices.DeleteFunc(r.Epochs, func(o *event.EpochDone) bool { return o.Epoch >= e.Epoch })
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
	case *event.Warning:
		r.Warnings = append(r.Warnings, e)
	case *event.RunEnded:
		r.Ended, r.Elapsed = e, e.Seconds
	}
}

// start opens the run, or opens it again: what a killed process did after the
// checkpoint that the resume goes on from is done anew, so it is dropped.
func (r *Run) start(e *event.RunStarted) {
	if !e.Resumed {
		*r = Run{Name: r.Name}
	}
	r.Started, r.Ended, r.State, r.Reason = e, nil, event.StateStarting, ""
	r.Elapsed = e.Elapsed
	r.Epochs = slices.DeleteFunc(r.Epochs, func(o *event.EpochDone) bool { return o.Epoch >= e.ResumedEpoch })
	if r.Evaluated != nil && r.Evaluated.Epoch >= e.ResumedEpoch {
		r.Evaluated = nil
	}
	if r.Last != nil && r.Last.Total > e.ResumedTotal {
		r.Last = nil
	}
	r.LearnRates = slices.DeleteFunc(r.LearnRates, func(o *event.LearnRateChanged) bool { return o.Total > e.ResumedTotal })
}

// Best returns the epoch with the best monitored value, nil before the first.
func (r *Run) Best() *event.EpochDone {
	monitored := "val_acc"
	if r.Started != nil {
		monitored = r.Started.Config.Monitor
	}
	return bestEpoch(r.Epochs, func(e *event.EpochDone) float64 {
		if monitored == "val_loss" {
			return -float64(e.ValLoss)
		}
		return float64(e.ValAcc)
	})
}

// BestAcc returns the epoch with the best training accuracy, nil before the
// first.
func (r *Run) BestAcc() *event.EpochDone {
	return bestEpoch(r.Epochs, func(e *event.EpochDone) float64 { return float64(e.Acc) })
}

// BestValAcc returns the epoch with the best validation accuracy, nil before
// the first.
func (r *Run) BestValAcc() *event.EpochDone {
	return bestEpoch(r.Epochs, func(e *event.EpochDone) float64 { return float64(e.ValAcc) })
}

// bestEpoch is the first epoch with the greatest value; nil without epochs.
func bestEpoch(epochs []*event.EpochDone, value func(*event.EpochDone) float64) *event.EpochDone {
	var best *event.EpochDone
	for _, e := range epochs {
		if best == nil || value(e) > value(best) {
			best = e
		}
	}
	return best
}

// ReadRun reads the record of one run folder. The run has the folder's name,
// whatever it was called before somebody renamed or copied the folder.
func Read(folder string) (*Run, error) {
	r, err := Open(folder)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := &Run{}
	for {
		events, err := r.Next(context.Background(), 4096)
		for _, e := range events {
			h.apply(e)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	h.Name = filepath.Base(filepath.Clean(folder))
	return h, nil
}

// Reached returns the first epoch whose validation accuracy is goal or better,
// nil when there is none yet.
func (r *Run) Reached(goal float64) *event.EpochDone {
	for _, e := range r.Epochs {
		if float64(e.ValAcc) >= goal {
			return e
		}
	}
	return nil
}
