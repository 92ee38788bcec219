package tui

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
)

// testStart is when every scripted run begins.
var testStart = time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC)

var testClasses = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// A script makes up the events of a run whose curves look like those of the
// article: quick at first, 90% in the end, the validation loss turning up.
type script struct {
	name   string
	batch  int
	epochs int // configured
	demo   bool
	speed  float64 // images a second
	every  int     // steps between two step events

	rng     *rand.Rand
	seq     uint64
	elapsed float64
	events  []event.Event
	best    float64
	bestAt  int
	acc     float64
}

func newScript(name string, batch, epochs int) *script {
	return &script{name: name, batch: batch, epochs: epochs, speed: 412, every: 20, rng: rand.New(rand.NewPCG(7, uint64(batch)))}
}

func (s *script) steps() int { return (50000 + s.batch - 1) / s.batch }

func (s *script) head(k event.Kind) event.Header {
	s.seq++
	return event.Header{Event: k, Seq: s.seq, Run: s.name, Time: testStart.Add(time.Duration(s.elapsed * float64(time.Second)))}
}

func (s *script) emit(e event.Event) { s.events = append(s.events, e) }

func (s *script) config() config.Config {
	return config.Config{
		Name: s.name, Runs: "runs", Data: "auto", Preprocess: "unit", Augment: config.Default().Augment, Shuffle: true,
		Batch: s.batch, Epochs: s.epochs, Seed: 1, Dropout: 0.5, Optimizer: "adadelta", LR: 1,
		Schedule: "constant", Monitor: "val_acc", Patience: 20,
	}
}

func (s *script) start() *script {
	e := &event.RunStarted{
		Header: s.head(event.KindRunStarted), Config: s.config(), Folder: "/data/runs/" + s.name,
		Dataset: "CIFAR-10", Classes: testClasses, TrainImages: 50000, ValImages: 10000,
		StepsPerEpoch: s.steps(), ValIsTest: true, Kernels: "avx512", Threads: 16, PID: 4711, Version: "v0.9.0",
	}
	if s.demo {
		e.Dataset, e.Demo = "demo", true
	}
	s.emit(e)
	s.state(event.StateRunning, "", 1, 0)
	return s
}

func (s *script) state(st event.State, why string, epoch, step int) *script {
	s.emit(&event.StateChanged{Header: s.head(event.KindStateChanged), State: st, Reason: why, Epoch: epoch, Step: step})
	return s
}

// curve returns the expected values after so many epochs.
func (s *script) curve(t float64) (loss, acc, valLoss, valAcc float64) {
	slow := math.Pow(float64(s.batch)/64, 0.25)
	t /= slow
	acc = 0.99 - 0.62*math.Exp(-t/9) - 0.27*math.Exp(-t/1.6)
	loss = 0.03 + 1.25*math.Exp(-t/10) + 0.95*math.Exp(-t/1.2)
	valAcc = 0.893 - 0.36*math.Exp(-t/7) - 0.4*math.Exp(-t/1.5)
	valLoss = 0.40 + 0.85*math.Exp(-t/6) + 0.9*math.Exp(-t/1.1) + 0.007*math.Max(0, t-12)
	return
}

// train adds the steps of an epoch from step `from` to `to`.
func (s *script) train(epoch, from, to int) *script {
	n := s.steps()
	for step := from + s.every; step <= to || step-s.every < to; step += s.every {
		at := min(step, to)
		s.elapsed += float64((at-(step-s.every))*s.batch) / s.speed
		loss, acc, _, _ := s.curve(float64(epoch-1) + float64(at)/float64(n))
		loss = math.Max(0.001, loss*(1+0.16*s.rng.NormFloat64()))
		acc = min(1, math.Max(0, acc+0.05*s.rng.NormFloat64()))
		s.emit(&event.StepDone{
			Header: s.head(event.KindStep), Epoch: epoch, Step: at, Steps: n, Total: int64((epoch-1)*n + at),
			Count: at - (step - s.every), Loss: event.Float(loss), MinLoss: event.Float(loss * 0.8), MaxLoss: event.Float(loss * 1.25),
			Acc: event.Float(acc), LR: 1, ImagesPerSecond: s.speed * (1 + 0.03*s.rng.NormFloat64()), Elapsed: s.elapsed,
			Phases: event.Phases{Data: 0.004, Forward: 0.9, Backward: 1.7, Optimizer: 0.12},
		})
	}
	return s
}

