package proof

import (
	"encoding/binary"
	"fmt"
	"math"

	"cifartui/nn/kernel"
)

// optimChecks are those of the optimisers, on three parameters of odd sizes,
// against the processor's from the same gradients.
func optimChecks() []check {
	var list []check
	for _, stop := range []bool{false, true} {
		list = append(list, check{"adadelta", fmt.Sprintf("the loss is not finite: %v", stop), func(d *device) error { return checkAdadelta(d, stop) }})
	}
	for _, decoupled := range []bool{false, true} {
		what := fmt.Sprintf("decoupled %v", decoupled)
		list = append(list,
			check{"sgd", what, func(d *device) error { return checkSGD(d, decoupled) }},
			check{"adam", what, func(d *device) error { return checkAdam(d, decoupled) }})
	}
	return append(list, check{"average", "", checkAverage})
}

// tensors are parameters with gradients in parts, on both sides.
type tensors struct {
	d           *device
	list        []parameter
	table, flag uint64
	blocks      int
}

type parameter struct {
	n, parts       int
	x, g, s0, s1   []float32 // g is the sum of the parts
	atX, atG       uint64
	at0, at1, copy uint64
}

const momentum, decay = 0.9, 0.01

// positive makes a state's values, which are none of them negative.
func (d *device) random32(n int, positive bool) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(d.rand.NormFloat64())
		if positive {
			v[i] *= v[i]
		}
	}
	return v
}

func newTensors(d *device, stop bool) *tensors {
	t := &tensors{d: d}
	le := binary.LittleEndian
	var table []byte
	for i, n := range []int{1000, 5, 1025} {
		p := parameter{n: n, parts: []int{1, 27, 11}[i], x: d.random32(n, false), s0: d.random32(n, true), s1: d.random32(n, true)}
		stride := n + 3
		parts := d.random32(stride*p.parts, false)
		p.g = append(p.g, parts[:n]...)
		for k := 1; k < p.parts; k++ {
			for j := range p.g {
				p.g[j] += parts[k*stride+j]
			}
		}
		p.atX, p.atG, p.at0, p.at1 = d.floats(widen(p.x)), d.floats(widen(parts)), d.floats(widen(p.s0)), d.floats(widen(p.s1))
		if i != 1 {
			p.copy = d.empty(2 * n)
			if stop {
				p.copy = d.bytes(make([]byte, 2*n))
			}
		}
		for _, a := range []uint64{p.atX, p.atG, p.at0, p.at1, p.copy} {
			table = le.AppendUint64(table, a)
		}
		for _, v := range []uint32{uint32(n), uint32(p.parts), uint32(stride), uint32(t.blocks), math.Float32bits(rateOf(i)), math.Float32bits(momentum), math.Float32bits(decay), 0, 0, 0} {
			table = le.AppendUint32(table, v)
		}
		t.blocks += blocks(n, 1024)
		t.list = append(t.list, p)
	}
	t.table = d.bytes(table)
	t.flag = d.words(0)
	if stop {
		t.flag = d.words(1)
	}
	return t
}

// rateOf is parameter i's factor of the learning rate.
func rateOf(i int) float32 { return float32(i + 1) }

// check compares with what the processor made of the same parameters: to the
// bit in plain Go, whose operations the kernels repeat one by one.
func (t *tensors) check(update func(i int, p *parameter)) error {
	for i := range t.list {
		p := &t.list[i]
		update(i, p)
		for _, part := range []struct {
			what string
			at   uint64
			want []float32
		}{{"x", p.atX, p.x}, {"first state", p.at0, p.s0}, {"second state", p.at1, p.s1}} {
			have, err := t.d.getFloats(part.at, p.n)
			if err != nil {
				return err
			}
			if err := same(fmt.Sprintf("%s of parameter %d", part.what, i), have, widen(part.want), 1e-6); err != nil {
				return err
			}
			if part.what != "x" || p.copy == 0 {
				continue
			}
			for j := range have {
				have[j] = round(have[j])
			}
			copied, err := t.d.getBF16(p.copy, p.n)
			if err != nil {
				return err
			}
			if err := same(fmt.Sprintf("copy of parameter %d", i), copied, have, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

const learningRate = 0.5

func checkAdadelta(d *device, stop bool) error {
	t := newTensors(d, stop)
	if err := d.launch("adadelta", t.blocks, 1, 0, t.table, len(t.list), d.step(step{rows: 1, lr: learningRate}), t.flag, float32(0.95), float32(1e-7)); err != nil {
		return err
	}
	if stop {
		for i, p := range t.list {
			have, err := d.getFloats(p.atX, p.n)
			if err != nil {
				return err
			}
			if err := same(fmt.Sprintf("x of parameter %d", i), have, widen(p.x), 0); err != nil {
				return err
			}
		}
		return nil
	}
	w := kernel.NewWorkers(1)
	defer w.Close()
	return t.check(func(i int, p *parameter) {
		kernel.Adadelta(w, p.x, p.g, p.s0, p.s1, learningRate*rateOf(i), 0.95, 1e-7)
	})
}

func checkSGD(d *device, decoupled bool) error {
	t := newTensors(d, false)
	flag := 0
	if decoupled {
		flag = 1
	}
	if err := d.launch("sgd", t.blocks, 1, 0, t.table, len(t.list), d.step(step{rows: 1, lr: learningRate}), t.flag, flag); err != nil {
		return err
	}
	w := kernel.NewWorkers(1)
	defer w.Close()
	return t.check(func(i int, p *parameter) {
		kernel.SGD(w, p.x, p.g, p.s0, learningRate*rateOf(i), momentum, decay, decoupled)
	})
}

func checkAdam(d *device, decoupled bool) error {
	t := newTensors(d, false)
	flag := 0
	if decoupled {
		flag = 1
	}
	const beta1, beta2, eps, bias1, bias2 = 0.9, 0.999, 1e-8, 0.271, 0.002997
	if err := d.launch("adam", t.blocks, 1, 0, t.table, len(t.list), d.step(step{rows: 1, lr: learningRate, bias1: bias1, bias2: bias2}), t.flag,
		float32(beta1), float32(beta2), float32(eps), flag); err != nil {
		return err
	}
	w := kernel.NewWorkers(1)
	defer w.Close()
	return t.check(func(i int, p *parameter) {
		kernel.Adam(w, p.x, p.g, p.s0, p.s1, learningRate*rateOf(i), beta1, beta2, eps, bias1, bias2, decay, decoupled)
	})
}

func checkAverage(d *device) error {
	t := newTensors(d, false)
	if err := d.launch("average", t.blocks, 1, 0, t.table, len(t.list), d.words(0), float32(0.25)); err != nil {
		return err
	}
	w := kernel.NewWorkers(1)
	defer w.Close()
	for i, p := range t.list {
		have, err := d.getFloats(p.atX, p.n)
		if err != nil {
			return err
		}
		source, err := d.getFloats(p.atG, p.n) // the first part: averages take no others
		if err != nil {
			return err
		}
		for j, s := range source {
			p.x[j] += 0.25 * (float32(s) - p.x[j])
		}
		if err := same(fmt.Sprintf("average %d", i), have, widen(p.x), 1e-6); err != nil {
			return err
		}
	}
	return nil
}
