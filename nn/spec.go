package nn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Spec describes a network of the VGG kind: blocks of two 3x3 convolutions
// (same padding, stride 1, each with a ReLU) and a 2x2 max pool, hidden dense
// layers with a ReLU each, if any, then dropout and the last dense layer.
type Spec struct {
	Size    int     // height and width of the images
	Filters []int   // one block an entry: the channels of both of its convolutions
	Dense   []int   `json:",omitempty"` // units of each hidden dense layer
	Classes int     // outputs of the last dense layer
	Dropout float64 // fraction of the last dense layer's inputs dropped in training, in [0, 1)
	// Smoothing is the part of a label that training shares among all classes,
	// in [0, 1): see kernel.SoftmaxCrossEntropy. Evaluation knows no smoothing.
	Smoothing float64
	// Initializer draws the first weights: see Initializers. "" is the first.
	Initializer string `json:",omitempty"`
	// Frozen names layers that training leaves as they are, in order: see Layers.
	Frozen []string `json:",omitempty"`
}

// imageChannels is what the first layer's kernel is made for: red, green, blue.
const imageChannels = 3

// VGG is the network for CIFAR-10: 32x32 images, blocks of 64, 128 and 256
// filters, ten classes, 1,186,378 parameters.
func VGG(dropout float64) Spec {
	return Spec{Size: 32, Filters: []int{64, 128, 256}, Classes: 10, Dropout: dropout}
}

// Kind is what a layer does, under Keras's name for it.
type Kind string

// The kinds of layers that a network is made of.
const (
	Conv2D       Kind = "Conv2D" // 3x3, same padding, stride 1, with a ReLU
	MaxPooling2D Kind = "MaxPooling2D"
	Flatten      Kind = "Flatten"
	Dropout      Kind = "Dropout"
	Dense        Kind = "Dense"
)

// Layer is one line of the network's table.
type Layer struct {
	Name   string // conv1, pool1, ..., flatten, fc1, ..., dropout, dense
	Kind   Kind
	ReLU   bool   // of a convolution or a hidden dense layer: a ReLU follows the bias
	Out    [3]int // height, width, channels; a flat output of n is {1, 1, n}
	Params int    // weights and biases
	Frozen bool   // training leaves the weights and biases as they are
	// FLOPs is the arithmetic of the forward pass for an image, a multiply-add
	// counted as two, convolutions counted as direct ones: biases, ReLU and
	// pooling are not counted.
	FLOPs int64
}

// flat tells whether the layer's output has no height and width.
func (l Layer) flat() bool {
	return l.Kind == Flatten || l.Kind == Dropout || l.Kind == Dense
}

// Limits that keep a slip of the finger from asking for more memory than any
// machine has.
const (
	maxUnits  = 16384      // filters of a convolution, units of a hidden layer
	maxHidden = 8          // hidden layers
	maxParams = 64_000_000 // a weights file that is read back may hold some more
)

