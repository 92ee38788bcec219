package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"cifartui/nn/bittest"
)

// mention fails the test unless err says all of it.
func mention(t *testing.T, err error, what ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that mentions %q", what)
		return
	}
	for _, w := range what {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not mention %q", err, w)
		}
	}
}

// parameter is a parameter outside of any graph.
type parameter struct {
	name        string
	value, grad *Buffer
}

func (p *parameter) Name() string                  { return p.name }
func (p *parameter) Value() gorgonia.Value         { return p.value }
func (p *parameter) Grad() (gorgonia.Value, error) { return p.grad, nil }

func newParameter(t *testing.T, on Backend, name string, x []float64) *parameter {
	o := plainOrder(len(x))
	return &parameter{name, flat(t, on, x, o, len(x)), flat(t, on, make([]float64, len(x)), o, len(x))}
}

// The values after each step were computed in float64: Adadelta from its
// formula, and the same by PyTorch 1.13's Adadelta; the others by PyTorch 1.13.
func TestSolversFollowTheirFormulas(t *testing.T) {
	start := []float64{1, -2, 0.5, 0}
	gradients := [][]float64{
		{0.5, -0.25, 1e-3, 0},
		{0.25, -0.25, -2e-3, 0},
		{-1, 0.125, 3e-3, 4},
		{0.5, 0.5, 1e-3, -4},
		{0.0625, -2, 0, 1},
	}
	for _, c := range []struct {
		solver  string
		options SolverOptions
		want    [][]float64
	}{
		{"adadelta", SolverOptions{}, [][]float64{
			{0.9985857921, -1.998585809, 0.4991835034, 0},
			{0.997672926, -1.997153603, 0.5004223626, 0},
			{0.9995921716, -1.997994803, 0.4988767303, -0.001414213474},
			{0.9984058039, -2.000070697, 0.4982422184, 1.801618343e-05},
			{0.9982441465, -1.996958581, 0.4982422184, -0.0004227018829},
		}},
		{"adadelta", SolverOptions{LR: 0.5}, [][]float64{
			{0.999292896, -1.999292905, 0.4995917517, 0},
			{0.998836463, -1.998576801, 0.5002111813, 0},
			{0.9997960858, -1.998997401, 0.4994383651, -0.000707106737},
			{0.9992029019, -2.000035349, 0.4991211092, 9.008091716e-06},
			{0.9991220732, -1.99847929, 0.4991211092, -0.0002113509415},
		}},
		{"sgd", SolverOptions{}, [][]float64{
			{0.995, -1.9975, 0.49999, 0},
			{0.9925, -1.995, 0.50001, 0},
			{1.0025, -1.99625, 0.49998, -0.04},
			{0.9975, -2.00125, 0.49997, 0},
			{0.996875, -1.98125, 0.49997, -0.01},
		}},
		{"sgd", SolverOptions{Momentum: 0.9, WeightDecay: 0.1}, [][]float64{
			{0.9886, -1.99145, 0.499031, 0},
			{0.97711166, -1.979271245, 0.4977077411, 0},
			{0.9870553818, -1.970967055, 0.4959452913, -0.076},
			{0.9765087268, -1.969904791, 0.4938727274, -0.0322556},
			{0.9693622205, -1.924479804, 0.4915244124, -0.04789275436},
		}},
		{"adam", SolverOptions{}, [][]float64{
			{0.999, -1.999, 0.49900001, 0},
			{0.9980678204, -1.998, 0.4993661112, 0},
			{0.9982741774, -1.997484347, 0.4990228717, -0.0006388135966},
			{0.9981964921, -1.997696199, 0.4986011116, -0.0005977113394},
			{0.998103642, -1.997228863, 0.4982446283, -0.0006585283646},
		}},
		{"adam", SolverOptions{WeightDecay: 0.1}, [][]float64{
			{0.999, -1.999, 0.4990000002, 0},
			{0.9980462404, -1.998000006, 0.4980021246, 0},
			{0.9981020409, -1.997157667, 0.4970015927, -0.0006388135966},
			{0.9978711372, -1.996779899, 0.4960011423, -0.0005977051036},
			{0.9976091124, -1.996162898, 0.4950017294, -0.0006585106249},
		}},
		{"adamw", SolverOptions{WeightDecay: 0.1}, [][]float64{
			{0.9989, -1.9988, 0.49895001, 0},
			{0.9978679304, -1.99760012, 0.4992662162, 0},
			{0.9979745006, -1.996884707, 0.4988730501, -0.0006388135966},
			{0.9977970178, -1.99689687, 0.4984014026, -0.000597647458},
			{0.997604388, -1.996229845, 0.4979950792, -0.0006584047185},
		}},
	} {
		t.Run(fmt.Sprintf("%s %+v", c.solver, c.options), func(t *testing.T) {
			on := newCPU(t, 2)
			s, err := NewSolver(on, c.solver, c.options)
			if err != nil {
				t.Fatal(err)
			}
			p := newParameter(t, on, "x", start)
			for i, g := range gradients {
				copy(p.grad.Floats, to32(g))
				if err := s.Step([]gorgonia.ValueGrad{p}); err != nil {
					t.Fatal(err)
				}
				for j, want := range c.want[i] {
					if got := float64(p.value.Floats[j]); math.Abs(got-want) > 4e-7 {
						t.Errorf("step %d: x[%d] = %.9f, want %.9f", i+1, j, got, want)
					}
				}
			}
		})
	}
}

