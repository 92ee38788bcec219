package nn

import (
	"fmt"
	"time"

	"gorgonia.org/gorgonia"
)

// Machine runs a graph, on the calling goroutine and without allocating: it is
// sorted, its memory planned and everything allocated once, in NewMachine.
// It is a gorgonia.VM.
type Machine struct {
	on    Backend
	steps []instruction
	slabs []Memory

	profile bool
	spent   []time.Duration // of each step in the last RunAll, if profile
}

var _ gorgonia.VM = (*Machine)(nil)

// instruction is a node to run.
type instruction struct {
	node *gorgonia.Node
	op   gorgonia.Op
	in   []*gorgonia.Node
	vals []gorgonia.Value // of in, filled at each run
}

// NewMachine makes a machine on a backend that computes the values of keep, of
// the graph g. They are readable after RunAll; others of this package's operations
// may share their memory with later ones. Inputs must have their values by the first
// RunAll.
func NewMachine(on Backend, g *gorgonia.ExprGraph, keep ...*gorgonia.Node) (*Machine, error) {
	p, err := newPlan(g, keep)
	if err != nil {
		return nil, err
	}
	m := &Machine{on: on, slabs: make([]Memory, len(p.slabs)), spent: make([]time.Duration, len(p.order))}
	for i, s := range p.slabs {
		if m.slabs[i], err = on.Alloc(false, s.len); err != nil {
			m.Close()
			return nil, fmt.Errorf("nn: memory for the graph's values, %d MiB: %w", p.bytes()>>20, err)
		}
	}
	for _, n := range p.order {
		in := inputs(g, n)
		m.steps = append(m.steps, instruction{node: n, op: n.Op(), in: in, vals: make([]gorgonia.Value, len(in))})
		if o, ok := n.Op().(operation); ok {
			c := o.common()
			c.out.Memory = m.slabs[p.place[c]].first(c.out.Len)
		}
	}
	for _, s := range m.steps {
		if o, ok := s.op.(operation); ok {
			if err := o.common().setup(); err != nil {
				m.Close()
				return nil, err
			}
			if err := gorgonia.UnsafeLet(s.node, o.common().out); err != nil {
				m.Close()
				return nil, fmt.Errorf("nn: %v: %w", s.op, err)
			}
		}
	}
	return m, nil
}

// RunAll runs every node of the graph that is needed once.
func (m *Machine) RunAll() error { return m.run(0, len(m.steps)) }

// run runs the steps from to to, not included.
func (m *Machine) run(from, to int) error {
	for i := from; i < to; i++ {
		s := &m.steps[i]
		for j, n := range s.in {
			if s.vals[j] = n.Value(); s.vals[j] == nil {
				return fmt.Errorf("nn: run %v: its input %v has no value", s.op, n)
			}
		}
		var start time.Time
		if m.profile {
			start = time.Now()
		}
		v, err := s.op.Do(s.vals...)
		if err != nil {
			return fmt.Errorf("nn: run %v: %w", s.op, err)
		}
		if m.profile {
			if err := m.on.Sync(); err != nil {
				return fmt.Errorf("nn: run %v: %w", s.op, err)
			}
			m.spent[i] = time.Since(start)
		}
		if v != s.node.Value() {
			if err := gorgonia.UnsafeLet(s.node, v); err != nil {
				return fmt.Errorf("nn: run %v: %w", s.op, err)
			}
		}
	}
	return nil
}

// Reset does nothing: RunAll can be called again at once.
func (m *Machine) Reset() {}

// Close gives the memory back. The machine and its graph must not be used
// again.
func (m *Machine) Close() error {
	for _, s := range m.steps {
		if o, ok := s.op.(operation); ok {
			c := o.common()
			if c.ready {
				o.release()
			}
			// Gorgonia may hold on to the graph: a constant that all graphs
			// have knows the last one.
			c.out.Memory = Memory{}
		}
	}
	for _, s := range m.slabs {
		if s.Addr != 0 {
			m.on.Free(s)
		}
	}
	m.steps, m.slabs = nil, nil
	return nil
}
