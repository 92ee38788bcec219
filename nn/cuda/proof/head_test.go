package proof

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"cifartui/nn/kernel"
)

// headChecks are those of the network's end in one kernel, from the last pool's
// output to the gradient at its input.
func headChecks() []check {
	var list []check
	for each := 1; each <= 4; each *= 2 {
		name := fmt.Sprintf("head_r%d", each)
		for _, c := range []headCase{
			{rows: 5, lh: 3, lw: 3, channels: 64, out: 10, p: 0.5, smoothing: 0.1, pooled: true},
			{rows: 3, lh: 3, lw: 4, channels: 128, out: 7, p: 0, pooled: true},
			{rows: 66 * each, lh: 1, lw: 1, channels: 64, out: 10, p: 0.25}, // many blocks, and several warps that add up the rows
		} {
			list = append(list, check{name, fmt.Sprintf("%+v", c), func(d *device) error { return checkHead(d, name, each, c) }})
		}
	}
	return append(list, check{"head_r2", "at the brinks", func(d *device) error {
		c := headCase{rows: 2, lh: 1, lw: 1, channels: 64, out: 8}
		return atBrinks(c.rows, c.features(), func(p float32) error {
			c.p = p
			return checkHead(d, "head_r2", 2, c)
		})
	}})
}

type headCase struct {
	rows, lh, lw, channels, out int
	p, smoothing                float32
	pooled                      bool // the last convolution has a pool behind it
}

// features of a row: the pool's output.
func (c headCase) features() int { return c.channels << (c.lh + c.lw - 2) }

func checkHead(d *device, name string, each int, c headCase) error {
	const lossScale = 0.5
	in := c.features()
	src, w, bias := d.normal(c.rows*in, 1), d.normal(c.out*in, 0.05), d.normal(c.out, 0.2)
	for i := range src {
		src[i] = max(math.Abs(src[i])-0.5, 0)
		if i%7 == 0 {
			src[i] = least
		}
	}
	dropped, logits := headForward(c, src, w, bias)
	labels := make([]int32, c.rows)
	for r := range labels {
		row := logits[r*c.out:][:c.out]
		labels[r] = int32(slices.Index(row, slices.Max(row))) // so that it shows which one was taken for the largest
		if r%4 == 3 {
			labels[r] = int32(d.rand.IntN(c.out))
		}
	}
	var arg []byte
	n, at := c.rows*in, uint64(0)
	if c.pooled {
		n *= 4
		arg = make([]byte, c.rows*in)
		for i := range arg {
			arg[i] = byte(d.rand.IntN(4))
		}
		at = d.bytes(arg)
	}
	grid := blocks(c.rows, each) + 1
	gradient, rest, dlogits, prob := d.empty(2*n), d.empty(2*c.rows*in), d.empty(4*c.rows*c.out), d.empty(4*c.rows*c.out)
	counter, total := d.words(0), d.words(0, 0, 0, 0, 1, 0, 0, 0)
	loss, results, flag := d.empty(4), d.empty(32), d.words(0)
	threshold, scale := dropout(c.p)
	if err := d.launch(name, grid, 1, 0, gradient, rest, dlogits, prob, d.bf16s(src), at, d.floats(w), d.floats(bias), d.labels(labels),
		d.empty(16*c.rows), counter, loss, results, total, flag, d.step(step{rows: uint32(c.rows), dropout: dropoutKey, sequence: 5}),
		c.lh, c.lw, c.channels, c.out, threshold, scale, c.smoothing, float32(lossScale)); err != nil {
		return err
	}
	want := headBackward(c, src, w, logits, labels, arg, lossScale)
	for _, part := range []struct {
		what      string
		have      func() ([]float64, error)
		want      []float64
		tolerance float64
	}{
		{"dropped", func() ([]float64, error) { return d.getBF16(rest, c.rows*in) }, dropped, 0},
		{"prob", func() ([]float64, error) { return d.getFloats(prob, c.rows*c.out) }, want.prob, 1e-4},
		{"dlogits", func() ([]float64, error) { return d.getFloats(dlogits, c.rows*c.out) }, want.dlogits, 1e-4 / float64(c.rows)},
		{"gradient", func() ([]float64, error) { return d.getBF16(gradient, n) }, want.gradient, 1e-3 / float64(c.rows)},
		{"loss", func() ([]float64, error) { return d.getFloats(loss, 1) }, []float64{want.loss / float64(c.rows)}, 1e-4},
	} {
		have, err := part.have()
		if err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
		if err := same(part.what, have, part.want, part.tolerance); err != nil {
			return err
		}
	}
	le := binary.LittleEndian
	for _, where := range []uint64{results, total} {
		p := make([]byte, 32)
		if err := d.mem.Peek(where, p); err != nil {
			return err
		}
		if err := same("sum of losses", []float64{math.Float64frombits(le.Uint64(p))}, []float64{want.loss}, 1e-4); err != nil {
			return err
		}
		if int(le.Uint32(p[8:])) != want.correct || int(le.Uint32(p[12:])) != c.rows || le.Uint32(p[16:]) != 1 {
			return fmt.Errorf("%d of %d correct, finite %d; want %d of %d", le.Uint32(p[8:]), le.Uint32(p[12:]), le.Uint32(p[16:]), want.correct, c.rows)
		}
	}
	if b, err := d.get(counter, 4); err != nil || le.Uint32(b) != 0 {
		return fmt.Errorf("the counter is left at %v: %v", b, err)
	}
	return nil
}

