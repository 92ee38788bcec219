package nn

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
)

// Solver is an optimiser: a gorgonia.Solver that works in place on a backend's
// memory, allocates nothing after its first step, and can be saved.
//
// A solver serves one network. It knows the network's parameters from
// Network.NewStep on, or from its first Step.
type Solver interface {
	gorgonia.Solver
	// Name is the name given to NewSolver.
	Name() string
	// LearnRate is the rate that the next step uses.
	LearnRate() float64
	SetLearnRate(float64)
	// State returns copies of all that the solver keeps between two steps,
	// named after the parameters, as conv1.weight.eg2, in their shapes, and
	// for those who count steps, t. It is empty as long as the parameters
	// aren't known. The error is the backend's.
	State() ([]Tensor, error)
	// SetState takes State back bit for bit. Before the parameters are known
	// it is remembered, and checked when they are.
	SetState([]Tensor) error

	attach(names []string, params []*Buffer) error
	// undo takes back so many calls of Step, which have changed nothing.
	undo(steps int)
}

// SolverOptions are the settings of NewSolver; zeros are the defaults.
type SolverOptions struct {
	LR          float64 // 0: the optimiser's own default
	Momentum    float64 // of sgd, sgdw and muon: Nesterov's
	WeightDecay float64 // of sgd and adam: L2; of sgdw, muon and adamw: decoupled

	// Of sgd, sgdw and muon. All rates keep their ratio when LR changes.
	BiasLR        float64 // of the biases; 0: as the dense layer's
	DenseLR       float64 // of the dense layer; 0: as LR, with muon 0.05
	DenseMomentum float64 // of the dense layer and the biases; 0: as Momentum
	DenseDecay    float64 // of the dense layer; 0: as WeightDecay

	// LayerRates are factors of the learning rate by layers' names; layers that
	// are not in it have 1.
	LayerRates map[string]float64
}

// SolverNames lists what NewSolver knows.
func SolverNames() []string { return []string{"adadelta", "sgd", "sgdw", "muon", "adam", "adamw"} }

// NewSolver makes an optimiser:
//
//   - adadelta: rate 1, rho 0.95, epsilon 1e-7, as in Keras 2.0
//   - sgd: rate 0.01, Nesterov momentum, as PyTorch's SGD(nesterov=True)
//   - sgdw: the same with decoupled weight decay, which spares the biases
//   - muon: rate 0.02, momentum 0.95 for the filters; sgdw for the others
//   - adam, adamw: rate 0.001, betas 0.9 and 0.999, epsilon 1e-8, as PyTorch's
func NewSolver(b Backend, name string, o SolverOptions) (Solver, error) {
	if !slices.Contains(SolverNames(), name) {
		return nil, fmt.Errorf("nn: there is no optimiser %q: take one of %s", name, strings.Join(SolverNames(), ", "))
	}
	if err := o.check(name); err != nil {
		return nil, err
	}
	o = o.withDefaults(name)
	common := moments{on: b, name: name, rate: o.LR, layerRates: o.LayerRates}
	switch name {
	case "adadelta":
		return newAdadelta(common), nil
	case "sgd", "sgdw":
		return newSGD(common, o), nil
	case "muon":
		return newMuon(common, o), nil
	}
	return newAdam(common, o.WeightDecay), nil
}

