package nn

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"cifartui/nn/bittest"
)

// problem is a small network with a batch, and all that the references need
// to repeat a pass over it.
type problem struct {
	spec   Spec
	on     *CPU
	net    *Network
	rows   int
	x      []float32
	labels []uint8
	key    uint64
	mask   []float64
}

func newProblem(t *testing.T, dropout float64, rows int, hidden ...int) *problem {
	s := small
	s.Dropout, s.Dense = dropout, hidden
	return newProblemOf(t, s, rows)
}

func newProblemOf(t *testing.T, s Spec, rows int) *problem {
	p := &problem{spec: s, on: newCPU(t, 2), rows: rows, key: 1234}
	var err error
	if p.net, err = New(p.on, p.spec, 3); err != nil {
		t.Fatal(err)
	}
	ws := weightsOf(t, p.net)
	for i := range ws { // biases of zero would hide mistakes
		if len(ws[i].Shape) == 1 {
			for j := range ws[i].Data {
				ws[i].Data[j] = 0.1 * float32(j%5-1)
			}
		}
	}
	if err := p.net.SetWeights(ws); err != nil {
		t.Fatal(err)
	}
	p.x, p.labels = someBatch(p.spec, rows, 4)
	side := p.spec.Size >> len(p.spec.Filters)
	last := p.spec.Filters[len(p.spec.Filters)-1]
	if n := len(s.Dense); n > 0 { // dropout is behind these
		side, last = 1, s.Dense[n-1]
	}
	p.mask = dropoutMask(t, p.on, dims{rows, last, side, side}, float32(s.Dropout), p.key)
	return p
}

// still is an optimiser that changes nothing.
type still struct{ Solver }

func (still) Step([]gorgonia.ValueGrad) error { return nil }

