package nn

import (
	"fmt"
	"math"
	"time"

	"gorgonia.org/gorgonia"
)

// Step trains a network on one batch at a time: forward, backward, optimiser.
// It belongs to the goroutine of the network's backend.
type Step struct {
	graph   *graph
	machine *Machine
	solver  Solver
	model   []gorgonia.ValueGrad
	forward int // how many of the machine's steps are the forward pass

	net     *Network
	average *Network // nil: there is none
	part    float64

	flow    flow
	phases  [3]time.Duration // forward, backward, optimizer of the last Run
	profile bool
	input   time.Duration   // of the last Run, if profile
	weights []time.Duration // the same, of each convolution
}

// NewStep makes what trains the network with s on batches of up to batch
// images, and allocates all that its Run needs.
func (n *Network) NewStep(batch int, s Solver) (*Step, error) {
	return n.NewStepAt(n.spec.Size, batch, s)
}

// NewStepAt is NewStep for images of another size than the network's, with the
// same parameters: the features that reach the dense layer are averaged, or
// repeated, to as many as it knows. The backend has to be a Resampler.
func (n *Network) NewStepAt(size, batch int, s Solver) (*Step, error) {
	var names []string
	var params []*Buffer
	for _, p := range n.params {
		if !p.frozen {
			names, params = append(names, p.name), append(params, p.Buffer)
		}
	}
	if err := s.attach(names, params); err != nil {
		return nil, err
	}
	g, err := newGraphAt(n.on, n.spec, size, n.params, batch, true)
	if err != nil {
		return nil, err
	}
	if err := g.allocate(); err != nil {
		g.free()
		return nil, err
	}
	m, err := NewMachine(n.on, g.ExprGraph, g.results()...)
	if err != nil {
		g.free()
		return nil, err
	}
	st := &Step{net: n, graph: g, machine: m, solver: s, model: gorgonia.NodesToValueGrads(g.trained), weights: make([]time.Duration, len(g.convs))}
	for i, in := range m.steps {
		if o, ok := in.op.(operation); ok && o.common().pass == Backward {
			st.forward = i
			break
		}
	}
	return st, nil
}

// Result is what Run says of a batch.
type Result struct {
	Loss    float64 // mean over the rows
	Correct int     // rows whose label has the largest probability
	Rows    int
}

// finite reports whether the loss is a number to go on from.
func (r Result) finite() bool { return !math.IsNaN(r.Loss) && !math.IsInf(r.Loss, 0) }

// Run trains on one batch: x holds the pixels, [rows][height][width][3], rows
// being len(labels), at most the Step's batch. What dropout drops depends on
// dropoutKey, row and feature alone.
//
// A loss that is not finite is no error, but leaves the weights and the
// optimiser as they were. After an error they are undefined only if it came
// from the backend.
func (s *Step) Run(x []float32, labels []uint8, dropoutKey uint64) (Result, error) {
	return s.run(len(labels), func() error { return s.graph.load(x, labels, dropoutKey) })
}

// run trains on the batch of rows images that load puts into the graph.
func (s *Step) run(rows int, load func() error) (Result, error) {
	start := time.Now()
	if err := load(); err != nil {
		return Result{}, err
	}
	if s.profile {
		if err := s.graph.batch.on.Sync(); err != nil {
			return Result{}, err
		}
		s.input = time.Since(start)
	}
	for i, c := range s.graph.convs {
		from := time.Now()
		c.refresh(s.graph.convWeights[i])
		s.weights[i] = time.Since(from)
	}
	if err := s.machine.run(0, s.forward); err != nil {
		return Result{}, err
	}
	forward := time.Now()
	if err := s.machine.run(s.forward, len(s.machine.steps)); err != nil {
		return Result{}, err
	}
	sum, correct, err := s.graph.lossOp.kernel.Result()
	if err != nil {
		return Result{}, fmt.Errorf("nn: read the loss: %w", err)
	}
	backward := time.Now()
	r := Result{Loss: sum / float64(rows), Correct: correct, Rows: rows}
	s.phases = [3]time.Duration{forward.Sub(start), backward.Sub(forward), 0}
	if !r.finite() {
		return r, nil
	}
	if err := s.update(); err != nil {
		return Result{}, err
	}
	s.phases[2] = time.Since(backward)
	return r, nil
}

// Average has each step move a network's parameters towards those that are
// trained, n.Follow(_, part): n becomes their moving average.
func (s *Step) Average(n *Network, part float64) { s.average, s.part = n, part }

// update takes the optimiser's step, and that of the average.
func (s *Step) update() error {
	if err := s.solver.Step(s.model); err != nil || s.average == nil {
		return err
	}
	return s.average.Follow(s.net, s.part)
}

// Phases returns the times of the last Run: input and forward pass, backward
// pass, optimiser. Where kernels run behind their calls, as on a GPU, the
// backward pass includes what was left of the forward pass.
func (s *Step) Phases() (forward, backward, optimizer time.Duration) {
	return s.phases[0], s.phases[1], s.phases[2]
}

// OpTime is what a part of a step took.
type OpTime struct {
	Layer    string // conv1, dropout, dense, loss; empty for the whole network
	Role     string // what was computed for it: forward, filter, bias, data
	Pass     Pass
	Duration time.Duration
}

// SetProfile turns on the measuring of every part of a step, which makes Run
// wait for each on backends that don't.
func (s *Step) SetProfile(on bool) {
	s.profile, s.machine.profile = on, on
}

// Profile returns the parts of the last Run in the order they ran in. They
// need SetProfile(true) before it.
func (s *Step) Profile() []OpTime {
	ts := []OpTime{{Role: "load", Pass: Input, Duration: s.input}}
	for i, c := range s.graph.convs {
		ts = append(ts, OpTime{c.layer, "transform", Weights, s.weights[i]})
	}
	for i, in := range s.machine.steps {
		if o, ok := in.op.(operation); ok {
			c := o.common()
			ts = append(ts, OpTime{c.layer, c.role, c.pass, s.machine.spent[i]})
		}
	}
	return append(ts, OpTime{Role: s.solver.Name(), Pass: Optimizer, Duration: s.phases[2]})
}

// Close gives the memory back. The network and the solver stay.
func (s *Step) Close() {
	s.machine.Close()
	s.graph.free()
}
