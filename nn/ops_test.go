package nn

import (
	"math/rand/v2"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The gradient of each operation is compared with numeric differentiation of
// its reference in float64 and with Gorgonia's own operations. What is
// differentiated is the sum of the operation's results, weighted at random.

// agreement is how far from the references an operation's float32 may be.
const agreement = 3e-6

// gradients runs an operation and its SymDiff on a Machine, given the gradient
// at its result.
func gradients(t *testing.T, g *gorgonia.ExprGraph, out *gorgonia.Node, in gorgonia.Nodes, grad *Buffer) []*Buffer {
	t.Helper()
	gradNode := gorgonia.NewTensor(g, tensor.Float32, out.Dims(), gorgonia.WithShape(out.Shape()...), gorgonia.WithName("gradient"), gorgonia.WithValue(grad))
	ds, err := out.Op().(gorgonia.SDOp).SymDiff(in, out, gradNode)
	if err != nil {
		t.Fatal(err)
	}
	keep := []*gorgonia.Node{out}
	for _, d := range ds {
		if d != nil {
			keep = append(keep, d)
		}
	}
	m, err := NewMachine(out.Op().(operation).common().batch.on, g, keep...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	bs := make([]*Buffer, len(ds))
	for i, d := range ds {
		if d != nil {
			bs[i] = d.Value().(*Buffer)
		}
	}
	return bs
}

// input puts a value on the host into a graph.
func input(g *gorgonia.ExprGraph, name string, b *Buffer) *gorgonia.Node {
	return (&graph{ExprGraph: g}).input(name, b)
}

// flat makes a value on the host; with an order, from PyTorch's.
func flat(t *testing.T, on Backend, x []float64, o *order, shape ...int) *Buffer {
	t.Helper()
	b := newBuffer(shape...)
	if err := b.ensure(on); err != nil {
		t.Fatal(err)
	}
	b.order = o
	if err := load(on, b, Tensor{Data: to32(x)}); err != nil {
		t.Fatal(err)
	}
	return b
}

// exported reads a value of an order back.
func exported(t *testing.T, on Backend, b *Buffer, o *order) []float64 {
	t.Helper()
	b.order = o
	x, err := export(on, "", b)
	if err != nil {
		t.Fatal(err)
	}
	return to64(x.Data)
}

func dot(x, y []float64) float64 {
	s := 0.0
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

// weighted is the stock graph's sum of y weighted by r.
func weighted(g *gorgonia.ExprGraph, y *gorgonia.Node, r []float64) *gorgonia.Node {
	return gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(y, stockInput(g, "r", r, y.Shape()...)))))
}

func TestConvolutionGradients(t *testing.T) {
	for _, c := range []struct {
		name string
		spec ConvSpec
		rows int // fewer than the images of the spec: a short batch
	}{
		{"plain", ConvSpec{Images: 3, H: 8, W: 8, In: 5, Out: 4}, 3},
		{"pooled", ConvSpec{Images: 3, H: 8, W: 8, In: 4, Out: 5, Pool: true}, 3},
		{"first layer", ConvSpec{Images: 2, H: 8, W: 8, In: 3, Out: 6, Bottom: true}, 2},
		{"three channels", ConvSpec{Images: 2, H: 8, W: 8, In: 3, Out: 6, Inner: true}, 2},
		{"short batch", ConvSpec{Images: 5, H: 4, W: 4, In: 4, Out: 4, Pool: true}, 2},
		{"wide", ConvSpec{Images: 1, H: 4, W: 4, In: 16, Out: 16}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, first := c.spec, c.spec.Bottom
			r := rand.New(rand.NewPCG(7, 7))
			d := dims{c.rows, s.In, s.H, s.W}
			before := random(r, d.len(), 1) // of the ReLU that x came from
			w, b := random(r, 9*s.In*s.Out, 0.3), random(r, s.Out, 0.3)
			reference := func() []float64 {
				x := before
				if !first {
					x = refReLU(x)
				}
				y, d := refConv(x, d, w, b)
				y = refReLU(y)
				if s.Pool {
					y, _ = refPool(y, d)
				}
				return y
			}
			want := reference()
			weights := random(r, len(want), 1)

			on := newCPU(t, 2)
			batch := &batchState{on: on, rows: c.rows}
			g := gorgonia.NewGraph()
			full := dims{s.Images, s.In, s.H, s.W}
			x := toImages(t, on, refReLU(before), full)
			if first {
				x = newImages(s.Images, s.H, s.W, s.In+1)
				if err := x.ensure(on); err != nil {
					t.Fatal(err)
				}
				plain := fromImages(toImages(t, on, before, dims{c.rows, s.In, s.H, s.W}), c.rows)
				if err := on.LoadImages(x, nhwc(plain, d), c.rows); err != nil {
					t.Fatal(err)
				}
			}
			in := gorgonia.Nodes{
				input(g, "x", x),
				input(g, "w", flat(t, on, w, convOrder(s.In, s.Out), 3, 3, s.In, s.Out)),
				input(g, "b", flat(t, on, b, plainOrder(s.Out), s.Out)),
			}
			_, out, err := applyConvolution(batch, "conv", s, in[0], in[1], in[2])
			if err != nil {
				t.Fatal(err)
			}
			o := out.Shape()
			outDims := dims{o[0], o[3], o[1], o[2]}
			masked := make([]float64, len(want)) // by the layer's ReLU, as its reader would
			for i, v := range want {
				if v > 0 {
					masked[i] = weights[i]
				}
			}
			got := gradients(t, g, out, in, toImages(t, on, masked, outDims))

			near(t, "result", fromImages(out.Value().(*Buffer), c.rows), want, agreement)
			f := func() float64 { return dot(reference(), weights) }
			dx, dw, db := numeric(f, before), numeric(f, w), numeric(f, b)

			sg := gorgonia.NewGraph()
			sb := stockInput(sg, "x", before, d.n, d.c, d.h, d.w)
			sw := stockInput(sg, "w", w, s.Out, s.In, 3, 3)
			sbias := stockInput(sg, "b", b, 1, s.Out, 1, 1)
			sx := sb
			if !first {
				sx = stockReLU(sx)
			}
			sy := stockReLU(stockConv(sx, sw, sbias))
			if s.Pool {
				sy = stockPool(sy)
			}
			_, stock := stockRun(t, weighted(sg, sy, weights), sb, sw, sbias)

			gw, gb := exported(t, on, got[1], convOrder(s.In, s.Out)), exported(t, on, got[2], plainOrder(s.Out))
			near(t, "dw, numeric", gw, dw, agreement)
			near(t, "dw, stock", gw, stock[1], agreement)
			near(t, "db, numeric", gb, db, agreement)
			near(t, "db, stock", gb, stock[2], agreement)
			if first {
				if got[0] != nil {
					t.Error("the first layer computes a gradient at the images")
				}
				return
			}
			gx := fromImages(got[0], c.rows)
			near(t, "dx, numeric", gx, dx, agreement)
			near(t, "dx, stock", gx, stock[0], agreement)
		})
	}
}

