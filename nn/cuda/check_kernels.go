package cuda

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unsafe"

	"cifartui/nn"
	"cifartui/nn/cuda/ptx"
)

// images checks the layout of the input.
func (c *checker) images() {
	const n, rows, side = 3, 2, 8
	start := time.Now()
	x := c.pictures(nil, n, side, side, 4)
	src := make([]float32, rows*side*side*3)
	for i := range src {
		src[i] = c.normal(1)(i)
	}
	if c.err != nil {
		return
	}
	c.try(c.b.LoadImages(x.gpu, src, rows))
	c.try(c.cpu.LoadImages(x.cpu, src, rows))
	c.compare("pack_images", fmt.Sprintf("%d of %d images of %dx%d", rows, n, side, side), 0, start, x.gpu, x.cpu.Floats, rows)
}

// convolutions checks every kernel of a convolution on a shape that it fits.
func (c *checker) convolutions() {
	for _, name := range c.b.names {
		k := c.b.kernels[name]
		var p pass
		for _, q := range []pass{forwardPass, dataPass, filterPass} {
			if strings.HasPrefix(name, string(q)) {
				p = q
			}
		}
		if p == "" {
			continue
		}
		// As few channels as the tile allows, on small images and on wide ones.
		small, wide, pooled := [2]int{8, 8}, [2]int{4, 32}, [2]int{4, 4}
		if k.Odd() == 3 {
			small, wide, pooled = [2]int{6, 6}, [2]int{3, 24}, [2]int{6, 6}
		}
		s := nn.ConvSpec{Images: 3, H: small[0], W: small[1], In: max(k.Tile.K, 64), Out: max(k.Tile.N, 64)}
		switch p {
		case dataPass:
			s.In, s.Out = max(k.Tile.N, 64), max(k.Tile.K, 64)
		case filterPass:
			s.In, s.Out = max(k.Tile.M, 64), max(k.Tile.N, 64)
		}
		c.convolution(p, name, s, 2)
		s.H, s.W, s.Images = wide[0], wide[1], 2
		c.convolution(p, name, s, 2)
		s.H, s.W, s.Images, s.Pool = pooled[0], pooled[1], 9, true
		c.convolution(p, name, s, 7)
	}
}

// hopperConvolutions checks every wgmma kernel, on images of its size.
func (c *checker) hopperConvolutions() {
	for _, name := range c.b.names {
		w, ok := c.b.kernels[name].Wgmma()
		if !ok {
			continue
		}
		s := nn.ConvSpec{Images: 5, H: w.Width, W: w.Width, In: 64, Out: w.Channels}
		p := forwardPass
		switch w.Pass {
		case ptx.WgmmaForwardPool:
			s.Pool = true
		case ptx.WgmmaBackwardData:
			s.In, s.Out, p = s.Out, s.In, dataPass
		case ptx.WgmmaSpread:
			s.In, s.Out, p = s.Out, s.In, spreadPass
		case ptx.WgmmaFilter:
			s.In, s.Out, p = 128, 64, filterPass
		}
		c.convolution(p, name, s, 3)
		// More of the sum's channels, where the kernel takes them.
		if s.In, s.Out = 2*s.In, 2*s.Out; p != filterPass && w.Fits(s.H, s.W, s.In, s.Out) {
			s.Images = 2
			c.convolution(p, name, s, 2)
		}
	}
}

// trial is a kernel of a convolution on trial: the same layer on the GPU and on
// the processor, there without its pool, and what to call it in the table.
type trial struct {
	name, shape string
	spec        nn.ConvSpec
	rows        int
	began       time.Time
	gpu         *conv
	cpu         nn.Conv
	x           pair
	dy          pair       // gradient of the output
	gradient    *nn.Buffer // the same in full resolution, on the processor
}

