package onnx

import (
	"fmt"

	"cifartui/nn"
)

// A graph is a list of operations, each of which reads values by name and gives
// one, and the constants that they read.
type graph struct {
	nodes     []node
	constants []constant
	last      string // the value that the next operation reads
}

// node is an operation of ONNX's, documented at
// https://onnx.ai/onnx/operators/ under its name.
type node struct {
	op     string
	inputs []string
	output string
	attrs  []attr
}

// attr is a setting of an operation: one number, or several.
type attr struct {
	name string
	ints []int64
	list bool
}

func number(name string, v int64) attr     { return attr{name: name, ints: []int64{v}} }
func numbers(name string, v ...int64) attr { return attr{name: name, ints: v, list: true} }
func channels(v [3]float64) (list []float32) { // as [3]float32
	for _, x := range v {
		list = append(list, float32(x))
	}
	return list
}

// constant is a tensor in the file: of float32, or of int64 if floats is nil.
type constant struct {
	name   string
	shape  []int
	floats []float32
	ints   []int64
}

// add appends an operation that reads what the last one gave and some
// constants. Its output is named like it.
func (g *graph) add(name, op string, constants []string, attrs ...attr) {
	g.nodes = append(g.nodes, node{op: op, inputs: append([]string{g.last}, constants...), output: name, attrs: attrs})
	g.last = name
}

// float keeps a constant and returns its name.
func (g *graph) float(name string, values []float32, shape ...int) string {
	g.constants = append(g.constants, constant{name: name, shape: shape, floats: values})
	return name
}

// graph builds what m computes.
func (m Model) graph() (*graph, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	g := &graph{last: InputName}
	m.preprocess(g)
	tensors := map[string]nn.Tensor{}
	for _, t := range m.Tensors {
		tensors[t.Name] = t
	}
	parameter := func(l nn.Layer, part string) string {
		t := tensors[l.Name+part]
		return g.float(t.Name, t.Data, t.Shape...)
	}
	for _, l := range m.Spec.Layers() {
		switch l.Kind {
		case nn.Conv2D:
			g.add(l.Name, "Conv", []string{parameter(l, ".weight"), parameter(l, ".bias")},
				numbers("kernel_shape", 3, 3), numbers("pads", 1, 1, 1, 1))
		case nn.MaxPooling2D:
			g.add(l.Name, "MaxPool", nil, numbers("kernel_shape", 2, 2), numbers("strides", 2, 2))
		case nn.Flatten:
			g.add(l.Name, "Flatten", nil, number("axis", 1))
		case nn.Dense:
			g.add(l.Name, "Gemm", []string{parameter(l, ".weight"), parameter(l, ".bias")}, number("transB", 1))
		case nn.Dropout: // does nothing in evaluation
		default:
			return nil, fmt.Errorf("onnx: layer %s is a %s, which can't be written yet", l.Name, l.Kind)
		}
		if l.ReLU {
			g.add(l.Name+".relu", "Relu", nil)
		}
	}
	g.add(OutputName, "Softmax", nil, number("axis", 1))
	return g, nil
}

// preprocess appends what makes numbers for the network of the input.
func (m Model) preprocess(g *graph) {
	mean, std := m.Mean, m.Std
	if m.Input == Bytes {
		g.add("pixels", "Cast", nil, number("to", typeFloat))
		g.add("planes", "Transpose", nil, numbers("perm", 0, 3, 1, 2))
		for c := range mean { // (v/255 - mean) / std
			mean[c] *= 255
			std[c] *= 255
		}
	}
	if mean != [3]float64{} {
		g.add("centred", "Sub", []string{g.float("preprocess.mean", channels(mean), 1, 3, 1, 1)})
	}
	if std != [3]float64{1, 1, 1} {
		g.add("scaled", "Div", []string{g.float("preprocess.std", channels(std), 1, 3, 1, 1)})
	}
	if m.Whitening == nil {
		return
	}
	size := int64(m.Spec.Size)
	n := 3 * m.Spec.Size * m.Spec.Size
	zero := g.float("whitening.zero", []float32{0}, 1)
	g.add("whitening.pixels", "Transpose", nil, numbers("perm", 0, 2, 3, 1))
	g.add("whitening.flat", "Flatten", nil, number("axis", 1))
	// A row of the matrix gives a number, so images, which are rows, are multiplied
	// by it transposed.
	g.add("whitened", "Gemm", []string{g.float("whitening.matrix", m.Whitening, n, n), zero}, number("transB", 1))
	g.constants = append(g.constants, constant{name: "whitening.shape", shape: []int{4}, ints: []int64{-1, size, size, 3}})
	g.add("whitened.pixels", "Reshape", []string{"whitening.shape"})
	g.add("whitened.planes", "Transpose", nil, numbers("perm", 0, 3, 1, 2))
}