// groupsOf makes a filter, the weights of a dense layer and a bias, with
// gradients.
func groupsOf(t *testing.T, on Backend) []*parameter {
	r := rand.New(rand.NewPCG(5, 6))
	make := func(name string, o *order, shape ...int) *parameter {
		n := newBuffer(shape...).Len
		return &parameter{name, flat(t, on, random(r, n, 1), o, shape...), flat(t, on, random(r, n, 1), o, shape...)}
	}
	return []*parameter{
		make("filter", convOrder(2, 24), 3, 3, 2, 24),
		make("dense", denseOrder(3, 1, 1, 4), 3, 4),
		make("bias", plainOrder(5), 5),
	}
}

// TestGroupsHaveTheirOwnNumbers compares two steps of each group of parameters,
// with the rate changed in between, with the formulas.
func TestGroupsHaveTheirOwnNumbers(t *testing.T) {
	type numbers struct{ rate, momentum, decay float64 }
	o := SolverOptions{
		LR: 0.5, Momentum: 0.75, WeightDecay: 0.0625,
		DenseLR: 0.25, DenseMomentum: 0.875, DenseDecay: 0.125, BiasLR: 2,
	}
	filters := numbers{0.5, 0.75, 0.0625}
	for _, c := range []struct {
		solver    string
		options   SolverOptions
		decoupled bool
		want      map[string]numbers
	}{
		{"sgd", o, false, map[string]numbers{"filter": filters, "dense": {0.25, 0.875, 0.125}, "bias": {2, 0.875, 0.0625}}},
		{"sgdw", o, true, map[string]numbers{"filter": filters, "dense": {0.25, 0.875, 0.125}, "bias": {2, 0.875, 0}}},
		{"muon", o, true, map[string]numbers{"filter": filters, "dense": {0.25, 0.875, 0.125}, "bias": {2, 0.875, 0}}},
		{"sgdw", SolverOptions{LR: 0.5, Momentum: 0.75, WeightDecay: 0.0625}, true, map[string]numbers{"filter": filters, "dense": filters, "bias": {0.5, 0.75, 0}}},
	} {
		t.Run(fmt.Sprintf("%s %+v", c.solver, c.options), func(t *testing.T) {
			on := newCPU(t, 2)
			s, err := NewSolver(on, c.solver, c.options)
			if err != nil {
				t.Fatal(err)
			}
			ps := groupsOf(t, on)
			var model []gorgonia.ValueGrad
			var want [][]float64
			for _, p := range ps {
				model, want = append(model, p), append(want, to64(p.value.Floats))
			}
			moments := make([][]float64, len(ps))
			for step := range 2 {
				factor := []float64{1, 0.25}[step]
				s.SetLearnRate(c.options.LR * factor)
				if err := s.Step(model); err != nil {
					t.Fatal(err)
				}
				for i, p := range ps {
					n, g := c.want[p.name], to64(p.grad.Floats)
					if step == 0 {
						moments[i] = make([]float64, len(g))
					}
					for j := range g {
						if !c.decoupled {
							g[j] += n.decay * want[i][j]
						} else {
							want[i][j] *= 1 - factor*n.rate*n.decay
						}
						moments[i][j] = n.momentum*moments[i][j] + g[j]
						g[j] += n.momentum * moments[i][j]
					}
					scale := 1.0
					if c.solver == "muon" && p.name == "filter" {
						g, scale = orthogonal(g, 18, 24), math.Sqrt(24.0/18)
					}
					for j := range g {
						want[i][j] -= factor * n.rate * scale * g[j]
					}
					near(t, fmt.Sprintf("%s, step %d", p.name, step), to64(p.value.Floats), want[i], 1e-4)
				}
			}
		})
	}
}

