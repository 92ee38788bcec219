package proof

import (
	"encoding/binary"
	"fmt"
	"math"

	"cifartui/nn/kernel"
)

// denseChecks are those of the network's end.
func denseChecks() []check {
	var list []check
	for _, c := range []struct{ rows, in, out int }{{5, 4096, 10}, {1, 128, 10}, {11, 256, 3}, {6, 192, 23}, {75, 64, 10}} {
		what := fmt.Sprintf("%+v", c)
		for _, r := range []int{1, 4} {
			name := fmt.Sprintf("dense_fwd_r%d", r)
			list = append(list, check{name, what, func(d *device) error { return checkDense(d, name, r, c.rows, c.in, c.out) }})
		}
		list = append(list,
			check{"dense_bwd_data", what, func(d *device) error { return checkDenseData(d, c.rows, c.in, c.out) }},
			check{"dense_bwd_filter", what, func(d *device) error { return checkDenseFilter(d, c.rows, c.in, c.out) }})
	}
	for _, c := range []struct {
		rows, features int
		p              float32
	}{{3, 4096, 0.5}, {5, 136, 0.3}, {2, 2048, 0}} {
		what := fmt.Sprintf("%+v", c)
		list = append(list,
			check{"dropout_fwd", what, func(d *device) error { return checkDropout(d, c.rows, c.features, c.p) }},
			check{"dropout_bwd", what, func(d *device) error { return checkDropoutBackward(d, c.rows, c.features, c.p) }})
	}
	for _, c := range []struct {
		rows, classes int
		smoothing     float32
		diverged      bool
	}{{5, 10, 0, false}, {70, 10, 0.1, false}, {33, 45, 0.2, false}, {3, 10, 0, true}} {
		what := fmt.Sprintf("%+v", c)
		list = append(list, check{"loss_forward", what, func(d *device) error { return checkLoss(d, c.rows, c.classes, c.smoothing, c.diverged) }})
		if !c.diverged {
			list = append(list, check{"loss_backward", what, func(d *device) error { return checkLossBackward(d, c.rows, c.classes, c.smoothing) }})
		}
	}
	return append(list, check{"loss_forward", "with no place for the results", checkBareLoss})
}

func checkDense(d *device, name string, each, rows, in, out int) error {
	x, w, b := d.whole(rows*in, 3), d.whole(out*in, 3), d.whole(out, 9)
	y := d.empty(4 * rows * out)
	// One block more than the rows need, as a short batch has.
	if err := d.launch(name, blocks(rows, each)+1, 1, 0, y, d.bf16s(x), d.floats(w), d.floats(b), d.step(step{rows: uint32(rows)}), in, out); err != nil {
		return err
	}
	want := make([]float64, rows*out)
	for i := range want {
		want[i] = b[i%out]
		for k := range in {
			want[i] += x[i/out*in+k] * w[i%out*in+k]
		}
	}
	have, err := d.getFloats(y, rows*out)
	if err != nil {
		return err
	}
	return same("y", have, want, 0)
}

func checkDenseData(d *device, rows, in, out int) error {
	dy, w := d.whole(rows*out, 3), d.whole(out*in, 3)
	dx := d.empty(2 * rows * in)
	if err := d.launch("dense_bwd_data", blocks(in, 1024), blocks(rows, 8)+1, 0, dx, d.floats(dy), d.floats(w), d.step(step{rows: uint32(rows)}), in, out); err != nil {
		return err
	}
	want := make([]float64, rows*in)
	for i := range want {
		for o := range out {
			want[i] += dy[i/in*out+o] * w[o*in+i%in]
		}
		want[i] = round(want[i])
	}
	have, err := d.getBF16(dx, rows*in)
	if err != nil {
		return err
	}
	return same("dx", have, want, 0)
}

func checkDenseFilter(d *device, rows, in, out int) error {
	x, dy := d.whole(rows*in, 3), d.whole(rows*out, 3)
	dw, db := d.empty(4*in*out), d.empty(4*out)
	if err := d.launch("dense_bwd_filter", in/64, blocks(out, 10), 0, dw, db, d.bf16s(x), d.floats(dy), d.step(step{rows: uint32(rows)}), in, out); err != nil {
		return err
	}
	want := make([]float64, in*out)
	for i := range want {
		for r := range rows {
			want[i] += dy[r*out+i/in] * x[r*in+i%in]
		}
	}
	have, err := d.getFloats(dw, in*out)
	if err != nil {
		return err
	}
	if err := same("dw", have, want, 0); err != nil {
		return err
	}
	if have, err = d.getFloats(db, out); err != nil {
		return err
	}
	return same("db", have, columns(dy, out), 0)
}

