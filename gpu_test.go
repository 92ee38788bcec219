package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/nn/bittest"
	"cifartui/nn/cuda"
	"cifartui/nn/cuda/cudatest"
	"cifartui/nn/cuda/driver"
	"cifartui/train"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
)

// useDriver puts a driver, or the error of having none, in the place of the
// machine's for a test.
func useDriver(t *testing.T, d driver.Driver, err error) {
	t.Helper()
	t.Setenv("CUDA_VISIBLE_DEVICES", "5")
	before := loadDriver
	loadDriver = func() (driver.Driver, error) { return d, err }
	t.Cleanup(func() { loadDriver = before })
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// gpuTool runs a command line.
func gpuTool(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestDeviceThatCannotBeUsedIsNamedWithTheReason(t *testing.T) {
	old := cudatest.New(7, 5)
	old.GPU.Name = "Tesla T4"
	closed := cudatest.New(8, 0)
	closed.GPU.ComputeMode = driver.Prohibited
	busy := cudatest.New(8, 0)
	busy.Fail = func(call string) error {
		if call == "Open" {
			return &driver.Error{Call: "cuDevicePrimaryCtxRetain", Code: driver.DeviceUnavailable, Name: "CUDA_ERROR_DEVICE_UNAVAILABLE"}
		}
		return nil
	}
	tooNew := cudatest.New(8, 0)
	tooNew.Fail = func(call string) error {
		if call == "LoadModule" {
			return &driver.Error{Call: "cuModuleLoadDataEx", Code: driver.NewerPTX, Name: "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"}
		}
		return nil
	}
	for _, c := range []struct {
		name   string
		driver driver.Driver
		err    error
		device string
		says   []string
	}{
		{"no driver", nil, errors.New("there is no NVIDIA driver here"), "cuda", []string{"--device cuda", "no NVIDIA driver"}},
		{"too old a GPU", old, nil, "cuda", []string{"Tesla T4", "7.5", "8.0"}},
		{"closed", closed, nil, "cuda:0", []string{"--device cuda:0", "closed to computing"}},
		{"not there", cudatest.New(8, 0), nil, "cuda:3", []string{"no GPU 3", "the last one is 0: CUDA_VISIBLE_DEVICES is \"5\""}},
		{"none", &severalGPUs{Driver: cudatest.New(8, 0)}, nil, "cuda", []string{"finds no NVIDIA GPU: CUDA_VISIBLE_DEVICES is \"5\""}},
		{"several of a kind", &severalGPUs{Driver: cudatest.New(8, 0), count: 3}, nil, "cuda", []string{"--device cuda: open", "open Stand-in: it is not there after all"}},
		{"busy", busy, nil, "cuda", []string{"in use by another process", "nvidia-smi"}},
		{"old driver", tooNew, nil, "cuda", []string{"driver is too old", "install a newer one"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			useDriver(t, c.driver, c.err)
			_, err := openDevice(c.device, 1, nil, nil)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.says {
				if strings.Count(err.Error(), want) != 1 {
					t.Errorf("%q does not say %q, once", err, want)
				}
			}
			if c.name == "not there" {
				return // auto takes the one that is
			}
			var note string
			b, err := openDevice(deviceAuto, 1, nil, func(format string, args ...any) { note = fmt.Sprintf(format, args...) })
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, ok := b.(*nn.CPU); !ok || strings.Contains(note, "\n") || !strings.Contains(note, c.says[len(c.says)-1]) {
				t.Errorf("auto gives a %T and says %q, want the processor and why", b, note)
			}
		})
	}
	t.Run("not made for it", func(t *testing.T) {
		useDriver(t, cudatest.New(8, 0), nil)
		d := &cifar.Dataset{Train: cifar.NewSet(64, 1)}
		lacks := plan{}.gpuLacks(config.Default(), d)
		if _, err := openDevice("cuda", 1, lacks, nil); err == nil || !strings.Contains(err.Error(), "images of 32 pixels, not of 64") {
			t.Errorf("cuda: %v", err)
		}
		var note string
		b, err := openDevice(deviceAuto, 1, lacks, func(format string, args ...any) { note = fmt.Sprintf(format, args...) })
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, ok := b.(*nn.CPU); !ok || !strings.Contains(note, "not of 64") {
			t.Errorf("auto gives a %T and says %q", b, note)
		}
	})
	c := config.Default()
	for says, network := range map[string]config.Config{
		"hidden dense layers":    {Dense: "128"},
		"filters, not for 48":    {Filters: "64,48"},
		"":                       {Filters: "32,96", Freeze: "conv1-conv2", LRScale: "conv=0.1"},
		"kernels know no hidden": {Dense: "128", Filters: "7"},
	} {
		c.Filters, c.Dense, c.Freeze, c.LRScale = network.Filters, network.Dense, network.Freeze, network.LRScale
		err := plan{}.gpuLacks(c, &cifar.Dataset{Train: cifar.NewSet(32, 1), Classes: cifar.ClassNames()})
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%+v: %v, want %q", network, err, says)
		}
	}
	if code, _, errs := gpuTool(t, "--device", "gpu"); code != exitUsage || !strings.Contains(errs, "cuda:N") {
		t.Errorf("--device gpu: exit %d, %s", code, errs)
	}
	for _, command := range []string{"check", "bench"} {
		if code, _, errs := gpuTool(t, "gpu", command, "--device", "cpu"); code != exitUsage || !strings.Contains(errs, "cpu is no GPU") {
			t.Errorf("gpu %s --device cpu: exit %d, %s", command, code, errs)
		}
	}
}

// A GPU that another process has for itself, or whose memory is full, is passed over
// for the next one where none was named, by one run as by several at once.
func TestBusyGPUIsPassedOver(t *testing.T) {
	d := &severalGPUs{Driver: cudatest.New(8, 0), count: 3, opens: []int{1}}
	useDriver(t, d, nil)
	b, err := openUnchecked(-1)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if !slices.Equal(d.opened, []int{0, 1}) {
		t.Errorf("opened %v", d.opened)
	}
	if _, err := openUnchecked(2); err == nil {
		t.Error("another one is taken for one that was named")
	}
}

// That there is no driver is only information where the processor is as good; who asked
// for a GPU is told what was tried.
func TestWithoutADriverTheLoadersWordsAreForWhoAskedForAGPU(t *testing.T) {
	const raw = "libcuda.so.1: cannot open shared object file"
	useDriver(t, nil, fmt.Errorf("%w: %s", driver.ErrNoDriver, raw))
	var note string
	b, err := openDevice(deviceAuto, 1, nil, func(format string, args ...any) { note = fmt.Sprintf(format, args...) })
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if note != "on the processor: there is no NVIDIA driver here" {
		t.Errorf("auto says %q", note)
	}
	for _, args := range [][]string{{"gpu"}, {"gpu", "check"}, {"bench", "--device", "cuda"}} {
		if code, _, errs := gpuTool(t, args...); code != exitFailed || !strings.Contains(errs, "no NVIDIA driver here: "+raw) {
			t.Errorf("%v: exit code %d: %s", args, code, errs)
		}
	}
}

func TestGPUCommandsTellOfTheGPU(t *testing.T) {
	useDriver(t, &severalGPUs{Driver: cudatest.New(8, 6)}, nil)
	code, out, errs := gpuTool(t, "gpu")
	if code != exitFailed || !strings.Contains(out, "driver: CUDA 13.0") || !strings.Contains(errs, "finds no NVIDIA GPU") {
		t.Errorf("without a GPU: exit %d: %s%s", code, out, errs)
	}
	useDriver(t, cudatest.New(8, 6), nil)
	code, out, errs = gpuTool(t, "gpu")
	if code != 0 || !strings.Contains(out, "cuda:0  Stand-in  compute capability 8.6") || !strings.Contains(out, "MiB free") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if !long() {
		return // the self-check is a test of nn/cuda, too
	}
	code, out, errs = gpuTool(t, "gpu", "check")
	if code != 0 || !strings.Contains(out, "0 wrong") || !strings.Contains(out, "conv1_wgrad") || !strings.Contains(out, "adadelta") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// Who adds up the operations of a step must know that a step takes less.
func TestGPUBenchSaysThatOperationsAreNoStep(t *testing.T) {
	var out strings.Builder
	list := []cuda.Timing{{Operation: "conv2 spread", Microseconds: 4, Limit: 1}, {Operation: "conv3 data", Microseconds: 6, Limit: 4}}
	if err := printTimings(&out, "Stand-in", 64, list); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Stand-in, batch 64", "conv2 spread", "10.0", "50%", "each by itself", "cifartui bench --device cuda"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing says %q: %s", want, &out)
		}
	}
}

