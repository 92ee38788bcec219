package kernel

import "fmt"

// ConvSpec describes a 3x3 convolution of stride 1 with same padding, followed
// by a bias and a ReLU.
//
// With In == 3 the convolution is the network's first layer: its input is an
// Image of 4 channels whose fourth is 1 in the interior (see PadInput), and it
// has no BackwardData.
type ConvSpec struct {
	Images, H, W, In, Out int
	Pool                  bool // a 2x2 max pool is fused behind the ReLU: the output is Image{Images, H/2, W/2, Out}
	Inference             bool // no backward pass will be asked for: no positions of maxima are written, no workspace is held for it
}

// Conv runs one convolution layer. It owns its workspace and its transformed
// weights; inputs and outputs belong to the caller. A Conv must not be used by
// two goroutines at once.
type Conv struct {
	spec ConvSpec
	w    *Workers

	in, out, pooled Image // geometry of x, of the pre-activation and of the pooled output
	weights         []float32

	// arguments of the pass in progress, read by the tasks
	x, y, bias, dx, dy, dw, db []float32
	arg                        []uint8
	forward                    convForward
	backwardData               convBackwardData
	backwardFilter             convBackwardFilter
}

// NewConv returns a layer of the given shape with all the memory that its
// passes need.
func NewConv(w *Workers, s ConvSpec) *Conv {
	if s.Images < 1 || s.H < 1 || s.W < 1 || s.In < 1 || s.Out < 1 {
		panic(fmt.Sprintf("kernel: NewConv: every size must be at least 1: %+v", s))
	}
	c := &Conv{spec: s, w: w}
	c.in = Image{s.Images, s.H, s.W, s.In}
	if s.In == 3 {
		c.in.C = 4
	}
	c.out = Image{s.Images, s.H, s.W, s.Out}
	c.pooled = Image{s.Images, s.H / 2, s.W / 2, s.Out}
	c.weights = Alloc(9 * s.In * s.Out)
	c.forward.Conv, c.backwardData.Conv, c.backwardFilter.Conv = c, c, c
	return c
}

// Bytes returns the size of the workspace held, in bytes.
func (c *Conv) Bytes() int { return 4 * len(c.weights) }

// SetWeights takes the layer's weights, [3][3][In][Out]. It must be called
// whenever they change, before the next pass.
func (c *Conv) SetWeights(weights []float32) {
	checkLen("SetWeights", "weights", len(weights), len(c.weights))
	copy(c.weights, weights)
}

// Forward computes y = relu(conv(x) + bias) for the first rows images, and
// with Pool its 2x2 maximum. Then arg, [Images][H/2][W/2][Out], receives the
// position of the maximum in its window, 0 to 3 in row-major order, the first
// of equals, or 4 where the maximum is 0 and no gradient flows. In inference,
// or without Pool, arg is not used.
func (c *Conv) Forward(y []float32, arg []uint8, x, bias []float32, rows int) {
	out := c.out
	if c.spec.Pool {
		out = c.pooled
		if !c.spec.Inference {
			checkLen("Forward", "arg", len(arg), out.N*out.H*out.W*out.C)
		}
	}
	c.checkRows("Forward", rows)
	checkLen("Forward", "y", len(y), out.Len())
	checkLen("Forward", "x", len(x), c.in.Len())
	checkLen("Forward", "bias", len(bias), c.spec.Out)
	c.y, c.arg, c.x, c.bias = y, arg, x, bias
	c.w.Do(rows*c.spec.H, &c.forward)
}

// BackwardData computes dx, the gradient at the layer's input, from dy, the
// gradient at its pre-activation, for the first rows images. Where x, the
// layer's input and itself the output of a ReLU, is 0, dx is 0; a nil x means
// no such mask.
func (c *Conv) BackwardData(dx, dy, x []float32, rows int) {
	c.checkBackward("BackwardData", rows)
	if c.spec.In == 3 {
		panic("kernel: BackwardData: the first layer has no gradient at its input")
	}
	checkLen("BackwardData", "dx", len(dx), c.in.Len())
	checkLen("BackwardData", "dy", len(dy), c.out.Len())
	if x != nil {
		checkLen("BackwardData", "x", len(x), c.in.Len())
	}
	c.dx, c.dy, c.x = dx, dy, x
	c.w.Do(rows*c.spec.H, &c.backwardData)
}

