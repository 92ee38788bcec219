package cuda

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/nn/bittest"
	"cifartui/nn/cuda/driver"
	"cifartui/nn/cuda/internal/standin"
)

// small is a network that the interpreter trains in little time.
var small = nn.Spec{Size: 8, Filters: []int{32, 64}, Classes: 10, Dropout: 0.5}

// batchOf makes n random images of a spec, with labels that can be learnt: the
// brightness of a channel tells.
func batchOf(s nn.Spec, n int, seed uint64) ([]float32, []uint8) {
	r := rand.New(rand.NewPCG(seed, 1))
	x, labels := make([]float32, n*s.Size*s.Size*3), make([]uint8, n)
	for i := range labels {
		labels[i] = uint8(r.IntN(s.Classes))
		for j := range s.Size * s.Size * 3 {
			x[i*s.Size*s.Size*3+j] = r.Float32()*0.2 + float32(int(labels[i])>>(j%3)&1)*0.5
		}
	}
	return x, labels
}

// training is a network being trained.
type training struct {
	net    *nn.Network
	solver nn.Solver
	step   *nn.Step
}

func train(t testing.TB, on nn.Backend, s nn.Spec, batch int, solver string, o nn.SolverOptions) *training {
	t.Helper()
	return trainAt(t, on, s, s.Size, batch, solver, o)
}

// trainAt trains on images of a size.
func trainAt(t testing.TB, on nn.Backend, s nn.Spec, size, batch int, solver string, o nn.SolverOptions) *training {
	t.Helper()
	net, err := nn.New(on, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	sv, err := nn.NewSolver(on, solver, o)
	if err != nil {
		t.Fatal(err)
	}
	step, err := net.NewStepAt(size, batch, sv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(step.Close)
	return &training{net, sv, step}
}

// saved is the parameters and the solver's state.
type saved struct{ weights, state []nn.Tensor }

func (x *training) save(t testing.TB) (s saved) {
	t.Helper()
	var err error
	if s.weights, err = x.net.Weights(); err != nil {
		t.Fatal(err)
	}
	if s.state, err = x.solver.State(); err != nil {
		t.Fatal(err)
	}
	return s
}

// A small network learns the same as on the processor, within what bfloat16
// rounds, with every optimiser, short batches among the steps.
func TestTrainingFollowsTheProcessor(t *testing.T) {
	for _, c := range []struct {
		solver string
		o      nn.SolverOptions
		steps  int
		frozen []string
	}{
		{"adadelta", nn.SolverOptions{LR: 0.5}, 20, nil},
		{"sgdw", nn.SolverOptions{LR: 0.02, Momentum: 0.9, WeightDecay: 1e-3, BiasLR: 0.1}, 4, nil},
		{"adam", nn.SolverOptions{WeightDecay: 0.01}, 4, nil},
		{"muon", nn.SolverOptions{WeightDecay: 0.05, Momentum: 0.8}, 4, nil},
		{"adadelta", nn.SolverOptions{LayerRates: map[string]float64{"conv4": 0.25}}, 3, []string{"conv1", "conv2"}},
		{"adam", nn.SolverOptions{LayerRates: map[string]float64{"conv1": 0.1, "dense": 2}}, 2, []string{"conv3"}},
		{"sgdw", nn.SolverOptions{LR: 0.02}, 2, []string{"dense"}},
		{"muon", nn.SolverOptions{LayerRates: map[string]float64{"conv4": 0.1}}, 2, []string{"conv1", "conv2", "conv3", "conv4"}},
	} {
		t.Run(strings.Join(append([]string{c.solver}, c.frozen...), " "), func(t *testing.T) {
			t.Parallel()
			const batch = 8
			s := small
			s.Frozen = c.frozen
			s.Dropout, s.Smoothing = 0.25, 0.1
			gpu := open(t, standin.New(8, 0))
			cpu := nn.NewCPU(2)
			defer cpu.Close()
			g, h := train(t, gpu, s, batch, c.solver, c.o), train(t, cpu, s, batch, c.solver, c.o)
			if os.Getenv("CIFARTUI_LONG") == "" {
				c.steps = min(c.steps, 5)
			}
			var all, off float64
			for i := range c.steps {
				rows := batch - i%3
				x, labels := batchOf(s, rows, uint64(i))
				want, err := h.step.Run(x, labels, uint64(i))
				if err != nil {
					t.Fatal(err)
				}
				if err := g.step.Submit(x, labels, uint64(i)); err != nil {
					t.Fatal(err)
				}
				got, err := g.step.Result()
				if err != nil {
					t.Fatal(err)
				}
				d := math.Abs(got.Loss - want.Loss)
				if i < 2 && d > 0.01*want.Loss || got.Rows != want.Rows {
					t.Errorf("step %d: %+v, the processor has %+v", i, got, want)
				}
				all, off = all+want.Loss, off+d
			}
			if off > 0.04*all {
				t.Errorf("losses differ by %.1f%% from the processor's", 100*off/all)
			}
			if len(gpu.queue.known) != 1 {
				t.Errorf("%d graphs, want 1 for all steps", len(gpu.queue.known))
			}
			t.Logf("mean loss %.3f, differing by %.2f%%", all/float64(c.steps), 100*off/all)
		})
	}
}

// The article's network takes a step as the processor does, on whole images and on
// smaller ones.
func TestArticlesNetworkTakesAStep(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out training on the interpreter, which takes seconds")
	}
	for _, size := range []int{32, 24} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			takeAStep(t, size)
		})
	}
}

