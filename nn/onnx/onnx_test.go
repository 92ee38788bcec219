package onnx

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"cifartui/nn"
)

// networks are what is written in tests: the article's network, and one with
// everything that it has not.
var networks = map[string]nn.Spec{
	"the article's":                {Size: 32, Filters: []int{64, 128, 256}, Classes: 10, Dropout: 0.5},
	"hidden layers, larger images": {Size: 48, Filters: []int{4, 12}, Dense: []int{20, 7}, Classes: 3},
}

// drawn makes a network of random weights, large enough that its probabilities
// differ from one another.
func drawn(t *testing.T, s nn.Spec) (*nn.Network, []nn.Tensor) {
	t.Helper()
	b := nn.NewCPU(1)
	t.Cleanup(func() { b.Close() })
	n, err := nn.New(b, s, 3)
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := n.Weights()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, tensor := range tensors {
		if strings.HasSuffix(tensor.Name, ".bias") {
			for i := range tensor.Data {
				tensor.Data[i] = float32(r.NormFloat64()) / 4
			}
		}
	}
	if err := n.SetWeights(tensors); err != nil {
		t.Fatal(err)
	}
	return n, tensors
}

// whitening mixes all numbers of an image, so that none may be elsewhere.
func whitening(n int) []float32 {
	r := rand.New(rand.NewPCG(5, 6))
	matrix := make([]float32, n*n)
	for i := range n {
		matrix[i*n+i] = 1
		matrix[i*n+r.IntN(n)] += 0.5
	}
	return matrix
}

// apply computes what m's preprocessing makes of bytes [n][3][size][size], as
// the network wants it: [n][size][size][3]. It sums in float64.
func (m Model) apply(pixels []byte) []float32 {
	plane := m.Spec.Size * m.Spec.Size
	x := make([]float32, len(pixels))
	for at := 0; at < len(pixels); at += 3 * plane {
		image := make([]float64, 3*plane) // [size][size][3]
		for i := range image {
			image[i%plane*3+i/plane] = (float64(pixels[at+i])/255 - m.Mean[i/plane]) / m.Std[i/plane]
		}
		if m.Whitening != nil {
			white := make([]float64, len(image))
			for row := range white {
				for i, v := range m.Whitening[row*len(image) : (row+1)*len(image)] {
					if v != 0 {
						white[row] += float64(v) * image[i]
					}
				}
			}
			image = white
		}
		for i, v := range image {
			x[at+i] = float32(v)
		}
	}
	return x
}

// feed returns the bytes of images [n][3][size][size] in the form of m's input.
func (m Model) feed(pixels []byte) []byte {
	plane := m.Spec.Size * m.Spec.Size
	var b []byte
	if m.Input == Float {
		for _, v := range pixels {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)/255))
		}
		return b
	}
	b = make([]byte, len(pixels))
	for i, v := range pixels {
		in := i % (3 * plane)
		b[i-in+in%plane*3+in/plane] = v
	}
	return b
}

// What ONNX Runtime makes of a file is what the network does: for both inputs,
// each preprocessing, one image and seven at a time.
func TestRuntimeGivesTheNetworksProbabilities(t *testing.T) {
	python := os.Getenv("CIFARTUI_ONNX")
	if python == "" {
		t.Skip("set CIFARTUI_ONNX to a Python that has onnx and onnxruntime")
	}
	for name, spec := range networks {
		n, tensors := drawn(t, spec)
		pixels := make([]byte, 14*3*spec.Size*spec.Size)
		r := rand.New(rand.NewPCG(7, 8))
		for i := range pixels { // flat areas and noise
			pixels[i] = byte(i/700*40) + byte(r.IntN(30))
		}
		models := []Model{
			{Std: [3]float64{1, 1, 1}, Input: Float},
			{Std: [3]float64{1, 1, 1}, Input: Bytes},
			{Mean: [3]float64{0.49, 0.48, 0.45}, Std: [3]float64{0.25, 0.24, 0.26}, Input: Float},
			{Mean: [3]float64{0.49, 0.48, 0.45}, Std: [3]float64{0.25, 0.24, 0.26}, Input: Bytes},
		}
		if spec.Size == 32 {
			models = append(models, Model{Mean: [3]float64{0.3, 0.2, 0.1}, Std: [3]float64{1, 1, 1}, Whitening: whitening(3 * 32 * 32), Input: Bytes})
		}
		for _, m := range models {
			m.Spec, m.Tensors, m.Version = spec, tensors, "test"
			m.Metadata = map[string]string{"classes": `["猫","a \"quoted\" name"]`, "epoch": "12"}
			t.Run(fmt.Sprintf("%s/%s/%v/%v", name, m.Input, m.Mean[0], m.Whitening != nil), func(t *testing.T) {
				e, err := n.NewEval(14)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				if _, _, err := e.Run(m.apply(pixels), nil); err != nil {
					t.Fatal(err)
				}
				want, err := e.Probabilities()
				if err != nil {
					t.Fatal(err)
				}
				runsAs(t, python, m, pixels, want)
			})
		}
	}
}

