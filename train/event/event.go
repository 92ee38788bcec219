// Package event is the vocabulary between a run and whoever watches or steers
// it: what a run tells (the [Event] types), what it can be asked (the [Command]
// types), and the way between the two ([Source], [Controller], and [Bus], which
// never waits for a reader). It knows no trainer and no screen.
//
// EVENTS.md documents the events as they stand in events.jsonl, and
// events.schema.json holds them to it.
package event

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"cifartui/train/config"
)

// Kind names a type of event, as it stands in events.jsonl under "event".
type Kind string

// The closed set of event kinds.
const (
	KindRunStarted      Kind = "run_started"
	KindStep            Kind = "step"
	KindEpoch           Kind = "epoch"
	KindEvaluated       Kind = "evaluated"
	KindCheckpointSaved Kind = "checkpoint_saved"
	KindStateChanged    Kind = "state_changed"
	KindLearnRate       Kind = "learn_rate"
	KindPlanned         Kind = "planned"
	KindWarning         Kind = "warning"
	KindRunEnded        Kind = "run_ended"
)

// Event is one thing that happened in a run. The set of types is closed: the
// pointer types in this file and no others. A reader must not change an event
// it was given, since every reader gets the same pointer.
type Event interface {
	// Head returns the fields that every event has.
	Head() *Header
}

// Header is what every event carries.
type Header struct {
	// Event is the event's kind.
	Event Kind `json:"event"`
	// Seq counts the events of one run folder from 1, over all its resumes.
	Seq uint64 `json:"seq"`
	// Time is the wall clock when it happened.
	Time time.Time `json:"time"`
	// Run is the run's name. In a comparison every run has its own.
	Run string `json:"run"`
}

// Head implements [Event].
func (h *Header) Head() *Header { return h }

// Float is a float64 that survives JSON when it is not finite: NaN and the
// infinities are the strings "NaN", "Infinity" and "-Infinity".
type Float float64

// MarshalJSON implements [json.Marshaler].
func (f Float) MarshalJSON() ([]byte, error) {
	v := float64(f)
	switch {
	case math.IsNaN(v):
		return []byte(`"NaN"`), nil
	case math.IsInf(v, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-Infinity"`), nil
	}
	return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (f *Float) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*f = Float(math.NaN())
	case `"Infinity"`:
		*f = Float(math.Inf(1))
	case `"-Infinity"`:
		*f = Float(math.Inf(-1))
	default:
		v, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			return fmt.Errorf("number %s: %w", b, err)
		}
		*f = Float(v)
	}
	return nil
}

// Finite reports whether f is neither NaN nor infinite.
func (f Float) Finite() bool { return !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) }

// State is what a run is doing.
type State string

// The states of a run.
const (
	StateStarting State = "starting" // data and network are being made ready
	StateRunning  State = "running"
	StatePaused   State = "paused"
	StateSaving   State = "saving"
	StateStopping State = "stopping" // asked to stop, not there yet
	StateWaiting  State = "waiting"  // in a comparison: another run's turn
	StateFinished State = "finished" // ended as configured, early, or on request
	StateFailed   State = "failed"
)

// Phases is where the time of some steps went, in seconds.
type Phases struct {
	Data      float64 `json:"data"` // waiting for the next batch
	Forward   float64 `json:"forward"`
	Backward  float64 `json:"backward"`
	Optimizer float64 `json:"optimizer"`
}

