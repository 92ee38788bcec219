package cuda

import (
	"encoding/binary"
	"math"
	"strings"

	"cifartui/nn/cuda/driver"
)

// The end of the network is many small kernels, and at small batches a step is
// as much the way from one to the next as what they do. On a recorded step one
// kernel takes the place of those from dropout to the spread of the last pool's
// gradient (kernels/head.cu), to the same bits. Which those are is read off the
// recording: nn calls the backend operation by operation and knows nothing of it.

// pointer, word and float are the i-th argument.
func (l launch) pointer(i int) driver.Pointer {
	return driver.Pointer(binary.LittleEndian.Uint64(l.Args.Bytes()[l.Args.Offsets()[i]:]))
}

func (l launch) word(i int) uint32 {
	return binary.LittleEndian.Uint32(l.Args.Bytes()[l.Args.Offsets()[i]:])
}

func (l launch) float(i int) float32 { return math.Float32frombits(l.word(i)) }

// ending is the kernels that head replaces, by their place in a recording. The
// filter's gradient stays where it is, behind the first four.
type ending struct {
	dropout, dense, loss, dlogits int
	data, undrop                  int
	spread                        int // -1: stays
}

// headClasses is the most classes that head is made for.
const headClasses = 10

// fuse returns the launches of a recorded step with its end in one kernel, or as
// they are where they are not what head does.
func (b *Backend) fuse(list []launch, l *loss) []launch {
	e, ok := findEnding(list)
	if !ok || l == nil || l.classes > headClasses {
		return list
	}
	out := make([]launch, 0, len(list))
	for i, n := range list {
		switch i {
		case e.dropout:
			out = append(out, b.head(list, e, l))
		case e.dense, e.loss, e.dlogits, e.data, e.undrop, e.spread:
		default:
			out = append(out, n)
		}
	}
	return out
}

// findEnding looks for the kernels of the network's end: the first four one
// behind the other, the others with nothing but the filter's gradient between,
// each reading what the one before has written.
func findEnding(all []launch) (e ending, ok bool) {
	named := func(i int, prefix string) bool { return i < len(all) && strings.HasPrefix(all[i].kernel.Name, prefix) }
	d := 0
	for d < len(all) && all[d].kernel.Name != "dropout_fwd" {
		d++
	}
	if !named(d, "dropout_fwd") || !named(d+1, "dense_fwd_r") || !named(d+2, "loss_forward") || !named(d+3, "loss_backward") {
		return e, false
	}
	e = ending{dropout: d, dense: d + 1, loss: d + 2, dlogits: d + 3, spread: -1}
	next := d + 4
	skip := func() {
		if named(next, "dense_bwd_filter") {
			next++
		}
	}
	skip()
	if !named(next, "dense_bwd_data") {
		return e, false
	}
	e.data = next
	next++
	skip()
	if !named(next, "dropout_bwd") {
		return e, false
	}
	e.undrop = next
	next++
	skip()
	dropout, undrop, data := all[e.dropout], all[e.undrop], all[e.data]
	if next < len(all) && all[next].kernel.Name == "spread" && all[next].pointer(2) == undrop.pointer(0) && all[next].pointer(1) == 0 {
		e.spread = next
	}
	// One chain, and a gradient that overwrites nothing that is still read.
	ok = all[e.dense].pointer(1) == dropout.pointer(0) && all[e.loss].pointer(1) == all[e.dense].pointer(0) &&
		data.pointer(1) == all[e.dlogits].pointer(0) && undrop.pointer(1) == data.pointer(0) && undrop.pointer(2) == dropout.pointer(1) &&
		dropout.pointer(0) != all[e.dlogits].pointer(0) // of a frozen layer, that nobody reads again
	if e.spread < 0 {
		ok = ok && undrop.pointer(0) != dropout.pointer(0) && undrop.pointer(0) != all[e.dlogits].pointer(0)
	}
	return e, ok
}

// head makes the launch that replaces those of e.
func (b *Backend) head(all []launch, e ending, l *loss) launch {
	dropout, dense, loss, dlogits, undrop := all[e.dropout], all[e.dense], all[e.loss], all[e.dlogits], all[e.undrop]
	images := int(dropout.Grid[1])
	name, rows := "head_r1", 1
	switch sms := b.Device().SMs; {
	case images > 2*sms:
		name, rows = "head_r4", 4
	case images > sms:
		name, rows = "head_r2", 2
	}
	// Without a pool to spread it to, the gradient is 2x2 windows of one pixel.
	gradient, arg := undrop.pointer(0), driver.Pointer(0)
	lh, lw, channels := uint32(1), uint32(1), dropout.word(3)
	if e.spread >= 0 {
		s := all[e.spread]
		gradient, arg = s.pointer(0), s.pointer(3)
		lh, lw, channels = s.word(5), s.word(6), s.word(7)
	}
	k := b.kernels[name]
	args := new(driver.Args).
		Pointer(gradient).Pointer(dropout.pointer(0)).Pointer(dlogits.pointer(0)).Pointer(l.prob).
		Pointer(dropout.pointer(1)).Pointer(arg).Pointer(dense.pointer(2)).Pointer(dense.pointer(3)).Pointer(loss.pointer(2)).
		Pointer(l.rowsOf).Pointer(l.rowsOf + driver.Pointer(rowBytes*l.batch)).
		Pointer(loss.pointer(3)).Pointer(loss.pointer(4)).Pointer(loss.pointer(5)).Pointer(loss.pointer(6)).Pointer(b.current).
		U32(lh).U32(lw).U32(channels).U32(uint32(l.classes)).U32(dropout.word(4)).F32(dropout.float(5)).
		F32(l.smoothing).F32(dlogits.float(6))
	return launch{driver.Launch{
		Function: k.function, Grid: [3]uint32{uint32(divide(images, rows))}, Block: [3]uint32{uint32(k.Block)}, Args: args,
	}, k, chain}
}
