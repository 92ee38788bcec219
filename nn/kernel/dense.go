package kernel

// The dense layer is y = x weightsᵀ + bias with x [rows][in], weights
// [out][in], bias [out] and y [rows][out]. It is small (in the network 10
// outputs, a ten-thousandth of the step's arithmetic), so its two primitives
// are simple: the dot product and the linear combination of vectors.

// denseColumns is the number of input columns in a piece of the gradients' work.
const denseColumns = 512

// Dense is the forward pass: y = x weightsᵀ + bias.
func Dense(w *Workers, y, x, weights, bias []float32, rows, in, out int) {
	checkDense("Dense", weights, rows, in, out)
	checkLen("Dense", "y", len(y), rows*out)
	checkLen("Dense", "x", len(x), rows*in)
	checkLen("Dense", "bias", len(bias), out)
	t := &w.scratch.dense
	*t = denseTask{y, x, weights, bias, in, out}
	w.Do(rows, t)
}

func checkDense(kernel string, weights []float32, rows, in, out int) {
	check(kernel, rows >= 0 && in > 0 && out > 0, "empty dimension")
	checkLen(kernel, "weights", len(weights), in*out)
}

type denseTask struct {
	y, x, weights, bias []float32
	in, out             int
}

func (t *denseTask) Run(_, r int) {
	x := t.x[r*t.in:][:t.in]
	y := t.y[r*t.out:][:t.out]
	for o := range y {
		y[o] = active.dot(x, t.weights[o*t.in:][:t.in]) + t.bias[o]
	}
}

// DenseBackwardData is the gradient of the input: dx = dy weights.
func DenseBackwardData(w *Workers, dx, dy, weights []float32, rows, in, out int) {
	checkDense("DenseBackwardData", weights, rows, in, out)
	checkLen("DenseBackwardData", "dx", len(dx), rows*in)
	checkLen("DenseBackwardData", "dy", len(dy), rows*out)
	t := &w.scratch.denseData
	*t = denseDataTask{dx, dy, weights, in, out}
	w.Do(rows, t)
}

type denseDataTask struct {
	dx, dy, weights []float32
	in, out         int
}

func (t *denseDataTask) Run(_, r int) {
	active.combine(t.dx[r*t.in:][:t.in], t.dy[r*t.out:], 1, t.weights, t.in, t.out)
}

// DenseBackwardFilter is the gradient of the weights, dw = dyᵀ x, and of the
// bias, db = the sum of dy over the rows. Both are overwritten.
func DenseBackwardFilter(w *Workers, dw, db, x, dy []float32, rows, in, out int) {
	checkDense("DenseBackwardFilter", dw, rows, in, out)
	checkLen("DenseBackwardFilter", "db", len(db), out)
	checkLen("DenseBackwardFilter", "x", len(x), rows*in)
	checkLen("DenseBackwardFilter", "dy", len(dy), rows*out)
	t := &w.scratch.denseFilter
	*t = denseFilterTask{dw, x, dy, rows, in, out}
	w.Do((in+denseColumns-1)/denseColumns, t)
	clear(db[:out])
	for r := range rows {
		for o, v := range dy[r*out:][:out] {
			db[o] += v
		}
	}
}

type denseFilterTask struct {
	dw, x, dy     []float32
	rows, in, out int
}

func (t *denseFilterTask) Run(_, i int) {
	lo, hi := i*denseColumns, min((i+1)*denseColumns, t.in)
	for o := range t.out {
		dw := t.dw[o*t.in:][lo:hi]
		if t.rows == 0 {
			clear(dw)
			continue
		}
		active.combine(dw, t.dy[o:], t.out, t.x[lo:], t.in, t.rows)
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
