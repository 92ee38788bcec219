package cuda

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"cifartui/nn/cuda/driver"
)

// ringSlots is the length of the rings between host and GPU: blocks one way,
// results the other. Fewer steps than that are under way.
const ringSlots = 16

// tape is the kernels of a step, noted instead of launched.
type tape struct {
	launches []launch
	loss     *loss
}

// note adds a launch, with a copy of its arguments.
func (t *tape) note(l launch) {
	n := len(t.launches)
	var args *driver.Args
	if n < cap(t.launches) {
		t.launches = t.launches[:n+1]
		args = t.launches[n].Args
	} else {
		t.launches = append(t.launches, launch{})
	}
	if args == nil {
		args = new(driver.Args)
	}
	args.CopyFrom(l.Args)
	l.Args = args
	t.launches[n] = l
}

// same reports whether both have the same kernels with the same arguments.
func (t *tape) same(o *tape) bool {
	if len(t.launches) != len(o.launches) || t.loss != o.loss {
		return false
	}
	for i, l := range t.launches {
		m := o.launches[i]
		if l.Function != m.Function || l.lane != m.lane || l.Grid != m.Grid || l.Block != m.Block || l.Shared != m.Shared ||
			!bytes.Equal(l.Args.Bytes(), m.Args.Bytes()) {
			return false
		}
	}
	return true
}

// recording is a step that can be launched as a whole.
type recording struct {
	tape  *tape
	graph driver.Graph
}

// maxRecordings is more than the kinds of steps that alternate.
const maxRecordings = 4

// queue is the steps under way, the oldest first.
type queue struct {
	ring     driver.HostMemory // a block for each step
	counter  driver.Pointer    // on the GPU: steps begun
	launched uint64
	pending  []pending
	known    []*recording
	spare    *tape

	finished time.Time     // when the last result was there
	pace     time.Duration // from result to result
}

// pending is a step whose result has not been read.
type pending struct {
	sequence uint64
	slot     uint32
	loss     *loss
}

// open takes the memory of the ring.
func (q *queue) open(b *Backend) (err error) {
	if q.counter, err = b.alloc(4); err != nil {
		return err
	}
	q.ring, err = b.ctx.AllocHost(ringSlots * blockBytes)
	return err
}

func (q *queue) close(b *Backend) {
	for _, r := range q.known {
		_ = b.ctx.FreeGraph(r.graph)
	}
	if q.ring.Bytes != nil {
		_ = b.ctx.FreeHost(q.ring)
	}
}

// forget drops the recordings of steps of a loss that is closed, and the results
// that nobody has read: they lie in memory that goes with it.
func (q *queue) forget(b *Backend, l *loss) {
	q.pending = slices.DeleteFunc(q.pending, func(p pending) bool { return p.loss == l })
	q.known = slices.DeleteFunc(q.known, func(r *recording) bool {
		if r.tape.loss != l {
			return false
		}
		if err := b.ctx.FreeGraph(r.graph); err != nil {
			b.fail(err)
		}
		return true
	})
	b.discard() // what else they used
}

// Submit puts a step behind those under way and returns. run calls the
// backend's methods as for any step; of its losses, the last one's is what
// Finished returns. If that is not finite, neither this step nor any later one
// changes parameters, until Resume.
func (b *Backend) Submit(run func() error) error {
	q := &b.queue
	if len(q.pending) == ringSlots-1 {
		return fmt.Errorf("nn/cuda: %d steps are under way: read a result first", len(q.pending))
	}
	b.update()
	b.discard()
	t := q.spare
	if t == nil {
		t = &tape{}
	}
	q.spare = nil
	t.launches, t.loss = t.launches[:0], nil
	b.tape = t
	b.put("step_begin", 1, 1, 0, b.args().Pointer(b.current).Pointer(q.ring.Device).Pointer(q.counter).U32(ringSlots))
	err := run()
	b.update()
	b.tape = nil
	if err = b.failed(err); err != nil {
		q.spare = t
		return err
	}
	if t.loss == nil {
		return fmt.Errorf("nn/cuda: a step without a loss")
	}
	return b.failed(b.play(t))
}

