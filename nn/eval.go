package nn

import "fmt"

// Eval runs a network forward, without dropout and without what a backward
// pass would need. It belongs to the goroutine of the network's backend.
type Eval struct {
	graph   *graph
	machine *Machine
	blank   []uint8 // labels for when there are none
}

// NewEval makes what evaluates the network on batches of up to batch images.
func (n *Network) NewEval(batch int) (*Eval, error) {
	g, err := newGraph(n.on, n.spec, n.params, batch, false)
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
	e := &Eval{graph: g, machine: m, blank: make([]uint8, batch)}
	e.Refresh()
	return e, nil
}

// Refresh has the kernels transform the weights if they have changed since
// the last time. Run does it by itself: this is for doing it beforehand.
func (e *Eval) Refresh() {
	for i, c := range e.graph.convs {
		c.refresh(e.graph.convWeights[i])
	}
}

// Run evaluates a batch: x holds the pixels, [rows][height][width][3], rows
// being len(labels), at most the Eval's batch. It returns the losses, summed
// over the rows, and how many rows had their label as the most probable
// class. With nil labels it evaluates as many images as x holds, for their
// Probabilities; the losses then mean nothing.
func (e *Eval) Run(x []float32, labels []uint8) (lossSum float64, correct int, err error) {
	if labels == nil {
		img := e.graph.images.Image
		labels = e.blank[:min(len(x)/(img.H*img.W*imageChannels), len(e.blank))]
	}
	if err := e.graph.load(x, labels, 0); err != nil {
		return 0, 0, err
	}
	return e.run()
}

// RunHeld is Run for the rows images of a held data set that begin at place
// first of its order.
func (e *Eval) RunHeld(set Held, first, rows int) (lossSum float64, correct int, err error) {
	if err := e.graph.loadHeld(set, first, rows, 0); err != nil {
		return 0, 0, err
	}
	return e.run()
}

// run evaluates the batch in the graph.
func (e *Eval) run() (lossSum float64, correct int, err error) {
	if err := e.machine.RunAll(); err != nil {
		return 0, 0, err
	}
	lossSum, correct, err = e.graph.lossOp.kernel.Result()
	if err != nil {
		return 0, 0, fmt.Errorf("nn: read the loss: %w", err)
	}
	return lossSum, correct, nil
}

// Probabilities returns those of the last Run, [rows][classes]. They hold
// until the next. The error is the backend's.
func (e *Eval) Probabilities() ([]float32, error) {
	p, err := e.graph.lossOp.kernel.Probabilities()
	if err != nil {
		return nil, fmt.Errorf("nn: read the probabilities: %w", err)
	}
	return p, nil
}

// Close gives the memory back. The network stays.
func (e *Eval) Close() {
	e.machine.Close()
	e.graph.free()
}