// gpuRun are the options of a small run on a driver's GPU, of images of 16 pixels,
// as the interpreter takes its time for each.
func gpuRun(t *testing.T, d *cudatest.Driver, resume string) train.Options {
	t.Helper()
	set := func(n int) *cifar.Set {
		s := cifar.NewSet(16, n)
		for i := range s.Pixels {
			s.Pixels[i] = byte(i*i>>7 ^ i)
		}
		for i := range s.Labels {
			s.Labels[i] = byte(i % cifar.Classes)
		}
		return s
	}
	b, err := cuda.Open(d, d.GPU)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	c := config.Default()
	c.Runs, c.Batch, c.Epochs, c.SaveSeconds, c.Filters = t.TempDir(), 4, 1, 0, "32"
	return train.Options{
		Config: c, Resume: resume, Backend: b, Version: "test",
		Dataset: &cifar.Dataset{Name: "CIFAR-10", Source: "test", Train: set(18), Test: set(8), Classes: cifar.ClassNames()},
	}
}

// A GPU whose memory a batch does not fit names one that does.
func TestFullGPUNamesTheBatchThatFits(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while, and much memory under the race detector")
	}
	// It ends where the memory is taken: batches of this size are not for the
	// interpreter.
	run := func(batch int) error {
		d := cudatest.New(8, 0)
		d.GPU.Memory = 75 << 20
		o := gpuRun(t, d, "")
		o.Config.Batch = batch
		o.Dataset.Train = cifar.NewSet(o.Dataset.Test.Size, 2000)
		tr, err := train.NewTrainer(o)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		return tr.Run(ctx, func(e event.Event) {
			if s, ok := e.(*event.StateChanged); ok && s.State == event.StateRunning {
				cancel()
			}
		})
	}
	err := run(2000)
	if err == nil {
		t.Fatal("the batch fits: nothing was tested")
	}
	m := regexp.MustCompile(`batch 2000: .*: Stand-in has \d+ of 75 MiB free: --batch (\d+) would fit`).FindStringSubmatch(err.Error())
	if m == nil {
		t.Fatalf("no batch is named: %v", err)
	}
	fits, err := strconv.Atoi(m[1])
	if err != nil || fits >= 2000 {
		t.Fatalf("%s of 2000 images: %v", m[1], err)
	}
	if err := run(fits); err != nil {
		t.Errorf("a batch of %d: %v", fits, err)
	}
}