// Validate reports what makes s impossible to build.
func (s Spec) Validate() error {
	if len(s.Filters) == 0 {
		return errors.New("nn: the network needs at least one block of filters")
	}
	for i, f := range s.Filters {
		if f < 1 || f > maxUnits {
			return fmt.Errorf("nn: block %d has %d filters, want 1 to %d", i+1, f, maxUnits)
		}
	}
	if n := len(s.Dense); n > maxHidden {
		return fmt.Errorf("nn: %d hidden dense layers, want at most %d", n, maxHidden)
	}
	for i, n := range s.Dense {
		if n < 1 || n > maxUnits {
			return fmt.Errorf("nn: hidden dense layer %d has %d units, want 1 to %d", i+1, n, maxUnits)
		}
	}
	if n := 1 << min(len(s.Filters), 30); s.Size < n || s.Size%n != 0 {
		return fmt.Errorf("nn: images of %d pixels can't be halved %d times, once a block: take a multiple of %d", s.Size, len(s.Filters), n)
	}
	if s.Classes < 2 || s.Classes > 256 {
		return fmt.Errorf("nn: %d classes, want 2 to 256", s.Classes)
	}
	if !(s.Dropout >= 0 && s.Dropout < 1) {
		return fmt.Errorf("nn: dropout of %v, want a number from 0 up to, not including, 1", s.Dropout)
	}
	if !(s.Smoothing >= 0 && s.Smoothing < 1) {
		return fmt.Errorf("nn: a label smoothing of %v, want a number from 0 up to, not including, 1", s.Smoothing)
	}
	if s.Initializer != "" && !slices.Contains(Initializers(), s.Initializer) {
		return fmt.Errorf("nn: there is no initializer %q: take one of %s", s.Initializer, strings.Join(Initializers(), ", "))
	}
	layers := s.weighted()
	for _, name := range s.Frozen {
		if !slices.Contains(layers, name) {
			return fmt.Errorf("nn: there is no layer %s to freeze: this network has %s", name, strings.Join(layers, ", "))
		}
	}
	if !slices.ContainsFunc(layers, func(name string) bool { return !slices.Contains(s.Frozen, name) }) {
		return errors.New("nn: all layers are frozen: leave one to train")
	}
	if n := s.Params(); n > maxParams {
		return fmt.Errorf("nn: a network of %s parameters, want at most %s: take fewer filters or units", thousands(n), thousands(maxParams))
	}
	return nil
}

// Layers lists the network from the first convolution to the dense layer.
func (s Spec) Layers() []Layer {
	var ls []Layer
	size, in := s.Size, imageChannels
	for b, f := range s.Filters {
		for i := range 2 {
			ls = append(ls, Layer{
				Name:   fmt.Sprintf("conv%d", 2*b+i+1),
				Kind:   Conv2D,
				ReLU:   true,
				Out:    [3]int{size, size, f},
				Params: 9*in*f + f,
				FLOPs:  2 * 9 * int64(in) * int64(f) * int64(size*size),
			})
			in = f
		}
		size /= 2
		ls = append(ls, Layer{Name: fmt.Sprintf("pool%d", b+1), Kind: MaxPooling2D, Out: [3]int{size, size, f}})
	}
	n := size * size * in
	dense := func(name string, out int) Layer {
		l := Layer{Name: name, Kind: Dense, Out: [3]int{1, 1, out}, Params: n*out + out, FLOPs: 2 * int64(n) * int64(out)}
		n = out
		return l
	}
	ls = append(ls, Layer{Name: "flatten", Kind: Flatten, Out: [3]int{1, 1, n}})
	for i, units := range s.Dense {
		l := dense(fmt.Sprintf("fc%d", i+1), units)
		l.ReLU = true
		ls = append(ls, l)
	}
	ls = append(ls, Layer{Name: "dropout", Kind: Dropout, Out: [3]int{1, 1, n}})
	ls = append(ls, dense(LastLayer, s.Classes))
	for i := range ls {
		ls[i].Frozen = slices.Contains(s.Frozen, ls[i].Name)
	}
	return ls
}

// LastLayer is the name of the dense layer that has an output for each class.
const LastLayer = "dense"

// Params counts the weights and biases of all layers.
func (s Spec) Params() int {
	n := 0
	for _, l := range s.Layers() {
		n += l.Params
	}
	return n
}

// Trained counts the weights and biases that training changes.
func (s Spec) Trained() int {
	n := 0
	for _, l := range s.Layers() {
		if !l.Frozen {
			n += l.Params
		}
	}
	return n
}

// FLOPs counts the arithmetic for one image as Layer.FLOPs does: of the
// forward pass, and of a training step, which by custom is three times that
// (the gradients by the data and by the filters cost as much each; that the
// first layer needs no gradient by its data is not subtracted). A frozen layer
// has no gradient by its filters, and what lies below all that is trained none
// at all.
func (s Spec) FLOPs() (forward, step int64) {
	below := len(s.Frozen) == 0 // something is trained below
	for _, l := range s.Layers() {
		forward += l.FLOPs
		step += l.FLOPs
		if below {
			step += l.FLOPs
		}
		if !l.Frozen && l.Params > 0 {
			step += l.FLOPs
			below = true
		}
	}
	return forward, step
}
