package nn

import (
	"fmt"
	"sync"

	"gorgonia.org/gorgonia"
)

// building is held while a graph is made: Gorgonia keeps the constants that
// Grad puts into every graph, and pools of types, for all graphs together.
var building sync.Mutex

// graph is the network as a graph, for batches of up to a number of rows.
type graph struct {
	*gorgonia.ExprGraph
	batch batchState

	images, labels *Buffer // what the inputs hold
	classes        int
	convs          []*convolution
	convWeights    []*Buffer // of convs
	lossOp         *crossEntropy

	params       gorgonia.Nodes
	trained      gorgonia.Nodes // the params that are not frozen
	logits, loss *gorgonia.Node
	gradients    gorgonia.Nodes // of trained; none in a graph for inference
}

// newGraph builds the network's graph for images of its own size.
func newGraph(on Backend, s Spec, params []param, capacity int, train bool) (*graph, error) {
	return newGraphAt(on, s, s.Size, params, capacity, train)
}

// newGraphAt builds the network's graph for images of a size: the loss from
// images and labels, and if train is set its gradients. No memory is allocated.
func newGraphAt(on Backend, s Spec, size int, params []param, capacity int, train bool) (*graph, error) {
	if capacity < 1 {
		return nil, fmt.Errorf("nn: a batch of %d images, want at least 1", capacity)
	}
	side := s.Size >> len(s.Filters) // of the features that the dense layer knows
	s.Size = size
	if err := s.Validate(); err != nil {
		return nil, err
	}
	building.Lock()
	defer building.Unlock()

	g := &graph{
		ExprGraph: gorgonia.NewGraph(),
		batch:     batchState{on: on, rows: capacity},
		images:    newImages(capacity, s.Size, s.Size, imageChannels+1),
		labels:    newLabels(capacity),
		classes:   s.Classes,
	}
	x := g.input("images", g.images)
	labels := g.input("labels", g.labels)
	for _, p := range params {
		n := g.input(p.name, p.Buffer)
		g.params = append(g.params, n)
		if !p.frozen {
			g.trained = append(g.trained, n)
		}
	}
	x, err := g.layers(s, side, x, train)
	if err != nil {
		return nil, err
	}
	g.logits = x
	smoothing := 0.0
	if train {
		smoothing = s.Smoothing
	}
	if g.lossOp, g.loss, err = applyCrossEntropy(&g.batch, smoothing, x, labels); err != nil {
		return nil, err
	}
	if train {
		if g.gradients, err = gorgonia.Grad(g.loss, g.trained...); err != nil {
			return nil, fmt.Errorf("nn: differentiate the network: %w", err)
		}
	}
	return g, nil
}

// layers puts the network from the images x to the logits into the graph. The
// features become images of a side before they are flattened. Gradients that no
// trained parameter needs may be in the graph: a plan leaves them out.
func (g *graph) layers(s Spec, side int, x *gorgonia.Node, train bool) (_ *gorgonia.Node, err error) {
	params := g.params
	list := s.Layers()
	below := false // something is trained below the layer
	for i, l := range list {
		switch l.Kind {
		case Conv2D:
			var c *convolution
			w, b := params[0], params[1]
			params = params[2:]
			spec := ConvSpec{
				Images: g.batch.rows, H: l.Out[0], W: l.Out[1],
				In: w.Shape()[2], Out: w.Shape()[3],
				Pool:      list[i+1].Kind == MaxPooling2D,
				Inference: !train || l.Frozen && !below,
				Inner:     i > 0,
				Bottom:    !below,
			}
			below = below || !l.Frozen
			if c, x, err = applyConvolution(&g.batch, l.Name, spec, x, w, b); err != nil {
				return nil, err
			}
			g.convs = append(g.convs, c)
			g.convWeights = append(g.convWeights, w.Value().(*Buffer))
		case MaxPooling2D: // part of the convolution before it
		case Flatten:
			if x.Shape()[1] != side {
				if x, err = applyResample(&g.batch, side, x); err != nil {
					return nil, err
				}
			}
			if list[i+1].Kind == Dropout {
				continue // which flattens
			}
			if x, err = applyFlatten(&g.batch, l.Name, 0, x); err != nil {
				return nil, err
			}
		case Dropout:
			p := s.Dropout
			if !train {
				p = 0
			}
			drop := applyFlatten
			if len(s.Dense) > 0 {
				drop = applyDropout
			}
			if x, err = drop(&g.batch, l.Name, p, x); err != nil {
				return nil, err
			}
		case Dense:
			if x, err = applyDense(&g.batch, l.Name, x, params[0], params[1]); err != nil {
				return nil, err
			}
			params = params[2:]
			if !l.ReLU {
				continue
			}
			if x, err = applyReLU(&g.batch, l.Name, x); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("nn: %s is a %s, which has no operation", l.Name, l.Kind)
		}
	}
	return x, nil
}

// input puts a value into the graph, under a name of its own.
func (g *graph) input(name string, b *Buffer) *gorgonia.Node {
	return gorgonia.NewTensor(g.ExprGraph, b.dtype, b.shape.Dims(),
		gorgonia.WithShape(b.shape...), gorgonia.WithName(name), gorgonia.WithValue(b))
}

// results are the values of the graph that are read after a run.
func (g *graph) results() gorgonia.Nodes {
	return append(gorgonia.Nodes{g.logits, g.loss}, g.gradients...)
}

// allocate gives the inputs memory.
func (g *graph) allocate() error {
	for _, b := range []*Buffer{g.images, g.labels} {
		if err := b.ensure(g.batch.on); err != nil {
			return fmt.Errorf("nn: memory for a batch of %d images: %w", g.batch.rows, err)
		}
	}
	return nil
}

// free gives the inputs' memory back.
func (g *graph) free() {
	for _, b := range []*Buffer{g.images, g.labels} {
		if b.Addr != 0 {
			g.batch.on.Free(b.Memory)
			b.Memory = Memory{}
		}
	}
}

// load copies a batch into the inputs: x [rows][H][W][3] with the rows of
// labels.
func (g *graph) load(x []float32, labels []uint8, key uint64) error {
	img := g.images.Image
	rows, size := len(labels), img.H*img.W*imageChannels
	if rows < 1 || rows > img.N {
		return fmt.Errorf("nn: a batch of %d rows, want 1 to %d", rows, img.N)
	}
	if len(x) != rows*size {
		return fmt.Errorf("nn: %d numbers for %d images of %d each, want %d", len(x), rows, size, rows*size)
	}
	for i, l := range labels {
		if int(l) >= g.classes {
			return fmt.Errorf("nn: row %d has label %d, the network knows 0 to %d", i, l, g.classes-1)
		}
	}
	g.batch.rows, g.batch.key = rows, key
	if err := g.batch.on.LoadImages(g.images, x, rows); err != nil {
		return fmt.Errorf("nn: load a batch of images: %w", err)
	}
	if err := g.batch.on.LoadLabels(g.labels, labels); err != nil {
		return fmt.Errorf("nn: load a batch of labels: %w", err)
	}
	return nil
}

// loadHeld has the backend make a batch in the inputs: the rows images of set
// that begin at place first of its order.
func (g *graph) loadHeld(set Held, first, rows int, key uint64) error {
	if rows < 1 || rows > g.images.Image.N {
		return fmt.Errorf("nn: a batch of %d rows, want 1 to %d", rows, g.images.Image.N)
	}
	g.batch.rows, g.batch.key = rows, key
	set.Load(g.images, g.labels, first, rows)
	return nil
}