// convolution checks one kernel.
func (c *checker) convolution(p pass, name string, s nn.ConvSpec, rows int) {
	if c.err != nil {
		return
	}
	t := &trial{name: name, spec: s, rows: rows, began: time.Now()}
	t.shape = fmt.Sprintf("%d of %d images of %dx%d, %d to %d channels", rows, s.Images, s.H, s.W, s.In, s.Out)
	if s.Pool {
		t.shape += ", pool"
	}
	gpu, err := c.b.NewConv(s)
	if err != nil {
		c.try(err)
		return
	}
	defer gpu.Close()
	t.gpu = gpu.(*conv)
	for _, k := range c.b.candidates(p, s) {
		if k.name == name {
			t.gpu.use(p, k)
		}
	}
	t.gpu.splits = 3
	whole := s
	whole.Pool = false
	if t.cpu, err = c.cpu.NewConv(whole); err != nil {
		c.try(err)
		return
	}
	defer t.cpu.Close()

	y := c.forward(t)
	if c.err != nil {
		return
	}
	switch p {
	case forwardPass:
		c.compare(name, t.shape, halfLimit, t.began, y.gpu, y.cpu.Floats, rows)
	case dataPass:
		c.inBothShares(t, c.dataGradient)
	case filterPass:
		c.inBothShares(t, c.filterGradient)
	case spreadPass:
		c.spreadGradient(t)
	}
}

// inBothShares checks a gradient on the multiprocessors that it has beside another
// one, if this batch has a branch, and on all.
func (c *checker) inBothShares(t *trial, check func(*trial)) {
	check(t)
	if _, ok := c.b.kernels[t.name].Wgmma(); !ok || !t.gpu.beside {
		return
	}
	t.gpu.beside = false
	t.shape += ", on all multiprocessors"
	check(t)
}

// forward runs the layer and gives its output; both gradients need it.
func (c *checker) forward(t *trial) pair {
	s := t.spec
	t.x = c.pictures(c.rectified(), s.Images, s.H, s.W, s.In)
	w := c.floats(c.normal(0.05), 3, 3, s.In, s.Out)
	bias := c.floats(c.normal(0.1), s.Out)
	full := c.pictures(nil, s.Images, s.H, s.W, s.Out)
	y := full
	t.dy = c.pictures(c.normal(1), s.Images, s.H, s.W, s.Out)
	if s.Pool {
		y = c.pictures(nil, s.Images, s.H/2, s.W/2, s.Out)
		t.dy = c.pictures(c.normal(1), s.Images, s.H/2, s.W/2, s.Out)
	}
	if c.err != nil {
		return y
	}
	t.gpu.SetWeights(w.gpu)
	t.cpu.SetWeights(w.cpu)
	t.gpu.Forward(y.gpu, t.x.gpu, bias.gpu, t.rows)
	t.cpu.Forward(full.cpu, t.x.cpu, bias.cpu, t.rows)
	t.gradient = t.dy.cpu
	if s.Pool {
		arg := c.positions(t.gpu)
		if c.err != nil {
			return y
		}
		pool(y.cpu, full.cpu, arg, t.rows)
		t.gradient = c.spreadBy(full.cpu, t.dy.cpu, arg, t.rows)
	}
	return y
}

func (c *checker) dataGradient(t *trial) {
	dx := c.pictures(nil, t.spec.Images, t.spec.H, t.spec.W, t.spec.In)
	if c.err != nil {
		return
	}
	t.gpu.BackwardData(dx.gpu, t.dy.gpu, t.x.gpu, t.rows)
	t.cpu.BackwardData(dx.cpu, t.gradient, t.x.cpu, t.rows)
	c.compare(t.name, t.shape, halfLimit, t.began, dx.gpu, dx.cpu.Floats, t.rows)
}

// spreadGradient checks the gradient at the input of a pool before the layer, whose
// maxima were at random places.
func (c *checker) spreadGradient(t *trial) {
	s, b := t.spec, c.b
	dx := c.pictures(nil, s.Images, s.H, s.W, s.In)
	full := c.pictures(nil, s.Images, 2*s.H, 2*s.W, s.In)
	if c.err != nil {
		return
	}
	arg := make([]uint8, s.Images*s.H*s.W*s.In)
	eachWindow(t.x.cpu, full.cpu, s.Images, func(at int, _ [4]int, i int) {
		if arg[i] = 4; t.x.cpu.Floats[at] != 0 {
			arg[i] = uint8(c.random.IntN(4))
		}
	})
	p, err := b.alloc(len(arg))
	if err != nil {
		c.try(err)
		return
	}
	defer b.free(p)
	c.try(b.settle(b.ctx.Upload(p, unsafe.Pointer(&arg[0]), len(arg), b.stream)))
	k := b.kernels[t.name]
	w, _ := k.Wgmma()
	b.launch(t.name, w.Grid(s.Images, s.In, s.Out, b.Device().SMs), 1, k.Shared(s.W), t.gpu.spreadArgs(w, at(t.dy.gpu), at(full.gpu), p))
	t.cpu.BackwardData(dx.cpu, t.gradient, t.x.cpu, t.rows)
	want := c.spreadBy(full.cpu, dx.cpu, arg, t.rows)
	if c.err == nil {
		c.compare(t.name, t.shape+", spread", halfLimit, t.began, full.gpu, want.Floats, t.rows)
	}
}

