package nn

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"cifartui/nn/bittest"
)

// small is a network that is quick to run, with all kinds of layers.
var small = Spec{Size: 8, Filters: []int{4, 6, 8}, Classes: 5}

// someBatch draws pixels and labels for s.
func someBatch(s Spec, rows int, seed uint64) ([]float32, []uint8) {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, rows*s.Size*s.Size*imageChannels)
	for i := range x {
		x[i] = r.Float32()
	}
	labels := make([]uint8, rows)
	for i := range labels {
		labels[i] = uint8(r.IntN(s.Classes))
	}
	return x, labels
}

// newCPU is a backend for the length of a test.
func newCPU(t testing.TB, threads int) *CPU {
	b := NewCPU(threads)
	t.Cleanup(b.Close)
	return b
}

// newTraining makes a network, an optimiser and its Step for a test.
func newTraining(t testing.TB, b Backend, s Spec, batch int, solver string) (*Network, Solver, *Step) {
	t.Helper()
	n, err := New(b, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	sv, err := NewSolver(b, solver, SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := n.NewStep(batch, sv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return n, sv, st
}

func TestNetworkFits64Images(t *testing.T) {
	s := small
	s.Filters = []int{8, 12, 16}
	_, _, st := newTraining(t, newCPU(t, 2), s, 64, "adam")
	x, labels := someBatch(s, 64, 1)
	for i := range 2000 {
		r, err := st.Run(x, labels, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			t.Logf("step %d: loss %.4f, %d of 64 right", i, r.Loss, r.Correct)
		}
		if r.Correct == 64 && r.Loss < 0.01 {
			return
		}
	}
	t.Error("64 images are not learnt by heart in 2,000 steps")
}

func TestResultsDoNotDependOnThreads(t *testing.T) {
	train := func(s Spec, solver string, threads, capacity, rows int) ([]Tensor, []Tensor, float64) {
		x, labels := someBatch(s, rows, 1)
		n, sv, st := newTraining(t, newCPU(t, threads), s, capacity, solver)
		var loss float64
		for i := range 3 {
			r, err := st.Run(x, labels, uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			loss = r.Loss
		}
		return weightsOf(t, n), stateOf(t, sv), loss
	}
	same := func(s Spec, solver string, capacity, rows int) {
		t.Helper()
		weights, state, loss := train(s, solver, 1, rows, rows)
		for _, threads := range []int{2, 5} {
			w, st, l := train(s, solver, threads, capacity, rows)
			bittest.Values(t, solver+": weights", w, weights)
			bittest.Values(t, solver+": state", st, state)
			if l != loss {
				t.Errorf("%s: loss %v on %d threads, %v on one", solver, l, threads, loss)
			}
		}
	}
	s := small
	s.Dropout, s.Smoothing = 0.5, 0.25
	for _, solver := range SolverNames() {
		same(s, solver, 13, 13)
	}
	same(VGG(0.5), "adadelta", 11, 7) // a short batch, too
}

func TestNothingIsAllocatedInAStep(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	s := small
	s.Dropout = 0.5
	for _, solver := range SolverNames() {
		n, sv, st := newTraining(t, newCPU(t, 2), s, 8, solver)
		x, labels := someBatch(s, 8, 1)
		run := func(what string, f func() error) {
			if err := f(); err != nil { // the first one may
				t.Fatal(err)
			}
			if a := testing.AllocsPerRun(20, func() {
				if err := f(); err != nil {
					t.Fatal(err)
				}
			}); a != 0 {
				t.Errorf("%s, %s: %v allocations", solver, what, a)
			}
		}
		run("Step.Run", func() error { _, err := st.Run(x, labels, 1); return err })
		run("Machine.RunAll", st.machine.RunAll)
		run("Solver.Step", func() error { return sv.Step(st.model) })
		st.SetProfile(true)
		run("Step.Run with profile", func() error { _, err := st.Run(x, labels, 1); return err })
		e, err := n.NewEval(8)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		run("Eval.Run", func() error { _, _, err := e.Run(x, labels); return err })
	}
}

func TestNonFiniteLossLeavesWeightsAndOptimiserAlone(t *testing.T) {
	n, sv, st := newTraining(t, newCPU(t, 2), small, 4, "adam")
	x, labels := someBatch(small, 4, 1)
	if _, err := st.Run(x, labels, 1); err != nil {
		t.Fatal(err)
	}
	weights, state := weightsOf(t, n), stateOf(t, sv)
	bad := append([]float32(nil), x...)
	bad[17] = float32(math.NaN())
	r, err := st.Run(bad, labels, 2)
	if err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(r.Loss) {
		t.Errorf("loss %v of a batch with a NaN", r.Loss)
	}
	bittest.Values(t, "weights", weightsOf(t, n), weights)
	bittest.Values(t, "state", stateOf(t, sv), state)
	// and the next good batch finds nothing left behind
	if r, err = st.Run(x, labels, 2); err != nil || math.IsNaN(r.Loss) {
		t.Errorf("loss %v, error %v of a good batch after a bad one", r.Loss, err)
	}
	for _, w := range weightsOf(t, n) {
		for _, v := range w.Data {
			if math.IsNaN(float64(v)) {
				t.Fatalf("%s holds a NaN", w.Name)
			}
		}
	}
}

func TestWrongBatchesAreRefused(t *testing.T) {
	n, _, st := newTraining(t, newCPU(t, 1), small, 4, "sgd")
	x, labels := someBatch(small, 5, 1)
	weights := weightsOf(t, n)
	for _, c := range []struct {
		name   string
		x      []float32
		labels []uint8
		says   []string
	}{
		{"no rows", nil, nil, []string{"0 rows", "1 to 4"}},
		{"too many rows", x, labels, []string{"5 rows", "1 to 4"}},
		{"too few pixels", x[:100], labels[:1], []string{"100 numbers", "want 192"}},
		{"a label too large", x[:192], []uint8{5}, []string{"label 5", "0 to 4"}},
	} {
		_, err := st.Run(c.x, c.labels, 0)
		mention(t, err, c.says...)
	}
	bittest.Values(t, "weights", weightsOf(t, n), weights)
	_, err := n.NewStep(0, st.solver)
	mention(t, err, "batch of 0")
	_, err = n.NewEval(-1)
	mention(t, err, "batch of -1")
}

func TestProfileNamesEveryPartOfAStep(t *testing.T) {
	_, _, st := newTraining(t, newCPU(t, 2), small, 4, "adadelta")
	x, labels := someBatch(small, 4, 1)
	st.SetProfile(true)
	if _, err := st.Run(x, labels, 1); err != nil {
		t.Fatal(err)
	}
	parts := map[Pass]int{}
	var sum time.Duration
	for _, p := range st.Profile() {
		parts[p.Pass]++
		sum += p.Duration
	}
	if want := map[Pass]int{Input: 1, Weights: 6, Forward: 9, Backward: 22, Optimizer: 1}; !maps.Equal(parts, want) {
		t.Errorf("parts %v, want %v", parts, want)
	}
	f, b, o := st.Phases()
	if f <= 0 || b <= 0 || o <= 0 {
		t.Errorf("phases %v, %v, %v", f, b, o)
	}
	if sum > f+b+o {
		t.Errorf("the parts take %v, more than the whole, %v", sum, f+b+o)
	}
}

func TestCloseGivesTheMemoryBack(t *testing.T) {
	b := newCPU(t, 2)
	n, err := New(b, VGG(0.5), 1)
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	sv, err := NewSolver(b, "sgd", SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := n.NewStep(64, sv)
	if err != nil {
		t.Fatal(err)
	}
	e, err := n.NewEval(64)
	if err != nil {
		t.Fatal(err)
	}
	held := heap()
	st.Close()
	e.Close()
	after := heap()
	// what stays is the workers' own, which the next step uses again
	if held < before+64<<20 || after > before+24<<20 {
		t.Errorf("%d MiB before, %d MiB with a step of 64 images, %d MiB after it", before>>20, held>>20, after>>20)
	}
	runtime.KeepAlive(st)
	runtime.KeepAlive(e)
}

// Where steps are not computed behind the host's back, Submit is Run.
func TestSubmittedStepsGiveTheSameBits(t *testing.T) {
	x, labels := someBatch(small, 4, 1)
	on := newCPU(t, 2)
	whole, _, run := newTraining(t, on, small, 4, "adam")
	parts, _, submit := newTraining(t, on, small, 4, "adam")
	for i := range 5 {
		want, err := run.Run(x, labels, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if err := submit.Submit(x, labels, uint64(i)); err != nil {
			t.Fatal(err)
		}
		if submit.Pending() != 1 || submit.Ahead() != 1 {
			t.Errorf("%d results pending of %d ahead, want 1 of 1", submit.Pending(), submit.Ahead())
		}
		got, err := submit.Result()
		if err != nil || got != want {
			t.Errorf("step %d: %+v, %v, want %+v", i, got, err, want)
		}
	}
	if _, err := submit.Result(); err == nil {
		t.Error("a result without a step")
	}
	bittest.Values(t, "weights", weightsOf(t, parts), weightsOf(t, whole))
}

// scant is a processor whose memory is full when labels want some, or after a number
// of blocks.
type scant struct {
	*CPU
	held int // blocks
	most int // 0: any number
}

func (s *scant) Alloc(ints bool, n int) (Memory, error) {
	if ints || s.most > 0 && s.held == s.most {
		return Memory{}, &MemoryError{Device: "scant", Err: errors.New("full")}
	}
	s.held++
	return s.CPU.Alloc(ints, n)
}

func (s *scant) Free(Memory) { s.held-- }

// What a batch that does not fit has taken must not be missing to a smaller one.
func TestBatchThatDoesNotFitGivesItsMemoryBack(t *testing.T) {
	on := &scant{CPU: newCPU(t, 1)}
	n, err := New(on, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	sv, err := NewSolver(on, "sgd", SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := on.held
	for what, f := range map[string]func() error{
		"step": func() error { _, err := n.NewStep(4, sv); return err },
		"eval": func() error { _, err := n.NewEval(4); return err },
	} {
		mention(t, f(), "memory for a batch of 4 images")
		if on.held != before {
			t.Errorf("%s: %d blocks are still taken", what, on.held-before)
		}
	}
}

// A network or an optimiser's state that does not fit is not there in parts, either:
// the next one, or the batch that would fit, is looked for in what is free.
func TestNetworkThatDoesNotFitGivesItsMemoryBack(t *testing.T) {
	on := &scant{CPU: newCPU(t, 1)}
	n, err := New(on, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	before := on.held
	for what, f := range map[string]func() error{
		"conv2.weight": func() error { _, err := New(on, small, 1); return err },
		"the state of adam": func() error {
			sv, err := NewSolver(on, "adam", SolverOptions{})
			if err == nil {
				_, err = n.NewStep(4, sv)
			}
			return err
		},
	} {
		on.most = before + 2
		mention(t, f(), "memory for "+what)
		if on.held != before {
			t.Errorf("%s: %d blocks are still taken", what, on.held-before)
		}
	}
}
