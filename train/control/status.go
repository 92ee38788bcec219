package control

import (
	"bytes"
	"io"
	"slices"
	"time"

	"cifartui/train/event"
)

// Status is how one run stands. It is folded from the run's events, the same
// way for a live run and for one that is only a folder.
type Status struct {
	Run string `json:"run"`
	// Live is set while a process trains the run, also while it is paused.
	Live    bool        `json:"live"`
	State   event.State `json:"state"`
	Reason  string      `json:"reason,omitempty"` // of the state
	Folder  string      `json:"folder,omitempty"` // on the machine that trains
	PID     int         `json:"pid,omitempty"`
	Version string      `json:"version,omitempty"` // of the program
	Dataset string      `json:"dataset,omitempty"`
	Demo    bool        `json:"demo,omitempty"`
	Batch   int         `json:"batch,omitempty"`
	// Epoch is the epoch under way, from 1, and Step the batches done in it.
	Epoch  int   `json:"epoch"`
	Epochs int   `json:"epochs"`
	Step   int   `json:"step"`
	Steps  int   `json:"steps"` // batches in an epoch
	Total  int64 `json:"total"` // batches done since the run's start
	// Loss and Acc are of the latest step, ValLoss and ValAcc of the latest
	// epoch; null before there is one.
	Loss    *event.Float `json:"loss"`
	Acc     *event.Float `json:"acc"`
	ValLoss *event.Float `json:"val_loss"`
	ValAcc  *event.Float `json:"val_acc"`
	LR      float64      `json:"lr"`
	// BestValAcc came at epoch BestValAccEpoch; 0: no epoch is done yet.
	BestValAcc      *event.Float `json:"best_val_acc"`
	BestValAccEpoch int          `json:"best_val_acc_epoch"`
	// PatienceLeft is -1 when early stopping is off.
	PatienceLeft    int     `json:"patience_left"`
	ImagesPerSecond float64 `json:"images_per_second"`
	// Elapsed is the training time so far, in seconds; Remaining what the epochs
	// left would take at the present speed, 0 where that is not known.
	Elapsed   float64 `json:"elapsed"`
	Remaining float64 `json:"remaining,omitempty"`
	// Outcome and Error are of a run that has ended.
	Outcome event.Outcome `json:"outcome,omitempty"`
	Error   string        `json:"error,omitempty"`
	// Checkpoint is the latest file written into checkpoints/.
	Checkpoint string `json:"checkpoint,omitempty"`
	// Seq and Time are of the latest event.
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
}

// StateInterrupted is the state of a run whose process is gone without having
// said so.
const StateInterrupted event.State = "interrupted"

// Ended reports whether the run is over, for whichever reason.
func (s *Status) Ended() bool {
	return s.State == event.StateFinished || s.State == event.StateFailed
}

// board folds the events of all runs of a process. It is used by one goroutine.
type board struct {
	runs  map[string]*row
	order []string
}

type row struct {
	Status
	trainImages int
	// epochs holds the epochs done, so that a resume can take some of them back.
	epochs []*event.EpochDone
}

func newBoard() *board { return &board{runs: make(map[string]*row)} }

func (b *board) row(run string) *row {
	r, ok := b.runs[run]
	if !ok {
		r = &row{Status: Status{Run: run, State: event.StateStarting, PatienceLeft: -1}}
		b.runs[run] = r
		b.order = append(b.order, run)
	}
	return r
}

// apply takes in one event. Events numbered no higher than the latest of the
// run are already known.
func (b *board) apply(e event.Event) {
	h := e.Head()
	r := b.row(h.Run)
	if h.Seq <= r.Seq {
		return
	}
	r.Seq, r.Time = h.Seq, h.Time
	switch e := e.(type) {
	case *event.RunStarted:
		r.start(e)
	case *event.StepDone:
		r.Epoch, r.Step, r.Steps, r.Total = e.Epoch, e.Step, e.Steps, e.Total
		r.Loss, r.Acc, r.LR = &e.Loss, &e.Acc, e.LR
		r.ImagesPerSecond, r.Elapsed = e.ImagesPerSecond, e.Elapsed
		if r.State == event.StateStarting {
			r.State = event.StateRunning
		}
	case *event.EpochDone:
		r.Epoch, r.Epochs, r.Total, r.LR, r.Elapsed = e.Epoch, e.Epochs, e.Total, e.LR, e.Elapsed
		r.epochs = append(r.epochs, e)
		r.validated()
	case *event.CheckpointSaved:
		r.Checkpoint = e.File
	case *event.StateChanged:
		r.State, r.Reason = e.State, e.Reason
	case *event.LearnRateChanged:
		r.LR = e.To
	case *event.RunEnded:
		r.Outcome, r.Error = e.Outcome, e.Error
		r.State, r.Reason = event.StateFinished, ""
		if e.Outcome == event.OutcomeFailed || e.Outcome == event.OutcomeDiverged {
			r.State = event.StateFailed
		}
		if e.BestValAccEpoch > 0 {
			r.BestValAcc, r.BestValAccEpoch = &e.BestValAcc, e.BestValAccEpoch
		}
	}
	r.estimate()
}