// runsAs runs m's file in ONNX Runtime and compares.
func runsAs(t *testing.T, python string, m Model, pixels []byte, want []float32) {
	t.Helper()
	dir := t.TempDir()
	file, images, out := filepath.Join(dir, "m.onnx"), filepath.Join(dir, "x"), filepath.Join(dir, "y")
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{file: b.Bytes(), images: m.feed(pixels)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, "testdata/run.py", file, images, "1,7", out)
	said, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	var about struct {
		Input, Type, Output string
		Shape               []any
		Opset               int
		Metadata            map[string]string
	}
	if err := json.Unmarshal(said, &about); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	size := float64(m.Spec.Size)
	shape := []any{"N", 3.0, size, size}
	if m.Input == Bytes {
		shape = []any{"N", size, size, 3.0}
	}
	if about.Input != "images" || about.Output != "probabilities" || !slices.Equal(about.Shape, shape) || about.Opset < 13 || !maps.Equal(about.Metadata, m.Metadata) {
		t.Errorf("the runtime reads %+v", about)
	}
	want = slices.Concat(want, want) // one at a time, then seven
	raw, err := os.ReadFile(out)
	if err != nil || len(raw) != 4*len(want) {
		t.Fatalf("%v, %d bytes of probabilities, want %d numbers", err, len(raw), len(want))
	}
	classes := m.Spec.Classes
	got := make([]float32, len(want))
	for i := range got {
		got[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-5) {
			t.Errorf("output %d, class %d: %g, the network says %g", i/classes, i%classes, got[i], want[i])
		}
	}
	for i := 0; i < len(got); i += classes {
		a, b := got[i:i+classes], want[i:i+classes]
		if slices.Index(a, slices.Max(a)) != slices.Index(b, slices.Max(b)) {
			t.Errorf("output %d: another class", i/classes)
		}
	}
	if lo, hi := slices.Min(want), slices.Max(want); hi-lo < 0.01 {
		t.Errorf("probabilities from %g to %g tell nothing", lo, hi)
	}
}

// field returns the values of a field of a message.
func field(t *testing.T, message []byte, want protowire.Number) (values [][]byte) {
	t.Helper()
	for len(message) > 0 {
		num, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		message = message[n:]
		size := protowire.ConsumeFieldValue(num, kind, message)
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		if num == want {
			v := message[:size]
			if kind == protowire.BytesType {
				v, _ = protowire.ConsumeBytes(v)
			}
			values = append(values, v)
		}
		message = message[size:]
	}
	return values
}

// On machines without the runtime: every value is made before it is read, every
// parameter of the network is there with all its bytes, and nothing else but the
// preprocessing.
func TestGraphIsWhole(t *testing.T) {
	for name, spec := range networks {
		_, tensors := drawn(t, spec)
		m := Model{Spec: spec, Tensors: tensors, Std: [3]float64{1, 1, 1}, Input: Bytes, Metadata: map[string]string{"classes": "[]"}}
		var b bytes.Buffer
		if err := m.Write(&b); err != nil {
			t.Fatal(err)
		}
		graphs := field(t, b.Bytes(), modelGraph)
		if len(graphs) != 1 || len(field(t, b.Bytes(), modelMetadata)) != 1 {
			t.Fatal("want one graph and one entry of metadata")
		}
		known := map[string]bool{InputName: true}
		params := 0
		for _, c := range field(t, graphs[0], graphInitializer) {
			known[string(field(t, c, tensorName)[0])] = true
			n := 1
			for _, d := range field(t, c, tensorDims) {
				v, _ := protowire.ConsumeVarint(d)
				n *= int(v)
			}
			if raw := field(t, c, tensorRaw)[0]; len(raw) != 4*n {
				t.Errorf("%s: %s has %d bytes, its shape says %d numbers", name, field(t, c, tensorName)[0], len(raw), n)
			}
			params += n
		}
		if want := spec.Params() + 3; params != want { // and three standard deviations
			t.Errorf("%s: %d numbers, want %d", name, params, want)
		}
		var last string
		for _, n := range field(t, graphs[0], graphNode) {
			for _, in := range field(t, n, nodeInput) {
				if !known[string(in)] {
					t.Errorf("%s: %s is read before it is made", name, in)
				}
			}
			last = string(field(t, n, nodeOutput)[0])
			if known[last] {
				t.Errorf("%s: %s is made twice", name, last)
			}
			known[last] = true
		}
		if last != OutputName {
			t.Errorf("%s: ends with %s", name, last)
		}
	}
}

func TestWhatCannotBeWrittenIsRefused(t *testing.T) {
	spec := nn.Spec{Size: 8, Filters: []int{2}, Classes: 2}
	_, tensors := drawn(t, spec)
	good := Model{Spec: spec, Tensors: tensors, Std: [3]float64{1, 1, 1}, Input: Float}
	for want, change := range map[string]func(*Model){
		"want one of [float uint8]": func(m *Model) { m.Input = "int8" },
		"conv1.weight":              func(m *Model) { m.Tensors = m.Tensors[1:] },
		"divides by zero":           func(m *Model) { m.Std[1] = 0 },
		"a whitening matrix of":     func(m *Model) { m.Whitening = whitening(5) },
	} {
		m := good
		change(&m)
		if err := m.Write(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	var a, b bytes.Buffer
	if err := good.Write(&a); err != nil {
		t.Fatal(err)
	}
	if err := good.Write(&b); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("the same model gives other bytes, or %v", err)
	}
}
