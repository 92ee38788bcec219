package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nlpodyssey/safetensors"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Tensor is a named parameter or a part of an optimiser's state, float32 in the
// order in which files hold it: PyTorch's for parameters.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// Weights is what a safetensors file holds: the network's parameters under
// PyTorch's names and shapes, and what is known of them.
type Weights struct {
	Tensors []Tensor
	Meta    map[string]string
	// Changes says in words what was done to a file of other programs when it
	// was read: numbers converted, prefixes of names taken off. It is "" for
	// most files.
	Changes string
}

// The keys of a weights file's metadata. All values are text.
const (
	MetaFormat     = "format"        // "pt": PyTorch's names and order of axes
	MetaEpoch      = "epoch"         // epochs begun, from 1
	MetaStep       = "step"          // batches done in that epoch, in a file saved within one
	MetaValAcc     = "val_acc"       // absent in a file saved within an epoch
	MetaValLoss    = "val_loss"      // the same
	MetaPreprocess = "preprocessing" // JSON: name, mean and deviation of each channel
	MetaClasses    = "classes"       // JSON: the class names in the order of the outputs
	MetaDataset    = "dataset"       // "CIFAR-10", "demo", "demo:400" or the name of a folder of pictures
	MetaNetwork    = "network"       // JSON: the nn.Spec
	MetaRun        = "run"           // the run's name
)

// maxWeightsFile bounds what is read into memory: the largest network that nn
// trains, 256 MB, with the matrix of --preprocess zca, and some more.
const maxWeightsFile = 320 << 20

// ReadWeights reads a safetensors file, and checks all that its header says
// before it is used. Numbers of float16, bfloat16 and float64 become float32,
// and what PyTorch's wrappers put before names is taken off: Changes says so.
// Whether the tensors fit the network, the network says.
func ReadWeights(path string) (Weights, error) {
	b, err := rundir.ReadFile(path, maxWeightsFile)
	if err != nil {
		return Weights{}, fmt.Errorf("weights: %w", err)
	}
	w, err := decodeWeights(b)
	if err != nil {
		return Weights{}, fmt.Errorf("weights: %s: %w", path, err)
	}
	return w, nil
}

func decodeWeights(b []byte) (Weights, error) {
	// The library checks the header's length, the offsets (in order, without
	// gap or overlap, up to the file's end) and each shape against its bytes.
	st, err := safetensors.Deserialize(b)
	if err != nil {
		return Weights{}, fmt.Errorf("no safetensors file, or a damaged one: %w", err)
	}
	_, meta, err := safetensors.ReadMetadata(b)
	if err != nil {
		return Weights{}, fmt.Errorf("no safetensors file, or a damaged one: %w", err)
	}
	w := Weights{Meta: meta.Metadata()}
	kinds := map[safetensors.DType]int{}
	for _, t := range st.Tensors() {
		shape := make([]int, len(t.TensorView.Shape()))
		for i, n := range t.TensorView.Shape() {
			if n > math.MaxInt32 {
				return Weights{}, fmt.Errorf("tensor %q: an axis of %d", t.Name, n)
			}
			shape[i] = int(n)
		}
		kind := t.TensorView.DType()
		data, err := toFloat32(kind, t.TensorView.Data())
		if err != nil {
			return Weights{}, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if kind != safetensors.F32 {
			kinds[kind]++
		}
		w.Tensors = append(w.Tensors, Tensor{Name: t.Name, Shape: shape, Data: data})
	}
	unwrapped, err := unwrap(w.Tensors)
	if err != nil {
		return Weights{}, err
	}
	w.Changes = strings.Join(slices.DeleteFunc([]string{converted(kinds), unwrapped}, func(s string) bool { return s == "" }), "; ")
	return w, nil
}

// Encode writes a safetensors file of float32.
func (w Weights) Encode(to io.Writer) error { return w.EncodeAs(to, Float32) }

// EncodeAs writes a safetensors file of numbers of a kind, each the nearest to
// the float32. A finite number that the kind has no room for is an error.
func (w Weights) EncodeAs(to io.Writer, d DType) error {
	kind, err := d.safetensors()
	if err != nil {
		return err
	}
	views := make(map[string]view, len(w.Tensors))
	for _, t := range w.Tensors {
		if i := slices.IndexFunc(t.Data, func(v float32) bool { return d.overflows(v) }); i >= 0 {
			return fmt.Errorf("tensor %q: its number %d is %g, too large for %s", t.Name, i, t.Data[i], longNames[kind])
		}
		views[t.Name] = view{t, kind}
	}
	return safetensors.SerializeToWriter(views, w.Meta, to)
}

// A view shows a tensor to the safetensors library.
type view struct {
	t    Tensor
	kind safetensors.DType
}

func (v view) DType() safetensors.DType { return v.kind }

func (v view) DataLen() uint64 { return v.kind.Size() * uint64(len(v.t.Data)) }

func (v view) Data() []byte { return appendAs(nil, v.kind, v.t.Data) }

func (v view) Shape() []uint64 {
	shape := make([]uint64, len(v.t.Shape))
	for i, n := range v.t.Shape {
		shape[i] = uint64(n)
	}
	return shape
}

// floats reads little-endian float32.
func floats(b []byte) []float32 {
	f := make([]float32, len(b)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return f
}

// appendFloats appends f to b in little-endian.
func appendFloats(b []byte, f []float32) []byte {
	at := len(b)
	b = append(b, make([]byte, 4*len(f))...)
	for i, v := range f {
		binary.LittleEndian.PutUint32(b[at+4*i:], math.Float32bits(v))
	}
	return b
}

// Finite reports whether no number of the tensors is NaN or infinite.
func Finite(tensors []Tensor) bool {
	for _, t := range tensors {
		for _, v := range t.Data {
			if v-v != 0 {
				return false
			}
		}
	}
	return true
}

// metaFloat reads a number of the metadata; NaN when there is none.
func metaFloat(meta map[string]string, key string) event.Float {
	v, err := strconv.ParseFloat(meta[key], 64)
	if err != nil {
		return NotKnown
	}
	return event.Float(v)
}
