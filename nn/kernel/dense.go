package kernel

// A dense layer is y = x weightsᵀ + bias with x [rows][in], weights [out][in],
// bias [out] and y [rows][out]. It is small (the last one a ten-thousandth of the
// step's arithmetic, a hidden one of 128 units a third of a hundredth), so its
// two primitives are simple: the dot product and the linear combination of
// vectors. How the work is cut changes no bit.

// denseColumns is the number of input columns in a piece of the gradients' work.
const denseColumns = 512

// denseBlock is the rows, and the outputs, of a piece of work where there are more
// outputs than that: then the weights are read from memory once for so many rows.
// Else a piece is a row.
const denseBlock = 16

// denseRows is the rows of a piece of work of a layer.
func denseRows(out int) int {
	if out <= denseBlock {
		return 1
	}
	return denseBlock
}

// densePad keeps rows that are packed apart: as they lie in a layer they are often
// a multiple of 4 KiB from each other, and the first-level cache has room for
// eight such.
const densePad = 16

// packColumns copies n rows of src, stride values apart, from column lo to hi to
// dst, and returns how far apart they are there.
func packColumns(dst, src []float32, stride, n, lo, hi int) int {
	wide := hi - lo + densePad
	for k := range n {
		copy(dst[k*wide:], src[k*stride+lo:k*stride+hi])
	}
	return wide
}

// packed returns a worker's memory for n rows that are packed.
func (w *Workers) packed(worker, n int) []float32 {
	size := n * (denseColumns + densePad)
	return w.workspace[worker*size:][:size]
}

// reservePacked makes that memory.
func (w *Workers) reservePacked(n int) { w.reserve(w.N() * n * (denseColumns + densePad)) }

func divideUp(a, b int) int { return (a + b - 1) / b }

// Dense is the forward pass: y = x weightsᵀ + bias.
func Dense(w *Workers, y, x, weights, bias []float32, rows, in, out int) {
	checkDense("Dense", weights, rows, in, out)
	checkLen("Dense", "y", len(y), rows*out)
	checkLen("Dense", "x", len(x), rows*in)
	checkLen("Dense", "bias", len(bias), out)
	t := &w.scratch.dense
	*t = denseTask{y, x, weights, bias, rows, in, out}
	w.Do(divideUp(rows, denseRows(out))*divideUp(out, denseBlock), t)
}

func checkDense(kernel string, weights []float32, rows, in, out int) {
	check(kernel, rows >= 0 && in > 0 && out > 0, "empty dimension")
	checkLen(kernel, "weights", len(weights), in*out)
}

type denseTask struct {
	y, x, weights, bias []float32
	rows, in, out       int
}

func (t *denseTask) Run(_, i int) {
	blocks, some := divideUp(t.out, denseBlock), denseRows(t.out)
	row, output := i/blocks*some, i%blocks*denseBlock
	for o := output; o < min(output+denseBlock, t.out); o++ {
		weights := t.weights[o*t.in:][:t.in]
		for r := row; r < min(row+some, t.rows); r++ {
			t.y[r*t.out+o] = active.dot(t.x[r*t.in:][:t.in], weights) + t.bias[o]
		}
	}
}

// DenseBackwardData is the gradient of the input: dx = dy weights.
func DenseBackwardData(w *Workers, dx, dy, weights []float32, rows, in, out int) {
	checkDense("DenseBackwardData", weights, rows, in, out)
	checkLen("DenseBackwardData", "dx", len(dx), rows*in)
	checkLen("DenseBackwardData", "dy", len(dy), rows*out)
	t := &w.scratch.denseData
	*t = denseDataTask{w, dx, dy, weights, rows, in, out}
	if out > denseBlock {
		w.reservePacked(out)
	}
	w.Do(divideUp(rows, denseRows(out))*divideUp(in, denseColumns), t)
}

type denseDataTask struct {
	w               *Workers
	dx, dy, weights []float32
	rows, in, out   int
}

func (t *denseDataTask) Run(worker, i int) {
	pieces, some := divideUp(t.in, denseColumns), denseRows(t.out)
	row, lo := i/pieces*some, i%pieces*denseColumns
	hi := min(lo+denseColumns, t.in)
	weights, stride := t.weights[lo:], t.in
	if some > 1 {
		weights = t.w.packed(worker, t.out)
		stride = packColumns(weights, t.weights, t.in, t.out, lo, hi)
	}
	for r := row; r < min(row+some, t.rows); r++ {
		active.combine(t.dx[r*t.in:][lo:hi], t.dy[r*t.out:], 1, weights, stride, t.out)
	}
}

// DenseBackwardFilter is the gradient of the weights, dw = dyᵀ x, and of the
// bias, db = the sum of dy over the rows. Both are overwritten.
func DenseBackwardFilter(w *Workers, dw, db, x, dy []float32, rows, in, out int) {
	checkDense("DenseBackwardFilter", dw, rows, in, out)
	checkLen("DenseBackwardFilter", "db", len(db), out)
	checkLen("DenseBackwardFilter", "x", len(x), rows*in)
	checkLen("DenseBackwardFilter", "dy", len(dy), rows*out)
	t := &w.scratch.denseFilter
	*t = denseFilterTask{w, dw, x, dy, rows, in, out}
	w.reservePacked(rows)
	w.Do(divideUp(in, denseColumns), t)
	clear(db[:out])
	for r := range rows {
		for o, v := range dy[r*out:][:out] {
			db[o] += v
		}
	}
}

type denseFilterTask struct {
	w             *Workers
	dw, x, dy     []float32
	rows, in, out int
}

func (t *denseFilterTask) Run(worker, i int) {
	lo, hi := i*denseColumns, min((i+1)*denseColumns, t.in)
	x := t.w.packed(worker, t.rows)
	stride := packColumns(x, t.x, t.in, t.rows, lo, hi)
	for o := range t.out {
		dw := t.dw[o*t.in:][lo:hi]
		if t.rows == 0 {
			clear(dw)
			continue
		}
		active.combine(dw, t.dy[o:], t.out, x, stride, t.rows)
	}
}

func dotGeneric(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 && len(y) >= 4 {
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		x, y = x[4:], y[4:]
	}
	y = y[:len(x)]
	for i, v := range x {
		s0 += v * y[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func combineGeneric(dst, coef []float32, coefStride int, src []float32, srcStride, n int) {
	clear(dst)
	for k := range n {
		c := coef[k*coefStride]
		row := src[k*srcStride:][:len(dst)]
		for i, v := range row {
			dst[i] += c * v
		}
	}
}
