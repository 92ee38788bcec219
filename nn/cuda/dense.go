package cuda

import (
	"cifartui/nn"
)

// Dense computes y = x w^T + bias.
func (b *Backend) Dense(y, x, w, bias *nn.Buffer, rows int) {
	b.rows(rows)
	out, in, images := w.Shape()[0], w.Shape()[1], x.Shape()[0]
	name, r := "dense_fwd_r1", 1
	if images >= 4*b.Device().SMs {
		name, r = "dense_fwd_r4", 4
	}
	b.launch(name, divide(images, r), 1, 0, b.args().
		Pointer(at(y)).Pointer(at(x)).Pointer(at(w)).Pointer(at(bias)).Pointer(b.current).U32(uint32(in)).U32(uint32(out)))
}

// DenseBackwardData computes dx = dy w.
func (b *Backend) DenseBackwardData(dx, dy, w *nn.Buffer, rows int) {
	b.rows(rows)
	out, in, images := w.Shape()[0], w.Shape()[1], dx.Shape()[0]
	b.launch("dense_bwd_data", divide(in, 1024), divide(images, 8), 0, b.args().
		Pointer(at(dx)).Pointer(at(dy)).Pointer(at(w)).Pointer(b.current).U32(uint32(in)).U32(uint32(out)))
}

// DenseBackwardFilter computes dw = dy^T x and db, the sum of dy.
func (b *Backend) DenseBackwardFilter(dw, db, x, dy *nn.Buffer, rows int) {
	b.rows(rows)
	out, in, images := dw.Shape()[0], dw.Shape()[1], x.Shape()[0]
	defer b.branched(images)()
	b.launch("dense_bwd_filter", divide(in, 64), divide(out, 10), 0, b.args().
		Pointer(at(dw)).Pointer(at(db)).Pointer(at(x)).Pointer(at(dy)).Pointer(b.current).U32(uint32(in)).U32(uint32(out)))
}