// gpuSteps trains a run, with a stop after step stopAt if that is not 0, and
// returns the losses of its steps.
func gpuSteps(t *testing.T, o train.Options, stopAt int64) (folder string, losses []float64) {
	t.Helper()
	tr, err := train.NewTrainer(o)
	if err != nil {
		t.Fatal(err)
	}
	err = tr.Run(t.Context(), func(e event.Event) {
		if s, ok := e.(*event.StepDone); ok {
			losses = append(losses, float64(s.Loss))
			if s.Total == stopAt {
				// It fails only for a run that has ended.
				_ = tr.Send(event.Stop{After: event.AfterBatch})
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr.Folder(), losses
}

// A run goes through the GPU's backend, several steps under way, as it is
// resumed: to the same bits.
func TestGPURunIsResumedToTheSameBits(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out training on the interpreter, which takes seconds")
	}
	options := func(folder string) train.Options { return gpuRun(t, cudatest.New(8, 0), folder) }
	whole, losses := gpuSteps(t, options(""), 0)
	if len(losses) != 5 {
		t.Errorf("%d steps, want 5", len(losses))
	}
	part, first := gpuSteps(t, options(""), 2)
	part, rest := gpuSteps(t, options(part), 0)
	if len(first) < 2 || len(first)+len(rest) != 5 {
		t.Errorf("%d steps and %d after the resume, want 5 in all", len(first), len(rest))
	}
	bittest.Values(t, "weights", checkpointtest.Last(t, part).Weights, checkpointtest.Last(t, whole).Weights)
	bittest.Values(t, "optimizer", checkpointtest.Last(t, part).Solver, checkpointtest.Last(t, whole).Solver)
}

// The first epochs are on smaller images on a GPU, too: the losses are the
// processor's, and a run that is stopped and resumed there ends with the same bits.
func TestGPURunBeginsWithSmallerImages(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out training on the interpreter, which takes seconds")
	}
	var resampled *int // steps on smaller images, of the run begun last
	options := func(folder string) train.Options {
		d := cudatest.New(8, 0)
		resampled = cudatest.Count(d, "resample")
		o := gpuRun(t, d, folder)
		fast, err := config.OfRecipe("fast")
		if err != nil {
			t.Fatal(err)
		}
		fast.Runs, fast.Batch, fast.SaveSeconds, fast.Filters = o.Config.Runs, o.Config.Batch, 0, o.Config.Filters
		fast.Epochs, fast.SmallEpochs, fast.SmallSize, fast.MaxSteps = 2, 0.5, 8, 7
		o.Config = fast
		return o
	}
	onProcessor := options("")
	cpu := nn.NewCPU(2)
	defer cpu.Close()
	onProcessor.Backend = cpu
	_, want := gpuSteps(t, onProcessor, 0)

	whole, got := gpuSteps(t, options(""), 0)
	if *resampled != 5 || len(got) != 7 || len(want) != 7 {
		t.Fatalf("%d of %d steps on smaller images, %d steps on the processor, want 5 of 7", *resampled, len(got), len(want))
	}
	var all, off float64
	for i, l := range want {
		all, off = all+l, off+math.Abs(got[i]-l)
	}
	if off > 0.04*all {
		t.Errorf("losses %.4f, the processor has %.4f", got, want)
	}
	part, first := gpuSteps(t, options(""), 3)
	part, rest := gpuSteps(t, options(part), 0)
	if len(first) < 3 || len(first) > 4 || len(first)+len(rest) != 7 {
		t.Errorf("%d steps and %d after the resume, want 3 or 4 and 7 in all", len(first), len(rest))
	}
	bittest.Values(t, "weights", checkpointtest.Last(t, part).Weights, checkpointtest.Last(t, whole).Weights)
	bittest.Values(t, "optimizer", checkpointtest.Last(t, part).Solver, checkpointtest.Last(t, whole).Solver)
}

// Only a lost GPU, only where it was chosen by itself, and only if asked for,
// leaves the run to the processor.
func TestFallbackIsForALostGPUThatNobodyNamed(t *testing.T) {
	lost := fmt.Errorf("epoch 1: %w", &cuda.LostError{Device: "Stand-in", Err: errors.New("gone")})
	for _, c := range []struct {
		device   string
		fallback bool
		err      error
		want     bool
	}{
		{deviceAuto, true, lost, true},
		{deviceAuto, false, lost, false},
		{deviceCUDA, true, lost, false},
		{deviceAuto, true, errors.New("disk full"), false},
		{deviceAuto, true, nil, false},
	} {
		var p plan
		p.Device, p.Fallback = c.device, c.fallback
		if got := p.fallsBack(c.err); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	var p plan
	if next := p.resuming("runs/r", "").onProcessor(); next.Device != deviceCPU || next.Resume != "runs/r" {
		t.Errorf("the next plan is %+v", next)
	}
}

// A screen makes way for the processor by itself, and for nothing else that fails.
func TestLostGPUClosesTheScreen(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&cuda.LostError{Device: "Stand-in", Err: errors.New("gone")}, true},
		{errors.New("disk full"), false},
	} {
		p := plan{defaultSettings()}
		p.Fallback = true
		l := newLeg(newSession(io.Discard, io.Discard, false), p)
		l.run(idleRunner{})
		l.err = c.err
		close(l.done)
		wait, closed := patience, false
		if !c.want {
			wait = 100 * time.Millisecond
		}
		select {
		case <-l.lost(t.Context()):
			closed = true
		case <-time.After(wait):
		}
		if closed != c.want {
			t.Errorf("%v closes the screen: %v", c.err, closed)
		}
	}
}

// severalGPUs is a driver with the one GPU of another under several numbers, of which
// some can be opened.
type severalGPUs struct {
	*cudatest.Driver
	count  int
	opens  []int
	opened []int
}

func (d *severalGPUs) Devices() ([]driver.Device, error) {
	list := make([]driver.Device, d.count)
	for i := range list {
		list[i] = d.GPU
		list[i].Index = i
	}
	return list, nil
}

func (d *severalGPUs) Open(i int) (driver.Context, error) {
	d.opened = append(d.opened, i)
	if slices.Contains(d.opens, i) {
		return d.Driver.Open(i)
	}
	return nil, errors.New("it is not there after all")
}

func TestComparisonTakesAsManyGPUsAsRunsTrainAtOnce(t *testing.T) {
	for _, c := range []struct {
		device string
		gpus   int
		most   int
		want   []int
	}{
		{"auto", 3, 2, []int{0, 1, 2, 0, 1, 2}}, // once more to tell why none can be used
		{"cuda", 2, 5, []int{0, 1, 0, 1}},
		{"auto", 1, 5, []int{0}},
		{"auto", 3, 1, []int{0, 1, 2}},
		{"cuda:2", 3, 3, []int{2}},
		{"cpu", 3, 3, nil},
	} {
		d := &severalGPUs{Driver: cudatest.New(8, 0), count: c.gpus}
		useDriver(t, d, nil)
		var notes []string
		list, err := openDevices(c.device, 1, c.most, nil, func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) })
		for _, b := range list {
			b.Close()
		}
		if !slices.Equal(d.opened, c.want) {
			t.Errorf("%+v: opened %v; %v, %v", c, d.opened, notes, err)
		}
		if want := strings.HasPrefix(c.device, "cuda"); (err != nil) != want {
			t.Errorf("%+v: error %v", c, err)
		}
		if c.most > 1 && len(c.want) > 2 && (len(notes) < 2 || !strings.Contains(notes[1], "GPU 1 is left out: open")) {
			t.Errorf("%+v: notes %q", c, notes)
		}
	}
}
