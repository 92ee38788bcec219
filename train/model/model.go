// Package model is a trained network for use. A [Model] is made of what a person
// names: a run, whose best weights it takes, or a file (open.go); all that is
// needed to use the weights, the network, the preprocessing and the names of the
// classes, is read from the file and checked (read.go). A [Predictor] puts it on
// a backend and gives probabilities of images (predictor.go). The weights of
// several can be averaged (average.go).
package model

import (
	"fmt"
	"slices"

	"cifartui/cifar"
	"cifartui/cifar/plain"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/event"
)

// Model is a trained network that is not yet on a backend. It is not changed
// after it is made.
type Model struct {
	// Name is what to call it: the run's name, or the file's.
	Name string
	// Path is the file that the weights are of.
	Path string
	// Spec fits the Tensors.
	Spec nn.Spec
	// Preprocess is how bytes of pixels were made numbers in training.
	Preprocess *cifar.Preprocess
	// Whitening is the matrix of --preprocess zca, [n][n] for images with n
	// numbers in the order height, width, channels; nil: none. Preprocess has it.
	Whitening []float32
	// Classes are Spec.Classes names in the order of the outputs.
	Classes []string
	// Tensors are the parameters under PyTorch's names, in PyTorch's order.
	Tensors []checkpoint.Tensor
	// Meta is the file's metadata, with what was found out of the network, its
	// preprocessing and its classes where the file did not say it.
	Meta map[string]string
	// Dataset is what it was trained on; "" if the file does not say.
	Dataset string
	// Step batches of epoch Epoch were done, 0 if not known; Step is 0 after a
	// whole epoch. ValAcc and ValLoss are what validation gave, NaN where there
	// was none.
	Epoch, Step     int
	ValAcc, ValLoss event.Float
	// Notes say in a line each what had to be assumed or was chosen, and what a
	// person should know of it.
	Notes []string
}

// note adds a line to the model's notes.
func (m *Model) note(format string, args ...any) {
	m.Notes = append(m.Notes, fmt.Sprintf(format, args...))
}

// Weights is all that a file needs for the same model to be made of it. It shares
// the memory of m.
func (m *Model) Weights() checkpoint.Weights {
	return checkpoint.Weights{Tensors: slices.Concat(m.Tensors, m.whitening()), Meta: m.Meta}
}

// whitening is the matrix of --preprocess zca as a file holds it; none where
// there is none.
func (m *Model) whitening() []checkpoint.Tensor {
	if m.Whitening == nil {
		return nil
	}
	n := cifar.Channels * m.Spec.Size * m.Spec.Size
	return []checkpoint.Tensor{{Name: checkpoint.WhiteningName, Shape: []int{n, n}, Data: m.Whitening}}
}

// differ says in words how two models differ in what makes their outputs mean
// the same: the network, the classes and, if asked, the preprocessing. "" means
// that they don't.
func differ(a, b *Model, preprocess bool) string {
	if why := DifferInClasses(a.Classes, b.Classes); why != "" {
		return why
	}
	if !slices.Equal(a.Spec.Layers(), b.Spec.Layers()) {
		return fmt.Sprintf("the networks differ: %s and %s", describe(a.Spec), describe(b.Spec))
	}
	if p, q := a.Meta[checkpoint.MetaPreprocess], b.Meta[checkpoint.MetaPreprocess]; preprocess && p != q {
		return fmt.Sprintf("the preprocessing differs: %s and %s", p, q)
	}
	if preprocess && !slices.Equal(a.Whitening, b.Whitening) {
		return "the preprocessing differs: their whitening matrices are of other images"
	}
	return ""
}

// DifferInClasses says in words how two lists of classes differ; "" means that
// they don't.
func DifferInClasses(a, b []string) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d classes (%s) and %d (%s)", len(a), plain.Few(a, mostClasses), len(b), plain.Few(b, mostClasses))
	}
	if i := slices.IndexFunc(a, func(name string) bool { return !slices.Contains(b, name) }); i >= 0 {
		return fmt.Sprintf("the classes differ: one has %q, the other does not (%s; %s)", a[i], plain.Few(a, mostClasses), plain.Few(b, mostClasses))
	}
	for i := range a {
		if a[i] != b[i] {
			return fmt.Sprintf("the classes have another order: number %d is %q in one and %q in the other", i+1, a[i], b[i])
		}
	}
	return ""
}

// mostClasses is how many classes are named, of many.
const mostClasses = 4

// describe is a network in a few words.
func describe(s nn.Spec) string {
	hidden := ""
	if len(s.Dense) > 0 {
		hidden = fmt.Sprintf(", hidden dense layers of %v", s.Dense)
	}
	return fmt.Sprintf("%d parameters, images of %dx%d, filters %v%s", s.Params(), s.Size, s.Size, s.Filters, hidden)
}
