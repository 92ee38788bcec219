package event

import "context"

// Command is what a person or a program asks of a running run. The set of
// types is closed: the types in this file.
type Command interface {
	// Target is the name of the run that is meant; "" means every run of the
	// process.
	Target() string
}

// To names the run that a command is for, "" for all, and Why who asked
// ("space pressed", "SIGTERM", "ctl"), which goes into the event log.
type To struct {
	Run string `json:"run,omitempty"`
	Why string `json:"why,omitempty"`
}

// Target implements [Command].
func (t To) Target() string { return t.Run }

// Pause halts training between two batches. It is answered by a StateChanged
// to StatePaused.
type Pause struct{ To }

// Resume goes on after a Pause. It also takes back a Stop after the epoch.
type Resume struct{ To }

// Save writes a checkpoint now, also while paused. It is answered by a
// CheckpointSaved with reason "manual".
type Save struct{ To }

// Boundary says where a Stop takes effect.
type Boundary string

// The boundaries at which a run can stop.
const (
	AfterBatch Boundary = "batch"
	AfterEpoch Boundary = "epoch"
)

// Stop ends training at the next boundary, with a checkpoint from which it can
// be resumed.
type Stop struct {
	To
	After Boundary `json:"after"`
	// Signal is the name of the signal that asks, such as SIGTERM; "" if a person
	// or a program does.
	Signal string `json:"signal,omitempty"`
}

// Detach ends this process's part of the run at the next batch, with a
// checkpoint from which another process goes on at once. The RunEnded that
// answers it has OutcomeDetached.
type Detach struct{ To }

// SetLearnRate sets the learning rate. A schedule goes on from there, scaled:
// its values are multiplied by what makes the present one Rate.
type SetLearnRate struct {
	To
	Rate float64 `json:"rate"`
}

// Source is where a reader gets a run's events from: a live run, an attached
// one, or a file.
type Source interface {
	// Next waits for events and returns at most max of them, in order. It
	// returns io.EOF when no more will come and ctx's error when ctx ends.
	Next(ctx context.Context, max int) ([]Event, error)
}

// Controller takes commands for a run. Send does not wait for the effect: that
// comes back as an event. It fails when the run has ended or cannot be reached.
type Controller interface {
	Send(Command) error
}