func (c *checker) filterGradient(t *trial) {
	dw, db := c.floats(nil, 3, 3, t.spec.In, t.spec.Out), c.floats(nil, t.spec.Out)
	if c.err != nil {
		return
	}
	t.gpu.BackwardFilter(dw.gpu, db.gpu, t.x.gpu, t.dy.gpu, t.rows)
	t.cpu.BackwardFilter(dw.cpu, db.cpu, t.x.cpu, t.gradient, t.rows)
	c.compare(t.name, t.shape, floatLimit, t.began, dw.gpu, dw.cpu.Floats, t.rows)
	bias := "colsum"
	if t.spec.Pool {
		bias = t.gpu.kernel("spread")
	}
	if t.gpu.filter.hopper != nil {
		bias = t.name
	}
	c.compare(bias, t.shape, floatLimit, t.began, db.gpu, db.cpu.Floats, t.rows)
}

// positions downloads where the maxima were found.
func (c *checker) positions(k *conv) []uint8 {
	arg := make([]uint8, k.pooled()*k.Out)
	c.try(c.b.settle(c.b.ctx.Download(unsafe.Pointer(&arg[0]), k.arg, len(arg), c.b.stream)))
	return arg
}

// pool takes the values at the positions that the GPU found. A wrong position
// shows: its value is not the maximum that the GPU has there.
func pool(y, full *nn.Buffer, arg []uint8, rows int) {
	eachWindow(y, full, rows, func(at int, window [4]int, i int) {
		y.Floats[at] = full.Floats[window[arg[i]&3]]
	})
}

// spreadBy is the gradient in full resolution: that at the pooled output where
// the maximum was.
func (c *checker) spreadBy(full, dy *nn.Buffer, arg []uint8, rows int) *nn.Buffer {
	m := full.Image
	to, err := nn.NewImages(c.cpu, m.N, m.H, m.W, m.C)
	c.try(err)
	eachWindow(dy, full, rows, func(at int, window [4]int, i int) {
		if arg[i] < 4 {
			to.Floats[window[arg[i]]] = dy.Floats[at]
		}
	})
	return to
}

// eachWindow goes through the elements of pooled images: their place, the
// places of their window, and their place without border.
func eachWindow(pooled, full *nn.Buffer, rows int, f func(at int, window [4]int, i int)) {
	p, m := pooled.Image, full.Image
	i := 0
	for n := range rows {
		for y := range p.H {
			for x := range p.W {
				for ch := range p.C {
					var w [4]int
					for j := range w {
						w[j] = m.At(n, 2*y+j/2, 2*x+j%2) + ch
					}
					f(p.At(n, y, x)+ch, w, i)
					i++
				}
			}
		}
	}
}

