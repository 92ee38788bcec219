// Package onnx writes a network as an ONNX file, which other programs run.
//
// A [Model] says what is written. Its graph (graph.go) has the preprocessing
// inside, so that whoever runs it gives it pixels and gets probabilities:
//
//	images -> preprocessing -> Conv, Relu, MaxPool ... -> Gemm -> Softmax -> probabilities
//
// proto.go has the messages of the format, https://onnx.ai/onnx/repo-docs/IR.html.
package onnx

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"cifartui/nn"
)

// Opset is the version of ONNX's operators that a file asks for: 13, of 2020,
// the first in which all of ours are as they still are.
const Opset = 13

// The names of the graph's input and output.
const (
	InputName  = "images"
	OutputName = "probabilities"
)

// Input is the form in which the graph takes images.
type Input string

// The forms of the input. N, the number of images, is free.
const (
	Float Input = "float" // float32 [N, 3, Size, Size], from 0 to 1
	Bytes Input = "uint8" // uint8 [N, Size, Size, 3], as decoders of pictures give them
)

// Inputs lists the forms.
func Inputs() []Input { return []Input{Float, Bytes} }

// Model is what is written. Its graph computes what the network does in
// evaluation, without dropout.
type Model struct {
	Spec    nn.Spec
	Tensors []nn.Tensor // all of the network's, in any order
	// Mean is taken from each channel of pixels from 0 to 1, which is then
	// divided by Std.
	Mean, Std [3]float64
	// Whitening, if not nil, follows that: a matrix [n][n] that an image's n =
	// 3*Size*Size numbers, in the order row, column, channel, are multiplied by.
	Whitening []float32
	Input     Input
	// Metadata is kept in the file as it is; readers find the names of the
	// classes there.
	Metadata map[string]string
	Version  string // of the program that writes
}

// Write writes the file.
func (m Model) Write(to io.Writer) error {
	g, err := m.graph()
	if err != nil {
		return err
	}
	if _, err := to.Write(m.encode(g)); err != nil {
		return fmt.Errorf("onnx: write: %w", err)
	}
	return nil
}

// check reports what makes m impossible to write.
func (m Model) check() error {
	if !slices.Contains(Inputs(), m.Input) {
		return fmt.Errorf("onnx: no input is called %q: want one of %v", m.Input, Inputs())
	}
	if err := m.Spec.Fits(m.Tensors); err != nil {
		return err
	}
	for c := range m.Std {
		if m.Std[c] == 0 {
			return errors.New("onnx: the preprocessing divides by zero")
		}
	}
	if n := 3 * m.Spec.Size * m.Spec.Size; m.Whitening != nil && len(m.Whitening) != n*n {
		return fmt.Errorf("onnx: a whitening matrix of %d numbers, want %d", len(m.Whitening), n*n)
	}
	return nil
}
