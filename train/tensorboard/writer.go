package tensorboard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cifartui/train/event"
	"cifartui/train/record"
)

// Folders of the event files, below the run folder. None may have "tfevents"
// in its name: TensorBoard takes a path whose last part contains that for a
// file, and answers nothing for a run that lies below one.
const (
	folder           = "tensorboard"
	trainFolder      = "train"
	validationFolder = "validation"
	batchesFolder    = "batches"
)

// Tags of the scalars. Those of epochs are Keras'. They stand at the number of
// their epoch, so that runs of several batch sizes line up; those of batches
// stand at the number of batches trained. The two have folders of their own,
// since what a resume takes back is told to TensorBoard as a step from which
// on it forgets all of a folder.
const (
	tagEpochLoss     = "epoch_loss"
	tagEpochAccuracy = "epoch_accuracy"
	tagEpochRate     = "epoch_learning_rate"
	tagBatchLoss     = "batch_loss"
	tagBatchAccuracy = "batch_accuracy"
	tagLR            = "lr"
	tagImages        = "images_per_second"
)

// interval is the least training time in seconds between two points of the
// scalars that are written by step.
const interval = 1.0

// A Writer writes the event files of one run folder. It is a [record.Sink].
type Writer struct {
	dir        string
	train, val *stream // by epoch
	batches    *stream // by batch
	steps      stepMean
	written    float64 // Elapsed at the last point by batch
}

var _ record.Sink = (*Writer)(nil)

// Open makes new event files in a run's folder for what follows started. On a
// resume, what the process before did not live to write is taken from the
// folder's record of events. It is a [record.OpenSink].
func Open(started *event.RunStarted) (record.Sink, error) {
	w, err := open(started)
	if err != nil {
		return nil, fmt.Errorf("TensorBoard files: %w", err)
	}
	return w, nil
}

func open(started *event.RunStarted) (_ *Writer, err error) {
	w := &Writer{dir: filepath.Join(started.Folder, folder), written: started.Elapsed}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	var epochs, batches int64 // that a resume keeps
	if started.Resumed {
		epochs, batches = int64(started.ResumedEpoch-1), started.ResumedTotal
	}
	if w.train, err = openStream(filepath.Join(w.dir, trainFolder), started, epochs); err != nil {
		return nil, err
	}
	if w.val, err = openStream(filepath.Join(w.dir, validationFolder), started, epochs); err != nil {
		return nil, err
	}
	if w.batches, err = openStream(filepath.Join(w.dir, batchesFolder), started, batches); err != nil {
		return nil, err
	}
	if started.Resumed {
		if err := w.catchUp(started); err != nil {
			return nil, err
		}
		if err := removeOld(started.Folder); err != nil {
			return nil, err
		}
	}
	if names, err := eventFiles(w.dir); len(names) > 0 || err != nil {
		return w, err // the hyperparameters are told once
	}
	return w, w.writeHParams(tagSessionStart, started)
}

// Write implements [record.Sink].
func (w *Writer) Write(e event.Event) error {
	var err error
	switch e := e.(type) {
	case *event.StepDone:
		w.steps.add(e)
		if e.Elapsed-w.written >= interval {
			w.written = e.Elapsed
			err = w.flushSteps(e.Time)
		}
	case *event.EpochDone:
		w.written = e.Elapsed
		// One record for all values of the epoch: a kill leaves all or none.
		err = errors.Join(w.flushSteps(e.Time),
			w.train.scalars(e.Time, int64(e.Epoch),
				scalar{tagEpochLoss, float64(e.Loss)},
				scalar{tagEpochAccuracy, float64(e.Acc)},
				scalar{tagEpochRate, e.LR}),
			w.val.scalars(e.Time, int64(e.Epoch),
				scalar{tagEpochLoss, float64(e.ValLoss)},
				scalar{tagEpochAccuracy, float64(e.ValAcc)}))
	case *event.RunEnded:
		err = w.flushSteps(e.Time)
		if e.Outcome != event.OutcomeStopped && e.Outcome != event.OutcomeDetached {
			err = errors.Join(err, w.writeHParams(tagSessionEnd, e))
		}
	}
	if err == nil { // what an earlier event could not write
		err = errors.Join(w.train.Flush(), w.val.Flush(), w.batches.Flush())
	}
	if err != nil {
		return fmt.Errorf("TensorBoard files: %w", err)
	}
	return nil
}

