package train

import (
	"context"
	"errors"
	"io"
	"slices"
)

// History is what a run's events add up to: the epochs, the bests, where it
// stands. Screens and tables show it. It is fed by Apply and is not safe for use
// by several goroutines.
type History struct {
	// Runs are the runs in the order they appeared.
	Runs []*RunHistory
}

// RunHistory is one run of a [History].
type RunHistory struct {
	Name string
	// Started is the last RunStarted; nil if its line is missing.
	Started *RunStarted
	// Epochs are the epochs done, by number.
	Epochs []*EpochDone
	// Evaluated is the newest confusion matrix and samples.
	Evaluated *Evaluated
	// Last is the newest step.
	Last *StepDone
	// Checkpoints are the files saved and not replaced since, oldest first,
	// each once.
	Checkpoints []*CheckpointSaved
	// LearnRates are the changes made by a person.
	LearnRates []*LearnRateChanged
	// Warnings are all there were, oldest first.
	Warnings []*Warning
	State    State
	// Reason is why the run is in State.
	Reason string
	// Ended is set while the run is over; a resume clears it.
	Ended *RunEnded
	// Elapsed is the training time in seconds, pauses left out.
	Elapsed float64
}

// ReadHistory reads a source to its end.
func ReadHistory(ctx context.Context, src Source) (*History, error) {
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
func (h *History) Run(name string) *RunHistory {
	for _, r := range h.Runs {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Apply takes the next event.
func (h *History) Apply(e Event) {
	name := e.Head().Run
	r := h.Run(name)
	if r == nil {
		r = &RunHistory{Name: name}
		h.Runs = append(h.Runs, r)
	}
	r.apply(e)
}

func (r *RunHistory) apply(e Event) {
	switch e := e.(type) {
	case *RunStarted:
		r.start(e)
	case *StepDone:
		r.Last, r.Elapsed = e, e.Elapsed
	case *EpochDone:
		r.Elapsed = e.Elapsed
		// By number, in case a record holds an epoch twice.
		r.Epochs = slices.DeleteFunc(r.Epochs, func(o *EpochDone) bool { return o.Epoch >= e.Epoch })
		r.Epochs = append(r.Epochs, e)
	case *Evaluated:
		r.Evaluated = e
	case *CheckpointSaved:
		r.Checkpoints = slices.DeleteFunc(r.Checkpoints, func(o *CheckpointSaved) bool {
			return o.File == e.File || slices.Contains(e.Removed, o.File)
		})
		r.Checkpoints = append(r.Checkpoints, e)
	case *StateChanged:
		r.State, r.Reason = e.State, e.Reason
	case *LearnRateChanged:
		r.LearnRates = append(r.LearnRates, e)
	case *Warning:
		r.Warnings = append(r.Warnings, e)
	case *RunEnded:
		r.Ended, r.Elapsed = e, e.Seconds
	}
}

// start opens the run, or opens it again: what a killed process did after the
// checkpoint that the resume goes on from is done anew, so it is dropped.
func (r *RunHistory) start(e *RunStarted) {
	if !e.Resumed {
		*r = RunHistory{Name: r.Name}
	}
	r.Started, r.Ended, r.State, r.Reason = e, nil, StateStarting, ""
	r.Elapsed = e.Elapsed
	r.Epochs = slices.DeleteFunc(r.Epochs, func(o *EpochDone) bool { return o.Epoch >= e.ResumedEpoch })
	if r.Evaluated != nil && r.Evaluated.Epoch >= e.ResumedEpoch {
		r.Evaluated = nil
	}
	if r.Last != nil && r.Last.Total > e.ResumedTotal {
		r.Last = nil
	}
	r.LearnRates = slices.DeleteFunc(r.LearnRates, func(o *LearnRateChanged) bool { return o.Total > e.ResumedTotal })
}

// Best returns the epoch with the best monitored value, nil before the first.
func (r *RunHistory) Best() *EpochDone {
	monitored := "val_acc"
	if r.Started != nil {
		monitored = r.Started.Config.Monitor
	}
	return bestEpoch(r.Epochs, func(e *EpochDone) float64 {
		if monitored == "val_loss" {
			return -float64(e.ValLoss)
		}
		return float64(e.ValAcc)
	})
}

// BestAcc returns the epoch with the best training accuracy, nil before the
// first.
func (r *RunHistory) BestAcc() *EpochDone {
	return bestEpoch(r.Epochs, func(e *EpochDone) float64 { return float64(e.Acc) })
}

// BestValAcc returns the epoch with the best validation accuracy, nil before
// the first.
func (r *RunHistory) BestValAcc() *EpochDone {
	return bestEpoch(r.Epochs, func(e *EpochDone) float64 { return float64(e.ValAcc) })
}

// bestEpoch is the first epoch with the greatest value; nil without epochs.
func bestEpoch(epochs []*EpochDone, value func(*EpochDone) float64) *EpochDone {
	var best *EpochDone
	for _, e := range epochs {
		if best == nil || value(e) > value(best) {
			best = e
		}
	}
	return best
}
