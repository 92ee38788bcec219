package train

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"

	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/event"
)

// jsonText is v in JSON, for a metadata value.
func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// keeper is what keeps: last.ckpt to go on from, and files of weights.
type keeper struct {
	store *checkpoint.Store
	// best are the best weights: always with a validation split, whose end
	// needs them, else until they are written.
	best     []checkpoint.Tensor
	pending  []weightsFile // the next save writes them
	unsaved  bool          // something has changed since last.ckpt was written
	lastSave float64       // the clock at the newest try to write it
	// failure is why last.ckpt could not be written the last time; nil when it was.
	failure error
	// saving is the save that is under way while training goes on; nil for none.
	// Until it is taken in nothing else may use the store.
	saving *saving
	// givenUp are checkpoints that the store has deleted for the room, not told yet.
	givenUp []string
	// tight is set once the disk had no room for last.ckpt and the one before it.
	tight bool
}

// saving is a save under way. It has two parts: files of weights, if there are any
// to be written, and a last.ckpt that knows what became of them.
type saving struct {
	files []weightsFile // of the first part; none in the second
	sizes []int64       // of those that are written
	errs  []error
	of    *checkpoint.Checkpoint
	told  *event.CheckpointSaved // once it is written, with its size
	err   error                  // of last.ckpt
	done  chan struct{}          // closed when the part is done
	// fault is the panic that ended the part, with its stack; "" as a rule.
	fault string
}

// begin does a part of the save beside the training.
func (s *saving) begin(part func()) {
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		defer func() {
			if p := recover(); p != nil { // for takeIn: here it would end the process, and the screen with it
				s.fault = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
		}()
		part()
	}()
}

// add has the next save write a weights file, in the place of one for the same
// reason that could not be written yet.
func (k *keeper) add(f weightsFile) {
	k.pending = append(slices.DeleteFunc(k.pending, func(o weightsFile) bool { return o.reason == f.reason }), f)
}

// done is closed when the part of a save that is under way is done; nil for none.
func (k *keeper) done() <-chan struct{} {
	if k.saving == nil {
		return nil
	}
	return k.saving.done
}

// wait waits until nothing is being written.
func (k *keeper) wait() {
	if k.saving != nil {
		<-k.saving.done
	}
}

// written reports whether a part of a save can be taken in.
func (k *keeper) written() bool {
	select {
	case <-k.done():
		return true
	default:
		return false
	}
}

// missing is why not all is on the disk that the newest save was to write; nil if
// it is.
func (k *keeper) missing() error {
	for _, f := range k.pending {
		return f.failure
	}
	return k.failure
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
	failure     error // of the newest try to write it
}

// afterEpochFile describes the weights after an epoch.
func (r *run) afterEpochFile(e *event.EpochDone, reason string, w []checkpoint.Tensor) weightsFile {
	return weightsFile{
		name: checkpoint.WeightsName(r.t.options.Dataset.Name, e.Epochs, e.Epoch, float64(e.ValAcc)), reason: reason,
		epoch: e.Epoch, step: r.at.newestSteps(), total: e.Total, whole: true, acc: e.ValAcc, loss: e.ValLoss,
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
		return nil, r.diverged(fmt.Sprintf("the weights are no longer finite after epoch %d, step %d", r.at.Epoch, r.at.Step))
	}
	return w, nil
}

// keepWeights has the next save write the weights of the epoch just done if it is
// the best, or due to be kept.
func (r *run) keepWeights(e *event.EpochDone) error {
	every := r.config.CheckpointEvery > 0 && e.Epoch%r.config.CheckpointEvery == 0
	if !e.Best && !every {
		return nil
	}
	w, err := r.weights(r.net.evaluated())
	if err != nil {
		return err
	}
	reason := "every"
	if e.Best {
		reason = "best"
		r.keep.best, r.at.BestKept = w, every
	}
	r.keep.add(r.afterEpochFile(e, reason, w))
	return nil
}

// saveNow writes the weights and last.ckpt, whatever the moment.
func (r *run) saveNow(reason string) error {
	r.endSave()
	f, err := r.weightsNow(reason)
	if err != nil {
		return err
	}
	if f.whole && f.epoch == r.at.Monitor.BestEpoch { // it stays when a better one comes
		r.at.BestKept = true
		r.at.OldBestKept = r.at.OldBestKept || f.name == r.at.BestFile
	}
	r.keep.add(f)
	return r.saveLast()
}

// weightsNow is the file for the weights as they are.
func (r *run) weightsNow(reason string) (weightsFile, error) {
	w, err := r.weights(r.net.evaluated())
	if err != nil {
		return weightsFile{}, err
	}
	if n := len(r.at.History); r.at.Step == 0 && n > 0 {
		return r.afterEpochFile(r.at.History[n-1], reason, w), nil
	}
	return weightsFile{
		name: checkpoint.StepName(r.t.options.Dataset.Name, r.at.epochs(r.config), r.at.Epoch, r.at.Step), reason: reason,
		epoch: r.at.Epoch, step: r.at.Step, total: r.at.Total,
		acc: checkpoint.NotKnown, loss: checkpoint.NotKnown, tensors: w,
	}, nil
}

