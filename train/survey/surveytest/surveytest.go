// Package surveytest makes up run folders, and processes that write them, for
// tests of what looks at many runs.
package surveytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Shape is a run to make up: settings, and how far it has come.
type Shape struct {
	Config  config.Config // Epochs and Batch at least
	Host    string
	Began   time.Time
	Done    int           // epochs
	Outcome event.Outcome // "": it has not ended
	Steps   int           // lines of steps that each epoch has in the record
	Speed   float64       // images a second
	Level   float64       // the validation accuracy that it comes to
}

const images = 50000

// Default is a run of the article's settings that began at some time.
func Default(began time.Time) Shape {
	c := config.Default()
	return Shape{Config: c, Host: "box", Began: began, Steps: 4, Speed: 412, Level: 0.89}
}

// Make makes the folder of a run, with its settings, record and table of epochs.
func Make(folder string, s Shape) error {
	w, err := Begin(folder, s)
	if err != nil {
		return err
	}
	for range s.Done {
		if err := w.Epoch(); err != nil {
			return err
		}
	}
	if s.Outcome != "" {
		err = w.End(s.Outcome)
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}

// Writer writes a run folder as a process that trains does. Of what it is asked
// for, all is in the files when the call returns.
type Writer struct {
	Shape
	folder        string
	record, table *os.File
	lines         *bufio.Writer
	rng           *rand.Rand
	seq           uint64
	epoch, step   int
	elapsed       float64
	best          float64
	bestAt        int
}

// Begin makes the folder of a run that begins now.
func Begin(folder string, s Shape) (*Writer, error) {
	if err := os.MkdirAll(filepath.Join(folder, rundir.CheckpointsDir), 0o755); err != nil {
		return nil, err
	}
	w := &Writer{Shape: s, folder: folder, rng: rand.New(rand.NewPCG(s.Config.Seed, uint64(s.Config.Batch)))}
	if err := s.WriteSettings(folder); err != nil {
		return nil, err
	}
	var err error
	if w.record, err = os.Create(filepath.Join(folder, rundir.EventsFile)); err != nil {
		return nil, err
	}
	if w.table, err = os.Create(filepath.Join(folder, rundir.HistoryFile)); err != nil {
		return nil, err
	}
	w.lines = bufio.NewWriterSize(w.record, 1<<16)
	fmt.Fprint(w.table, "epoch,acc,loss,lr,val_acc,val_loss\r\n")
	w.emit(&event.RunStarted{Header: w.head(event.KindRunStarted), Config: s.Config, Folder: folder, Dataset: "CIFAR-10",
		TrainImages: images, ValImages: 10000, StepsPerEpoch: w.steps(), LearnRate: 1, Kernels: "avx512", Threads: 8, Version: "v1.0"})
	return w, w.State(event.StateRunning)
}

// WriteSettings writes only the settings into a folder that is there.
func (s Shape) WriteSettings(folder string) error {
	about := config.About{Version: "v1.0", Platform: "linux/amd64", Host: s.Host, Kernels: "avx512", Dataset: "CIFAR-10", Created: s.Began.Format(time.RFC3339)}
	b, err := json.Marshal(struct {
		config.Config
		About config.About `json:"about"`
	}{s.Config, about})
	if err != nil {
		return err
	}
	// Without config.Write's care for a power cut, which takes its time.
	return os.WriteFile(filepath.Join(folder, rundir.ConfigFile), b, 0o644)
}

func (w *Writer) steps() int { return (images + w.Config.Batch - 1) / w.Config.Batch }

func (w *Writer) head(k event.Kind) event.Header {
	w.seq++
	return event.Header{Event: k, Seq: w.seq, Run: filepath.Base(w.folder), Time: w.Began.Add(time.Duration(w.elapsed * float64(time.Second)))}
}

func (w *Writer) emit(e event.Event) {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // an event of ours
	}
	w.lines.Write(append(b, '\n'))
}

// State tells of a new state.
func (w *Writer) State(s event.State) error {
	w.emit(&event.StateChanged{Header: w.head(event.KindStateChanged), State: s, Epoch: w.epoch + 1})
	return w.lines.Flush()
}

// Step tells of a part of an epoch.
func (w *Writer) Step() error {
	w.emitStep(min(w.step+max(1, w.steps()/max(1, w.Steps)), w.steps()))
	return w.lines.Flush()
}