// threshold and scale are those of package kernel for the probability p.
func dropout(p float32) (threshold uint32, scale float32) {
	return uint32(math.Round(float64(p) * (1 << 24))), 1 / (1 - p)
}

// flat is an image for package kernel whose interior is a row of features.
func flat(rows, features int) (kernel.Image, func(v []float64) []float32, func(v []float32) []float64) {
	img := kernel.Image{N: rows, H: 1, W: 1, C: features}
	into := func(v []float64) []float32 {
		f := make([]float32, img.Len())
		for i, x := range v {
			f[img.At(i/features, 0, 0)+i%features] = float32(x)
		}
		return f
	}
	from := func(f []float32) []float64 {
		v := make([]float64, rows*features)
		for i := range v {
			v[i] = float64(f[img.At(i/features, 0, 0)+i%features])
		}
		return v
	}
	return img, into, from
}

const dropoutKey = 0x0123456789abcdef

func checkDropout(d *device, rows, features int, p float32) error {
	v := d.normal(rows*features, 1)
	dst := d.empty(2 * len(v))
	threshold, scale := dropout(p)
	if err := d.launch("dropout_fwd", blocks(features, 2048), rows+1, 0, dst, d.bf16s(v), d.step(step{rows: uint32(rows), dropout: dropoutKey}), features, threshold, scale); err != nil {
		return err
	}
	img, into, _ := flat(rows, features)
	out := make([]float32, len(v))
	workers := kernel.NewWorkers(1)
	defer workers.Close()
	kernel.Dropout(workers, out, into(v), img, rows, p, dropoutKey)
	want := make([]float64, len(v))
	for i := range want {
		want[i] = round(float64(out[i]))
	}
	have, err := d.getBF16(dst, len(v))
	if err != nil {
		return err
	}
	return same("dst", have, want, 0)
}

func checkDropoutBackward(d *device, rows, features int, p float32) error {
	g, v := d.normal(rows*features, 1), d.normal(rows*features, 1)
	for i := range v {
		v[i] = max(v[i], 0)
	}
	dst := d.empty(2 * len(v))
	threshold, scale := dropout(p)
	if err := d.launch("dropout_bwd", blocks(features, 2048), rows+1, 0, dst, d.bf16s(g), d.bf16s(v), d.step(step{rows: uint32(rows), dropout: dropoutKey}), features, threshold, scale); err != nil {
		return err
	}
	img, into, from := flat(rows, features)
	grad := make([]float32, len(g))
	for i := range g {
		grad[i] = float32(g[i])
	}
	out := make([]float32, img.Len())
	workers := kernel.NewWorkers(1)
	defer workers.Close()
	kernel.DropoutBackward(workers, out, img, grad, into(v), rows, p, dropoutKey)
	want := from(out)
	for i := range want {
		want[i] = round(want[i])
	}
	have, err := d.getBF16(dst, len(v))
	if err != nil {
		return err
	}
	return same("dsrc", have, want, 0)
}

// lossCase makes logits, some of them equal, and labels.
func lossCase(d *device, rows, classes int) ([]float32, []int32) {
	logits, labels := make([]float32, rows*classes), make([]int32, rows)
	for i := range logits {
		logits[i] = float32(d.rand.NormFloat64() * 2)
		if i/classes%2 == 1 {
			logits[i] = float32(d.rand.IntN(3)) // so that many are equal
		}
	}
	for r := range labels {
		labels[r] = int32(d.rand.IntN(classes))
	}
	return logits, labels
}