func takeAStep(t *testing.T, size int) {
	const batch = 2
	s := nn.VGG(0.5)
	gpu := open(t, standin.New(8, 0))
	cpu := nn.NewCPU(0)
	defer cpu.Close()
	g, h := trainAt(t, gpu, s, size, batch, "sgd", nn.SolverOptions{}), trainAt(t, cpu, s, size, batch, "sgd", nn.SolverOptions{})
	images := s
	images.Size = size
	x, labels := batchOf(images, batch, 1)
	want, err := h.step.Run(x, labels, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := g.step.Run(x, labels, 1)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Loss-want.Loss) > 0.01*want.Loss {
		t.Errorf("%+v, the processor has %+v", got, want)
	}
	// What plain descent moves is the gradient.
	a, b := g.save(t).weights, h.save(t).weights
	first, err := nn.New(cpu, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	start, err := first.Weights()
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		var dot, na, nb float64
		for j := range a[i].Data {
			x, y := float64(a[i].Data[j]-start[i].Data[j]), float64(b[i].Data[j]-start[i].Data[j])
			dot, na, nb = dot+x*y, na+x*x, nb+y*y
		}
		if cos := dot / math.Sqrt(na*nb); !(cos > 0.98) {
			t.Errorf("%s moves by %.3f of the way that the processor's does", a[i].Name, cos)
		} else {
			t.Logf("%s: %.4f", a[i].Name, cos)
		}
	}
}