// onMachine returns loss and gradients as Step computes them.
func (p *problem) onMachine(t *testing.T, capacity int) (float64, []Tensor) {
	t.Helper()
	s, err := NewSolver(p.on, "sgd", SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := p.net.NewStep(capacity, still{s})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	r, err := st.Run(p.x, p.labels, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return r.Loss, st.graph.exportGradients(t)
}

// onTape returns them as Gorgonia's TapeMachine does, from the same operations.
func (p *problem) onTape(t *testing.T, capacity int) (float64, []Tensor) {
	t.Helper()
	g, err := newGraph(p.on, p.spec, p.net.params, capacity, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.allocate(); err != nil {
		t.Fatal(err)
	}
	if err := g.load(p.x, p.labels, p.key); err != nil {
		t.Fatal(err)
	}
	m := gorgonia.NewTapeMachine(g.ExprGraph)
	defer m.Close()
	for range 2 { // the second run finds what the first one left
		if err := m.RunAll(); err != nil {
			t.Fatal(err)
		}
		m.Reset()
	}
	sum, _, err := g.lossOp.kernel.Result()
	if err != nil {
		t.Fatal(err)
	}
	return sum / float64(p.rows), g.exportGradients(t)
}

// exportGradients returns copies of the gradients of the last run, named and
// laid out as the weights.
func (g *graph) exportGradients(t *testing.T) []Tensor {
	t.Helper()
	ts := make([]Tensor, len(g.trained))
	for i, n := range g.trained {
		b := g.gradients[i].Value().(*Buffer)
		b.order = n.Value().(*Buffer).order
		var err error
		if ts[i], err = export(g.batch.on, n.Name(), b); err != nil {
			t.Fatal(err)
		}
	}
	return ts
}

func TestMachineAgreesWithTapeMachineBitForBit(t *testing.T) {
	for _, dropout := range []float64{0, 0.5} {
		for _, capacity := range []int{4, 7} {
			for _, hidden := range [][]int{nil, {5}, {7, 3}} {
				p := newProblem(t, dropout, 4, hidden...)
				loss, grads := p.onMachine(t, capacity)
				want, wantGrads := p.onTape(t, capacity)
				if loss != want {
					t.Errorf("loss %v, on TapeMachine %v", loss, want)
				}
				bittest.Values(t, "gradients", grads, wantGrads)
			}
		}
	}
}

// networkAgreement is how far from the references the gradients of the whole
// network may be, errors of its layers having added up.
const networkAgreement = 1e-5

func TestNetworkGradients(t *testing.T) {
	for _, c := range []struct {
		dropout float64
		filters []int
		hidden  []int
		numeric bool // which takes some seconds
	}{
		{0, small.Filters, nil, true}, {0.5, small.Filters, nil, true}, {0.5, []int{3, 2, 5}, []int{6, 5}, true},
		{0, small.Filters, []int{9}, false}, {0, []int{17}, []int{1}, false},
	} {
		p := newProblemOf(t, Spec{Size: small.Size, Filters: c.filters, Dense: c.hidden, Classes: small.Classes, Dropout: c.dropout}, 4)
		loss, grads := p.onMachine(t, 4)
		ws := weightsOf(t, p.net)
		weights := make([][]float64, len(ws))
		for i, w := range ws {
			weights[i] = to64(w.Data)
		}
		pixels := nchw(p.x, dims{p.rows, imageChannels, p.spec.Size, p.spec.Size})
		reference := func() float64 {
			return refNetwork(p.spec, weights, append([]float64(nil), pixels...), p.labels, p.mask)
		}
		near(t, "loss, reference", []float64{loss}, []float64{reference()}, networkAgreement)
		stockLoss, stock := stockNetwork(t, p.spec, ws, pixels, p.labels, p.mask)
		near(t, "loss, stock", []float64{loss}, []float64{stockLoss}, networkAgreement)
		for i, g := range grads {
			if c.numeric && !raceDetector { // it has no goroutines, and takes minutes there
				near(t, g.Name+", numeric", to64(g.Data), numeric(reference, weights[i]), networkAgreement)
			}
			near(t, g.Name+", stock", to64(g.Data), stock[i], networkAgreement)
		}
	}
}

func TestShortBatchEqualsABatchOfItsSize(t *testing.T) {
	for _, rows := range []int{1, 3, 5} {
		p := newProblem(t, 0.5, rows, []int{6}[:rows%2]...)
		loss, grads := p.onMachine(t, rows)
		long, longGrads := p.onMachine(t, 8)
		if loss != long {
			t.Errorf("%d rows in a batch of 8: loss %v, want %v", rows, long, loss)
		}
		bittest.Values(t, "gradients", longGrads, grads)
	}
}

func TestShortBatchAfterAFullOne(t *testing.T) {
	p := newProblem(t, 0.5, 3)
	want, wantGrads := p.onMachine(t, 3)
	s, err := NewSolver(p.on, "sgd", SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := p.net.NewStep(8, still{s})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	x, labels := someBatch(p.spec, 8, 9)
	if _, err := st.Run(x, labels, 1); err != nil {
		t.Fatal(err)
	}
	r, err := st.Run(p.x, p.labels, p.key)
	if err != nil {
		t.Fatal(err)
	}
	if r.Loss != want || r.Rows != 3 {
		t.Errorf("loss %v of %d rows, want %v of 3", r.Loss, r.Rows, want)
	}
	bittest.Values(t, "gradients", st.graph.exportGradients(t), wantGrads)
}

func TestPlanSharesOnlyWhatIsSafe(t *testing.T) {
	for name, on := range map[string]Backend{"in turn": nil, "filters late": deferrer{}} {
		t.Run(name, func(t *testing.T) { planIsSafe(t, on) })
	}
}

// deferrer runs filters' gradients when all else is done.
type deferrer struct{ Backend }

func (deferrer) DefersFilters(int) bool { return true }

func planIsSafe(t *testing.T, on Backend) {
	g, err := newGraph(on, VGG(0.5), describeParams(VGG(0.5)), 512, true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(g.ExprGraph, g.results())
	if err != nil {
		t.Fatal(err)
	}
	// Run the plan: a slab holds the last value written to it, and every input
	// must still be there when it is read.
	holds := map[int]*op{}
	order := p.order
	if on != nil {
		var late []*gorgonia.Node
		order = slices.DeleteFunc(slices.Clone(order), func(n *gorgonia.Node) bool {
			switch n.Op().(type) {
			case *filterGradient, *denseFilterGradient, *second:
				late = append(late, n)
				return true
			}
			return false
		})
		order = append(order, late...)
	}
	for _, n := range order {
		o := n.Op().(operation)
		for i, in := range inputs(g.ExprGraph, n) {
			from, ok := in.Op().(operation)
			if ok && holds[p.place[from.common()]] != from.common() {
				t.Errorf("%v reads %v after its memory was used again (input %d)", o, from, i)
			}
		}
		at := p.place[o.common()]
		if s := p.slabs[at]; s.image != o.common().out.Image || s.len < o.common().out.Len {
			t.Errorf("%v: slab %+v does not fit %v", o, s, o.common().out)
		}
		for _, in := range inputs(g.ExprGraph, n) {
			from, ok := in.Op().(operation)
			if !ok || p.place[from.common()] != at {
				continue
			}
			if overwritten(o, inputs(g.ExprGraph, n)) != from.common() {
				t.Errorf("%v overwrites its input %v", o, from)
			}
		}
		holds[at] = o.common()
	}
	for _, n := range g.results() {
		if o := n.Op().(operation).common(); holds[p.place[o]] != o {
			t.Errorf("%v is lost before the end", o)
		}
	}
	var naive int64
	for _, n := range p.order {
		naive += int64(n.Op().(operation).common().out.MemSize())
	}
	t.Logf("batch 512: %d MiB, without sharing %d MiB", p.bytes()>>20, naive>>20)
	if p.bytes() >= naive {
		t.Error("the plan shares nothing")
	}
}

func TestGraphsBuiltAtTheSameTime(t *testing.T) {
	var wg sync.WaitGroup
	losses := make([]float64, 6)
	for i := range losses {
		wg.Go(func() {
			b := NewCPU(1)
			defer b.Close()
			n, err := New(b, small, 1)
			if err != nil {
				t.Error(err)
				return
			}
			s, err := NewSolver(b, "adadelta", SolverOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			st, err := n.NewStep(4, s)
			if err != nil {
				t.Error(err)
				return
			}
			defer st.Close()
			x, labels := someBatch(small, 4, 1)
			for range 3 {
				r, err := st.Run(x, labels, 1)
				if err != nil {
					t.Error(err)
					return
				}
				losses[i] = r.Loss
			}
		})
	}
	wg.Wait()
	for _, l := range losses {
		if l != losses[0] {
			t.Fatalf("losses of equal trainings differ: %v", losses)
		}
	}
}

// failing is an operation that fails, or has no value for its input.
type failing struct{ op }

func (*failing) run([]gorgonia.Value) error { return errors.New("the kernel failed") }

func TestMachineReportsWhatFailed(t *testing.T) {
	on := newCPU(t, 1)
	g := gorgonia.NewGraph()
	x := gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(3), gorgonia.WithName("x"))
	n, err := apply(&failing{}, &batchState{on: on}, "layer", "role", Forward, newBuffer(3), x)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMachine(on, g, n)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.RunAll(); err == nil || !strings.Contains(err.Error(), "no value") {
		t.Errorf("an input without value: %v", err)
	}
	if err := gorgonia.Let(x, flat(t, on, []float64{1, 2, 3}, plainOrder(3), 3)); err != nil {
		t.Fatal(err)
	}
	if err := m.RunAll(); err == nil || !strings.Contains(err.Error(), "layer.role") || !strings.Contains(err.Error(), "kernel failed") {
		t.Errorf("a failing operation: %v", err)
	}
}