// BackwardFilter computes the gradients of the weights, dw [3][3][In][Out],
// and of the bias, db [Out], summed over the first rows images; both are
// overwritten. The result does not depend on the number of workers.
func (c *Conv) BackwardFilter(dw, db, x, dy []float32, rows int) {
	c.checkBackward("BackwardFilter", rows)
	checkLen("BackwardFilter", "dw", len(dw), len(c.weights))
	checkLen("BackwardFilter", "db", len(db), c.spec.Out)
	checkLen("BackwardFilter", "x", len(x), c.in.Len())
	checkLen("BackwardFilter", "dy", len(dy), c.out.Len())
	c.dw, c.db, c.x, c.dy = dw, db, x, dy
	c.backwardFilter.rows = rows
	c.w.Do(9*c.spec.In+1, &c.backwardFilter)
}

func (c *Conv) checkRows(op string, rows int) {
	if rows < 1 || rows > c.spec.Images {
		panic(fmt.Sprintf("kernel: Conv.%s: %d rows, want 1 to %d", op, rows, c.spec.Images))
	}
}

func (c *Conv) checkBackward(op string, rows int) {
	if c.spec.Inference {
		panic(fmt.Sprintf("kernel: Conv.%s: the layer was made for inference", op))
	}
	c.checkRows(op, rows)
}

// convForward computes one row of one image a task.
type convForward struct{ *Conv }

func (c *convForward) Run(_, i int) {
	n, h := i/c.spec.H, i%c.spec.H
	if !c.spec.Pool {
		for w := 0; w < c.spec.W; w++ {
			c.pixel(c.y[c.out.At(n, h, w):][:c.out.C], n, h, w)
		}
		return
	}
	if h >= c.pooled.H {
		return
	}
	buf := make([]float32, 4*c.out.C)
	for w := 0; w < c.pooled.W; w++ {
		for k := range 4 {
			c.pixel(buf[k*c.out.C:][:c.out.C], n, 2*h+k/2, 2*w+k%2)
		}
		y := c.y[c.pooled.At(n, h, w):][:c.out.C]
		for o := range y {
			best, pos := buf[o], 0
			for k := 1; k < 4; k++ {
				if v := buf[k*c.out.C+o]; v > best || v != v && best == best {
					best, pos = v, k
				}
			}
			if best == 0 {
				pos = 4
			}
			y[o] = best
			if !c.spec.Inference {
				c.arg[((n*c.pooled.H+h)*c.pooled.W+w)*c.out.C+o] = uint8(pos)
			}
		}
	}
}

func (c *convForward) pixel(dst []float32, n, h, w int) {
	copy(dst, c.bias)
	for k := range 9 {
		src := c.x[c.in.At(n, h+k/3-1, w+k%3-1):][:c.spec.In]
		for i, v := range src {
			u := c.weights[(k*c.spec.In+i)*c.spec.Out:][:len(dst)]
			for o := range dst {
				dst[o] += v * u[o]
			}
		}
	}
	for o, v := range dst {
		if v <= 0 {
			dst[o] = 0
		}
	}
}

// convBackwardData computes one row of one image a task.
type convBackwardData struct{ *Conv }

func (c *convBackwardData) Run(_, i int) {
	n, h := i/c.spec.H, i%c.spec.H
	for w := 0; w < c.spec.W; w++ {
		at := c.in.At(n, h, w)
		dst := c.dx[at:][:c.spec.In]
		clear(dst)
		for k := range 9 {
			dy := c.dy[c.out.At(n, h-k/3+1, w-k%3+1):][:c.spec.Out]
			for i := range dst {
				u := c.weights[(k*c.spec.In+i)*c.spec.Out:][:len(dy)]
				s := float32(0)
				for o, v := range dy {
					s += v * u[o]
				}
				dst[i] += s
			}
		}
		if c.x != nil {
			for i, v := range c.x[at:][:len(dst)] {
				if v == 0 {
					dst[i] = 0
				}
			}
		}
	}
}

// convBackwardFilter computes the gradients of the Out weights of one input
// channel at one position of the filter a task; the last task that of the bias.
type convBackwardFilter struct {
	*Conv
	rows int
}

func (c *convBackwardFilter) Run(_, i int) {
	dst := c.db
	k, in := i/c.spec.In, i%c.spec.In
	if k < 9 {
		dst = c.dw[i*c.spec.Out:][:c.spec.Out]
	}
	clear(dst)
	for n := range c.rows {
		for h := range c.spec.H {
			for w := range c.spec.W {
				v := float32(1)
				if k < 9 {
					v = c.x[c.in.At(n, h+k/3-1, w+k%3-1)+in]
				}
				for o, d := range c.dy[c.out.At(n, h, w):][:c.spec.Out] {
					dst[o] += v * d
				}
			}
		}
	}
}