// RunStarted opens a run, or opens it again after a resume.
type RunStarted struct {
	Header
	Config config.Config `json:"config"`
	// Folder is the run folder's path on the machine that trains.
	Folder string `json:"folder"`
	// Dataset names the data ("CIFAR-10", "demo"); Demo is set for the demo set.
	Dataset string   `json:"dataset"`
	Demo    bool     `json:"demo"`
	Classes []string `json:"classes"`
	// TrainImages and ValImages count the images; StepsPerEpoch the batches. The last
	// epoch of a run with a budget may have fewer.
	TrainImages   int `json:"train_images"`
	ValImages     int `json:"val_images"`
	StepsPerEpoch int `json:"steps_per_epoch"`
	// ValIsTest is set when validation uses the test set, as the article did.
	ValIsTest bool `json:"val_is_test"`
	// LearnRate is the learning rate before any schedule, with the optimizer's
	// own where Config.LR is 0; 0 in records of older versions.
	LearnRate float64 `json:"learn_rate,omitempty"`
	// Kernels names the kernels in use: avx512, avx2, neon or generic.
	Kernels string `json:"kernels"`
	Threads int    `json:"threads"`
	// AtOnce is how many runs of a comparison, this one included, the processor
	// trains at the same time: speeds are those of runs beside each other. 0: one.
	AtOnce int `json:"at_once,omitempty"`
	PID    int `json:"pid"`
	// Version is the program's version.
	Version string `json:"version"`
	// ResumedEpoch and ResumedStep are where a resume goes on (both 0 in a new
	// run): ResumedStep batches of epoch ResumedEpoch are already done. A reader
	// drops what it knows of the run beyond that: the epochs from ResumedEpoch
	// on, and the steps whose Total is over ResumedTotal.
	ResumedEpoch int `json:"resumed_epoch,omitempty"`
	ResumedStep  int `json:"resumed_step,omitempty"`
	// ResumedTotal counts the batches done before the resume.
	ResumedTotal int64 `json:"resumed_total,omitempty"`
	// Resumed is set in every RunStarted but a run's first.
	Resumed bool `json:"resumed,omitempty"`
	// Elapsed is the training time before the resume, in seconds.
	Elapsed float64 `json:"elapsed,omitempty"`
}

// ImagesAStep is how many images a batch has on average over an epoch, whose last
// one may be smaller; 0: not known.
func (s *RunStarted) ImagesAStep() float64 {
	if s.StepsPerEpoch <= 0 || s.TrainImages <= 0 {
		return float64(s.Config.Batch)
	}
	return float64(s.TrainImages) / float64(s.StepsPerEpoch)
}

// StepDone tells of Count batches trained, the last of them number Step. Step
// events that a reader has not yet taken are merged into one.
type StepDone struct {
	Header
	Epoch int `json:"epoch"` // from 1
	Step  int `json:"step"`  // batches done in this epoch, from 1
	Steps int `json:"steps"` // batches in this epoch
	// Total counts the batches done since the run's start, over all resumes.
	Total int64 `json:"total"`
	// Count is how many batches this event covers, at least 1; Loss, Acc and
	// ImagesPerSecond are means over them, MinLoss and MaxLoss the extremes.
	Count           int     `json:"count"`
	Loss            Float   `json:"loss"`
	MinLoss         Float   `json:"min_loss"`
	MaxLoss         Float   `json:"max_loss"`
	Acc             Float   `json:"acc"`
	LR              float64 `json:"lr"`
	ImagesPerSecond float64 `json:"images_per_second"`
	// Elapsed is the run's training time so far in seconds, pauses left out.
	Elapsed float64 `json:"elapsed"`
	Phases  Phases  `json:"phases"`
}

// EpochDone tells of an epoch trained and validated.
type EpochDone struct {
	Header
	Epoch  int `json:"epoch"`  // from 1
	Epochs int `json:"epochs"` // configured
	Batch  int `json:"batch"`
	// Total counts the batches done since the run's start.
	Total int64 `json:"total"`
	// Loss and Acc are means over the epoch's training batches as they ran,
	// with dropout and augmentation on, as Keras reports them.
	Loss    Float   `json:"loss"`
	Acc     Float   `json:"acc"`
	ValLoss Float   `json:"val_loss"`
	ValAcc  Float   `json:"val_acc"`
	LR      float64 `json:"lr"`
	// Seconds is the epoch's time, validation included; ImagesPerSecond counts
	// training images over training time.
	Seconds         float64 `json:"seconds"`
	ImagesPerSecond float64 `json:"images_per_second"`
	Elapsed         float64 `json:"elapsed"`
	Phases          Phases  `json:"phases"`
	// Best is set when the monitored value is the best so far.
	Best bool `json:"best"`
	// PatienceLeft is how many epochs without a better value are left before
	// early stopping; -1 when early stopping is off.
	PatienceLeft int `json:"patience_left"`
}

