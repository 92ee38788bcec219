package nn

import (
	"fmt"
	"slices"

	"cifartui/nn/kernel"

	"gorgonia.org/gorgonia"
)

// plan is the order in which a graph's nodes run, and which of their values
// share memory: those that are never needed at the same time.
type plan struct {
	order []*gorgonia.Node // of the nodes that have to be run
	slabs []slab
	// place is the slab of each operation's result.
	place map[*op]int
}

// slab is memory that several values use, one after another.
type slab struct {
	// image is the geometry that all of its values have, and zero if none has
	// one. Images of another geometry, and flat values, would write where the
	// border of zeros is.
	image kernel.Image
	len   int // elements
}

// newPlan plans the graph g, without the nodes that lead to none of keep: such
// are the gradients at the output of layers that are frozen, and the first ones.
// The values of keep, and those that are not of this package's operations, are
// left alone from when they are computed: the first have a slab to themselves,
// the others no slab.
func newPlan(g *gorgonia.ExprGraph, keep gorgonia.Nodes) (*plan, error) {
	sorted, err := gorgonia.Sort(g) // the last to run first
	if err != nil {
		return nil, fmt.Errorf("nn: sort the graph: %w", err)
	}
	p := &plan{order: toRun(g, sorted, keep), place: map[*op]int{}}
	kept := map[*gorgonia.Node]bool{}
	for _, n := range keep {
		kept[n] = true
	}
	last := lastReads(g, p.order)
	var free []int // slabs
	for i, n := range p.order {
		read := inputs(g, n)
		var ending []*op // whose results nobody reads after n
		for _, c := range append(read, n) {
			o, ok := c.Op().(operation)
			if ok && last[c] == i && !kept[c] && !slices.Contains(ending, o.common()) {
				ending = append(ending, o.common())
			}
		}
		if o, ok := n.Op().(operation); ok {
			_, early := o.(*second) // another operation writes it, some time before
			keep := kept[n] || early
			if at := slices.Index(ending, overwritten(o, read)); at >= 0 && !keep {
				p.place[o.common()] = p.place[ending[at]]
				ending = slices.Delete(ending, at, at+1)
			} else {
				p.put(o.common(), keep, &free)
			}
		}
		for _, o := range ending {
			free = append(free, p.place[o])
		}
	}
	return p, nil
}

// toRun is the order of the nodes that lead to keep and have something to run, of a
// graph that is sorted with the last to run first.
func toRun(g *gorgonia.ExprGraph, sorted, keep gorgonia.Nodes) (order []*gorgonia.Node) {
	needed := map[*gorgonia.Node]bool{}
	for _, n := range keep {
		needed[n] = true
	}
	for _, n := range sorted {
		if needed[n] {
			for _, c := range inputs(g, n) {
				needed[c] = true
			}
		}
	}
	for i := len(sorted) - 1; i >= 0; i-- {
		// Inputs have no operation, constants one without inputs.
		if n := sorted[i]; n.Op() != nil && n.Op().Arity() > 0 && needed[n] {
			order = append(order, n)
		}
	}
	return order
}

// lastReads says of each node at which place of the order its value is read for the
// last time; behind the order if an operation reads it that may run late.
func lastReads(g *gorgonia.ExprGraph, order []*gorgonia.Node) map[*gorgonia.Node]int {
	last := map[*gorgonia.Node]int{}
	for i, n := range order {
		last[n] = i
		for _, c := range inputs(g, n) {
			last[c] = i
		}
	}
	for _, n := range order {
		if d, ok := n.Op().(deferred); ok && d.late() {
			for _, c := range inputs(g, n) {
				last[c] = len(order)
			}
		}
	}
	return last
}

// deferred is an operation that may run late, when all others of the graph are done.
type deferred interface {
	operation
	late() bool
}

// overwriter is an operation whose result may have the memory of one of its
// inputs: every element of that is read before the result's is written, and
// its place in memory is the same.
type overwriter interface {
	operation
	overwrites() int
}

// overwritten returns the operation whose result o may write over, if any.
func overwritten(o operation, read []*gorgonia.Node) *op {
	if w, ok := o.(overwriter); ok {
		if from, ok := read[w.overwrites()].Op().(operation); ok {
			return from.common()
		}
	}
	return nil
}

// put gives o's result the smallest free slab that holds it, or a new one.
func (p *plan) put(o *op, keep bool, free *[]int) {
	want := slab{image: o.out.Image, len: o.out.Len}
	best := -1
	for i, s := range *free {
		have := p.slabs[s]
		if keep || have.image != want.image || have.len < want.len {
			continue
		}
		if best < 0 || have.len < p.slabs[(*free)[best]].len {
			best = i
		}
	}
	if best < 0 {
		p.place[o] = len(p.slabs)
		p.slabs = append(p.slabs, want)
		return
	}
	p.place[o] = (*free)[best]
	*free = append((*free)[:best], (*free)[best+1:]...)
}

// bytes is the memory of all slabs.
func (p *plan) bytes() int64 {
	var n int64
	for _, s := range p.slabs {
		n += 4 * int64(s.len)
	}
	return n
}

// inputs lists what n reads, in the order of its operation's arguments and
// with repetitions: g.To would give them sorted by address.
func inputs(g *gorgonia.ExprGraph, n *gorgonia.Node) []*gorgonia.Node {
	var in []*gorgonia.Node
	for it := g.From(n.ID()); it.Next(); {
		in = append(in, it.Node().(*gorgonia.Node))
	}
	return in
}