// play launches what was noted.
func (b *Backend) play(t *tape) error {
	q := &b.queue
	r, err := q.find(b, t)
	if err != nil {
		return err
	}
	slot := uint32(q.launched % ringSlots)
	step := b.want
	step.slot, step.sequence = slot, q.launched+1
	step.write(q.ring.Bytes[slot*blockBytes:])
	if err := b.ctx.LaunchGraph(r.graph, b.stream); err != nil {
		return err // the GPU has counted no step either
	}
	q.launched++
	b.have = step
	q.pending = append(q.pending, pending{sequence: q.launched, slot: slot, loss: t.loss})
	return nil
}

// find returns the recording of t, a new one if there is none.
func (q *queue) find(b *Backend, t *tape) (*recording, error) {
	for _, r := range q.known {
		if r.tape.same(t) {
			q.spare = t
			return r, nil
		}
	}
	g, err := b.capture(b.fuse(t.launches, t.loss))
	if err != nil {
		return nil, fmt.Errorf("make a graph of %d kernels: %w", len(t.launches), err)
	}
	r := &recording{t, g}
	q.known = append(q.known, r)
	if len(q.known) > maxRecordings {
		oldest := q.known[0]
		q.known = q.known[1:]
		// It may still run: the driver frees it when it is done.
		if err := b.ctx.FreeGraph(oldest.graph); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// capture makes a graph of launches.
func (b *Backend) capture(list []launch) (driver.Graph, error) {
	if err := b.ctx.Capture(b.stream); err != nil {
		return 0, err
	}
	err := b.record(list)
	// Also after an error: until its end the stream does nothing but note.
	g, endErr := b.ctx.EndCapture(b.stream)
	if err == nil {
		return g, endErr
	}
	if endErr == nil { // a graph of those before the error
		_ = b.ctx.FreeGraph(g) // the first error says more
	}
	return 0, err
}

// How long a result is waited for before the GPU is asked whether it still
// lives, and how long the host sleeps between two looks.
const (
	lookPause = 20 * time.Microsecond
	lifeCheck = 20 * time.Millisecond
)

// Finished waits for the oldest step under way and returns its losses, summed,
// and how many rows had their label as the largest logit.
func (b *Backend) Finished() (sum float64, correct int, err error) {
	q := &b.queue
	if len(q.pending) == 0 {
		return 0, 0, fmt.Errorf("nn/cuda: no step is under way")
	}
	p := q.pending[0]
	q.pending = append(q.pending[:0], q.pending[1:]...)
	done := (*atomic.Uint64)(unsafe.Pointer(&p.loss.ring.Bytes[p.slot*outcomeBytes+24]))
	start := time.Now()
	for checked := start; done.Load() != p.sequence; {
		time.Sleep(lookPause)
		if now := time.Now(); now.Sub(checked) > lifeCheck {
			checked = now
			over, err := b.ctx.Idle(b.stream)
			if err != nil {
				return 0, 0, b.failed(err)
			}
			if over && done.Load() != p.sequence {
				return 0, 0, fmt.Errorf("nn/cuda: step %d has ended without a result", p.sequence)
			}
		}
	}
	now := time.Now()
	if !q.finished.IsZero() {
		q.pace = (3*q.pace + min(now.Sub(q.finished), time.Second)) / 4
	}
	q.finished = now
	o := p.loss.outcome(p.slot)
	if !o.finite && !math.IsNaN(o.sum) {
		// Beyond float32: no step has changed parameters since, so that the host must
		// not take it for a number to go on from.
		o.sum = math.Inf(1)
	}
	return o.sum, o.correct, nil
}

// patience is how much time the steps under way may take in all: a command
// waits for them.
const patience = 40 * time.Millisecond

// Ahead is how many steps should be under way: enough for the GPU never to
// wait, but few enough to be done within the time that a command may take.
func (b *Backend) Ahead() int {
	pace := b.queue.pace
	if pace <= 0 {
		return 2
	}
	return max(2, min(int(patience/pace), ringSlots/2))
}

// Resume lets steps change parameters again after a loss that was not finite.
func (b *Backend) Resume() error {
	for _, r := range b.queue.known {
		if err := b.ctx.Zero(r.tape.loss.flag, 4, b.stream); err != nil {
			return b.explain(err)
		}
	}
	return nil
}