// Sample is one validation image and what the network says of it.
type Sample struct {
	Index      int     `json:"index"` // in the validation set
	Label      int     `json:"label"`
	Predicted  int     `json:"predicted"`
	Confidence float64 `json:"confidence"` // softmax of the predicted class
	// Pixels is the image, its red, green and blue plane, each row by row. In
	// events.jsonl only an image's first event holds it; readers fill it in.
	Pixels []byte `json:"pixels,omitempty"`
}

// Evaluated follows each EpochDone with the confusion matrix and some images.
type Evaluated struct {
	Header
	Epoch int `json:"epoch"`
	// Confusion counts validation images by [label][predicted].
	Confusion [][]int `json:"confusion"`
	// Samples are the most confident mistakes, worst first.
	Samples []Sample `json:"samples"`
}

// CheckpointSaved tells of a file written whole into checkpoints/.
type CheckpointSaved struct {
	Header
	// File is the file's base name.
	File string `json:"file"`
	// Reason is one of best, every, last, manual.
	Reason  string `json:"reason"`
	Epoch   int    `json:"epoch"`
	Step    int    `json:"step"`
	Total   int64  `json:"total"`
	ValAcc  Float  `json:"val_acc"`
	ValLoss Float  `json:"val_loss"`
	Size    int64  `json:"size"` // bytes
	// Removed lists the base names of the files that this one replaces.
	Removed []string `json:"removed,omitempty"`
}

// StateChanged tells of a new state.
type StateChanged struct {
	Header
	State State `json:"state"`
	// Reason says in a few words why: "space pressed", "SIGTERM", "ctl".
	Reason string `json:"reason,omitempty"`
	Epoch  int    `json:"epoch"`
	Step   int    `json:"step"`
}

// LearnRateChanged tells of a learning rate set by a person while training.
// The schedule's own changes are no event: each step carries its rate.
type LearnRateChanged struct {
	Header
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Epoch int     `json:"epoch"`
	Step  int     `json:"step"`
	Total int64   `json:"total"`
}

// Planned tells of the epochs that fit a run's budget of time: once its first
// batches are measured, and again when it turns out to be faster or slower.
type Planned struct {
	Header
	// Epochs are those of the whole run, in place of the configured ones, and
	// SmallEpochs those of them, the first, that train on smaller images.
	Epochs      int `json:"epochs"`
	SmallEpochs int `json:"small_epochs,omitempty"`
	// LastSteps are the batches of the last of them, where the time is too short for
	// a whole one.
	LastSteps int `json:"last_steps,omitempty"`
	// Budget is the training time that is allowed, Seconds what they are expected
	// to take in all, and EpochSeconds about each of those to come.
	Budget       float64 `json:"budget"`
	Seconds      float64 `json:"seconds"`
	EpochSeconds float64 `json:"epoch_seconds"`
}