// firstConvolution checks the kernels of the first layer.
func (c *checker) firstConvolution() {
	for _, s := range []nn.ConvSpec{
		{Images: 3, H: 8, W: 8, In: 3, Out: 64},
		{Images: 2, H: 4, W: 32, In: 3, Out: 32},
		{Images: 3, H: 6, W: 12, In: 3, Out: 64},
		{Images: 2, H: 3, W: 24, In: 3, Out: 32},
	} {
		start := time.Now()
		rows := 2
		gpu, err := c.b.NewConv(s)
		c.try(err)
		cpu, err := c.cpu.NewConv(s)
		c.try(err)
		x := c.pictures(nil, s.Images, s.H, s.W, 4)
		w := c.floats(c.normal(0.2), 3, 3, 3, s.Out)
		bias := c.floats(c.normal(0.1), s.Out)
		y := c.pictures(nil, s.Images, s.H, s.W, s.Out)
		dy := c.pictures(c.normal(1), s.Images, s.H, s.W, s.Out)
		dw, db := c.floats(nil, 3, 3, 3, s.Out), c.floats(nil, s.Out)
		if c.err != nil {
			return
		}
		src := make([]float32, s.Images*s.H*s.W*3)
		for i := range src {
			src[i] = c.normal(1)(i)
		}
		c.try(c.b.LoadImages(x.gpu, src, s.Images))
		c.try(c.cpu.LoadImages(x.cpu, src, s.Images))
		shape := fmt.Sprintf("%d of %d images of %dx%d, 3 to %d channels", rows, s.Images, s.H, s.W, s.Out)
		kernel := gpu.(*conv).kernel
		for _, k := range []struct {
			conv nn.Conv
			side func(pair) *nn.Buffer
		}{
			{gpu, func(p pair) *nn.Buffer { return p.gpu }},
			{cpu, func(p pair) *nn.Buffer { return p.cpu }},
		} {
			k.conv.SetWeights(k.side(w))
			k.conv.Forward(k.side(y), k.side(x), k.side(bias), rows)
			k.conv.BackwardFilter(k.side(dw), k.side(db), k.side(x), k.side(dy), rows)
		}
		c.compare(kernel("conv1_fwd"), shape, halfLimit, start, y.gpu, y.cpu.Floats, rows)
		c.compare(kernel("conv1_wgrad"), shape, floatLimit, start, dw.gpu, dw.cpu.Floats, rows)
		c.compare(kernel("conv1_wgrad"), shape+", bias", floatLimit, start, db.gpu, db.cpu.Floats, rows)
		gpu.Close()
		cpu.Close()
	}
}

// resample checks features of other sizes than the dense layer knows.
func (c *checker) resample() {
	const n, rows, channels, to = 4, 3, 32, 4
	for _, from := range []int{1, 2, 3, 8} {
		start := time.Now()
		src, dst := c.pictures(c.rectified(), n, from, from, channels), c.pictures(nil, n, to, to, channels)
		grad := c.pictures(c.normal(1), n, to, to, channels)
		if c.err != nil {
			return
		}
		shape := fmt.Sprintf("%d of %d images of %dx%d to %dx%d, %d channels", rows, n, from, from, to, to, channels)
		c.b.Resample(dst.gpu, src.gpu, rows)
		c.cpu.Resample(dst.cpu, src.cpu, rows)
		c.compare("resample", shape, halfLimit, start, dst.gpu, dst.cpu.Floats, rows)
		c.b.ResampleBackward(src.gpu, grad.gpu, src.gpu, rows)
		c.cpu.ResampleBackward(src.cpu, grad.cpu, src.cpu, rows)
		c.compare("resample_bwd", shape, halfLimit, start, src.gpu, src.cpu.Floats, rows)
	}
}

// dropout checks that the GPU drops what the processor does.
func (c *checker) dropout() {
	const n, rows, side, channels = 5, 3, 4, 64
	start := time.Now()
	src := c.pictures(c.rectified(), n, side, side, channels)
	dst := c.halves(nil, n, side*side*channels)
	grad := c.halves(c.normal(1), n, side*side*channels)
	back := c.pictures(nil, n, side, side, channels)
	wide := c.floats(nil, n, side*side*channels)
	if c.err != nil {
		return
	}
	const p, key = 0.5, 0x123456789abcdef
	shape := fmt.Sprintf("%d of %d rows of %d", rows, n, side*side*channels)
	c.b.Dropout(dst.gpu, src.gpu, rows, p, key)
	c.cpu.Dropout(dst.cpu, src.cpu, rows, p, key)
	c.widen(wide.gpu, dst.gpu)
	c.compare("dropout_fwd", shape, halfLimit, start, wide.gpu, dst.cpu.Floats, 0)
	c.b.DropoutBackward(back.gpu, grad.gpu, src.gpu, rows, p, key)
	c.cpu.DropoutBackward(back.cpu, grad.cpu, src.cpu, rows, p, key)
	c.compare("dropout_bwd", shape, halfLimit, start, back.gpu, back.cpu.Floats, rows)
}

// widen makes floats of bfloat16.
func (c *checker) widen(dst, src *nn.Buffer) {
	c.b.launch("to_f32", divide(dst.Len, 1024), 1, 0, c.b.args().Pointer(at(dst)).Pointer(at(src)).U32(uint32(dst.Len)))
}