// Close writes what is left and closes the files.
func (w *Writer) Close() error {
	var err error
	if w.batches != nil {
		err = w.flushSteps(time.Now())
	}
	for _, s := range []*stream{w.train, w.val, w.batches} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

func (w *Writer) flushSteps(t time.Time) error {
	total := w.steps.total // before take empties it
	if values := w.steps.take(); values != nil {
		return w.batches.scalars(t, total, values...)
	}
	return nil
}

// writeHParams writes a file for the HParams tab: the start of the session or
// its end.
func (w *Writer) writeHParams(tag string, e event.Event) error {
	t := e.Head().Time
	s, err := createStream(w.dir, t)
	if err != nil {
		return err
	}
	switch e := e.(type) {
	case *event.RunStarted:
		list := hparams(e)
		s.add(hparamsEvent(t, tagExperiment, dataExperiment, experimentMessage(t, list)))
		s.add(hparamsEvent(t, tag, dataSessionStart, sessionStartMessage(t, list)))
	case *event.RunEnded:
		s.add(hparamsEvent(t, tag, dataSessionEnd, sessionEndMessage(t, e.Outcome)))
	}
	return s.Close()
}

// oldFolder is where earlier versions wrote, under a name that TensorBoard's
// server cannot open.
const oldFolder = "tfevents"

// removeOld removes the event files of an earlier version, once the new ones
// hold all that the run's record does: TensorBoard would show everything twice.
// A folder with anything else in it is left.
func removeOld(runFolder string) error {
	old := filepath.Join(runFolder, oldFolder)
	st, err := os.Lstat(old)
	if errors.Is(err, os.ErrNotExist) || err == nil && !st.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	foreign := errors.New("not ours")
	err = filepath.WalkDir(old, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), filePrefix) {
			return foreign
		}
		return err
	})
	if errors.Is(err, foreign) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(old)
}

// catchUp writes what the older files lack.
func (w *Writer) catchUp(started *event.RunStarted) error {
	after := w.batches.from
	if epochs := int64(started.ResumedEpoch - 1); w.train.from < epochs || w.val.from < epochs {
		after = 0
	}
	kept, err := record.Kept(started, after)
	if err != nil {
		return err
	}
	elapsed := w.written
	w.written = 0
	for _, e := range kept {
		if err := w.Write(e); err != nil {
			return err
		}
	}
	w.written = elapsed
	return nil
}

// A stepMean gathers the steps of one point.
type stepMean struct {
	total             int64
	count             int
	loss, acc, lr     float64 // loss and acc summed over batches
	images, imageTime float64
}

func (m *stepMean) add(e *event.StepDone) {
	n := float64(e.Count)
	m.total = e.Total
	m.count += e.Count
	m.loss += n * float64(e.Loss)
	m.acc += n * float64(e.Acc)
	m.lr = e.LR
	if e.ImagesPerSecond > 0 {
		m.images += n // in batches: the size cancels out
		m.imageTime += n / e.ImagesPerSecond
	}
}

// take returns the point's values and empties m; nil when it has none.
func (m *stepMean) take() []scalar {
	if m.count == 0 {
		return nil
	}
	n := float64(m.count)
	values := []scalar{{tagBatchLoss, m.loss / n}, {tagBatchAccuracy, m.acc / n}, {tagLR, m.lr}}
	if m.imageTime > 0 {
		values = append(values, scalar{tagImages, m.images / m.imageTime})
	}
	*m = stepMean{}
	return values
}