// epoch adds a whole epoch and what follows it.
func (s *script) epoch(epoch int) *script {
	n := s.steps()
	before := s.elapsed
	s.train(epoch, 0, n)
	s.elapsed += 9
	loss, acc, valLoss, valAcc := s.curve(float64(epoch))
	valAcc += 0.012 * s.rng.NormFloat64()
	valLoss *= 1 + 0.03*s.rng.NormFloat64()
	s.acc = valAcc
	isBest := valAcc > s.best
	if isBest {
		s.best, s.bestAt = valAcc, epoch
	}
	s.emit(&event.EpochDone{
		Header: s.head(event.KindEpoch), Epoch: epoch, Epochs: s.epochs, Batch: s.batch, Total: int64(epoch * n),
		Loss: event.Float(loss * (1 + 0.01*s.rng.NormFloat64())), Acc: event.Float(acc + 0.004*s.rng.NormFloat64()),
		ValLoss: event.Float(valLoss), ValAcc: event.Float(valAcc), LR: 1, Seconds: s.elapsed - before,
		ImagesPerSecond: s.speed, Elapsed: s.elapsed, Best: isBest, PatienceLeft: 20 - (epoch - s.bestAt),
		Phases: event.Phases{Data: 0.2, Forward: 36, Backward: 70, Optimizer: 5},
	})
	s.emit(s.evaluated(epoch))
	if isBest {
		s.emit(&event.CheckpointSaved{
			Header: s.head(event.KindCheckpointSaved), File: fmt.Sprintf("CIFAR10-EP%02d-ACC%.4f.safetensors", epoch, valAcc),
			Reason: "best", Epoch: epoch, Step: n, Total: int64(epoch * n), ValAcc: event.Float(valAcc), ValLoss: event.Float(valLoss), Size: 4751234,
		})
	}
	s.emit(&event.CheckpointSaved{
		Header: s.head(event.KindCheckpointSaved), File: "last.ckpt", Reason: "last", Epoch: epoch + 1, Step: 0,
		Total: int64(epoch * n), ValAcc: event.Float(valAcc), ValLoss: event.Float(valLoss), Size: 14251234,
	})
	return s
}

// evaluated makes up a confusion matrix and pictures.
func (s *script) evaluated(epoch int) *event.Evaluated {
	_, _, _, acc := s.curve(float64(epoch))
	e := &event.Evaluated{Header: s.head(event.KindEvaluated), Epoch: epoch, Confusion: make([][]int, 10)}
	near := map[int]int{3: 5, 5: 3, 0: 8, 8: 0, 1: 9, 9: 1, 4: 7, 7: 4, 2: 4, 6: 2}
	for i := range 10 {
		e.Confusion[i] = make([]int, 10)
		wrong := int(1000 * (1 - acc) * (0.6 + 0.8*float64((i*7)%10)/9))
		e.Confusion[i][i] = 1000 - wrong
		e.Confusion[i][near[i]] += wrong / 2
		for j, left := 0, wrong-wrong/2; left > 0; j = (j + 1) % 10 {
			if j != i {
				n := min(left, 1+wrong/18)
				e.Confusion[i][j] += n
				left -= n
			}
		}
	}
	for k := range 20 {
		label := (k * 3) % 10
		e.Samples = append(e.Samples, event.Sample{
			Index: 100*epoch%700 + k, Label: label, Predicted: near[label],
			Confidence: 0.998 - 0.013*float64(k), Pixels: picture(label, near[label]),
		})
	}
	return e
}

// picture makes up an image: a disc and a bar on a slope of colours.
func picture(a, b int) []byte {
	px := make([]byte, 3*1024)
	for y := range 32 {
		for x := range 32 {
			r, g, bl := 40+5*y, 90+4*y, 200-3*y+2*a
			if d := (x-16)*(x-16) + (y-14)*(y-14); d < 60+8*b {
				r, g, bl = 230-12*a, 120+10*b, 40+18*a
			}
			if y > 24 && (x+a)%9 < 5 {
				r, g, bl = 70, 60, 50
			}
			for c, v := range []int{r, g, bl} {
				px[1024*c+32*y+x] = byte(min(max(v, 0), 255))
			}
		}
	}
	return px
}