// beginWeights writes the weights files that are pending.
func (r *run) beginWeights() {
	s, store := r.keep.saving, r.keep.store
	s.files, r.keep.pending = r.keep.pending, nil
	s.sizes, s.errs = make([]int64, len(s.files)), make([]error, len(s.files))
	content := make([]checkpoint.Weights, len(s.files))
	for i, f := range s.files {
		content[i] = checkpoint.Weights{Tensors: append(slices.Clip(f.tensors), r.net.whitened()...), Meta: r.meta(f)}
	}
	s.begin(func() {
		for i, f := range s.files {
			s.sizes[i], s.errs[i] = store.SaveWeights(f.name, content[i])
		}
	})
}

// takeInWeights takes in what came of the weights files. One that could not be
// written is tried again at the next save, unless a newer one for the same reason
// takes its place.
func (r *run) takeInWeights(s *saving) {
	for i, f := range s.files {
		if err := s.errs[i]; err != nil {
			f.failure = err
			r.keep.pending = append(r.keep.pending, f)
			r.warn(fmt.Sprintf("%v: training goes on, the next save tries again", err))
			continue
		}
		if f.failure != nil {
			r.warn(fmt.Sprintf("%s could be written now", f.name))
		}
		e := &event.CheckpointSaved{
			File: f.name, Reason: f.reason, Epoch: f.epoch, Step: f.step, Total: f.total,
			ValAcc: f.acc, ValLoss: f.loss, Size: s.sizes[i],
		}
		if f.reason == "best" {
			e.Removed = r.replaceBest(f.name)
		}
		r.announce(e)
	}
	r.keep.unsaved = r.keep.unsaved || len(r.keep.pending) > 0
	s.files = nil
}

// replaceBest makes a file that is now written the best one, and returns those
// that it replaces. They are deleted after the next last.ckpt is written: until
// then a kill would go back to where they were the best.
func (r *run) replaceBest(name string) (removed []string) {
	old := r.at.BestFile
	if old != "" && old != name && !r.at.OldBestKept {
		removed = []string{old}
		r.at.Obsolete = append(r.at.Obsolete, old)
	}
	r.at.BestFile, r.at.OldBestKept = name, r.at.BestKept
	if !r.t.testsAtEnd() {
		r.keep.best = nil
	}
	return removed
}

// meta is the metadata of a weights file.
func (r *run) meta(f weightsFile) map[string]string {
	m := r.about()
	m[checkpoint.MetaRun] = r.name
	m[checkpoint.MetaEpoch] = strconv.Itoa(f.epoch)
	if f.whole {
		m[checkpoint.MetaValAcc] = strconv.FormatFloat(float64(f.acc), 'g', -1, 64)
		m[checkpoint.MetaValLoss] = strconv.FormatFloat(float64(f.loss), 'g', -1, 64)
	} else {
		m[checkpoint.MetaStep] = strconv.Itoa(f.step)
	}
	return m
}

// about is the metadata of all weights of the run: what is needed to use them.
func (r *run) about() map[string]string {
	m := map[string]string{
		checkpoint.MetaFormat:  "pt",
		checkpoint.MetaDataset: r.t.options.Dataset.Called(),
	}
	for key, v := range map[string]any{checkpoint.MetaPreprocess: r.net.prep, checkpoint.MetaClasses: r.t.options.Dataset.Classes, checkpoint.MetaNetwork: r.t.spec} {
		if text, err := jsonText(v); err == nil {
			m[key] = text
		}
	}
	return m
}

// saveIsDue reports whether it is time for a last.ckpt within the epoch. It is not
// while the one before is being written, for which training would have to wait.
func (r *run) saveIsDue() bool {
	s := r.config.SaveSeconds
	return s > 0 && r.keep.saving == nil && r.at.clock.seconds()-r.keep.lastSave >= s
}

// save writes last.ckpt within an epoch.
func (r *run) save() error {
	if err := r.settle(); err != nil {
		return err
	}
	return r.beginSave()
}

// saveLast writes last.ckpt. A disk that does not take it is a warning, and the
// run goes on; the error is for weights that must not be saved.
func (r *run) saveLast() error {
	err := r.beginSave()
	r.endSave()
	return err
}

