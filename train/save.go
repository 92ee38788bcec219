package train

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// jsonText is v in JSON, for a metadata value.
func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// weightsFile is a weights file to be written.
type weightsFile struct {
	name   string
	reason string // see CheckpointSaved
	// step batches of the epoch were done; whole is set after its last, and
	// then acc and loss are its validation's.
	epoch, step int
	total       int64
	whole       bool
	acc, loss   event.Float
	tensors     []checkpoint.Tensor
}

// afterEpochFile describes the weights after an epoch.
func (r *run) afterEpochFile(e *event.EpochDone, reason string, w []checkpoint.Tensor) weightsFile {
	return weightsFile{
		name: checkpoint.WeightsName(r.Dataset.Demo, e.Epoch, float64(e.ValAcc)), reason: reason,
		epoch: e.Epoch, step: r.steps, total: e.Total, whole: true, acc: e.ValAcc, loss: e.ValLoss,
		tensors: w,
	}
}

// weights copies a network's parameters. When they are not finite it is an error:
// a checkpoint must never replace a good one by such numbers.
func (r *run) weights(of *nn.Network) ([]checkpoint.Tensor, error) {
	held, err := of.Weights()
	if err != nil {
		return nil, err
	}
	w := ofCheckpoint(held)
	if !checkpoint.Finite(w) {
		return nil, r.diverged(fmt.Sprintf("the weights are no longer finite after epoch %d, step %d", r.pos.Epoch, r.pos.Step))
	}
	return w, nil
}

// keepWeights writes the weights of the epoch just done if it is the best, or
// due to be kept.
func (r *run) keepWeights(e *event.EpochDone) error {
	every := r.Config.CheckpointEvery > 0 && e.Epoch%r.Config.CheckpointEvery == 0
	if !e.Best && !every {
		return nil
	}
	w, err := r.weights(r.judged())
	if err != nil {
		return err
	}
	reason := "every"
	if e.Best {
		reason = "best"
		r.best, r.pos.BestKept = w, every
	}
	r.write(r.afterEpochFile(e, reason, w))
	return nil
}

// saveNow writes the weights and last.ckpt, whatever the moment.
func (r *run) saveNow(reason string) error {
	w, err := r.weights(r.judged())
	if err != nil {
		return err
	}
	var f weightsFile
	if n := len(r.pos.History); r.pos.Step == 0 && n > 0 {
		f = r.afterEpochFile(r.pos.History[n-1], reason, w)
		r.pos.BestKept = r.pos.BestKept || f.name == r.pos.BestFile
	} else {
		f = weightsFile{
			name: checkpoint.StepName(r.Dataset.Demo, r.pos.Epoch, r.pos.Step), reason: reason,
			epoch: r.pos.Epoch, step: r.pos.Step, total: r.pos.Total,
			acc: checkpoint.NotKnown, loss: checkpoint.NotKnown, tensors: w,
		}
	}
	r.write(f)
	return r.saveLast()
}

// write writes a weights file. One that cannot be written is tried again at the
// next save, unless a newer one for the same reason has taken its place.
func (r *run) write(f weightsFile) {
	r.pending = slices.DeleteFunc(r.pending, func(o weightsFile) bool { return o.reason == f.reason })
	r.pending = append(r.pending, f)
	r.writePending()
}

// writePending tries to write what waits to be written.
func (r *run) writePending() {
	var left []weightsFile
	for _, f := range r.pending {
		size, err := r.store.SaveWeights(f.name, checkpoint.Weights{Tensors: f.tensors, Meta: r.meta(f)})
		if err != nil {
			left = append(left, f)
			r.warn(fmt.Sprintf("%v: training goes on, the next save tries again", err))
			continue
		}
		e := &event.CheckpointSaved{
			File: f.name, Reason: f.reason, Epoch: f.epoch, Step: f.step, Total: f.total,
			ValAcc: f.acc, ValLoss: f.loss, Size: size,
		}
		if f.reason == "best" {
			e.Removed = r.replaceBest(f.name)
		}
		r.emit(e)
	}
	r.pending = left
	r.unsaved = r.unsaved || len(left) > 0
}

// replaceBest makes a file that is now written the best one, and returns those
// that it replaces. They are deleted after the next last.ckpt is written: until
// then a kill would go back to where they were the best.
func (r *run) replaceBest(name string) (removed []string) {
	old := r.pos.BestFile
	if old != "" && old != name && !r.pos.OldBestKept {
		removed = []string{old}
		r.pos.Obsolete = append(r.pos.Obsolete, old)
	}
	r.pos.BestFile, r.pos.OldBestKept = name, r.pos.BestKept
	if r.Config.ValSplit == 0 {
		r.best = nil
	}
	return removed
}

