// Package bench measures how fast this machine trains and infers: whole steps on
// made-up images, in rounds that take the batch sizes in turn, so that what else
// the machine does falls on all of them alike.
//
//	bench.go   the rounds
//	tasks.go   what is measured: a training step, an inference
//	layers.go  the time of each layer in each pass
//	report.go  the figures, as JSON and as text
package bench

import (
	"context"
	"fmt"
	"time"

	"cifartui/nn"
	"cifartui/nn/kernel"
)

// The modes.
const (
	Train = "train" // images prepared, forward, backward, loss, optimizer, accuracy
	Infer = "infer"
)

// Options say what to measure.
type Options struct {
	Batches []int    // batch sizes
	Modes   []string // Train, Infer
	Threads int      // 0: all that the process may use
	Rounds  int      // at least 1; one more warms up
	Layers  bool     // measure each layer, too
	Version string   // of the program, for the report
	// Backend computes; it stays the caller's. nil means the processor, with
	// Threads.
	Backend nn.Backend
	// Round, if not nil, is called after each round, from 0, the one that warms up.
	Round func(round int)
}

// roundTime is about how long each task runs in a round.
const roundTime = 700 * time.Millisecond

// Run measures. It ends early with ctx's error.
func Run(ctx context.Context, o Options) (*Report, error) {
	backend := o.Backend
	if backend == nil {
		backend = nn.NewCPU(o.Threads)
		defer backend.Close()
	}
	spec := nn.VGG(0.5)
	tasks, err := prepare(ctx, o, backend, spec)
	defer func() {
		for _, t := range tasks {
			t.close()
		}
	}()
	if err != nil {
		return nil, err
	}
	report := &Report{Version: o.Version, Kernels: backend.Name(), Threads: backend.Threads(), CPU: cpuName()}
	peak, err := o.rounds(ctx, tasks, report.Threads)
	if err != nil {
		return nil, err
	}
	if report.Threads > 0 {
		report.PeakGFLOPS = &peak
	}
	for _, t := range tasks {
		if err := t.finish(spec, o.Layers); err != nil {
			return nil, err
		}
		report.Results = append(report.Results, t.Result)
	}
	return report, nil
}

// prepare makes a task of each mode at each batch size. With an error come those
// that were made.
func prepare(ctx context.Context, o Options, backend nn.Backend, spec nn.Spec) (tasks []*task, err error) {
	for _, mode := range o.Modes {
		make := newTrainTask
		if mode == Infer {
			make = newInferTask
		}
		for _, b := range o.Batches {
			t, err := make(ctx, backend, spec, b)
			if err != nil {
				return tasks, fmt.Errorf("bench: %s at batch %d: %w", mode, b, err)
			}
			tasks = append(tasks, t)
		}
	}
	return tasks, nil
}

// rounds runs the tasks in turn and gives the processor's peak with so many threads,
// measured between the rounds; no threads are those of a device, which has another.
func (o Options) rounds(ctx context.Context, tasks []*task, threads int) (peak Spread, err error) {
	workers := kernel.NewWorkers(threads)
	defer workers.Close()
	var peaks []float64
	for round := range o.Rounds + 1 { // the first one warms up and is not counted
		for _, t := range tasks {
			if err := ctx.Err(); err != nil {
				return peak, err
			}
			if err := t.round(round == 0); err != nil {
				return peak, fmt.Errorf("bench: %s at batch %d: %w", t.Mode, t.Batch, err)
			}
		}
		if round > 0 && threads > 0 {
			peaks = append(peaks, kernel.PeakGFLOPS(workers, 100*time.Millisecond))
		}
		if o.Round != nil {
			o.Round(round)
		}
	}
	return spread(peaks), nil
}
