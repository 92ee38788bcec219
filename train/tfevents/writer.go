package tfevents

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"cifartui/train/event"
	"cifartui/train/record"
)

// Folders of the event files, below the run folder's tfevents/.
const (
	folder           = "tfevents"
	trainFolder      = "train"
	validationFolder = "validation"
)

// Tags of the scalars. The first two are Keras' and the same in both folders.
const (
	tagEpochLoss     = "epoch_loss"
	tagEpochAccuracy = "epoch_accuracy"
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
	train, val *stream
	steps      stepMean
	written    float64 // Elapsed at the last point by step
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

func open(started *event.RunStarted) (w *Writer, err error) {
	w = &Writer{dir: filepath.Join(started.Folder, folder), written: started.Elapsed}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.train, err = openStream(filepath.Join(w.dir, trainFolder), started); err != nil {
		return nil, err
	}
	if w.val, err = openStream(filepath.Join(w.dir, validationFolder), started); err != nil {
		return nil, err
	}
	if started.Resumed {
		return w, w.catchUp(started)
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
			err = w.train.scalars(e.Time, e.Total, w.steps.take()...)
		}
	case *event.EpochDone:
		w.written = e.Elapsed
		// One record for all values of the step: a kill leaves all or none.
		values := append(w.steps.take(),
			scalar{tagEpochLoss, float64(e.Loss)},
			scalar{tagEpochAccuracy, float64(e.Acc)})
		err = errors.Join(
			w.train.scalars(e.Time, e.Total, values...),
			w.val.scalars(e.Time, e.Total,
				scalar{tagEpochLoss, float64(e.ValLoss)},
				scalar{tagEpochAccuracy, float64(e.ValAcc)}))
	case *event.RunEnded:
		err = w.flushSteps(e.Time)
		if e.Outcome != event.OutcomeStopped && e.Outcome != event.OutcomeDetached {
			err = errors.Join(err, w.writeHParams(tagSessionEnd, e))
		}
	}
	if err != nil {
		return fmt.Errorf("TensorBoard files: %w", err)
	}
	return nil
}

// Close writes what is left and closes the files.
func (w *Writer) Close() error {
	var err error
	if w.train != nil {
		err = errors.Join(w.flushSteps(time.Now()), w.train.Close())
	}
	if w.val != nil {
		err = errors.Join(err, w.val.Close())
	}
	return err
}

func (w *Writer) flushSteps(t time.Time) error {
	if total, values := w.steps.total, w.steps.take(); values != nil {
		return w.train.scalars(t, total, values...)
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
		list := hparams(e.Config)
		s.add(hparamsEvent(t, tagExperiment, dataExperiment, experimentMessage(t, list)))
		s.add(hparamsEvent(t, tag, dataSessionStart, sessionStartMessage(t, list)))
	case *event.RunEnded:
		s.add(hparamsEvent(t, tag, dataSessionEnd, sessionEndMessage(t, e.Outcome)))
	}
	return s.Close()
}

// catchUp writes what the older files lack.
func (w *Writer) catchUp(started *event.RunStarted) error {
	kept, err := record.Kept(started, min(w.train.from, w.val.from))
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