// Aside says in brackets which of the epochs are not like the others; "" if
// there are none.
func (p *Planned) Aside() string {
	var list []string
	if p.SmallEpochs > 0 {
		list = append(list, fmt.Sprintf("%d on smaller images", p.SmallEpochs))
	}
	if p.LastSteps > 0 {
		list = append(list, fmt.Sprintf("the last of %d steps", p.LastSteps))
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// Warning tells of trouble that does not end the run.
type Warning struct {
	Header
	Message string `json:"message"`
	// Refuses is the command that has no effect, "save" or "lr"; "" for other
	// trouble. Moot is set where that is no failure: there was nothing to save.
	Refuses string `json:"refuses,omitempty"`
	Moot    bool   `json:"moot,omitempty"`
}

// Outcome says how a run ended.
type Outcome string

// The outcomes of a run.
const (
	OutcomeFinished     Outcome = "finished"      // all epochs done
	OutcomeEarlyStopped Outcome = "early_stopped" // patience ran out
	OutcomeStopped      Outcome = "stopped"       // a person or a signal asked; it can be resumed
	OutcomeDetached     Outcome = "detached"      // handed over to another process, which goes on
	OutcomeDiverged     Outcome = "diverged"      // the loss is no longer finite
	OutcomeFailed       Outcome = "failed"
)

// Over reports whether a run that ended so has nothing left to do.
func (o Outcome) Over() bool {
	return o == OutcomeFinished || o == OutcomeEarlyStopped || o == OutcomeDiverged
}

// State is the state of a run that has ended so.
func (o Outcome) State() State {
	if o == OutcomeFailed || o == OutcomeDiverged {
		return StateFailed
	}
	return StateFinished
}

// RunEnded closes a run, or this process's part of it.
type RunEnded struct {
	Header
	Outcome Outcome `json:"outcome"`
	// Error says what went wrong, with OutcomeFailed and OutcomeDiverged.
	Error string `json:"error,omitempty"`
	// Signal is the name of the signal that stopped the run before its end, with
	// OutcomeStopped.
	Signal string `json:"signal,omitempty"`
	// GoesOn is set, with OutcomeFailed, where the process itself goes on with the
	// run from its last checkpoint: on the processor, as the GPU is lost.
	GoesOn  bool    `json:"goes_on,omitempty"`
	Epoch   int     `json:"epoch"` // whole epochs done
	Seconds float64 `json:"seconds"`
	// The best accuracies and the epochs (from 1) they came at; 0: none yet.
	BestAcc         Float `json:"best_acc"`
	BestAccEpoch    int   `json:"best_acc_epoch"`
	BestValAcc      Float `json:"best_val_acc"`
	BestValAccEpoch int   `json:"best_val_acc_epoch"`
	// With a validation split, TestAcc and TestLoss are of the best weights on
	// the test set, touched this once.
	TestAcc  *Float `json:"test_acc,omitempty"`
	TestLoss *Float `json:"test_loss,omitempty"`
}

// GoneOnWith reports whether the run is gone on with at once: a RunStarted follows.
func (e *RunEnded) GoneOnWith() bool { return e.Outcome == OutcomeDetached || e.GoesOn }

// Decode reads one line of events.jsonl. A kind it does not know is an error.
func Decode(line []byte) (Event, error) {
	var h struct {
		Event Kind `json:"event"`
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	var e Event
	switch h.Event {
	case KindRunStarted:
		e = new(RunStarted)
	case KindStep:
		e = new(StepDone)
	case KindEpoch:
		e = new(EpochDone)
	case KindEvaluated:
		e = new(Evaluated)
	case KindCheckpointSaved:
		e = new(CheckpointSaved)
	case KindStateChanged:
		e = new(StateChanged)
	case KindLearnRate:
		e = new(LearnRateChanged)
	case KindPlanned:
		e = new(Planned)
	case KindWarning:
		e = new(Warning)
	case KindRunEnded:
		e = new(RunEnded)
	default:
		return nil, fmt.Errorf("event: unknown kind %q", h.Event)
	}
	if err := json.Unmarshal(line, e); err != nil {
		return nil, fmt.Errorf("event %q: %w", h.Event, err)
	}
	return e, nil
}

// KindOf is the kind that goes with an event's type.
func KindOf(e Event) Kind {
	switch e.(type) {
	case *RunStarted:
		return KindRunStarted
	case *StepDone:
		return KindStep
	case *EpochDone:
		return KindEpoch
	case *Evaluated:
		return KindEvaluated
	case *CheckpointSaved:
		return KindCheckpointSaved
	case *StateChanged:
		return KindStateChanged
	case *LearnRateChanged:
		return KindLearnRate
	case *Planned:
		return KindPlanned
	case *Warning:
		return KindWarning
	case *RunEnded:
		return KindRunEnded
	}
	return ""
}