// check reports what an optimiser can't have.
func (o SolverOptions) check(name string) error {
	for _, v := range []struct {
		what  string
		value float64
	}{
		{"learning rate", o.LR}, {"momentum", o.Momentum}, {"weight decay", o.WeightDecay},
		{"learning rate of the biases", o.BiasLR}, {"learning rate of the dense layer", o.DenseLR},
		{"momentum of the dense layer", o.DenseMomentum}, {"weight decay of the dense layer", o.DenseDecay},
	} {
		if !(v.value >= 0) || math.IsInf(v.value, 0) {
			return fmt.Errorf("nn: %s: a %s of %v, want a number not below 0", name, v.what, v.value)
		}
	}
	for layer, v := range o.LayerRates {
		if !(v > 0) || math.IsInf(v, 0) {
			return fmt.Errorf("nn: %s: %v times the learning rate for %s, want a number above 0", name, v, layer)
		}
	}
	descends := name == "sgd" || name == "sgdw" || name == "muon"
	if o.Momentum != 0 && !descends {
		return fmt.Errorf("nn: %s takes no momentum, only sgd, sgdw and muon do", name)
	}
	if o.BiasLR+o.DenseLR+o.DenseMomentum+o.DenseDecay != 0 && !descends {
		return fmt.Errorf("nn: %s has no numbers of their own for biases and the dense layer, only sgd, sgdw and muon have", name)
	}
	if o.Momentum >= 1 || o.DenseMomentum >= 1 {
		return fmt.Errorf("nn: %s: a momentum of %v, want less than 1", name, max(o.Momentum, o.DenseMomentum))
	}
	if o.WeightDecay != 0 && name == "adadelta" {
		return fmt.Errorf("nn: adadelta takes no weight decay: use sgd, sgdw, muon, adam or adamw")
	}
	return nil
}

// BaseRate is the learning rate that the optimiser name begins with when lr is
// asked for: lr itself, or the optimiser's own default for 0.
func BaseRate(name string, lr float64) float64 {
	return SolverOptions{LR: lr}.withDefaults(name).LR
}

// withDefaults puts an optimiser's numbers where there are zeros.
func (o SolverOptions) withDefaults(name string) SolverOptions {
	own := func(value *float64, otherwise float64) {
		if *value == 0 {
			*value = otherwise
		}
	}
	switch name {
	case "adadelta":
		own(&o.LR, 1)
	case "sgd", "sgdw":
		own(&o.LR, 0.01)
	case "muon":
		own(&o.LR, 0.02)
		own(&o.Momentum, 0.95)
		own(&o.DenseLR, 0.05)
	default:
		own(&o.LR, 0.001)
	}
	own(&o.DenseLR, o.LR)
	own(&o.BiasLR, o.DenseLR)
	own(&o.DenseMomentum, o.Momentum)
	own(&o.DenseDecay, o.WeightDecay)
	return o
}

// moments is what all solvers are made of: the rate, and for every parameter
// a number of buffers of its size.
type moments struct {
	on    Backend
	name  string
	rate  float64
	kinds []string // what the buffers are called: eg2, ed2

	layerRates map[string]float64 // see SolverOptions

	names   []string    // of the parameters, once they are known
	params  []*Buffer   // the same
	factors []float64   // of the rate, for each parameter
	state   [][]*Buffer // of each parameter, one of each kind
	steps   int64       // taken
	counts  bool        // steps is part of the state
	pending []Tensor    // state to take when the parameters are known
}

func (m *moments) Name() string           { return m.name }
func (m *moments) LearnRate() float64     { return m.rate }
func (m *moments) SetLearnRate(r float64) { m.rate = r }

func (m *moments) undo(steps int) { m.steps -= int64(steps) }

// attach tells the solver its parameters.
func (m *moments) attach(names []string, params []*Buffer) error {
	if m.params != nil {
		if !slices.Equal(m.params, params) {
			return fmt.Errorf("nn: this %s belongs to another network: make a new one", m.name)
		}
		return nil
	}
	state := make([][]*Buffer, len(params))
	for i, p := range params {
		for range m.kinds {
			b := newBuffer(p.shape...)
			b.order = p.order
			if err := b.ensure(m.on); err != nil {
				for _, taken := range slices.Concat(state...) {
					m.on.Free(taken.Memory)
				}
				return fmt.Errorf("nn: memory for the state of %s: %w", m.name, err)
			}
			state[i] = append(state[i], b)
		}
	}
	m.names, m.params, m.state = names, params, state
	for _, name := range names {
		layer, _, _ := strings.Cut(name, ".")
		factor, ok := m.layerRates[layer]
		if !ok {
			factor = 1
		}
		m.factors = append(m.factors, factor)
	}
	if m.pending == nil {
		return nil
	}
	pending := m.pending
	m.pending = nil
	return m.SetState(pending)
}