// nhwc turns images round to pixels [rows][h][w][c].
func nhwc(x []float64, d dims) []float32 {
	y := make([]float32, d.len())
	for n := range d.n {
		for c := range d.c {
			for p := range d.h * d.w {
				y[(n*d.h*d.w+p)*d.c+c] = float32(x[(n*d.c+c)*d.h*d.w+p])
			}
		}
	}
	return y
}

// dropoutMask is what dropout multiplies the features by, in the order
// channel, row, column.
func dropoutMask(t *testing.T, on Backend, d dims, p float32, key uint64) []float64 {
	t.Helper()
	ones := make([]float64, d.len())
	for i := range ones {
		ones[i] = 1
	}
	src, dst := toImages(t, on, ones, d), newBuffer(d.n, d.c*d.h*d.w)
	if err := dst.ensure(on); err != nil {
		t.Fatal(err)
	}
	on.Dropout(dst, src, d.n, p, key)
	return nchw(dst.Floats, d)
}

func TestFlattenGradient(t *testing.T) {
	for _, c := range []struct {
		name    string
		dropout float64
	}{{"with dropout", 0.5}, {"without", 0}} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(8, 8))
			d := dims{3, 5, 4, 4}
			before, weights := random(r, d.len(), 1), random(r, d.len(), 1)
			on := newCPU(t, 2)
			batch := &batchState{on: on, rows: d.n, key: 99}
			mask := dropoutMask(t, on, d, float32(c.dropout), batch.key)
			reference := func() []float64 {
				y := refReLU(before)
				for i := range y {
					y[i] *= mask[i]
				}
				return y
			}

			g := gorgonia.NewGraph()
			in := gorgonia.Nodes{input(g, "x", toImages(t, on, refReLU(before), d))}
			out, err := applyFlatten(batch, "dropout", c.dropout, in[0])
			if err != nil {
				t.Fatal(err)
			}
			grad := flat(t, on, weights, denseOrder(d.n, d.h, d.w, d.c), d.n, d.c*d.h*d.w)
			got := gradients(t, g, out, in, grad)
			near(t, "result", exported(t, on, out.Value().(*Buffer), denseOrder(d.n, d.h, d.w, d.c)), reference(), agreement)
			gx := fromImages(got[0], d.n)
			near(t, "dx, numeric", gx, numeric(func() float64 { return dot(reference(), weights) }, before), agreement)

			sg := gorgonia.NewGraph()
			sb := stockInput(sg, "x", before, d.n, d.c, d.h, d.w)
			sy := gorgonia.Must(gorgonia.HadamardProd(stockReLU(sb), stockInput(sg, "mask", mask, d.n, d.c, d.h, d.w)))
			_, stock := stockRun(t, weighted(sg, sy, weights), sb)
			near(t, "dx, stock", gx, stock[0], agreement)
		})
	}
}

