package kernel

// The first layer has 3 input channels: too few for Winograd's transforms to
// pay. It is a direct convolution as a matrix product whose left side is read
// where it lies in the image: with a fourth channel of ones, the window of a
// pixel is three runs of 12 consecutive values, one a row of the filter, and
// the next pixel's window starts 4 values further. The ones give the bias, as
// the weight of the fourth channel at the filter's centre, and its gradient.

const (
	firstChannels = 4
	firstRun      = 3 * firstChannels       // values of one row of a window
	firstDepth    = 3 * firstRun            // values of a window
	firstBias     = (3+1)*firstChannels + 3 // the fourth channel at the centre
)

const (
	// firstRows are the rows of an image that make a piece of the forward pass.
	firstRows = 8
	// firstDepthRows are the rows of an image whose products a register sums:
	// few enough for the first-level cache. 4 rows take 34 µs an image, 2 take 27.
	firstDepthRows = 2
	// firstImages are the images whose filter gradients are summed in float32.
	firstImages = 2
)

type firstLayer struct {
	c       *Conv
	out     int       // channels, padded to panels
	wide    int       // pixels of a row, padded for gemm
	b       []float32 // weights: [panels][firstDepth][panel]
	partial []float32 // gradients of b, one for each firstImages images
	scratch int       // of one worker
	fwd     firstForward
	bwd     firstBackward
}

func newFirstLayer(c *Conv) *firstLayer {
	l := &firstLayer{c: c}
	l.out = roundUp(c.spec.Out, max(lane, c.kernels.panel))
	l.wide = roundUp(c.spec.W, 4)
	l.b = Alloc(firstDepth * l.out)
	if !c.spec.Inference {
		l.partial = Alloc((c.spec.Images + firstImages - 1) / firstImages * len(l.b))
	}
	l.scratch = 3*(l.wide+2)*firstChannels + lane + 2*l.wide*l.out
	c.w.reserve(c.w.N() * l.scratch)
	l.fwd.firstLayer, l.bwd.firstLayer = l, l
	return l
}

// row returns the weights of one value of the window for one panel.
func (l *firstLayer) row(b []float32, panel, i int) []float32 {
	n := l.c.kernels.panel
	return b[(panel*firstDepth+i)*n:][:n]
}

// window is the place in a window of an input channel at a tap of the filter.
func window(tap, channel int) int { return tap*firstChannels + channel }

func (l *firstLayer) setWeights(w []float32) {
	n := l.c.kernels.panel
	for tap := range 9 {
		for ch := range 3 {
			src := w[(tap*3+ch)*l.c.spec.Out:][:l.c.spec.Out]
			for o := 0; o < len(src); o += n {
				copy(l.row(l.b, o/n, window(tap, ch)), src[o:])
			}
		}
	}
}

// firstForward computes firstRows rows of one image a piece.
type firstForward struct {
	*firstLayer
	y, x []float32
	arg  []uint8
}

func (l *firstLayer) forward(y []float32, arg []uint8, x []float32, rows int) {
	n := l.c.kernels.panel
	for p := range l.out / n {
		copy(l.row(l.b, p, firstBias), l.c.bias[p*n:])
	}
	l.fwd.y, l.fwd.arg, l.fwd.x = y, arg, x
	l.c.w.Do(rows*((l.c.spec.H+firstRows-1)/firstRows), &l.fwd)
}

func (t *firstForward) Run(worker, i int) {
	s, kernels := &t.c.spec, t.c.kernels
	pieces := (s.H + firstRows - 1) / firstRows
	n, first := i/pieces, i%pieces*firstRows
	last := min(first+firstRows, s.H)
	xRow := t.c.in.rowLen()
	if !s.Pool && s.W%4 == 0 && s.Out%kernels.panel == 0 {
		for p := range t.out / kernels.panel {
			b := t.b[p*firstDepth*kernels.panel:]
			for h := first; h < last; h++ {
				kernels.gemmFirst(t.y[t.c.out.At(n, h, 0)+p*kernels.panel:], s.Out, t.x[t.c.in.At(n, h-1, -1):], xRow, b, s.W)
			}
		}
		return
	}
	// The general case goes through copies of a pair of rows.
	scratch := t.c.w.workspace[worker*t.scratch:][:t.scratch]
	windows, pair := scratch[:t.scratch-2*t.wide*t.out], scratch[t.scratch-2*t.wide*t.out:]
	wRow := (t.wide + 2) * firstChannels
	for h := first; h < last; h++ {
		line := pair[h%2*t.wide*t.out:]
		for j := range 3 {
			copy(windows[j*wRow:], t.x[t.c.in.At(n, h+j-1, -1):][:xRow])
		}
		for p := range t.out / kernels.panel {
			kernels.gemmFirst(line[p*kernels.panel:], t.out, windows, wRow, t.b[p*firstDepth*kernels.panel:], t.wide)
		}
		switch {
		case !s.Pool:
			for x := range s.W {
				copy(t.y[t.c.out.At(n, h, x):][:s.Out], line[x*t.out:])
			}
		case h%2 == 1:
			t.pool(pair, n, h/2)
		}
	}
}

