package nn

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// This file holds what the package is measured against: the layers written out
// in float64 loops, numeric differentiation, and Gorgonia's own operations.
// All of it is NCHW and in PyTorch's order of weights.

// dims is the shape of a batch of images.
type dims struct{ n, c, h, w int }

func (d dims) len() int { return d.n * d.c * d.h * d.w }

// refConv is a 3x3 convolution with same padding and a bias.
func refConv(x []float64, d dims, w, b []float64) ([]float64, dims) {
	o := d
	o.c = len(b)
	y := make([]float64, o.len())
	area := d.h * d.w
	for n := range d.n {
		for k := range o.c {
			sums := y[(n*o.c+k)*area:][:area]
			for p := range sums {
				sums[p] = b[k]
			}
			for c := range d.c {
				from := x[(n*d.c+c)*area:][:area]
				for tap, f := range w[(k*d.c+c)*9:][:9] {
					u, v := tap/3-1, tap%3-1
					first, end := max(0, -v), min(d.w, d.w-v)
					for i := max(0, -u); i < min(d.h, d.h-u); i++ {
						row := sums[i*d.w+first : i*d.w+end]
						for j, q := range from[(i+u)*d.w+first+v:][:len(row)] {
							row[j] += f * q
						}
					}
				}
			}
		}
	}
	return y, o
}

func refReLU(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = max(v, 0)
	}
	return y
}

// refPool is a 2x2 max pool.
func refPool(x []float64, d dims) ([]float64, dims) {
	o := dims{d.n, d.c, d.h / 2, d.w / 2}
	y := make([]float64, o.len())
	for p := range d.n * d.c {
		for i := range o.h {
			for j := range o.w {
				a := x[(p*d.h+2*i)*d.w+2*j:]
				y[(p*o.h+i)*o.w+j] = max(a[0], a[1], a[d.w], a[d.w+1])
			}
		}
	}
	return y, o
}

// refDense is x w^T + b of rows of len(w)/len(b) features.
func refDense(x, w, b []float64) []float64 {
	in := len(w) / len(b)
	y := make([]float64, len(x)/in*len(b))
	for i := range y {
		r, k := i/len(b), i%len(b)
		y[i] = b[k]
		for j := range in {
			y[i] += x[r*in+j] * w[k*in+j]
		}
	}
	return y
}

// refLoss is the mean softmax cross-entropy.
func refLoss(logits []float64, labels []uint8) float64 {
	c := len(logits) / len(labels)
	sum := 0.0
	for r, l := range labels {
		row := logits[r*c:][:c]
		e := 0.0
		for _, v := range row {
			e += math.Exp(v - row[l])
		}
		sum += math.Log(e)
	}
	return sum / float64(len(labels))
}

// refResample is adaptive average pooling to a side.
func refResample(x []float64, d dims, side int) ([]float64, dims) {
	o := dims{d.n, d.c, side, side}
	y := make([]float64, o.len())
	for i := range y {
		row, col := i/side%side, i%side
		sum, n := 0.0, 0.0
		for r := row * d.h / side; r*side < (row+1)*d.h; r++ {
			for c := col * d.w / side; c*side < (col+1)*d.w; c++ {
				sum += x[(i/(side*side)*d.h+r)*d.w+c]
				n++
			}
		}
		y[i] = sum / n
	}
	return y, o
}

// refNetwork is the loss of the whole network, on images of any size: its features
// are resampled to those that the dense layer knows. mask multiplies what reaches
// the last dense layer; nil is no mask.
func refNetwork(s Spec, weights [][]float64, x []float64, labels []uint8, mask []float64) float64 {
	d := dims{len(labels), imageChannels, s.Size, s.Size}
	for range s.Filters {
		for range 2 {
			x, d = refConv(x, d, weights[0], weights[1])
			x, weights = refReLU(x), weights[2:]
		}
		x, d = refPool(x, d)
	}
	features := len(weights[0]) / len(weights[1])
	for side := 1; side*side*d.c <= features; side++ {
		if side*side*d.c == features && side != d.h {
			x, d = refResample(x, d, side)
		}
	}
	for range s.Dense {
		x, weights = refReLU(refDense(x, weights[0], weights[1])), weights[2:]
	}
	for i := range mask {
		x[i] *= mask[i]
	}
	return refLoss(refDense(x, weights[0], weights[1]), labels)
}

// numeric differentiates f by every element of at, by central differences.
func numeric(f func() float64, at []float64) []float64 {
	const h = 1e-5
	g := make([]float64, len(at))
	for i, v := range at {
		at[i] = v + h
		up := f()
		at[i] = v - h
		g[i] = (up - f()) / (2 * h)
		at[i] = v
	}
	return g
}