// Steps that run one by one, or several ahead, or again from saved weights,
// have the same bits.
func TestStepsHaveTheSameBitsHoweverTheyAreRun(t *testing.T) {
	t.Parallel()
	const batch, steps = 4, 6
	run := func(ahead int, stopAt int) saved {
		gpu := open(t, standin.New(8, 0))
		g := train(t, gpu, small, batch, "adam", nn.SolverOptions{})
		for i := range steps {
			if i == stopAt { // go on in another process
				for g.step.Pending() > 0 {
					if _, err := g.step.Result(); err != nil {
						t.Fatal(err)
					}
				}
				s := g.save(t)
				gpu = open(t, standin.New(8, 0))
				g = train(t, gpu, small, batch, "adam", nn.SolverOptions{})
				if err := errors.Join(g.net.SetWeights(s.weights), g.solver.SetState(s.state)); err != nil {
					t.Fatal(err)
				}
			}
			x, labels := batchOf(small, batch, uint64(i))
			if ahead == 0 {
				if _, err := g.step.Run(x, labels, uint64(i)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := g.step.Submit(x, labels, uint64(i)); err != nil {
				t.Fatal(err)
			}
			for g.step.Pending() > ahead {
				if _, err := g.step.Result(); err != nil {
					t.Fatal(err)
				}
			}
		}
		return g.save(t)
	}
	want := run(0, -1)
	bittest.Values(t, "submitted", run(1, -1), want)
	bittest.Values(t, "ahead", run(4, -1), want)
	bittest.Values(t, "resumed", run(2, 3), want)
}

// A loss that is not finite leaves everything as it was, whatever was queued
// behind it, and training can go on.
func TestLossThatIsNotFiniteChangesNothing(t *testing.T) {
	t.Parallel()
	for _, solver := range []string{"adadelta", "adam"} {
		gpu := open(t, standin.New(8, 0))
		g := train(t, gpu, small, 2, solver, nn.SolverOptions{})
		x, labels := batchOf(small, 2, 1)
		if _, err := g.step.Run(x, labels, 1); err != nil {
			t.Fatal(err)
		}
		before := g.save(t)
		bad := append([]float32(nil), x...)
		bad[5] = float32(math.NaN())
		for _, b := range [][]float32{bad, x, x} {
			if err := g.step.Submit(b, labels, 2); err != nil {
				t.Fatal(err)
			}
		}
		r, err := g.step.Result()
		if err != nil || !math.IsNaN(r.Loss) {
			t.Fatalf("%+v, %v, want a loss that is not a number", r, err)
		}
		if g.step.Pending() != 0 {
			t.Errorf("%d results behind it", g.step.Pending())
		}
		bittest.Values(t, "after a NaN", g.save(t), before)
		if err := g.step.Submit(x, labels, 3); err != nil {
			t.Fatal(err)
		}
		if r, err := g.step.Result(); err != nil || math.IsNaN(r.Loss) {
			t.Errorf("then %+v, %v", r, err)
		}
		if fmt.Sprint(g.save(t)) == fmt.Sprint(before) {
			t.Error("it does not train on")
		}
	}
}

// A loss that is not finite and that the host has seen at once, as it does with steps
// that are run by themselves, stops none that is submitted later.
func TestStepAfterOneThatWasRunWithALossThatIsNotFinite(t *testing.T) {
	t.Parallel()
	g := train(t, open(t, standin.New(8, 0)), small, 2, "sgd", nn.SolverOptions{})
	x, labels := batchOf(small, 2, 1)
	bad := append([]float32(nil), x...)
	bad[5] = float32(math.NaN())
	if r, err := g.step.Run(bad, labels, 1); err != nil || !math.IsNaN(r.Loss) {
		t.Fatalf("%+v, %v, want a loss that is not a number", r, err)
	}
	before := g.save(t)
	if err := g.step.Submit(x, labels, 2); err != nil {
		t.Fatal(err)
	}
	if r, err := g.step.Result(); err != nil || math.IsNaN(r.Loss) {
		t.Errorf("then %+v, %v", r, err)
	}
	if fmt.Sprint(g.save(t)) == fmt.Sprint(before) {
		t.Error("it does not train on")
	}
}

// Memory that grows while a step is noted stays where its first kernels were
// told that it is.
func TestScratchThatGrowsWithinAStep(t *testing.T) {
	b := open(t, standin.New(8, 0))
	make := func(m *nn.Buffer, err error) *nn.Buffer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	l, err := b.NewLoss(2, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	logits, labels, mean := make(nn.NewBuffer(b, 2, 10)), make(nn.NewLabels(b, 2)), make(nn.NewBuffer(b))
	var filters []func()
	for _, out := range []int{32, 64} {
		c, err := b.NewConv(nn.ConvSpec{Images: 2, H: 16, W: 16, In: 32, Out: out})
		if err != nil {
			t.Fatal(err)
		}
		c.(*conv).splits = 2
		x, dy := make(nn.NewImages(b, 2, 16, 16, 32)), make(nn.NewImages(b, 2, 16, 16, out))
		dw, db := make(nn.NewBuffer(b, 3, 3, 32, out)), make(nn.NewBuffer(b, out))
		filters = append(filters, func() { c.BackwardFilter(dw, db, x, dy, 2) })
	}
	for range 3 {
		err := b.Submit(func() error {
			for _, f := range filters {
				f()
			}
			l.Forward(mean, logits, labels, 2)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Finished(); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.queue.known) != 2 {
		t.Errorf("%d graphs, want that of the first step and that of all others", len(b.queue.known))
	}
}

// A GPU that is gone says so, and how to go on.
func TestLostGPUSaysHowToGoOn(t *testing.T) {
	d := standin.New(8, 0)
	g := train(t, open(t, d), small, 4, "sgd", nn.SolverOptions{})
	launches := 0
	d.Fail = func(call string) error {
		if call == "LaunchGraph" {
			if launches++; launches == 2 {
				return &driver.Error{Call: "cuGraphLaunch", Code: driver.ECC, Name: "CUDA_ERROR_ECC_UNCORRECTABLE"}
			}
		}
		return nil
	}
	x, labels := batchOf(small, 4, 1)
	if err := g.step.Submit(x, labels, 1); err != nil {
		t.Fatal(err)
	}
	err := g.step.Submit(x, labels, 2)
	var lost *LostError
	if !errors.As(err, &lost) {
		t.Fatalf("%v is no lost GPU", err)
	}
	for _, want := range []string{"Stand-in is lost", "could not be corrected", "--resume", "--device cpu"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}
