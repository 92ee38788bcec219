package cuda

import (
	"encoding/binary"
	"fmt"
	"math"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// matrix is a parameter that Muon is to update, for the table of its kernels.
type matrix struct {
	x, g, m                *nn.Buffer
	rate, momentum, decay  float32
	rows, columns, inParts int
}

// matrixWork is the memory in which a matrix is made orthogonal.
type matrixWork struct {
	u     [2]driver.Pointer // bfloat16 [rows][columns]
	a     driver.Pointer    // float32 [parts][columns][columns]
	b     driver.Pointer    // bfloat16 [columns][columns]
	scale driver.Pointer    // one float
}

// The kernels' side of it.
const (
	muonSteps       = 5
	muonTile        = 64
	muonRowsPerPart = 576 // of the sum that is the matrix's square
)

// Muon notes a filter for the next launches.
func (b *Backend) Muon(x, g, m *nn.Buffer, lr, scale float64, momentum, decay float32) {
	b.begin(x)
	shape := x.Shape()
	columns := shape[len(shape)-1]
	rows := x.Len / columns
	factor := b.rate(float32(lr))
	u := &b.updates
	u.changed = append(u.changed, at(x))
	u.matrices = append(u.matrices, matrix{
		x: x, g: g, m: m, rate: factor * float32(scale), momentum: momentum, decay: decay,
		rows: rows, columns: columns, inParts: divide(rows, muonRowsPerPart),
	})
}

// updateMatrices launches Muon's kernels.
func (b *Backend) updateMatrices(list []matrix, flag driver.Pointer) {
	var table []byte
	le := binary.LittleEndian
	var begin, gram, poly, apply, widest int
	for _, m := range list {
		w := b.matrixWork(m)
		if b.err != nil {
			return
		}
		for _, p := range []driver.Pointer{at(m.x), at(m.g), at(m.m), b.copies[at(m.x)], w.u[0], w.u[1], w.a, w.b, w.scale} {
			table = le.AppendUint64(table, uint64(p))
		}
		for _, v := range []uint32{
			uint32(m.rows), uint32(m.columns), 1, uint32(m.x.Len), uint32(m.inParts), // the gradient is in one part
			uint32(begin), uint32(gram), uint32(poly), uint32(apply),
			math.Float32bits(m.rate), math.Float32bits(m.momentum), math.Float32bits(m.decay),
		} {
			table = le.AppendUint32(table, v)
		}
		across := divide(m.columns, muonTile)
		begin += divide(m.x.Len, tensorPerBlock)
		gram += across * across * m.inParts
		poly += across * across
		apply += divide(m.rows, muonTile) * across
		widest = max(widest, m.columns)
	}
	shared := b.kernels["muon_poly"].Shared(widest)
	if have := b.Device().SharedMemory; shared > have {
		b.fail(fmt.Errorf("nn/cuda: Muon of %d filters needs %d KiB of a multiprocessor's memory, %s has %d: take another --optimizer, or train on the processor (--device cpu)",
			widest, shared>>10, b.Device().Name, have>>10))
		return
	}
	where, count := b.place(table), uint32(len(list))
	args := func() *driver.Args { return b.updates.args.Reset().Pointer(where).U32(count) }
	b.put("muon_begin", begin, 1, 0, args().Pointer(flag))
	for i := range muonSteps {
		from := uint32(i % 2)
		b.put("muon_gram", gram, 1, 0, args().Pointer(flag).U32(from))
		b.put("muon_poly", poly, 1, shared, args().Pointer(flag).U32(one(i == 0)))
		b.put("muon_apply", apply, 1, 0, args().Pointer(b.current).Pointer(flag).U32(from).U32(one(i == muonSteps-1)))
	}
}

// matrixWork returns the memory for a matrix, which is kept.
func (b *Backend) matrixWork(m matrix) matrixWork {
	u := &b.updates
	if w, ok := u.work[at(m.x)]; ok {
		return w
	}
	var w matrixWork
	square := m.columns * m.columns
	for _, x := range []struct {
		p     *driver.Pointer
		bytes int
	}{{&w.u[0], 2 * m.x.Len}, {&w.u[1], 2 * m.x.Len}, {&w.a, 4 * square * m.inParts}, {&w.b, 2 * square}, {&w.scale, 4}} {
		var err error
		if *x.p, err = b.alloc(x.bytes); err != nil {
			b.fail(err)
			w.free(b)
			return w
		}
	}
	u.work[at(m.x)] = w
	return w
}

// forget gives the memory for a parameter's matrix back.
func (u *updates) forget(b *Backend, x driver.Pointer) {
	if w, ok := u.work[x]; ok {
		delete(u.work, x)
		w.free(b)
	}
}

// free gives the memory back, as much of it as there is.
func (w matrixWork) free(b *Backend) {
	for _, p := range []driver.Pointer{w.u[0], w.u[1], w.a, w.b, w.scale} {
		b.free(p)
	}
}
