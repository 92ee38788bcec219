package bench

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/feed"
)

// A task is one mode at one batch size, ready to run.
type task struct {
	Result
	run     func() error                // one round of Steps steps
	profile func() ([]nn.OpTime, error) // nil: nothing to tell layer by layer
	rates   []float64
	millis  []float64
	close   func()
}

// round runs the task's steps. The round that warms up sets how many they are.
func (t *task) round(warmUp bool) error {
	start := time.Now()
	if err := t.run(); err != nil {
		return err
	}
	took := time.Since(start).Seconds()
	if warmUp {
		t.Steps = max(1, min(10_000, int(roundTime.Seconds()*float64(t.Steps)/took)))
		return nil
	}
	t.rates = append(t.rates, float64(t.Steps*t.Batch)/took)
	t.millis = append(t.millis, took*1e3/float64(t.Steps))
	return nil
}

// finish works out the result.
func (t *task) finish(spec nn.Spec, layers bool) error {
	t.Rounds = len(t.rates)
	t.ImagesPerSecond, t.Milliseconds = spread(t.rates), spread(t.millis)
	flops, step := spec.FLOPs()
	if t.Mode == Train {
		flops = step
	}
	t.GFLOPS = t.ImagesPerSecond.Median * float64(flops) / 1e9
	if layers && t.profile != nil {
		ops, err := t.profile()
		if err != nil {
			return err
		}
		t.Layers = layerTimes(ops, spec, t.Batch)
	}
	return nil
}

// images makes random images: the time of a step does not depend on what
// they show.
func images(n int) *cifar.Set {
	r := rand.New(rand.NewPCG(1, 2))
	s := cifar.NewSet(cifar.Size, n)
	for i := range s.Pixels {
		s.Pixels[i] = byte(r.Uint32())
	}
	for i := range s.Labels {
		s.Labels[i] = byte(r.IntN(cifar.Classes))
	}
	return s
}

// newTrainTask prepares whole training steps: the loader's augmentation and
// normalization are inside the measured time, on the same processors.
func newTrainTask(ctx context.Context, b nn.Backend, spec nn.Spec, batch int) (*task, error) {
	net, err := nn.New(b, spec, 1)
	if err != nil {
		return nil, err
	}
	solver, err := nn.NewSolver(b, "adadelta", nn.SolverOptions{})
	if err != nil {
		return nil, err
	}
	step, err := net.NewStep(batch, solver)
	if err != nil {
		return nil, err
	}
	set := images(max(1024, 4*batch) / batch * batch)
	pre, err := cifar.NewPreprocess("unit", set)
	if err != nil {
		return nil, err
	}
	loader := cifar.NewLoader(set, cifar.LoaderConfig{Batch: batch, Shuffle: true, Augment: cifar.DefaultAugment(), Preprocess: pre, Seed: 1})
	images, err := feed.New(b, loader)
	if err != nil {
		return nil, err
	}
	r := &trainer{ctx: ctx, step: step, images: images}
	t := &task{Result: Result{Mode: Train, Batch: batch, Steps: 1}}
	t.run = func() error { return r.run(t.Steps) }
	t.profile = func() ([]nn.OpTime, error) {
		step.SetProfile(true)
		defer step.SetProfile(false)
		return medianProfile(11, func() error { return r.run(1) }, step.Profile)
	}
	t.close = func() { r.close(); step.Close() }
	return t, nil
}

// trainer trains for one task, epoch after epoch.
type trainer struct {
	ctx    context.Context
	step   *nn.Step
	images *feed.Feed
	epoch  *feed.Epoch // nil before the first
	count  int
	key    uint64
}

// run trains n steps, with as many under way as the backend wants, and waits
// for the last.
func (r *trainer) run(n int) error {
	for range n {
		if err := r.submit(); err != nil {
			return err
		}
		if err := r.results(r.step.Ahead() - 1); err != nil {
			return err
		}
	}
	return r.results(0)
}

// submit gives the next batch to the step.
func (r *trainer) submit() error {
	r.key++
	if r.epoch != nil {
		_, err := r.epoch.Submit(r.step, r.key)
		if !errors.Is(err, io.EOF) {
			return err
		}
		r.epoch.Close()
	}
	r.count++
	var err error
	if r.epoch, err = r.images.Epoch(r.ctx, r.count, 0); err != nil {
		return err
	}
	_, err = r.epoch.Submit(r.step, r.key)
	return err
}

// results reads results until no more than left are pending.
func (r *trainer) results(left int) error {
	for r.step.Pending() > left {
		if _, err := r.step.Result(); err != nil {
			return err
		}
	}
	return nil
}

func (r *trainer) close() {
	if r.epoch != nil {
		r.epoch.Close()
	}
	r.images.Close()
}

// newInferTask prepares inference on images that are already normalized.
func newInferTask(_ context.Context, b nn.Backend, spec nn.Spec, batch int) (*task, error) {
	net, err := nn.New(b, spec, 1)
	if err != nil {
		return nil, err
	}
	eval, err := net.NewEval(batch)
	if err != nil {
		return nil, err
	}
	x := make([]float32, batch*cifar.Pixels)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = r.Float32()
	}
	labels := make([]byte, batch)
	one := func() error {
		_, _, err := eval.Run(x, labels)
		return err
	}
	t := &task{Result: Result{Mode: Infer, Batch: batch, Steps: 1}}
	t.run = func() error { return repeat(t.Steps, one) }
	t.close = eval.Close
	return t, nil
}

func repeat(n int, f func() error) error {
	for range n {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