func widen(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func (d *device) labels(v []int32) uint64 {
	w := make([]uint32, len(v))
	for i, x := range v {
		w[i] = uint32(x)
	}
	return d.words(w...)
}

func checkLoss(d *device, rows, classes int, smoothing float32, diverged bool) error {
	logits, labels := lossCase(d, rows, classes)
	if diverged {
		logits[classes+1] = float32(math.NaN())
	}
	prob := make([]float32, len(logits))
	sum, correct := kernel.SoftmaxCrossEntropy(prob, logits, labels, rows, classes, smoothing)
	const slots = 3
	out, loss, flag := d.empty(4*len(logits)), d.empty(4), d.words(0)
	results, total := d.empty(32*slots), d.bytes(make([]byte, 32))
	if err := d.mem.Write(total+16, []byte{1}); err != nil { // finite until now
		return err
	}
	if err := d.launch("loss_forward", 1, 1, 0, out, d.floats(widen(logits)), d.labels(labels), loss, results, total, flag,
		d.step(step{rows: uint32(rows), slot: 1, sequence: 77}), classes, smoothing); err != nil {
		return err
	}
	flags, err := d.get(flag, 4)
	if err != nil {
		return err
	}
	if flags[0] == 1 != diverged {
		return fmt.Errorf("the flag is %d", flags[0])
	}
	if diverged {
		p := make([]byte, 32)
		if err := d.mem.Peek(total, p); err != nil {
			return err
		}
		if p[16] != 0 {
			return fmt.Errorf("the total does not say that a loss was not finite")
		}
		return nil
	}
	have, err := d.getFloats(out, len(logits))
	if err != nil {
		return err
	}
	if err := same("prob", have, widen(prob), 2e-6); err != nil {
		return err
	}
	mean, err := d.getFloats(loss, 1)
	if err != nil {
		return err
	}
	if err := same("loss", mean, []float64{sum / float64(rows)}, 2e-6); err != nil {
		return err
	}
	le := binary.LittleEndian
	for _, where := range []uint64{results + 32, total} {
		p := make([]byte, 32)
		if err := d.mem.Peek(where, p); err != nil {
			return err
		}
		if err := same("sum of losses", []float64{math.Float64frombits(le.Uint64(p))}, []float64{sum}, 2e-6); err != nil {
			return err
		}
		if c, r := le.Uint32(p[8:]), le.Uint32(p[12:]); int(c) != correct || int(r) != rows {
			return fmt.Errorf("%d of %d correct, want %d of %d", c, r, correct, rows)
		}
		if le.Uint32(p[16:]) != 1 || where != total && le.Uint64(p[24:]) != 77 {
			return fmt.Errorf("the result says finite %d, sequence %d", le.Uint32(p[16:]), le.Uint64(p[24:]))
		}
	}
	return nil
}

// checkBareLoss gives no place for the loss, the results, their total and the flag.
func checkBareLoss(d *device) error {
	const rows, classes = 3, 10
	logits, labels := lossCase(d, rows, classes)
	prob := make([]float32, len(logits))
	kernel.SoftmaxCrossEntropy(prob, logits, labels, rows, classes, 0)
	out := d.empty(4 * len(logits))
	none := uint64(0)
	if err := d.launch("loss_forward", 1, 1, 0, out, d.floats(widen(logits)), d.labels(labels), none, none, none, none,
		d.step(step{rows: rows}), classes, float32(0)); err != nil {
		return err
	}
	have, err := d.getFloats(out, len(logits))
	if err != nil {
		return err
	}
	return same("prob", have, widen(prob), 2e-6)
}

func checkLossBackward(d *device, rows, classes int, smoothing float32) error {
	logits, labels := lossCase(d, rows, classes)
	prob, want := make([]float32, len(logits)), make([]float32, len(logits))
	kernel.SoftmaxCrossEntropy(prob, logits, labels, rows, classes, smoothing)
	const scale = 0.5
	kernel.SoftmaxCrossEntropyBackward(want, prob, labels, rows, classes, smoothing, scale/float32(rows))
	out := d.empty(4 * len(logits))
	if err := d.launch("loss_backward", blocks(len(logits), 256)+1, 1, 0, out, d.floats(widen(prob)), d.labels(labels),
		d.step(step{rows: uint32(rows)}), classes, smoothing, float32(scale)); err != nil {
		return err
	}
	have, err := d.getFloats(out, len(logits))
	if err != nil {
		return err
	}
	// Values are below scale/rows; so they are held to a part of that.
	for i := range have {
		have[i] *= float64(rows)
		want[i] *= float32(rows)
	}
	return same("dlogits", have, widen(want), 1e-6)
}
