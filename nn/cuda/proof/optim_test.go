package proof

import (
	"encoding/binary"
	"fmt"
	"math"

	"cifartui/nn/kernel"
)

// optimChecks are those of the optimisers, on many parameters of odd sizes,
// against the processor's from the same gradients.
func optimChecks() []check {
	list := []check{{"adadelta", "", checkAdadelta}}
	for _, decoupled := range []bool{false, true} {
		what := fmt.Sprintf("decoupled %v", decoupled)
		list = append(list,
			check{"sgd", what, func(d *device) error { return checkSGD(d, decoupled) }},
			check{"adam", what, func(d *device) error { return checkAdam(d, decoupled) }})
	}
	list = append(list, check{"average", "", checkAverage})
	for _, c := range []struct {
		name string
		rest []any // arguments behind the flag
	}{
		{"adadelta", []any{float32(0.95), float32(1e-7)}},
		{"sgd", []any{0}},
		{"adam", []any{float32(0.9), float32(0.999), float32(1e-8), 0}},
	} {
		list = append(list, check{c.name, "after a loss that is not finite", func(d *device) error {
			return checkStopped(d, c.name, append([]any{d.step(step{rows: 1, lr: learningRate}), d.words(1)}, c.rest...)...)
		}})
	}
	return append(list, check{"average", "after a loss that is not finite", func(d *device) error {
		return checkStopped(d, "average", d.words(1), float32(0.25))
	}})
}

// checkStopped launches an optimiser with a flag that is set: it must change nothing.
// args are those behind the table and its length.
func checkStopped(d *device, name string, args ...any) error {
	t := newTensors(d)
	if err := d.launch(name, t.blocks, 1, 0, append([]any{t.table, len(t.list)}, args...)...); err != nil {
		return err
	}
	for i := range t.list {
		p := &t.list[i]
		if _, err := d.get(p.copy, 2*p.n); p.copy != 0 && err == nil {
			return fmt.Errorf("the copy of parameter %d is written", i)
		}
		p.copy = 0
	}
	return t.check(func(int, *parameter) {})
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

// newTensors makes parameters that end in each place, and whose gradients come in
// as many parts, as the kernels' loops are unrolled to; and so many of them that a
// block looks for its own in two rounds.
func newTensors(d *device) *tensors {
	t := &tensors{d: d}
	le := binary.LittleEndian
	var table []byte
	sizes := [][2]int{{1000, 1}, {5, 27}, {1025, 11}, {1000, 2}, {1000, 8}, {1000, 9}, {1000, 18}, {300, 1}, {600, 3}}
	for len(sizes) < 35 {
		sizes = append(sizes, [2]int{3, 1})
	}
	for i, size := range sizes {
		n := size[0]
		p := parameter{n: n, parts: size[1], x: d.random32(n, false), s0: d.random32(n, true), s1: d.random32(n, true)}
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
	t.table, t.flag = d.bytes(table), d.words(0)
	return t
}

// rateOf is parameter i's factor of the learning rate.
func rateOf(i int) float32 { return float32(i%3 + 1) }

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

func checkAdadelta(d *device) error {
	t := newTensors(d)
	if err := d.launch("adadelta", t.blocks, 1, 0, t.table, len(t.list), d.step(step{rows: 1, lr: learningRate}), t.flag, float32(0.95), float32(1e-7)); err != nil {
		return err
	}
	w := kernel.NewWorkers(1)
	defer w.Close()
	return t.check(func(i int, p *parameter) {
		kernel.Adadelta(w, p.x, p.g, p.s0, p.s1, learningRate*rateOf(i), 0.95, 1e-7)
	})
}

func checkSGD(d *device, decoupled bool) error {
	t := newTensors(d)
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
	t := newTensors(d)
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
	t := newTensors(d)
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
