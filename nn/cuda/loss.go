package cuda

import (
	"encoding/binary"
	"math"
	"unsafe"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// NewLoss makes the loss of a batch.
func (b *Backend) NewLoss(batch, classes int, smoothing float32) (nn.Loss, error) {
	l := &loss{on: b, batch: batch, classes: classes, smoothing: smoothing, host: make([]float32, batch*classes)}
	var err error
	for _, m := range []struct {
		p     *driver.Pointer
		bytes int
	}{{&l.prob, 4 * batch * classes}, {&l.flag, 4}, {&l.rowsOf, rowBytes*batch + 4}} {
		if *m.p, err = b.alloc(m.bytes); err != nil {
			l.Close()
			return nil, err
		}
	}
	if l.ring, err = b.ctx.AllocHost(ringSlots * outcomeBytes); err != nil {
		l.Close()
		return nil, b.explain(err)
	}
	return l, nil
}

// loss is softmax and cross-entropy on the GPU. Its results lie in a ring of
// memory of the host, one slot a step under way.
type loss struct {
	on        *Backend
	batch     int
	classes   int
	smoothing float32 // of the labels
	prob      driver.Pointer
	flag      driver.Pointer // set from the first loss on that is not finite
	rowsOf    driver.Pointer // what each row adds to the loss, and a count of blocks: see fuse.go
	ring      driver.HostMemory
	rows      int // of the last Forward
	host      []float32
}

// outcome is what a step found: struct Result of the kernels.
type outcome struct {
	sum      float64 // of the losses
	correct  int
	finite   bool // the sum, as a float32
	sequence uint64
}

// The sizes of the kernels' structs Result and Part.
const (
	outcomeBytes = 32
	rowBytes     = 16
)

// outcome reads a slot of the ring.
func (l *loss) outcome(slot uint32) outcome {
	v := l.ring.Bytes[slot*outcomeBytes:]
	return outcome{
		sum:      math.Float64frombits(binary.LittleEndian.Uint64(v)),
		correct:  int(binary.LittleEndian.Uint32(v[8:])),
		finite:   binary.LittleEndian.Uint32(v[16:]) != 0,
		sequence: binary.LittleEndian.Uint64(v[24:]),
	}
}

func (l *loss) Forward(to, logits, labels *nn.Buffer, rows int) {
	b := l.on
	b.rows(rows)
	l.rows = rows
	flag := l.flag
	if b.tape == nil {
		flag = 0 // the host looks at the loss itself, and nobody would clear it
	}
	b.launch("loss_forward", 1, 1, 0, b.args().
		Pointer(l.prob).Pointer(at(logits)).Pointer(at(labels)).Pointer(at(to)).Pointer(l.ring.Device).Pointer(0).Pointer(flag).
		Pointer(b.current).U32(uint32(l.classes)).F32(l.smoothing))
	if b.tape != nil {
		b.tape.loss = l
	}
}

func (l *loss) Backward(dlogits, labels *nn.Buffer, rows int, scale float32) {
	b := l.on
	b.rows(rows)
	b.launch("loss_backward", divide(l.batch*l.classes, 256), 1, 0, b.args().
		Pointer(at(dlogits)).Pointer(l.prob).Pointer(at(labels)).Pointer(b.current).U32(uint32(l.classes)).F32(l.smoothing).F32(scale))
}

func (l *loss) Result() (float64, int, error) {
	if err := l.on.Sync(); err != nil {
		return 0, 0, err
	}
	o := l.outcome(l.on.have.slot)
	return o.sum, o.correct, nil
}

func (l *loss) Probabilities() ([]float32, error) {
	p := l.host[:l.rows*l.classes]
	if len(p) == 0 {
		return p, nil
	}
	l.on.update()
	return p, l.on.settle(l.on.ctx.Download(unsafe.Pointer(&p[0]), l.prob, 4*len(p), l.on.stream))
}

func (l *loss) Close() {
	l.on.queue.forget(l.on, l)
	l.on.free(l.prob)
	l.on.free(l.flag)
	l.on.free(l.rowsOf)
	if l.ring.Bytes == nil {
		return
	}
	if err := l.on.ctx.FreeHost(l.ring); err != nil {
		l.on.fail(err)
	}
}
