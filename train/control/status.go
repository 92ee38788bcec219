package control

import (
	"bytes"
	"io"
	"slices"
	"time"

	"cifartui/train/event"
	"cifartui/train/record"
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

// overview knows how all runs of a process stand. It is used by one goroutine.
type overview struct {
	runs  map[string]*record.Run
	order []string // in which they first appeared
}

func newOverview() *overview { return &overview{runs: make(map[string]*record.Run)} }

// apply takes in one event.
func (b *overview) apply(e event.Event) {
	name := e.Head().Run
	r, ok := b.runs[name]
	if !ok {
		r = &record.Run{Name: name, State: event.StateStarting}
		b.runs[name] = r
		b.order = append(b.order, name)
	}
	r.Apply(e)
}

// newStatus is how a run stands at its newest event. live says whether there is a
// process. It shares nothing that the run's next event changes.
func newStatus(r *record.Run, live bool) Status {
	s := Status{
		Run: r.Name, State: r.State, Reason: r.Reason, LR: r.LearnRate(), PatienceLeft: r.PatienceLeft(),
		Total: r.Total(), Elapsed: r.Elapsed(), Seq: r.Seq, Time: r.Time,
	}
	s.Epoch, s.Step, s.Steps = r.Position()
	s.Epochs = r.EpochsInAll()
	if e := r.Started; e != nil {
		s.Folder, s.PID, s.Version = e.Folder, e.PID, e.Version
		s.Dataset, s.Demo, s.Batch = e.Dataset, e.Demo, e.Config.Batch
	}
	if e := r.Step; e != nil {
		s.Loss, s.Acc, s.ImagesPerSecond = &e.Loss, &e.Acc, e.ImagesPerSecond
	}
	if e := r.LastEpoch(); e != nil {
		s.ValLoss, s.ValAcc = &e.ValLoss, &e.ValAcc
	}
	if acc, epoch := r.Best(); epoch > 0 {
		s.BestValAcc, s.BestValAccEpoch = &acc, epoch
	}
	if n := len(r.Checkpoints); n > 0 {
		s.Checkpoint = r.Checkpoints[n-1].File
	}
	switch {
	case r.Ended != nil:
		s.Outcome, s.Error, s.Reason = r.Ended.Outcome, r.Ended.Error, ""
	case live:
		s.Live = true
		if _, whole := r.Remaining(); whole > 0 {
			s.Remaining = whole
		}
	default:
		s.State, s.Reason = StateInterrupted, ""
	}
	return s
}

// snapshot is the status of every run, in the order they first appeared; live says
// whether a process trains one.
func (b *overview) snapshot(live func(run string) bool) []Status {
	all := make([]Status, 0, len(b.order))
	for _, run := range b.order {
		all = append(all, newStatus(b.runs[run], live(run)))
	}
	return all
}

// seqs returns the latest sequence number of each run.
func (b *overview) seqs() map[string]uint64 {
	m := make(map[string]uint64, len(b.runs))
	for run, r := range b.runs {
		m[run] = r.Seq
	}
	return m
}

// names returns the targets of a command: the run of that name, or every run
// that has not ended.
func (b *overview) names(run string) []string {
	if run != "" {
		return []string{run}
	}
	return slices.DeleteFunc(slices.Clone(b.order), func(name string) bool { return b.runs[name].Ended != nil })
}

// read folds an event log.
func (b *overview) read(path string) error {
	t := newTail(path)
	defer t.close()
	return b.readFrom(t)
}

// readFrom folds what there is of an event log. Of the steps between two other
// events only the last one counts, so that a million of them cost little more
// than reading the file.
func (b *overview) readFrom(t *tail) error {
	var step []byte
	flush := func() {
		if len(step) > 0 {
			if e, err := t.event(step); err == nil {
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
			if _, ok := parseHead(line); ok {
				step = append(step[:0], line...)
			}
			continue
		}
		e, err := t.event(line)
		if err != nil {
			continue // damaged, or of a later version
		}
		flush()
		b.apply(e)
	}
}
