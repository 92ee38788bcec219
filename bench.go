package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/spf13/cobra"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/nn/kernel"
)

// benchOptions are the flags of the bench command.
type benchOptions struct {
	batches []int
	threads int
	rounds  int
	mode    string
	kernels string
	layers  bool
	asJSON  bool
}

// benchReport is what "bench --json" prints.
type benchReport struct {
	Version string `json:"version"`
	Kernels string `json:"kernels"`
	Threads int    `json:"threads"`
	CPU     string `json:"cpu"`
	// PeakGFLOPS is the machine's multiply-add peak with these kernels and
	// threads, measured in turn with the rounds.
	PeakGFLOPS benchSpread   `json:"peak_gflops"`
	Results    []benchResult `json:"results"`
}

// benchResult is one mode at one batch size.
type benchResult struct {
	Mode            string      `json:"mode"` // train or infer
	Batch           int         `json:"batch"`
	Rounds          int         `json:"rounds"`
	Steps           int         `json:"steps"` // in a round
	ImagesPerSecond benchSpread `json:"images_per_second"`
	Milliseconds    benchSpread `json:"ms_per_step"`
	// GFLOPS counts the work as direct convolution would do it.
	GFLOPS float64      `json:"gflops"`
	Layers []benchLayer `json:"layers,omitempty"`
}

// benchLayer is the time of one layer in one pass, from a step run on the side
// with a clock around every operation.
type benchLayer struct {
	Layer        string  `json:"layer"` // "" for the whole network
	Pass         string  `json:"pass"`  // forward, backward, weights, ...
	Role         string  `json:"role"`  // what of it: filter, data, pool, ...
	Microseconds float64 `json:"us_per_image"`
	GFLOPS       float64 `json:"gflops,omitempty"`
}

// benchSpread is a figure over the rounds.
type benchSpread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spread(values []float64) benchSpread {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return benchSpread{}
	}
	return benchSpread{Median: (v[(len(v)-1)/2] + v[len(v)/2]) / 2, Min: v[0], Max: v[len(v)-1]}
}

func benchCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine's images a second, layer by layer",
		Long: `Bench measures whole training steps (images prepared, forward, backward, loss,
optimizer, accuracy) and inference on made-up images, in rounds that take the
batch sizes in turn, and prints the median and the spread. GFLOP/s are counted
as direct convolution would need them, so they may exceed the machine's peak,
which is measured in the same rounds.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			report, err := bench(cmd.Context(), o, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if o.asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(report)
			}
			return report.print(cmd.OutOrStdout(), o.layers)
		},
	}
	f := cmd.Flags()
	f.IntSliceVar(&o.batches, "batches", []int{64, 512}, "batch sizes")
	f.IntVar(&o.threads, "threads", 0, "processor threads (0: all that this process may use)")
	f.IntVar(&o.rounds, "rounds", 7, "rounds")
	f.StringVar(&o.mode, "mode", "train", "train, infer or both")
	f.StringVar(&o.kernels, "kernels", "", "avx512, avx2, neon or generic (default: the fastest here)")
	f.BoolVar(&o.layers, "layers", true, "print the time of each layer and pass")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return cmd
}

func (o *benchOptions) check() error {
	if err := oneOf("mode", o.mode, "train", "infer", "both"); err != nil {
		return err
	}
	for _, b := range o.batches {
		if b < 1 || b > 4096 {
			return usage("--batches: %d is not between 1 and 4096", b)
		}
	}
	if o.rounds < 1 {
		return usage("--rounds: %d is less than 1", o.rounds)
	}
	if o.threads < 0 || o.threads > 1024 {
		return usage("--threads: %d is not between 0 and 1024", o.threads)
	}
	return useKernels(o.kernels)
}

// useKernels chooses the processor kernels by name; "" keeps the fastest.
func useKernels(name string) error {
	if name == "" {
		return nil
	}
	if err := kernel.Use(name); err != nil {
		return usage("--kernels: %w", err)
	}
	return nil
}

// benchTask is one mode at one batch size, ready to run.
type benchTask struct {
	benchResult
	run     func() error                // one round of Steps steps
	profile func() ([]nn.OpTime, error) // nil: nothing to tell layer by layer
	rates   []float64
	millis  []float64
	close   func()
}

// bench runs the rounds.
func bench(ctx context.Context, o benchOptions, progress io.Writer) (*benchReport, error) {
	backend := nn.NewCPU(o.threads)
	defer backend.Close()
	workers := kernel.NewWorkers(backend.Threads())
	defer workers.Close()
	spec := nn.VGG(0.5)
	report := &benchReport{Version: programVersion(), Kernels: kernel.Name(), Threads: backend.Threads(), CPU: cpuName()}

	var tasks []*benchTask
	for _, mode := range []string{"train", "infer"} {
		if o.mode != mode && o.mode != "both" {
			continue
		}
		for _, b := range o.batches {
			make := newTrainTask
			if mode == "infer" {
				make = newInferTask
			}
			t, err := make(ctx, backend, spec, b)
			if err != nil {
				return nil, fmt.Errorf("bench: %s at batch %d: %w", mode, b, err)
			}
			defer t.close()
			tasks = append(tasks, t)
		}
	}
	var peaks []float64
	for round := range o.rounds + 1 { // the first one warms up and is not counted
		for _, t := range tasks {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			start := time.Now()
			if err := t.run(); err != nil {
				return nil, fmt.Errorf("bench: %s at batch %d: %w", t.Mode, t.Batch, err)
			}
			took := time.Since(start).Seconds()
			if round > 0 {
				t.rates = append(t.rates, float64(t.Steps*t.Batch)/took)
				t.millis = append(t.millis, took*1e3/float64(t.Steps))
			} else {
				// a round of about 0.7 s
				t.Steps = max(1, min(10_000, int(0.7*float64(t.Steps)/took)))
			}
		}
		if round > 0 {
			peaks = append(peaks, kernel.PeakGFLOPS(workers, 100*time.Millisecond))
		}
		fmt.Fprintf(progress, "round %d of %d\n", round, o.rounds)
	}
	report.PeakGFLOPS = spread(peaks)
	for _, t := range tasks {
		t.Rounds = o.rounds
		t.ImagesPerSecond, t.Milliseconds = spread(t.rates), spread(t.millis)
		flops, step := spec.FLOPs()
		if t.Mode == "train" {
			flops = step
		}
		t.GFLOPS = t.ImagesPerSecond.Median * float64(flops) / 1e9
		if o.layers && t.profile != nil {
			ops, err := t.profile()
			if err != nil {
				return nil, err
			}
			t.Layers = layerTimes(ops, spec, t.Batch)
		}
		report.Results = append(report.Results, t.benchResult)
	}
	return report, nil
}

// benchImages makes random images: the time of a step does not depend on what
// they show.
func benchImages(n int) *cifar.Set {
	r := rand.New(rand.NewPCG(1, 2))
	s := &cifar.Set{Pixels: make([]byte, n*cifar.Pixels), Labels: make([]byte, n)}
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
func newTrainTask(ctx context.Context, b nn.Backend, spec nn.Spec, batch int) (*benchTask, error) {
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
	set := benchImages(max(1024, 4*batch) / batch * batch)
	pre, err := cifar.NewPreprocess("unit", set)
	if err != nil {
		return nil, err
	}
	loader := cifar.NewLoader(set, cifar.LoaderConfig{Batch: batch, Shuffle: true, Augment: true, Preprocess: pre, Seed: 1})
	epoch, key := 0, uint64(0)
	batches := loader.Epoch(ctx, 1, loader.Steps()) // none left: the first step opens epoch 1
	one := func() error {
		b, err := batches.Next()
		if errors.Is(err, io.EOF) {
			batches.Close()
			epoch++
			batches = loader.Epoch(ctx, epoch, 0)
			b, err = batches.Next()
		}
		if err != nil {
			return err
		}
		defer b.Release()
		key++
		_, err = step.Run(b.X, b.Labels, key)
		return err
	}
	t := &benchTask{benchResult: benchResult{Mode: "train", Batch: batch, Steps: 1}}
	t.run = func() error { return repeat(t.Steps, one) }
	t.profile = func() ([]nn.OpTime, error) {
		step.SetProfile(true)
		defer step.SetProfile(false)
		return medianProfile(11, one, step.Profile)
	}
	t.close = func() { batches.Close(); step.Close() }
	return t, nil
}

// newInferTask prepares inference on images that are already normalized.
func newInferTask(_ context.Context, b nn.Backend, spec nn.Spec, batch int) (*benchTask, error) {
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
	t := &benchTask{benchResult: benchResult{Mode: "infer", Batch: batch, Steps: 1}}
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

// medianProfile runs a step n times, or for some seconds, and gives each
// operation's median time.
func medianProfile(n int, step func() error, profile func() []nn.OpTime) ([]nn.OpTime, error) {
	var ops []nn.OpTime
	times := [][]time.Duration{}
	for start := time.Now(); len(times) < n && time.Since(start) < 3*time.Second; {
		if err := step(); err != nil {
			return nil, err
		}
		ops = slices.Clone(profile())
		times = append(times, nil)
		for _, o := range ops {
			times[len(times)-1] = append(times[len(times)-1], o.Duration)
		}
	}
	for i := range ops {
		column := make([]time.Duration, 0, n)
		for _, row := range times {
			if i < len(row) {
				column = append(column, row[i])
			}
		}
		slices.Sort(column)
		ops[i].Duration = column[len(column)/2]
	}
	return ops, nil
}

// layerTimes gives each operation's time for an image, in the order they run,
// and its rate where the layer's arithmetic is known.
func layerTimes(ops []nn.OpTime, spec nn.Spec, batch int) []benchLayer {
	flops := map[string]int64{}
	for _, l := range spec.Layers() {
		flops[l.Name] = l.FLOPs
	}
	var list []benchLayer
	for _, o := range ops {
		l := benchLayer{Layer: o.Layer, Pass: string(o.Pass), Role: o.Role,
			Microseconds: float64(o.Duration.Nanoseconds()) / 1e3 / float64(batch)}
		if slices.Contains([]string{"forward", "filter", "data"}, o.Role) && l.Microseconds > 0 {
			l.GFLOPS = float64(flops[o.Layer]) / l.Microseconds / 1e3
		}
		list = append(list, l)
	}
	return list
}

func (r *benchReport) print(w io.Writer, layers bool) error {
	fmt.Fprintf(w, "cifartui %s, %s kernels, %s, %s\n", r.Version, r.Kernels, plural(r.Threads, "thread"), r.CPU)
	fmt.Fprintf(w, "multiply-add peak %.0f GFLOP/s (%.0f to %.0f)\n\n", r.PeakGFLOPS.Median, r.PeakGFLOPS.Min, r.PeakGFLOPS.Max)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "mode\tbatch\timages/s\tmin\tmax\tms/step\tGFLOP/s\tn\t")
	for _, x := range r.Results {
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.0f\t%d\t\n", x.Mode, x.Batch,
			x.ImagesPerSecond.Median, x.ImagesPerSecond.Min, x.ImagesPerSecond.Max, x.Milliseconds.Median, x.GFLOPS, x.Rounds)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if !layers {
		return nil
	}
	for _, x := range r.Results {
		fmt.Fprintf(w, "\n%s, batch %d, microseconds an image:\n", x.Mode, x.Batch)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "layer\tpass\trole\tµs\tGFLOP/s\t")
		for _, l := range x.Layers {
			rate := ""
			if l.GFLOPS > 0 {
				rate = fmt.Sprintf("%.0f", l.GFLOPS)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%s\t\n", l.Layer, l.Pass, l.Role, l.Microseconds, rate)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// cpuName is the processor's name where the system tells it.
func cpuName() string {
	if list, err := cpu.Info(); err == nil && len(list) > 0 && list[0].ModelName != "" {
		return strings.Join(strings.Fields(list[0].ModelName), " ")
	}
	return runtime.GOARCH
}
