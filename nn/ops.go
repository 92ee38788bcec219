package nn

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Pass says when in a step something runs.
type Pass string

// The passes of a training step, in order.
const (
	Input     Pass = "input"     // images and labels to the backend's layout
	Weights   Pass = "weights"   // kernels transform changed weights
	Forward   Pass = "forward"   // to the loss
	Backward  Pass = "backward"  // to the gradients
	Optimizer Pass = "optimizer" // gradients to weights
)

// batchState is what the operations of one graph share and what changes from
// run to run.
type batchState struct {
	on   Backend
	rows int    // valid images of the batch
	key  uint64 // of dropout
}

// defers reports whether filters' gradients may run late.
func (b *batchState) defers() bool {
	d, ok := b.on.(Deferrer)
	return ok && d.DefersFilters(b.rows)
}

// operation is a gorgonia.Op of this package. It writes its result to one
// Buffer that it keeps: the planner gives it one, which other operations may
// share at other times, or else it makes its own when it first runs, as on a
// TapeMachine.
type operation interface {
	gorgonia.Op
	common() *op
	// prepare makes kernels and workspaces. It runs once, before run.
	prepare() error
	// run computes the result. The inputs are those given to ApplyOp.
	run(in []gorgonia.Value) error
	// release gives back what prepare made.
	release()
}

// op is what the operations have in common.
type op struct {
	batch *batchState
	layer string
	role  string // what it computes for the layer; with layer, unique in the graph
	pass  Pass
	out   *Buffer     // the result; without memory until prepared
	types []valueKind // of the inputs and, last, of the result
	self  operation
	ready bool
}

// valueKind is a value's type, as far as the type system has to know it.
type valueKind int

const (
	scalar   valueKind = 0 // others are the number of dimensions of an array of floats
	classIDs valueKind = -1
)

func (k valueKind) hmType() hm.Type {
	switch k {
	case scalar:
		return tensor.Float32
	case classIDs:
		return gorgonia.TensorType{Dims: 1, Of: tensor.Int32}
	default:
		return gorgonia.TensorType{Dims: int(k), Of: tensor.Float32}
	}
}

// apply puts an operation into the graph of its inputs. result describes what
// it computes.
func apply(self operation, batch *batchState, layer, role string, pass Pass, result *Buffer, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	o := self.common()
	*o = op{batch: batch, layer: layer, role: role, pass: pass, out: result, self: self}
	for _, n := range in {
		if n.Dtype() == tensor.Int32 {
			o.types = append(o.types, classIDs)
		} else {
			o.types = append(o.types, valueKind(n.Dims()))
		}
	}
	o.types = append(o.types, valueKind(result.shape.Dims()))
	n, err := gorgonia.ApplyOp(self, in...)
	if err != nil {
		return nil, fmt.Errorf("nn: build %v: %w", o, err)
	}
	return n, nil
}

func (o *op) common() *op    { return o }
func (o *op) prepare() error { return nil }
func (o *op) release()       {}

// setup prepares the operation once and gives it memory if nobody else has.
func (o *op) setup() error {
	if o.ready {
		return nil
	}
	if err := o.out.ensure(o.batch.on); err != nil {
		return fmt.Errorf("nn: memory for %v: %w", o, err)
	}
	if err := o.self.prepare(); err != nil {
		return fmt.Errorf("nn: prepare %v: %w", o, err)
	}
	o.ready = true
	return nil
}

// Do runs the operation and returns its Buffer, the same one every time.
func (o *op) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	if !o.ready {
		if err := o.setup(); err != nil {
			return nil, err
		}
	}
	if err := o.self.run(in); err != nil {
		return nil, err
	}
	return o.out, nil
}

// Type makes a new type at every call: Gorgonia recycles what it is given.
func (o *op) Type() hm.Type {
	ts := make([]hm.Type, len(o.types))
	for i, k := range o.types {
		ts[i] = k.hmType()
	}
	return hm.NewFnType(ts...)
}

func (o *op) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return o.out.shape.Clone(), nil
}

func (o *op) Arity() int           { return len(o.types) - 1 }
func (o *op) ReturnsPtr() bool     { return true }
func (o *op) CallsExtern() bool    { return false }
func (o *op) OverwritesInput() int { return -1 }

// String is unique in the graph, and so is the hash: Gorgonia merges nodes of
// equal hashes.
func (o *op) String() string { return o.layer + "." + o.role }

func (o *op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "nn %v", o) }

func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// buffer is the input as every operation of this package makes it.
func buffer(v gorgonia.Value) *Buffer { return v.(*Buffer) }

// second is the second result of an operation that has two, of which Gorgonia
// knows one. It follows that operation, which writes to its Buffer, and has
// nothing to do itself.
type second struct{ op }

func (s *second) run([]gorgonia.Value) error { return nil }