// orthogonal is Newton and Schulz's iteration as Muon has it, in float64, of a
// matrix of so many rows and columns.
func orthogonal(g []float64, rows, cols int) []float64 {
	x := slices.Clone(g)
	scale := 1 / math.Sqrt(dot(g, g))
	for i := range x {
		x[i] *= scale
	}
	product := func(a, b []float64, n, k, m int) []float64 {
		c := make([]float64, n*m)
		for i := range n {
			for j := range m {
				for l := range k {
					c[i*m+j] += a[i*k+l] * b[l*m+j]
				}
			}
		}
		return c
	}
	for range 5 {
		turned := make([]float64, len(x))
		for i := range rows {
			for j := range cols {
				turned[j*rows+i] = x[i*cols+j]
			}
		}
		a := product(x, turned, rows, cols, rows)
		p := product(a, a, rows, rows, rows)
		for i := range p {
			p[i] = -4.7750*a[i] + 2.0315*p[i]
		}
		for i := range rows {
			p[i*rows+i] += 3.4445
		}
		x = product(p, x, rows, rows, cols)
	}
	return x
}

func TestSolverStateContinuesBitForBit(t *testing.T) {
	for _, name := range SolverNames() {
		for _, early := range []bool{true, false} { // state given before the parameters are known, or after
			t.Run(fmt.Sprint(name, " ", early), func(t *testing.T) {
				o := SolverOptions{}
				if name == "sgd" {
					o.Momentum = 0.9
				}
				x, labels := someBatch(small, 4, 1)
				on := newCPU(t, 2)
				train := func(weights, state []Tensor, steps int) (*Network, Solver) {
					n, err := New(on, small, 1)
					if err != nil {
						t.Fatal(err)
					}
					s, err := NewSolver(on, name, o)
					if err != nil {
						t.Fatal(err)
					}
					if early && state != nil {
						if err := s.SetState(state); err != nil {
							t.Fatal(err)
						}
					}
					st, err := n.NewStep(4, s)
					if err != nil {
						t.Fatal(err)
					}
					defer st.Close()
					if weights != nil {
						if err := n.SetWeights(weights); err != nil {
							t.Fatal(err)
						}
						if !early {
							if err := s.SetState(state); err != nil {
								t.Fatal(err)
							}
						}
					}
					for range steps {
						if _, err := st.Run(x, labels, 5); err != nil {
							t.Fatal(err)
						}
					}
					return n, s
				}
				whole, wholeSolver := train(nil, nil, 7)
				first, firstSolver := train(nil, nil, 4)
				second, secondSolver := train(weightsOf(t, first), stateOf(t, firstSolver), 3)
				bittest.Values(t, "weights", weightsOf(t, second), weightsOf(t, whole))
				bittest.Values(t, "state", stateOf(t, secondSolver), stateOf(t, wholeSolver))
			})
		}
	}
}

