package standin

import (
	"fmt"
	"maps"
	"slices"

	"cifartui/nn/cuda/driver"
)

// graph is kernels of which each waits for some of those noted before it.
type graph struct {
	nodes []node
	runs  int // that were begun
}

type node struct {
	launch
	branch int // the streams by the order in which they were captured: 0 is the first
	after  map[int]bool
}

// capture is a graph that is being made.
type capture struct {
	graph
	streams map[driver.Stream]map[int]bool // what comes next on each waits for these nodes
	order   []driver.Stream
	events  map[driver.Event]map[int]bool
}

// Capture begins a graph of what is put into a stream, and into those that follow it.
func (c *context) Capture(s driver.Stream) error {
	if err := c.ask("Capture"); err != nil {
		return err
	}
	if c.capturing != nil {
		return fmt.Errorf("standin: a graph is being captured")
	}
	c.capturing = &capture{
		streams: map[driver.Stream]map[int]bool{s: {}}, order: []driver.Stream{s},
		events: map[driver.Event]map[int]bool{},
	}
	return nil
}

// add notes a kernel on a stream.
func (g *capture) add(l launch, on driver.Stream) error {
	after, ok := g.streams[on]
	if !ok {
		return fmt.Errorf("standin: a kernel on stream %d while a graph is captured of others", on)
	}
	g.streams[on] = map[int]bool{len(g.nodes): true}
	g.nodes = append(g.nodes, node{l, slices.Index(g.order, on), after})
	return nil
}

func (g *capture) record(e driver.Event, on driver.Stream) error {
	after, ok := g.streams[on]
	if !ok {
		return fmt.Errorf("standin: an event of stream %d while a graph is captured of others", on)
	}
	g.events[e] = maps.Clone(after)
	return nil
}

func (g *capture) follow(on driver.Stream, e driver.Event) error {
	after, ok := g.events[e]
	if !ok {
		return fmt.Errorf("standin: an event from before the capture is waited for")
	}
	if g.streams[on] == nil {
		g.streams[on] = map[int]bool{}
		g.order = append(g.order, on)
	}
	maps.Copy(g.streams[on], after)
	return nil
}

// EndCapture makes the graph, all of which its first stream must have waited for.
func (c *context) EndCapture(s driver.Stream) (driver.Graph, error) {
	g := c.capturing
	if g == nil {
		return 0, fmt.Errorf("standin: no graph is being captured")
	}
	c.capturing = nil
	if err := c.ask("EndCapture"); err != nil {
		return 0, err
	}
	waited := maps.Clone(g.streams[s])
	for i := len(g.nodes) - 1; i >= 0; i-- {
		if !waited[i] {
			return 0, errorOf("cuStreamEndCapture", 904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED")
		}
		maps.Copy(waited, g.nodes[i].after)
	}
	h := driver.Graph(c.handle())
	c.graphs[h] = &g.graph
	c.driver.Graphs++
	return h, nil
}

// LaunchGraph runs the branches' kernels by turns as late as is allowed and as early.
func (c *context) LaunchGraph(h driver.Graph, _ driver.Stream) error {
	g, ok := c.graphs[h]
	if !ok {
		return fmt.Errorf("standin: there is no graph %d", h)
	}
	return c.later("LaunchGraph", func() error {
		g.runs++
		for _, i := range g.sorted(g.runs%2 == 0) {
			if err := c.run(g.nodes[i].launch); err != nil {
				return err
			}
		}
		return nil
	})
}

// sorted returns the kernels in an order that is allowed, those of the branches as
// early as can be or as late.
func (g *graph) sorted(early bool) []int {
	var order []int
	waits := func(i int) bool { // or has run
		if slices.Contains(order, i) {
			return true
		}
		for k := range g.nodes[i].after {
			if !slices.Contains(order, k) {
				return true
			}
		}
		return false
	}
	for range g.nodes {
		next := -1
		for i, n := range g.nodes {
			if waits(i) {
				continue
			}
			if next < 0 || early && n.branch > g.nodes[next].branch || !early && n.branch < g.nodes[next].branch {
				next = i
			}
		}
		order = append(order, next)
	}
	return order
}
