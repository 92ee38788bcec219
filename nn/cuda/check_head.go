package cuda

import (
	"fmt"
	"time"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// head checks the kernel that a recorded step ends in beside those that it
// replaces, which are checked by themselves. The step goes the way of every step
// of a training, over the ring and through a graph.
func (c *checker) head() {
	sms := c.b.Device().SMs
	for _, n := range []int{3, sms + 1, 2*sms + 1} { // a kernel each
		c.ending(n)
	}
	c.b.queue.finished, c.b.queue.pace = time.Time{}, 0 // of steps that nobody waits for
}

// networkEnd is the end of a network: what goes into it, and what comes out.
type networkEnd struct {
	on                           *Backend
	src, w, bias, labels         *nn.Buffer
	arg                          driver.Pointer // positions of the pool's maxima
	loss                         *loss
	mean, logits, dw, db         *nn.Buffer
	dropped, dlogits, back, full *nn.Buffer
	dfeatures                    *nn.Buffer
}

// The end's sizes: features of a pool's output, half as high and wide as full.
const (
	endSide, endChannels = 4, 64
	endFeatures          = endSide * endSide * endChannels
	endClasses           = 10
)

// run calls what a step does from dropout on to the spread of the last pool's
// gradient.
func (e *networkEnd) run(rows int) error {
	const part, key = 0.5, 0x123456789abcdef
	b := e.on
	b.Dropout(e.dropped, e.src, rows, part, key)
	b.Dense(e.logits, e.dropped, e.w, e.bias, rows)
	e.loss.Forward(e.mean, e.logits, e.labels, rows)
	e.loss.Backward(e.dlogits, e.labels, rows, 1)
	b.DenseBackwardFilter(e.dw, e.db, e.dropped, e.dlogits, rows)
	b.DenseBackwardData(e.dfeatures, e.dlogits, e.w, rows)
	b.DropoutBackward(e.back, e.dfeatures, e.src, rows, part, key)
	side := power(2 * endSide)
	b.launch("spread", 4*b.Device().SMs, 1, 0, b.args().
		Pointer(at(e.full)).Pointer(0).Pointer(at(e.back)).Pointer(e.arg).Pointer(b.current).U32(side).U32(side).U32(endChannels))
	return nil
}

// ending checks a batch of n images, of which all but one are valid.
func (c *checker) ending(n int) {
	if c.err != nil {
		return
	}
	start, rows := time.Now(), n-1
	e := c.networkEnd(n)
	if c.err != nil {
		return
	}
	defer e.loss.Close()
	defer c.b.free(e.arg)
	c.try(e.run(rows))
	sum, correct, err := e.loss.Result()
	c.try(err)
	want := c.results(e, n, rows, sum, correct)
	for _, p := range []driver.Pointer{at(e.dropped), at(e.dlogits), at(e.full), e.loss.prob} {
		c.try(c.b.ctx.Zero(p, c.b.sizes[p], c.b.stream))
	}
	c.try(c.b.Submit(func() error { return e.run(rows) }))
	if c.err != nil {
		return
	}
	sum, correct, err = c.b.Finished()
	c.try(err)
	have := c.results(e, n, rows, sum, correct)
	if c.err != nil {
		return
	}
	for i, what := range []string{"loss", "softmax", "gradient of the logits", "dropout", "gradient"} {
		limit := floatLimit
		if i >= 3 { // in bfloat16
			limit = halfLimit
		}
		c.add("head", fmt.Sprintf("%d of %d rows, %s", rows, n, what), limit, start, have[i], want[i])
	}
}

// networkEnd makes the end of a network for n images.
func (c *checker) networkEnd(n int) *networkEnd {
	flat := func(fill func(int) float32, shape ...int) *nn.Buffer { return c.floats(fill, shape...).gpu }
	e := &networkEnd{
		on:   c.b,
		src:  c.pictures(c.rectified(), n, endSide, endSide, endChannels).gpu,
		w:    flat(c.normal(0.1), endClasses, endFeatures),
		bias: flat(c.normal(1), endClasses),
		mean: flat(nil), logits: flat(nil, n, endClasses), dlogits: flat(nil, n, endClasses),
		dw: flat(nil, endClasses, endFeatures), db: flat(nil, endClasses),
		dropped: flat(nil, n, endFeatures), dfeatures: flat(nil, n, endFeatures),
		back:   c.pictures(nil, n, endSide, endSide, endChannels).gpu,
		full:   c.pictures(nil, n, 2*endSide, 2*endSide, endChannels).gpu,
		labels: c.pair(func(on nn.Backend) (*nn.Buffer, error) { return nn.NewLabels(on, n) }, nil).gpu,
	}
	if c.err != nil {
		return nil
	}
	ids, places := make([]uint8, n), make([]byte, n*endFeatures)
	for i := range ids {
		ids[i] = uint8(c.random.IntN(endClasses))
	}
	for i := range places {
		places[i] = byte(c.random.IntN(5)) // 4: none
	}
	c.try(c.b.LoadLabels(e.labels, ids))
	var err error
	e.arg, err = c.b.alloc(len(places))
	c.try(err)
	if c.err == nil {
		c.try(c.b.settle(c.b.ctx.Upload(e.arg, pointerTo(places), len(places), c.b.stream)))
	}
	if c.err != nil {
		return nil
	}
	l, err := c.b.NewLoss(n, endClasses, 0.1)
	if err != nil {
		c.try(err)
		return nil
	}
	e.loss = l.(*loss)
	return e
}

// results downloads what has come out of the end, a list a value.
func (c *checker) results(e *networkEnd, n, rows int, sum float64, correct int) [5][]float32 {
	prob, err := e.loss.Probabilities()
	c.try(err)
	wide := c.floats(nil, n, endFeatures).gpu
	dlogits, dropped, full := make([]float32, n*endClasses), make([]float32, n*endFeatures), make([]float32, e.full.Image.Len())
	if c.err == nil {
		c.widen(wide, e.dropped)
		c.try(c.b.Download(dlogits, e.dlogits))
		c.try(c.b.Download(dropped, wide))
		c.try(c.b.Download(full, e.full))
	}
	return [5][]float32{
		{float32(sum), float32(correct)}, append([]float32(nil), prob...),
		dlogits[:rows*endClasses], dropped[:rows*endFeatures], inside(full, e.full, rows),
	}
}