// beginSave writes the weights files that are pending and last.ckpt, of the run as it
// is, while training goes on: of an epoch on a GPU the disk would take a good part.
// takeIn takes in what came of it.
func (r *run) beginSave() error {
	r.endSave()
	r.keep.lastSave = r.at.clock.seconds()
	r.keep.unsaved = true
	w, err := r.weights(r.net.net)
	if err != nil {
		return err
	}
	var average []checkpoint.Tensor
	if r.net.average != nil {
		if average, err = r.weights(r.net.average); err != nil {
			return err
		}
	}
	state, err := r.net.solver.State()
	if err != nil {
		return err
	}
	network, err := json.Marshal(r.t.spec)
	if err != nil {
		return fmt.Errorf("describe the network: %w", err)
	}
	r.at.Elapsed = r.at.clock.seconds()
	c := &checkpoint.Checkpoint{
		Config: r.config, Run: r.name, Version: r.t.options.Version, Saved: r.now(), Network: network, About: r.about(), Data: r.t.data, Arithmetic: r.t.options.Backend.Arithmetic(),
		Position: r.at.Position, Weights: w, Solver: ofCheckpoint(state), Average: average, Whitening: r.net.whitened(),
	}
	told := &event.CheckpointSaved{
		File: checkpoint.LastFile, Reason: "last", Epoch: r.at.Epoch, Step: r.at.Step, Total: r.at.Total,
		ValAcc: checkpoint.NotKnown, ValLoss: checkpoint.NotKnown,
	}
	if n := len(r.at.History); n > 0 && r.at.Step == 0 {
		told.ValAcc, told.ValLoss = r.at.History[n-1].ValAcc, r.at.History[n-1].ValLoss
	}
	r.keep.unsaved = false // unless more is trained, or the disk does not take it
	r.keep.saving = &saving{of: c, told: told}
	if len(r.keep.pending) > 0 {
		r.beginWeights()
	} else {
		r.beginLast()
	}
	return nil
}

// beginLast writes last.ckpt, after what the log has been given. What it refers to
// may no longer change.
func (r *run) beginLast() {
	s, c, log, store := r.keep.saving, r.keep.saving.of, r.log, r.keep.store
	c.BestFile, c.OldBestKept, c.Obsolete = r.at.BestFile, r.at.OldBestKept, r.at.Obsolete
	c.Best, c.Seq = r.keep.best, r.seq
	s.begin(func() {
		log.Flush(logFlushTime)
		s.told.Size, s.err = store.SaveLast(c)
	})
}

// endSave takes in the save that is under way, if there is one, once it is done.
func (r *run) endSave() {
	for r.keep.saving != nil {
		r.outside(r.keep.wait)
		r.takeIn()
	}
}

// takeIn takes in what came of the part of a save that is done, and begins the other
// one. It panics if that did.
func (r *run) takeIn() {
	s := r.keep.saving
	if s.fault != "" {
		r.keep.saving = nil
		panic(s.fault)
	}
	r.tellGivenUp()
	if len(s.files) > 0 {
		r.takeInWeights(s)
		r.beginLast()
		return
	}
	r.keep.saving = nil
	r.tellOfLog()
	if s.err != nil {
		r.keep.failure, r.keep.unsaved = s.err, true
		r.warn(fmt.Sprintf("%v: training goes on, the next save tries again", s.err))
		return
	}
	if r.keep.failure != nil {
		r.warn(fmt.Sprintf("%s is written again, of epoch %d, step %d", checkpoint.LastFile, s.told.Epoch, s.told.Step))
	}
	r.keep.failure = nil
	r.keep.store.Remove(s.of.Obsolete)
	r.at.Obsolete = nil
	r.announce(s.told)
}

// tellGivenUp tells, once, that the disk is too small to keep the checkpoint before
// the last.
func (r *run) tellGivenUp() {
	for _, file := range r.keep.givenUp {
		if !r.keep.tight {
			r.warn(fmt.Sprintf("the disk is nearly full: %s, the checkpoint to fall back on, is given up for the room, now and whenever it has to be", file))
		}
		r.keep.tight = true
	}
	r.keep.givenUp = nil
}

// diverged is the error for a loss, weights or validation that is not finite.
// It makes sure that last.ckpt is one that training was still good after.
func (r *run) diverged(what string) error {
	r.endSave()
	good := "there is no good checkpoint from before"
	if c := r.keep.store.DropBad(r.at.Total); c != nil {
		good = fmt.Sprintf("the last good checkpoint, %s, is of epoch %d, step %d: go on from there with a smaller --lr", checkpoint.LastFile, c.Epoch, c.Step)
	}
	return fmt.Errorf("%w: %s; %s", ErrDiverged, what, good)
}

// restorePending finds, after a resume, that the best weights were never
// written.
func (r *run) restorePending() {
	e := r.at.Monitor.BestEpoch
	if r.keep.best == nil || e < 1 || e > len(r.at.History) {
		return
	}
	f := r.afterEpochFile(r.at.History[e-1], "best", r.keep.best)
	if !checkpoint.SameWeights(f.name, r.at.BestFile) {
		r.keep.pending = append(r.keep.pending, f)
	}
}