// meta is the metadata of a weights file.
func (r *run) meta(f weightsFile) map[string]string {
	m := map[string]string{
		checkpoint.MetaFormat:  "pt",
		checkpoint.MetaEpoch:   strconv.Itoa(f.epoch),
		checkpoint.MetaDataset: r.Dataset.Name,
		checkpoint.MetaRun:     r.name,
	}
	if f.whole {
		m[checkpoint.MetaValAcc] = strconv.FormatFloat(float64(f.acc), 'g', -1, 64)
		m[checkpoint.MetaValLoss] = strconv.FormatFloat(float64(f.loss), 'g', -1, 64)
	} else {
		m[checkpoint.MetaStep] = strconv.Itoa(f.step)
	}
	for key, v := range map[string]any{checkpoint.MetaPreprocess: r.prep, checkpoint.MetaClasses: r.Dataset.Classes, checkpoint.MetaNetwork: r.spec} {
		if text, err := jsonText(v); err == nil {
			m[key] = text
		}
	}
	return m
}

// saveLast writes last.ckpt. A disk that does not take it is a warning, and the
// run goes on; the error is for weights that must not be saved.
func (r *run) saveLast() error {
	r.lastSave = r.clock.seconds()
	r.unsaved = true
	if len(r.pending) > 0 {
		r.writePending()
	}
	w, err := r.weights(r.net)
	if err != nil {
		return err
	}
	var average []checkpoint.Tensor
	if r.average != nil {
		if average, err = r.weights(r.average); err != nil {
			return err
		}
	}
	state, err := r.solver.State()
	if err != nil {
		return err
	}
	network, err := json.Marshal(r.spec)
	if err != nil {
		return fmt.Errorf("describe the network: %w", err)
	}
	r.log.Flush(logFlushTime)
	r.checkLog()
	r.pos.Elapsed = r.clock.seconds()
	c := &checkpoint.Checkpoint{
		Config: r.Config, Run: r.name, Version: r.Version, Saved: r.Now(), Network: network, Data: r.data,
		Position: r.pos, Weights: w, Solver: ofCheckpoint(state), Best: r.best, Average: average,
	}
	size, err := r.store.SaveLast(c)
	if err != nil {
		r.warn(fmt.Sprintf("%v: training goes on, the next save tries again", err))
		return nil
	}
	r.unsaved = len(r.pending) > 0
	r.store.Remove(r.pos.Obsolete)
	r.pos.Obsolete = nil
	e := &event.CheckpointSaved{
		File: checkpoint.LastFile, Reason: "last", Epoch: r.pos.Epoch, Step: r.pos.Step, Total: r.pos.Total,
		ValAcc: checkpoint.NotKnown, ValLoss: checkpoint.NotKnown, Size: size,
	}
	if n := len(r.pos.History); n > 0 && r.pos.Step == 0 {
		e.ValAcc, e.ValLoss = r.pos.History[n-1].ValAcc, r.pos.History[n-1].ValLoss
	}
	r.emit(e)
	return nil
}

// checkLog tells once when the event log cannot be written, and once when it
// can again.
func (r *run) checkLog() {
	err := r.log.Err()
	switch {
	case err != nil && !r.logBad:
		r.warn(fmt.Sprintf("%s cannot be written: %v: training goes on, the events are kept in memory and tried again", rundir.EventsFile, err))
	case err == nil && r.logBad:
		r.warn(fmt.Sprintf("%s is written again", rundir.EventsFile))
	}
	r.logBad = err != nil
}

// diverged is the error for a loss, weights or validation that is not finite.
// It makes sure that last.ckpt is one that training was still good after.
func (r *run) diverged(what string) error {
	good := "there is no good checkpoint from before"
	if c := r.store.DropBad(r.pos.Total); c != nil {
		good = fmt.Sprintf("the last good checkpoint, %s, is of epoch %d, step %d: go on from there with a smaller --lr", checkpoint.LastFile, c.Epoch, c.Step)
	}
	return fmt.Errorf("%w: %s; %s", ErrDiverged, what, good)
}

// restorePending finds, after a resume, that the best weights were never
// written.
func (r *run) restorePending() {
	e := r.pos.Monitor.BestEpoch
	if r.best == nil || e < 1 || e > len(r.pos.History) {
		return
	}
	f := r.afterEpochFile(r.pos.History[e-1], "best", r.best)
	if f.name != r.pos.BestFile {
		r.pending = append(r.pending, f)
	}
}