// stockConv is the same convolution of Gorgonia's operations; b is [1,out,1,1].
func stockConv(x, w, b *gorgonia.Node) *gorgonia.Node {
	y := gorgonia.Must(gorgonia.Conv2d(x, w, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
	return gorgonia.Must(gorgonia.BroadcastAdd(y, b, nil, []byte{0, 2, 3}))
}

func stockReLU(x *gorgonia.Node) *gorgonia.Node { return gorgonia.Must(gorgonia.Rectify(x)) }

func stockPool(x *gorgonia.Node) *gorgonia.Node {
	return gorgonia.Must(gorgonia.MaxPool2D(x, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
}

// stockDense takes b as [1,out].
func stockDense(x, w, b *gorgonia.Node) *gorgonia.Node {
	y := gorgonia.Must(gorgonia.Mul(x, gorgonia.Must(gorgonia.Transpose(w, 1, 0))))
	return gorgonia.Must(gorgonia.BroadcastAdd(y, b, nil, []byte{0}))
}

// stockLoss takes the labels as rows of zeros with a one.
func stockLoss(logits, oneHot *gorgonia.Node) *gorgonia.Node {
	p := gorgonia.Must(gorgonia.Log(gorgonia.Must(gorgonia.SoftMax(logits, 1))))
	sum := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(p, oneHot))))
	return gorgonia.Must(gorgonia.Div(sum, gorgonia.NewConstant(float64(-logits.Shape()[0]))))
}

// stockRun differentiates a loss made of Gorgonia's operations in float64, on
// its own machine.
func stockRun(t *testing.T, loss *gorgonia.Node, wrt ...*gorgonia.Node) (float64, [][]float64) {
	t.Helper()
	if _, err := gorgonia.Grad(loss, wrt...); err != nil {
		t.Fatal(err)
	}
	m := gorgonia.NewTapeMachine(loss.Graph(), gorgonia.BindDualValues(wrt...))
	defer m.Close()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	var gs [][]float64
	for _, n := range wrt {
		g, err := n.Grad()
		if err != nil {
			t.Fatal(err)
		}
		gs = append(gs, append([]float64(nil), g.Data().([]float64)...))
	}
	return loss.Value().Data().(float64), gs
}

// stockInput is an input of a graph of Gorgonia's operations.
func stockInput(g *gorgonia.ExprGraph, name string, data []float64, shape ...int) *gorgonia.Node {
	v := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(append([]float64(nil), data...)))
	return gorgonia.NewTensor(g, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(v))
}

// stockNetwork is the whole network's loss and its gradients, as refNetwork.
func stockNetwork(t *testing.T, s Spec, weights []Tensor, x []float64, labels []uint8, mask []float64) (float64, [][]float64) {
	t.Helper()
	g := gorgonia.NewGraph()
	n := stockInput(g, "x", x, len(labels), imageChannels, s.Size, s.Size)
	var ws gorgonia.Nodes
	for _, w := range weights {
		shape := w.Shape
		if len(shape) == 1 {
			shape = []int{1, shape[0], 1, 1}
			if !strings.HasPrefix(w.Name, "conv") {
				shape = shape[:2]
			}
		}
		ws = append(ws, stockInput(g, w.Name, to64(w.Data), shape...))
	}
	left := ws
	for range s.Filters {
		for range 2 {
			n, left = stockReLU(stockConv(n, left[0], left[1])), left[2:]
		}
		n = stockPool(n)
	}
	rows := len(labels)
	features := n.Shape().TotalSize() / rows
	n = gorgonia.Must(gorgonia.Reshape(n, tensor.Shape{rows, features}))
	for _, units := range s.Dense {
		n, left, features = stockReLU(stockDense(n, left[0], left[1])), left[2:], units
	}
	n = gorgonia.Must(gorgonia.HadamardProd(n, stockInput(g, "mask", mask, rows, features)))
	loss := stockLoss(stockDense(n, left[0], left[1]), stockInput(g, "labels", oneHot(labels, s.Classes), rows, s.Classes))
	return stockRun(t, loss, ws...)
}

func oneHot(labels []uint8, classes int) []float64 {
	h := make([]float64, len(labels)*classes)
	for i, l := range labels {
		h[i*classes+int(l)] = 1
	}
	return h
}

func to64(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func to32(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// random draws n numbers that float32 holds exactly.
func random(r *rand.Rand, n int, scale float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(float32(r.NormFloat64() * scale))
	}
	return x
}

// nchw turns pixels [rows][h][w][c] round.
func nchw(x []float32, d dims) []float64 {
	y := make([]float64, d.len())
	for n := range d.n {
		for c := range d.c {
			for p := range d.h * d.w {
				y[(n*d.c+c)*d.h*d.w+p] = float64(x[(n*d.h*d.w+p)*d.c+c])
			}
		}
	}
	return y
}

// fromImages reads the interior of images on the host.
func fromImages(b *Buffer, rows int) []float64 {
	m := b.Image
	y := make([]float64, 0, rows*m.C*m.H*m.W)
	for n := range rows {
		for c := range m.C {
			for i := range m.H {
				for j := range m.W {
					y = append(y, float64(b.Floats[m.At(n, i, j)+c]))
				}
			}
		}
	}
	return y
}

// toImages makes images on the host.
func toImages(t testing.TB, on Backend, x []float64, d dims) *Buffer {
	b := newImages(d.n, d.h, d.w, d.c)
	if err := b.ensure(on); err != nil {
		t.Fatal(err)
	}
	for i, v := range x {
		n, c, y, x := i/(d.c*d.h*d.w), i/(d.h*d.w)%d.c, i/d.w%d.h, i%d.w
		b.Floats[b.Image.At(n, y, x)+c] = float32(v)
	}
	return b
}

// distance is the norm of got-want over that of want.
func distance(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var num, den float64
	for i, v := range want {
		num += (got[i] - v) * (got[i] - v)
		den += v * v
	}
	if num == 0 {
		return 0
	}
	return math.Sqrt(num / den)
}

// near fails the test if got is further than tolerance from want.
func near(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if d := distance(got, want); !(d <= tolerance) {
		t.Errorf("%s: differs by %.2g of its norm, want at most %.0g", what, d, tolerance)
	} else {
		t.Logf("%s: %.1e", what, d)
	}
}

func weightsOf(t testing.TB, n *Network) []Tensor {
	t.Helper()
	ts, err := n.Weights()
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func stateOf(t testing.TB, s Solver) []Tensor {
	t.Helper()
	ts, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func probabilitiesOf(t testing.TB, e *Eval) []float32 {
	t.Helper()
	p, err := e.Probabilities()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