// headForward goes through the layers one by one, with the processor's dropout,
// to what that leaves and the logits.
func headForward(c headCase, src, w, bias []float64) (dropped []float64, logits []float32) {
	in := c.features()
	img, into, _ := flat(c.rows, in)
	workers := kernel.NewWorkers(1)
	defer workers.Close()
	out := make([]float32, c.rows*in)
	kernel.Dropout(workers, out, into(src), img, c.rows, c.p, dropoutKey)
	for _, v := range out {
		dropped = append(dropped, round(float64(v)))
	}
	for i := range c.rows * c.out {
		sum := bias[i%c.out]
		for k := range in {
			sum += dropped[i/c.out*in+k] * w[i%c.out*in+k]
		}
		logits = append(logits, float32(sum))
	}
	return dropped, logits
}

// headResult is what else the kernel should write.
type headResult struct {
	prob, dlogits, gradient []float64
	loss                    float64
	correct                 int
}

// headBackward goes on with the processor's loss, and back.
func headBackward(c headCase, src, w []float64, logits []float32, labels []int32, arg []byte, scale float32) headResult {
	var r headResult
	in := c.features()
	img, into, from := flat(c.rows, in)
	workers := kernel.NewWorkers(1)
	defer workers.Close()
	prob, dlogits := make([]float32, len(logits)), make([]float32, len(logits))
	r.loss, r.correct = kernel.SoftmaxCrossEntropy(prob, logits, labels, c.rows, c.out, c.smoothing)
	kernel.SoftmaxCrossEntropyBackward(dlogits, prob, labels, c.rows, c.out, c.smoothing, scale/float32(c.rows))
	r.prob, r.dlogits = widen(prob), widen(dlogits)

	grad := make([]float32, c.rows*in)
	for i := range grad {
		sum := 0.0
		for o := range c.out {
			sum += r.dlogits[i/in*c.out+o] * w[o*in+i%in]
		}
		grad[i] = float32(round(sum))
	}
	back := make([]float32, img.Len())
	kernel.DropoutBackward(workers, back, img, grad, into(src), c.rows, c.p, dropoutKey)
	r.gradient = from(back)
	if !c.pooled {
		return r
	}
	pooled := r.gradient
	r.gradient = make([]float64, 4*len(pooled))
	for i, v := range pooled {
		row, f := i/in, i%in
		q, channel, half := f/c.channels, f%c.channels, 1<<(c.lw-1)
		y, x, k := q/half, q%half, int(arg[i])
		r.gradient[((row<<c.lh+2*y+k/2)<<c.lw+2*x+k%2)*c.channels+channel] = v
	}
	return r
}