// start takes in the beginning of a run or of its resumption, which forgets the
// epochs that were done after the checkpoint.
func (r *row) start(e *event.RunStarted) {
	r.epochs = slices.DeleteFunc(r.epochs, func(done *event.EpochDone) bool { return done.Epoch >= e.ResumedEpoch })
	r.Status = Status{
		Run: r.Run, State: event.StateStarting, Seq: r.Seq, Time: r.Time,
		Folder: e.Folder, PID: e.PID, Version: e.Version,
		Dataset: e.Dataset, Demo: e.Demo, Batch: e.Config.Batch,
		Epoch: e.ResumedEpoch, Epochs: e.Config.Epochs,
		Step: e.ResumedStep, Steps: e.StepsPerEpoch, Total: e.ResumedTotal,
		LR: r.LR, PatienceLeft: -1, Elapsed: e.Elapsed, Checkpoint: r.Checkpoint,
	}
	if e.Config.Patience > 0 {
		r.PatienceLeft = e.Config.Patience
	}
	r.trainImages = e.TrainImages
	r.validated()
}

// validated sets what the epochs done say.
func (r *row) validated() {
	r.ValLoss, r.ValAcc, r.BestValAcc, r.BestValAccEpoch = nil, nil, nil, 0
	for _, e := range r.epochs {
		r.ValLoss, r.ValAcc, r.PatienceLeft = &e.ValLoss, &e.ValAcc, e.PatienceLeft
		if r.BestValAcc == nil || e.ValAcc > *r.BestValAcc {
			r.BestValAcc, r.BestValAccEpoch = &e.ValAcc, e.Epoch
		}
	}
}

func (r *row) estimate() {
	r.Remaining = 0
	if r.Ended() || r.ImagesPerSecond <= 0 || r.Steps <= 0 {
		return
	}
	if left := int64(r.Epochs)*int64(r.Steps) - r.Total; left > 0 {
		r.Remaining = float64(left) * float64(r.trainImages) / float64(r.Steps) / r.ImagesPerSecond
	}
}

// snapshot copies the status of every run, in the order they first appeared.
// The copies share nothing that apply changes. live says whether there is a
// process.
func (b *board) snapshot(live bool) []Status {
	all := make([]Status, 0, len(b.order))
	for _, run := range b.order {
		s := b.runs[run].Status
		switch {
		case s.Ended():
		case live:
			s.Live = true
		default:
			s.State, s.Reason, s.Remaining = StateInterrupted, "", 0
		}
		all = append(all, s)
	}
	return all
}

// seqs returns the latest sequence number of each run.
func (b *board) seqs() map[string]uint64 {
	m := make(map[string]uint64, len(b.runs))
	for run, r := range b.runs {
		m[run] = r.Seq
	}
	return m
}

// names returns the targets of a command: the run of that name, or every run
// that has not ended.
func (b *board) names(run string) []string {
	if run != "" {
		return []string{run}
	}
	return slices.DeleteFunc(slices.Clone(b.order), func(name string) bool { return b.runs[name].Ended() })
}

// read folds an event log.
func (b *board) read(path string) error {
	t := &tail{path: path}
	defer t.close()
	return b.readFrom(t)
}

// readFrom folds what there is of an event log. Of the steps between two other
// events only the last one counts, so that a million of them cost little more
// than reading the file.
func (b *board) readFrom(t *tail) error {
	var step []byte
	flush := func() {
		if len(step) > 0 {
			if e, err := event.Decode(step); err == nil {
				b.apply(e)
			}
			step = step[:0]
		}
	}
	defer flush()
	stepLine := []byte(`{"event":"` + string(event.KindStep) + `"`)
	for {
		line, err := t.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, stepLine) {
			if _, ok := parseHead(line, false); ok {
				step = append(step[:0], line...)
			}
			continue
		}
		e, err := event.Decode(line)
		if err != nil {
			continue // damaged, or of a later version
		}
		flush()
		b.apply(e)
	}
}