// pool writes row y of image n from a pair of rows.
func (t *firstForward) pool(pair []float32, n, y int) {
	out, row := t.c.pooled, t.wide*t.out
	for x := range out.W {
		p := pair[2*x*t.out:]
		for o, dst := 0, t.y[out.At(n, y, x):][:out.C]; o < len(dst); o++ {
			var pos uint8
			dst[o], pos = maxOf4(p[o], p[t.out+o], p[row+o], p[row+t.out+o])
			if t.arg != nil {
				t.arg[((n*out.H+y)*out.W+x)*out.C+o] = pos
			}
		}
	}
}

// firstBackward sums the gradient of one panel over firstImages images a piece.
type firstBackward struct {
	*firstLayer
	x    []float32
	dy   source
	rows int
}

func (l *firstLayer) backward(dw, db, x, dy []float32, arg []uint8, rows int) {
	parts := (rows + firstImages - 1) / firstImages
	l.bwd.x, l.bwd.rows = x, rows
	l.bwd.dy = source{l.c.out, dy, arg, l.c}
	l.c.w.Do(parts, &l.bwd)
	for tap := range 9 {
		for ch := range 3 {
			l.sum(dw[(tap*3+ch)*l.c.spec.Out:][:l.c.spec.Out], window(tap, ch), parts)
		}
	}
	l.sum(db[:l.c.spec.Out], firstBias, parts)
}

// sum adds up the gradients of one value of the window.
func (l *firstLayer) sum(dst []float32, i, parts int) {
	n := l.c.kernels.panel
	for o := range dst {
		s := 0.0
		for p := range parts {
			s += float64(l.partial[p*len(l.b)+(o/n*firstDepth+i)*n+o%n])
		}
		dst[o] = float32(s)
	}
}

func (t *firstBackward) Run(worker, part int) {
	s, kernels := &t.c.spec, t.c.kernels
	sum := t.partial[part*len(t.b):][:len(t.b)]
	direct := t.dy.arg == nil && s.Out%kernels.panel == 0
	panels := t.out / kernels.panel
	scratch := t.c.w.workspace[worker*t.scratch:][:t.scratch]
	// Rows of the image are taken in one go, borders and all: there dy is 0.
	step := 1
	if direct {
		step = firstDepthRows
	}
	add := false
	for n := part * firstImages; n < min((part+1)*firstImages, t.rows); n++ {
		for h := 0; h < s.H; h += step {
			depth := (min(step, s.H-h)-1)*(s.W+2) + s.W
			for panel := range panels {
				b, ldb := scratch[:s.W*kernels.panel], kernels.panel
				if direct {
					b, ldb = t.dy.data[t.c.out.At(n, h, 0)+panel*kernels.panel:], s.Out
				} else {
					t.line(b, scratch[s.W*kernels.panel:], n, h, panel*kernels.panel)
				}
				for j := range 3 {
					if direct && h+step < s.H {
						// Ask for a share of the rows that come next.
						share := min(step, s.H-h-step) * t.c.out.rowLen() / (3 * panels)
						kernels.prefetch(t.dy.data[t.c.out.At(n, h+step, 0)+(3*panel+j)*share:], 0, 1, share)
					}
					a := t.x[t.c.in.At(n, h+j-1, -1):]
					kernels.gemmT(sum[(panel*firstDepth+j*firstRun)*kernels.panel:], kernels.panel, a, firstChannels, b, ldb, firstRun, depth, add)
				}
			}
			add = true
		}
	}
}

// line copies one panel of a row of dy.
func (t *firstBackward) line(dst, scratch []float32, n, h, first int) {
	panel := t.c.kernels.panel
	for x := range t.c.spec.W {
		p, _, _ := t.dy.tile(scratch, n, h, x, 1)
		d := dst[x*panel:][:panel]
		clear(d)
		copy(d, p[first:t.c.spec.Out])
	}
}
