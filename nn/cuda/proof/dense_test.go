package proof

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"

	"cifartui/nn/kernel"
)

// denseChecks are those of the network's end.
func denseChecks() []check {
	var list []check
	sizes := []struct{ rows, in, out int }{{5, 4096, 10}, {1, 128, 10}, {11, 256, 3}, {6, 192, 23}, {75, 64, 10}}
	for n := 1; n < 10; n++ { // ends in each place that the loops over rows and outputs are unrolled to
		sizes = append(sizes, struct{ rows, in, out int }{n, 64, n})
	}
	for _, c := range sizes {
		what := fmt.Sprintf("%+v", c)
		for _, r := range []int{1, 4} {
			name := fmt.Sprintf("dense_fwd_r%d", r)
			list = append(list, check{name, what, func(d *device) error { return checkDense(d, name, r, c.rows, c.in, c.out) }})
		}
		list = append(list,
			check{"dense_bwd_data", what, func(d *device) error { return checkDenseData(d, c.rows, c.in, c.out) }},
			check{"dense_bwd_filter", what, func(d *device) error { return checkDenseFilter(d, c.rows, c.in, c.out) }})
	}
	for _, rows := range []int{20, 36, 52, 84, 100, 116, 150} { // the same of the filter's gradient
		list = append(list, check{"dense_bwd_filter", fmt.Sprintf("%d rows", rows), func(d *device) error { return checkDenseFilter(d, rows, 64, 10) }})
	}
	for _, c := range []struct {
		rows, features int
		p              float32
	}{{3, 4096, 0.5}, {5, 136, 0.3}, {2, 2048, 0}} {
		what := fmt.Sprintf("%+v", c)
		list = append(list,
			check{"dropout_fwd", what, func(d *device) error { return checkDropout(d, c.rows, c.features, c.p) }},
			check{"dropout_bwd", what, func(d *device) error {
				return checkDropoutBackward(d, c.rows, c.features, c.p, d.activations(c.rows*c.features))
			}})
	}
	list = append(list,
		check{"dropout_fwd", "at the brinks", func(d *device) error {
			return atBrinks(1, 8, func(p float32) error { return checkDropout(d, 1, 8, p) })
		}},
		check{"dropout_bwd", "at the brinks", func(d *device) error {
			return atBrinks(1, 8, func(p float32) error { return checkDropoutBackward(d, 1, 8, p, slices.Repeat([]float64{1}, 8)) })
		}})
	for _, c := range []struct {
		rows, classes int
		smoothing     float32
		diverged      bool
	}{{5, 10, 0, false}, {70, 10, 0.1, false}, {100, 45, 0.2, false}, {4, 11, 0, false}, {1025, 2, 0, false}, {3, 10, 0, true}} {
		what := fmt.Sprintf("%+v", c)
		list = append(list, check{"loss_forward", what, func(d *device) error { return checkLoss(d, c.rows, c.classes, c.smoothing, c.diverged) }})
		if !c.diverged {
			list = append(list, check{"loss_backward", what, func(d *device) error { return checkLossBackward(d, c.rows, c.classes, c.smoothing) }})
		}
	}
	return append(list,
		check{"loss_forward", "with no place for the results", checkBareLoss},
		check{"loss_forward", "sums to the last bit", checkLossSum})
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
	return uint32(math.Round(float64(p) * (1 << 24))), float32(1 / (1 - float64(p)))
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

// atBrinks calls f with probabilities at which the processor just keeps a feature
// and just drops it: one in each row and each place of eight, as the kernels go
// through the features. There all bits of the feature's hash matter.
func atBrinks(rows, features int, f func(p float32) error) error {
	const all = 1 << 24 // probabilities there are
	src, dst := slices.Repeat([]float32{1}, rows*features), make([]float32, rows*features)
	workers := kernel.NewWorkers(1)
	defer workers.Close()
	for at := range 8 * rows {
		row, place := at/8, at%8
		drops := all // at the least probability, so that what is kept is not multiplied by much
		for i := place; i < features; i += 8 {
			n := sort.Search(all-1, func(n int) bool {
				kernel.DropoutRows(workers, dst, src, rows, features, float32(n)/all, dropoutKey)
				return dst[row*features+i] == 0
			})
			drops = min(drops, n)
		}
		for _, n := range []int{drops - 1, drops} {
			if err := f(float32(n) / all); err != nil {
				return fmt.Errorf("row %d, feature %d of 8, at probability %d of %d: %w", row, place, n, all, err)
			}
		}
	}
	return nil
}

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

// v is what went into the dropout.
func checkDropoutBackward(d *device, rows, features int, p float32, v []float64) error {
	g := d.normal(rows*features, 1)
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

// lossCase makes logits and labels. In every other row many logits are equal, in
// the others each class is the largest by turns. Most labels are the largest, the
// first of equal ones, so that it shows which one was taken for it.
func lossCase(d *device, rows, classes int) ([]float32, []int32) {
	logits, labels := make([]float32, rows*classes), make([]int32, rows)
	for r := range labels {
		row := logits[r*classes:][:classes]
		for c := range row {
			row[c] = float32(d.rand.NormFloat64() * 2)
			if r%2 == 1 {
				row[c] = float32(d.rand.IntN(3))
			}
		}
		if r%2 == 0 {
			row[r/2%classes] += 8
		}
		labels[r] = int32(slices.Index(row, slices.Max(row)))
		if r%4 == 3 {
			labels[r] = int32(d.rand.IntN(classes))
		}
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

// checkLossSum takes rows whose losses float32 holds exactly, more than the block
// has threads, so that their sum must be right to the last bit.
func checkLossSum(d *device) error {
	const rows, classes = 1025, 2
	logits, labels := make([]float32, rows*classes), make([]int32, rows)
	want := 0.0
	for r := range rows {
		loss := 128 + 64*d.rand.Float32() // e^-128 is nothing beside 1
		logits[r*classes+1], labels[r] = -loss, 1
		want += float64(loss)
	}
	total, none := d.words(0, 0, 0, 0, 1, 0, 0, 0), uint64(0)
	if err := d.launch("loss_forward", 1, 1, 0, d.empty(4*len(logits)), d.floats(widen(logits)), d.labels(labels), none, none, total, none,
		d.step(step{rows: rows}), classes, float32(0)); err != nil {
		return err
	}
	p := make([]byte, 32)
	if err := d.mem.Peek(total, p); err != nil {
		return err
	}
	return same("sum of losses", []float64{math.Float64frombits(binary.LittleEndian.Uint64(p))}, []float64{want}, 0)
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