func TestSolverStateIsNamedAfterTheParameters(t *testing.T) {
	for name, want := range map[string]string{"adadelta": "conv1.weight.eg2 conv1.weight.ed2", "sgd": "conv1.weight.m conv1.bias.m", "adam": "conv1.weight.m conv1.weight.v"} {
		on := newCPU(t, 1)
		n, err := New(on, small, 1)
		if err != nil {
			t.Fatal(err)
		}
		o := SolverOptions{}
		if name == "sgd" {
			o.Momentum = 0.5
		}
		s, err := NewSolver(on, name, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(stateOf(t, s)) != 0 {
			t.Errorf("%s has a state before it knows any parameter", name)
		}
		st, err := n.NewStep(1, s)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		ts := stateOf(t, s)
		if got := ts[0].Name + " " + ts[1].Name; got != want {
			t.Errorf("%s: state starts with %s, want %s", name, got, want)
		}
		if fmt.Sprint(ts[0].Shape) != "[4 3 3 3]" {
			t.Errorf("%s: %s has shape %v, want that of the weights", name, ts[0].Name, ts[0].Shape)
		}
		if last := ts[len(ts)-1].Name; (last == "t") != (name == "adam") {
			t.Errorf("%s: the last tensor of the state is %s", name, last)
		}
	}
}

func TestAdamCountsBeyondWhatAFloatHolds(t *testing.T) {
	on := newCPU(t, 1)
	p := newParameter(t, on, "x", []float64{1})
	s := newAdam(moments{on: on, name: "adam", rate: 0.001}, 0)
	if err := s.Step([]gorgonia.ValueGrad{p}); err != nil {
		t.Fatal(err)
	}
	s.steps = 1<<40 + 1<<24 + 3
	state := stateOf(t, s)
	s.steps = 0
	if err := s.SetState(state); err != nil {
		t.Fatal(err)
	}
	if s.steps != 1<<40+1<<24+3 {
		t.Errorf("%d steps after a round trip, want %d", s.steps, 1<<40+1<<24+3)
	}
}

func TestWrongSolverStateIsRefused(t *testing.T) {
	on := newCPU(t, 1)
	n, s, _ := newTraining(t, on, small, 2, "adam")
	good := stateOf(t, s)
	damaged := func(change func(ts []Tensor) []Tensor) error {
		return s.SetState(change(append([]Tensor(nil), good...)))
	}
	mention(t, damaged(func(ts []Tensor) []Tensor { return ts[1:] }), "adam", "conv1.weight.m")
	mention(t, damaged(func(ts []Tensor) []Tensor { return ts[:len(ts)-1] }), "adam", "lacks t")
	mention(t, damaged(func(ts []Tensor) []Tensor { return append(ts, Tensor{Name: "extra"}) }), "tensors")
	mention(t, damaged(func(ts []Tensor) []Tensor { return append(ts, ts[0]) }), "two tensors named conv1.weight.m")
	mention(t, damaged(func(ts []Tensor) []Tensor { ts[0].Shape = []int{1, 2}; return ts }), "conv1.weight.m", "[1 2]", "[4 3 3 3]")
	mention(t, damaged(func(ts []Tensor) []Tensor { ts[0].Data = ts[0].Data[1:]; return ts }), "conv1.weight.m", "damaged")
	bittest.Values(t, "state after refused ones", stateOf(t, s), good)

	other, err := NewSolver(on, "adadelta", SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.SetState(good); err != nil {
		t.Fatal(err)
	}
	_, err = n.NewStep(2, other) // only now are its parameters known
	mention(t, err, "adadelta", "conv1.weight.eg2")
}

func TestSolverServesOneNetwork(t *testing.T) {
	on := newCPU(t, 1)
	n, s, _ := newTraining(t, on, small, 2, "adadelta")
	st, err := n.NewStep(3, s) // another batch size of the same network
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
	other, err := New(on, small, 2)
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.NewStep(2, s)
	mention(t, err, "another network")
}

func TestSolverOptionsAreChecked(t *testing.T) {
	on := newCPU(t, 1)
	for _, c := range []struct {
		name    string
		options SolverOptions
		says    []string
	}{
		{"rmsprop", SolverOptions{}, []string{"rmsprop", "adadelta, sgd, sgdw, muon, adam, adamw"}},
		{"sgd", SolverOptions{LR: -1}, []string{"sgd", "learning rate", "-1"}},
		{"sgd", SolverOptions{LR: math.NaN()}, []string{"learning rate", "NaN"}},
		{"adam", SolverOptions{WeightDecay: math.Inf(1)}, []string{"weight decay"}},
		{"sgd", SolverOptions{Momentum: 1}, []string{"momentum of 1"}},
		{"adam", SolverOptions{Momentum: 0.9}, []string{"adam", "momentum"}},
		{"adadelta", SolverOptions{WeightDecay: 0.1}, []string{"adadelta", "weight decay"}},
		{"muon", SolverOptions{DenseMomentum: 1.5}, []string{"muon", "momentum of 1.5"}},
		{"sgdw", SolverOptions{BiasLR: -2}, []string{"biases", "-2"}},
		{"adam", SolverOptions{DenseLR: 0.1}, []string{"adam", "dense layer"}},
	} {
		_, err := NewSolver(on, c.name, c.options)
		mention(t, err, c.says...)
	}
	for name, want := range map[string]float64{"adadelta": 1, "sgd": 0.01, "sgdw": 0.01, "muon": 0.02, "adam": 0.001, "adamw": 0.001} {
		s, err := NewSolver(on, name, SolverOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if s.LearnRate() != want || s.Name() != name {
			t.Errorf("%s: rate %v, want %v", s.Name(), s.LearnRate(), want)
		}
		s.SetLearnRate(0.25)
		if s.LearnRate() != 0.25 {
			t.Errorf("%s: rate %v after it was set to 0.25", name, s.LearnRate())
		}
	}
}