// dense checks the last layer.
func (c *checker) dense() {
	for _, n := range []int{5, 4 * c.b.Device().SMs} { // two kernels for the forward pass
		const in, out = 256, 10
		rows := n - 2
		start := time.Now()
		x := c.halves(c.normal(1), n, in)
		w, bias := c.floats(c.normal(0.1), out, in), c.floats(c.normal(1), out)
		y, dy := c.floats(nil, n, out), c.floats(c.normal(1), n, out)
		dx, wide := c.halves(nil, n, in), c.floats(nil, n, in)
		dw, db := c.floats(nil, out, in), c.floats(nil, out)
		if c.err != nil {
			return
		}
		shape := fmt.Sprintf("%d of %d rows, %d to %d", rows, n, in, out)
		c.b.Dense(y.gpu, x.gpu, w.gpu, bias.gpu, rows)
		c.cpu.Dense(y.cpu, x.cpu, w.cpu, bias.cpu, rows)
		c.compare("dense_fwd", shape, floatLimit, start, y.gpu, y.cpu.Floats, 0)
		c.b.DenseBackwardData(dx.gpu, dy.gpu, w.gpu, rows)
		c.cpu.DenseBackwardData(dx.cpu, dy.cpu, w.cpu, rows)
		c.widen(wide.gpu, dx.gpu)
		c.compare("dense_bwd_data", shape, halfLimit, start, wide.gpu, dx.cpu.Floats, 0)
		c.b.DenseBackwardFilter(dw.gpu, db.gpu, x.gpu, dy.gpu, rows)
		c.cpu.DenseBackwardFilter(dw.cpu, db.cpu, x.cpu, dy.cpu, rows)
		c.compare("dense_bwd_filter", shape, floatLimit, start, dw.gpu, dw.cpu.Floats, 0)
		c.compare("dense_bwd_filter", shape+", bias", floatLimit, start, db.gpu, db.cpu.Floats, 0)
	}
}

// loss checks softmax, cross-entropy and its gradient.
func (c *checker) loss() {
	const n, rows, classes, smoothing = 37, 35, 10, 0.1
	start := time.Now()
	logits := c.floats(c.normal(4), n, classes)
	mean, d := c.floats(nil), c.floats(nil, n, classes)
	labels := c.pair(func(on nn.Backend) (*nn.Buffer, error) { return nn.NewLabels(on, n) }, nil)
	gpu, err := c.b.NewLoss(n, classes, smoothing)
	c.try(err)
	cpu, err := c.cpu.NewLoss(n, classes, smoothing)
	c.try(err)
	if c.err != nil {
		return
	}
	defer gpu.Close()
	defer cpu.Close()
	ids := make([]uint8, rows)
	for i := range ids {
		ids[i] = uint8(c.random.IntN(classes))
	}
	c.try(c.b.LoadLabels(labels.gpu, ids))
	c.try(c.cpu.LoadLabels(labels.cpu, ids))
	gpu.Forward(mean.gpu, logits.gpu, labels.gpu, rows)
	cpu.Forward(mean.cpu, logits.cpu, labels.cpu, rows)
	gpu.Backward(d.gpu, labels.gpu, rows, 1)
	cpu.Backward(d.cpu, labels.cpu, rows, 1)
	sum, correct, err := gpu.Result()
	c.try(err)
	wantSum, wantCorrect, _ := cpu.Result() // the processor's can't fail
	p, err := gpu.Probabilities()
	c.try(err)
	want, _ := cpu.Probabilities()
	if c.err != nil {
		return
	}
	shape := fmt.Sprintf("%d of %d rows of %d classes", rows, n, classes)
	c.add("loss_forward", shape, floatLimit, start, []float32{float32(sum), float32(correct)}, []float32{float32(wantSum), float32(wantCorrect)})
	c.add("loss_forward", shape+", softmax", floatLimit, start, p, want)
	c.compare("loss_backward", shape, floatLimit, start, d.gpu, d.cpu.Floats, 0)
}