func (w *Writer) emitStep(to int) {
	if to <= w.step {
		return
	}
	n := to - w.step
	w.step = to
	w.elapsed += float64(n*w.Config.Batch) / w.Speed
	loss := event.Float(2.3*math.Exp(-float64(w.epoch)/9) + 0.1*w.rng.Float64())
	w.emit(&event.StepDone{Header: w.head(event.KindStep), Epoch: w.epoch + 1, Step: to, Steps: w.steps(), Total: int64(w.epoch*w.steps() + to), Count: n,
		Loss: loss, MinLoss: loss * 0.9, MaxLoss: loss * 1.1, Acc: 0.5, LR: 1, ImagesPerSecond: w.Speed * (1 + 0.02*w.rng.NormFloat64()), Elapsed: w.elapsed})
}

// Epoch trains an epoch to its end.
func (w *Writer) Epoch() error {
	for w.step < w.steps() {
		w.emitStep(min(w.step+max(1, w.steps()/max(1, w.Steps)), w.steps()))
	}
	w.epoch, w.step = w.epoch+1, 0
	t := float64(w.epoch) / (1 + float64(w.Config.Batch)/256)
	valAcc := w.Level - 0.6*math.Exp(-t/6) + 0.008*w.rng.NormFloat64()
	e := &event.EpochDone{Header: w.head(event.KindEpoch), Epoch: w.epoch, Epochs: w.Config.Epochs, Batch: w.Config.Batch, Total: int64(w.epoch * w.steps()),
		Loss: event.Float(0.05 + 2*math.Exp(-t/8)), Acc: event.Float(0.99 - 0.8*math.Exp(-t/8)), ValLoss: event.Float(0.4 + 1.6*math.Exp(-t/6) + 0.003*t), ValAcc: event.Float(valAcc),
		LR: 1, Seconds: images / w.Speed, ImagesPerSecond: w.Speed, Elapsed: w.elapsed, PatienceLeft: 20}
	if valAcc > w.best {
		w.best, w.bestAt, e.Best = valAcc, w.epoch, true
	}
	w.emit(e)
	confusion := make([][]int, 10)
	for i := range confusion {
		confusion[i] = make([]int, 10)
		confusion[i][i] = 900
	}
	w.emit(&event.Evaluated{Header: w.head(event.KindEvaluated), Epoch: w.epoch, Confusion: confusion})
	number := func(v event.Float) string { return strconv.FormatFloat(float64(v), 'f', -1, 64) }
	fmt.Fprintf(w.table, "%d,%s,%s,1.0,%s,%s\r\n", w.epoch-1, number(e.Acc), number(e.Loss), number(e.ValAcc), number(e.ValLoss))
	return w.lines.Flush()
}

// End tells of the run's end.
func (w *Writer) End(o event.Outcome) error {
	w.emit(&event.RunEnded{Header: w.head(event.KindRunEnded), Outcome: o, Epoch: w.epoch, Seconds: w.elapsed, BestValAcc: event.Float(w.best), BestValAccEpoch: w.bestAt})
	return w.lines.Flush()
}

// Close closes the files.
func (w *Writer) Close() error {
	err := w.lines.Flush()
	for _, f := range []*os.File{w.record, w.table} {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	return err
}

// Many makes n runs of so many epochs, all ended, each with settings of its own.
// Those of the same shape share record and table, which saves the disk.
func Many(dir string, n, epochs int) error {
	began := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	var first []string
	for i := range n {
		s := Default(began.Add(time.Duration(i) * 20 * time.Minute))
		s.Config.Epochs, s.Done, s.Outcome = epochs, epochs, event.OutcomeFinished
		shape := i % 8
		s.Config.Batch = 64 << (shape % 4)
		s.Config.LR = []float64{1, 0.1}[shape/4]
		s.Config.Seed = uint64(i)
		s.Host = fmt.Sprintf("gpu%02d", i%12)
		s.Speed *= 1 + float64(shape)/10
		folder := filepath.Join(dir, fmt.Sprintf("run-%04d", i))
		if i < 8 {
			if err := Make(folder, s); err != nil {
				return err
			}
			first = append(first, folder)
			continue
		}
		if err := os.MkdirAll(filepath.Join(folder, rundir.CheckpointsDir), 0o755); err != nil {
			return err
		}
		if err := s.WriteSettings(folder); err != nil {
			return err
		}
		for _, name := range []string{rundir.EventsFile, rundir.HistoryFile} {
			if err := os.Link(filepath.Join(first[shape], name), filepath.Join(folder, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