func TestDenseGradients(t *testing.T) {
	const rows, capacity, in, out = 3, 4, 20, 5
	r := rand.New(rand.NewPCG(9, 9))
	x, w, b := random(r, rows*in, 1), random(r, out*in, 1), random(r, out, 1)
	weights := random(r, rows*out, 1)
	on := newCPU(t, 2)
	batch := &batchState{on: on, rows: rows}
	g := gorgonia.NewGraph()
	nodes := gorgonia.Nodes{
		input(g, "x", flat(t, on, append(x, make([]float64, (capacity-rows)*in)...), plainOrder(capacity, in), capacity, in)),
		input(g, "w", flat(t, on, w, plainOrder(out, in), out, in)),
		input(g, "b", flat(t, on, b, plainOrder(out), out)),
	}
	y, err := applyDense(batch, "dense", nodes[0], nodes[1], nodes[2])
	if err != nil {
		t.Fatal(err)
	}
	grad := flat(t, on, append(weights, make([]float64, (capacity-rows)*out)...), plainOrder(capacity, out), capacity, out)
	got := gradients(t, g, y, nodes, grad)
	near(t, "result", to64(y.Value().(*Buffer).Floats[:rows*out]), refDense(x, w, b), agreement)

	f := func() float64 { return dot(refDense(x, w, b), weights) }
	sg := gorgonia.NewGraph()
	sx, sw, sb := stockInput(sg, "x", x, rows, in), stockInput(sg, "w", w, out, in), stockInput(sg, "b", b, 1, out)
	_, stock := stockRun(t, weighted(sg, stockDense(sx, sw, sb), weights), sx, sw, sb)
	for i, at := range [][]float64{x, w, b} {
		gi := to64(got[i].Floats[:len(at)])
		name := []string{"dx", "dw", "db"}[i]
		near(t, name+", numeric", gi, numeric(f, at), agreement)
		near(t, name+", stock", gi, stock[i], agreement)
	}
}

func TestCrossEntropyGradient(t *testing.T) {
	const rows, capacity, classes = 4, 6, 5
	r := rand.New(rand.NewPCG(10, 10))
	logits := random(r, rows*classes, 3)
	labels := []uint8{0, 4, 2, 2}
	on := newCPU(t, 2)
	batch := &batchState{on: on, rows: rows}
	g := gorgonia.NewGraph()
	lb := newLabels(capacity)
	if err := lb.ensure(on); err != nil {
		t.Fatal(err)
	}
	if err := on.LoadLabels(lb, labels); err != nil {
		t.Fatal(err)
	}
	ln := input(g, "logits", flat(t, on, append(logits, make([]float64, (capacity-rows)*classes)...), plainOrder(capacity, classes), capacity, classes))
	op, loss, err := applyCrossEntropy(batch, 0, ln, input(g, "labels", lb))
	if err != nil {
		t.Fatal(err)
	}
	ds, err := gorgonia.Grad(loss, ln)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMachine(on, g, loss, ds[0])
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	want := refLoss(logits, labels)
	near(t, "loss", []float64{float64(loss.Value().(*Buffer).Floats[0])}, []float64{want}, agreement)
	sum, correct, err := op.kernel.Result()
	if err != nil {
		t.Fatal(err)
	}
	near(t, "sum of losses", []float64{sum}, []float64{want * rows}, agreement)
	hits := 0
	for i, l := range labels {
		best := 0
		for j, v := range logits[i*classes:][:classes] {
			if v > logits[i*classes+best] {
				best = j
			}
		}
		if best == int(l) {
			hits++
		}
	}
	if correct != hits {
		t.Errorf("%d rows right, want %d", correct, hits)
	}
	got := to64(ds[0].Value().(*Buffer).Floats[:rows*classes])
	near(t, "dlogits, numeric", got, numeric(func() float64 { return refLoss(logits, labels) }, logits), agreement)
	sg := gorgonia.NewGraph()
	sl := stockInput(sg, "logits", logits, rows, classes)
	_, stock := stockRun(t, stockLoss(sl, stockInput(sg, "labels", oneHot(labels, classes), rows, classes)), sl)
	near(t, "dlogits, stock", got, stock[0], agreement)
}

func TestOperationsAreUniqueInTheGraph(t *testing.T) {
	for _, train := range []bool{true, false} {
		g, err := newGraph(nil, small, describeParams(small), 2, train)
		if err != nil {
			t.Fatal(err)
		}
		names, hashes := map[string]bool{}, map[uint32]bool{}
		for _, n := range g.AllNodes() {
			o, ok := n.Op().(operation)
			if !ok {
				continue
			}
			if names[o.String()] || hashes[o.Hashcode()] {
				t.Errorf("%v is twice in the graph: Gorgonia would merge the two", o)
			}
			names[o.String()], hashes[o.Hashcode()] = true, true
			if strings.HasPrefix(o.String(), "conv1.data") {
				t.Error("the gradient at the images is computed, which nobody wants")
			}
		}
		// forward: six convolutions, dropout, dense, loss; backward: weights and
		// bias of seven layers, data of eight (not of the first)
		if want := map[bool]int{true: 9 + 7*2 + 8, false: 9}[train]; len(names) != want {
			t.Errorf("train %v: %d operations, want %d", train, len(names), want)
		}
	}
}