// optimisers checks three steps of each, on two parameters in one launch.
func (c *checker) optimisers() {
	for _, o := range []struct {
		name   string
		update func(on nn.Backend, x, g, s0, s1 *nn.Buffer, step int)
	}{
		{"adadelta", func(on nn.Backend, x, g, s0, s1 *nn.Buffer, _ int) { on.Adadelta(x, g, s0, s1, 1, 0.95, 1e-7) }},
		{"sgd", func(on nn.Backend, x, g, s0, _ *nn.Buffer, _ int) { on.SGD(x, g, s0, 0.1, 0.9, 0.01, false) }},
		{"sgd without momentum", func(on nn.Backend, x, g, _, _ *nn.Buffer, _ int) { on.SGD(x, g, nil, 0.1, 0, 0.01, false) }},
		{"sgd decoupled", func(on nn.Backend, x, g, s0, _ *nn.Buffer, _ int) { on.SGD(x, g, s0, 0.1, 0.9, 0.01, true) }},
		{"average", func(on nn.Backend, x, g, _, _ *nn.Buffer, _ int) { on.Average(x, g, 0.1) }},
		{"adam", func(on nn.Backend, x, g, s0, s1 *nn.Buffer, step int) { on.Adam(x, g, s0, s1, adamStep(step, false)) }},
		{"adamw", func(on nn.Backend, x, g, s0, s1 *nn.Buffer, step int) { on.Adam(x, g, s0, s1, adamStep(step, true)) }},
	} {
		start := time.Now()
		var values [2][4]pair
		for i, n := range []int{1500, 77} {
			values[i] = [4]pair{c.floats(c.normal(1), n), c.floats(c.normal(0.1), n), c.floats(nil, n), c.floats(nil, n)}
		}
		if c.err != nil {
			return
		}
		for step := 1; step <= 3; step++ {
			for _, v := range values {
				o.update(c.b, v[0].gpu, v[1].gpu, v[2].gpu, v[3].gpu, step)
				o.update(c.cpu, v[0].cpu, v[1].cpu, v[2].cpu, v[3].cpu, step)
			}
		}
		for _, v := range values {
			shape := fmt.Sprintf("%d parameters", v[0].cpu.Len)
			c.compare(o.name, shape, exactLimit, start, v[0].gpu, v[0].cpu.Floats, 0)
			c.compare(o.name, shape+", state", exactLimit, start, v[2].gpu, v[2].cpu.Floats, 0)
		}
	}
}

// adamStep is what nn gives Adam at a step.
func adamStep(step int, decoupled bool) nn.AdamStep {
	return nn.AdamStep{
		LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1, Decoupled: decoupled,
		Bias1: float32(1 - math.Pow(0.9, float64(step))), Bias2: float32(1 - math.Pow(0.999, float64(step))),
	}
}

// muonLimit is how far Muon's update may be from the processor's, which is
// computed in float32: the GPU takes bfloat16, as its author does.
const muonLimit = 0.05

// muon checks two steps on the filters of two layers in one launch: what they
// change, by norm.
func (c *checker) muon() {
	start := time.Now()
	type filter struct{ x, g, m pair }
	var list []filter
	var before [][]float32
	for _, channels := range [][2]int{{3, 64}, {64, 96}} {
		in, out := channels[0], channels[1]
		f := filter{c.floats(c.normal(0.1), 3, 3, in, out), c.floats(c.normal(0.01), 3, 3, in, out), c.floats(nil, 3, 3, in, out)}
		list = append(list, f)
		if c.err != nil {
			return
		}
		before = append(before, slices.Clone(f.x.cpu.Floats))
	}
	for range 2 {
		for _, f := range list {
			c.b.Muon(f.x.gpu, f.g.gpu, f.m.gpu, 0.02, 0.7, 0.8, 0.05)
			c.cpu.Muon(f.x.cpu, f.g.cpu, f.m.cpu, 0.02, 0.7, 0.8, 0.05)
		}
	}
	for i, f := range list {
		have := make([]float32, f.x.cpu.Len)
		if c.err == nil {
			c.try(c.b.Download(have, f.x.gpu))
		}
		if c.err != nil {
			return
		}
		var off, all float64
		for j, v := range f.x.cpu.Floats {
			off += math.Pow(float64(have[j]-v), 2)
			all += math.Pow(float64(v-before[i][j]), 2)
		}
		c.list = append(c.list, Check{Kernel: "muon", Shape: fmt.Sprintf("a filter of %v", f.x.cpu.Shape()), Worst: math.Sqrt(off / all), Limit: muonLimit, Took: time.Since(start)})
	}
}