// attachModel learns the parameters from the model of a first Step.
func (m *moments) attachModel(model []gorgonia.ValueGrad) error {
	var names []string
	var params []*Buffer
	for i, v := range model {
		b, ok := v.Value().(*Buffer)
		if !ok {
			return fmt.Errorf("nn: %s: parameter %d is a %T, want a *Buffer", m.name, i, v.Value())
		}
		n, ok := v.(gorgonia.Namer)
		if !ok {
			return fmt.Errorf("nn: %s: parameter %d, a %T, has no name", m.name, i, v)
		}
		names, params = append(names, n.Name()), append(params, b)
	}
	return m.attach(names, params)
}

// updater is a solver's rule for one parameter x with gradient g and its
// learning rate.
type updater interface {
	update(x, g *Buffer, state []*Buffer, rate float64)
}

// step updates every parameter of the model.
func (m *moments) step(model []gorgonia.ValueGrad, u updater) error {
	if m.params == nil {
		if err := m.attachModel(model); err != nil {
			return err
		}
	}
	if len(model) != len(m.params) {
		return fmt.Errorf("nn: %s: %d parameters, it was made for %d", m.name, len(model), len(m.params))
	}
	m.steps++
	for i, v := range model {
		x := m.params[i]
		if v.Value() != gorgonia.Value(x) {
			return fmt.Errorf("nn: %s: parameter %d is not the %s it was made for", m.name, i, m.names[i])
		}
		g, err := v.Grad()
		if err != nil {
			return fmt.Errorf("nn: %s: gradient of %s: %w", m.name, m.names[i], err)
		}
		b, ok := g.(*Buffer)
		if !ok || b.Len != x.Len {
			return fmt.Errorf("nn: %s: the gradient of %s is %v, want a *Buffer of shape %v", m.name, m.names[i], g, x.shape)
		}
		u.update(x, b, m.state[i], m.rate*m.factors[i])
		x.version++
	}
	return nil
}

// counter is the name of the number of steps in the state, split in two
// floats that hold 24 bits each exactly.
const counter = "t"

func (m *moments) State() ([]Tensor, error) {
	var ts []Tensor
	for i, bs := range m.state {
		for k, b := range bs {
			t, err := export(m.on, m.names[i]+"."+m.kinds[k], b)
			if err != nil {
				return nil, err
			}
			ts = append(ts, t)
		}
	}
	if m.counts && m.params != nil {
		ts = append(ts, Tensor{Name: counter, Shape: []int{2}, Data: []float32{float32(m.steps >> 24), float32(m.steps & (1<<24 - 1))}})
	}
	return ts, nil
}

func (m *moments) SetState(ts []Tensor) error {
	if m.params == nil {
		m.pending = slices.Clone(ts)
		return nil
	}
	byName, err := index(ts)
	if err != nil {
		return err
	}
	want := len(m.params) * len(m.kinds)
	steps := m.steps
	if m.counts {
		t, ok := byName[counter]
		if !ok {
			return fmt.Errorf("nn: the state of %s lacks %s: it is of another optimiser", m.name, counter)
		}
		if err := plainOrder(2).check(t); err != nil {
			return err
		}
		want, steps = want+1, int64(t.Data[0])<<24+int64(t.Data[1])
	}
	for i := range m.params {
		for k, b := range m.state[i] {
			name := m.names[i] + "." + m.kinds[k]
			t, ok := byName[name]
			if !ok {
				return fmt.Errorf("nn: the state of %s lacks %s: it is of another optimiser or network", m.name, name)
			}
			if err := b.order.check(t); err != nil {
				return err
			}
		}
	}
	if len(ts) != want {
		return fmt.Errorf("nn: the state of %s has %d tensors, want %d: it is of another optimiser or network", m.name, len(ts), want)
	}
	for i := range m.params {
		for k, b := range m.state[i] {
			if err := load(m.on, b, byName[m.names[i]+"."+m.kinds[k]]); err != nil {
				return err
			}
		}
	}
	m.steps = steps
	return nil
}