func (s *script) run(epochs int) *script {
	s.start()
	for e := 1; e <= epochs; e++ {
		s.epoch(e)
	}
	return s
}

func (s *script) end(o event.Outcome, why string, epoch int) *script {
	s.emit(&event.RunEnded{
		Header: s.head(event.KindRunEnded), Outcome: o, Error: why, Epoch: epoch, Seconds: s.elapsed,
		BestAcc: 0.9782, BestAccEpoch: epoch, BestValAcc: event.Float(s.best), BestValAccEpoch: s.bestAt,
	})
	return s
}

// A fakeSource hands out events that a test feeds it.
type fakeSource struct {
	mu     sync.Mutex
	queue  []event.Event
	ended  bool
	wake   chan struct{}
	taken  int
	failed error
}

func newFakeSource(es ...event.Event) *fakeSource {
	return &fakeSource{queue: es, wake: make(chan struct{}, 1)}
}

func (f *fakeSource) feed(es ...event.Event) {
	f.mu.Lock()
	f.queue = append(f.queue, es...)
	f.mu.Unlock()
	f.poke()
}

func (f *fakeSource) end() {
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	f.poke()
}

func (f *fakeSource) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *fakeSource) Next(ctx context.Context, most int) ([]event.Event, error) {
	for {
		f.mu.Lock()
		n := min(most, len(f.queue))
		es := f.queue[:n:n]
		f.queue = f.queue[n:]
		f.taken += n
		ended := f.ended
		f.mu.Unlock()
		switch {
		case n > 0:
			return es, nil
		case ended && f.failed != nil:
			return nil, f.failed
		case ended:
			return nil, io.EOF
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.wake:
		}
	}
}

// A fakeControl notes commands, and answers them when it has an answer.
type fakeControl struct {
	mu     sync.Mutex
	got    []event.Command
	answer func(event.Command) error
}

func (f *fakeControl) Send(c event.Command) error {
	f.mu.Lock()
	f.got = append(f.got, c)
	f.mu.Unlock()
	if f.answer != nil {
		return f.answer(c)
	}
	return nil
}

func (f *fakeControl) commands() []event.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]event.Command(nil), f.got...)
}

// fakeFiles are checkpoint files that are nowhere.
type fakeFiles struct {
	mu      sync.Mutex
	list    []checkpoint.Info
	deleted []string
	err     error
}

func (f *fakeFiles) List(folder string) ([]checkpoint.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.Clone(f.list)
	for i := range list {
		if list[i].Path == "" {
			list[i].Path = filepath.Join(folder, "checkpoints", list[i].File)
		}
	}
	return list, f.err
}

func (f *fakeFiles) Verify(string) error { return f.err }

func (f *fakeFiles) Delete(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleted = append(f.deleted, path)
	if f.err == nil {
		f.remove(filepath.Base(path))
	}
	return f.err
}

func (f *fakeFiles) remove(file string) {
	f.list = slices.DeleteFunc(f.list, func(c checkpoint.Info) bool { return c.File == file })
}

// write has the files be there that events tell of.
func (f *fakeFiles) write(events []event.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		c, ok := e.(*event.CheckpointSaved)
		if !ok {
			continue
		}
		f.remove(c.File)
		for _, old := range c.Removed {
			f.remove(old)
		}
		f.list = append(f.list, checkpoint.Info{
			File: c.File, Size: c.Size, Time: c.Time,
			Resumable: c.Reason == "last", Epoch: c.Epoch, Step: c.Step, ValAcc: c.ValAcc, ValLoss: c.ValLoss,
		})
	}
}

// noData is the error of data that is not there.
func noData(err error) error {
	return &StartError{Title: "The data is not there", Data: true, Err: err}
}

// neverLoads loads until it is told to stop.
func neverLoads(ctx context.Context, _ string, _ func(Progress)) error {
	<-ctx.Done()
	return ctx.Err()
}
