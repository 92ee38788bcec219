package nn

import (
	"errors"
	"fmt"
	"slices"
)

// Network is a network's parameters, on a backend. The graphs made from it
// share them.
type Network struct {
	spec   Spec
	on     Backend
	params []param // weights and bias of each layer, in order
}

// param is a parameter and its name outside.
type param struct {
	name   string
	frozen bool
	*Buffer
}

// New makes a network with initial values drawn from seed: weights as the
// Spec's Initializer says, zero biases. The backend stays the caller's, to close
// after everything that was made on it.
func New(b Backend, s Spec, seed uint64) (*Network, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	n := &Network{spec: s, on: b, params: describeParams(s)}
	for i, p := range n.params {
		if err := p.ensure(b); err != nil {
			for _, taken := range n.params[:i] {
				b.Free(taken.Memory)
			}
			return nil, fmt.Errorf("nn: memory for %s: %w", p.name, err)
		}
	}
	return n, n.SetWeights(initialValues(n.params, s.Initializer, seed))
}

// describeParams lists the parameters of s, without memory.
func describeParams(s Spec) []param {
	var ps []param
	add := func(l Layer, w *Buffer, o *order) {
		b := newBuffer(o.shape[0])
		w.order, b.order = o, plainOrder(o.shape[0])
		ps = append(ps, param{l.Name + ".weight", l.Frozen, w}, param{l.Name + ".bias", l.Frozen, b})
	}
	in, side := imageChannels, s.Size>>len(s.Filters)
	for _, l := range s.Layers() {
		switch l.Kind {
		case Conv2D:
			out := l.Out[2]
			add(l, newBuffer(3, 3, in, out), convOrder(in, out))
			in = out
		case Dense:
			out := l.Out[2]
			add(l, newBuffer(out, side*side*in), denseOrder(out, side, side, in))
			in, side = out, 1
		}
	}
	return ps
}

// Weights returns copies of the parameters, which SetWeights takes back bit
// for bit. The error is the backend's.
func (n *Network) Weights() ([]Tensor, error) {
	ts := make([]Tensor, len(n.params))
	for i, p := range n.params {
		var err error
		if ts[i], err = export(n.on, p.name, p.Buffer); err != nil {
			return nil, err
		}
	}
	return ts, nil
}

// SetWeights sets the parameters, given in any order. It checks all names and
// shapes before it changes anything.
func (n *Network) SetWeights(ts []Tensor) error {
	if err := fits(n.params, ts); err != nil {
		return err
	}
	for _, p := range n.params {
		i := slices.IndexFunc(ts, func(t Tensor) bool { return t.Name == p.name })
		if err := load(n.on, p.Buffer, ts[i]); err != nil {
			return err
		}
	}
	return nil
}

// Follow moves n's parameters towards those of another network of the same Spec
// and backend: n += part (other - n). Called after each step with one part, it
// makes n the exponential moving average of the other. Frozen layers, which are
// the same in both, are left out.
func (n *Network) Follow(other *Network, part float64) error {
	if n.on != other.on || !slices.EqualFunc(n.params, other.params, func(a, b param) bool {
		return a.name == b.name && a.shape.Eq(b.shape)
	}) {
		return errors.New("nn: only networks of one shape on one backend can be averaged")
	}
	for i, p := range n.params {
		if p.frozen {
			continue
		}
		n.on.Average(p.Buffer, other.params[i].Buffer, float32(part))
		p.version++
	}
	return nil
}

// index finds tensors by name and refuses repeated names.
func index(ts []Tensor) (map[string]Tensor, error) {
	byName := make(map[string]Tensor, len(ts))
	for _, t := range ts {
		if _, ok := byName[t.Name]; ok {
			return nil, fmt.Errorf("nn: there are two tensors named %s: the file is damaged", t.Name)
		}
		byName[t.Name] = t
	}
	return byName, nil
}
