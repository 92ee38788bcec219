package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/model"
)

// A file that is there stays as it is, unless it is to be written over; what is
// written is read again.
func TestExportedWeightsAreReadAgain(t *testing.T) {
	from, to := weightsFile(t), filepath.Join(t.TempDir(), "half.safetensors")
	if code, out, errs := cli(t, nil, "export", from, "-o", to, "--dtype", "f16"); code != 0 || !strings.HasPrefix(out, to) {
		t.Fatal(code, out, errs)
	}
	whole, err := model.Read(from)
	if err != nil {
		t.Fatal(err)
	}
	half, err := model.Read(to)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(half.Classes, whole.Classes) || half.Meta[checkpoint.MetaPreprocess] != whole.Meta[checkpoint.MetaPreprocess] || len(half.Tensors) != len(whole.Tensors) {
		t.Errorf("%v %v: not what was written", half.Classes, half.Meta)
	}
	before, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errs := cli(t, nil, "export", from, "-o", to); code != exitFailed || !strings.Contains(errs, "--force") {
		t.Errorf("over a file: exit code %d, %s", code, errs)
	}
	if now, err := os.ReadFile(to); err != nil || !bytes.Equal(now, before) {
		t.Errorf("a file that was there has changed: %v", err)
	}
	if code, _, errs := cli(t, nil, "export", from, "-o", to, "--force"); code != 0 {
		t.Error(errs)
	}
	if now, err := os.ReadFile(to); err != nil || len(now) < len(before)*3/2 {
		t.Errorf("--force has written %d bytes where there were %d: %v", len(now), len(before), err)
	}
	left, err := os.ReadDir(filepath.Dir(to))
	if err != nil || len(left) != 1 {
		t.Errorf("%v is left beside it, %v", left, err)
	}
}

// whitened writes the weights of a small network whose images were whitened, by
// a matrix that mixes all numbers of an image.
func whitened(t *testing.T) string {
	t.Helper()
	const n = 3 * 16 * 16
	matrix := make([]float32, n*n)
	for i := range n {
		matrix[i*n+i], matrix[i*n+(7*i+5)%n] = 2, -0.75
	}
	return smallWeights(t, `{"name":"zca","mean":[0.5,0.4,0.3],"std":[1,1,1]}`,
		checkpoint.Tensor{Name: checkpoint.WhiteningName, Shape: []int{n, n}, Data: matrix})
}

func TestWhiteningIsExportedWithTheWeights(t *testing.T) {
	from, to := whitened(t), filepath.Join(t.TempDir(), "w.safetensors")
	if code, _, errs := cli(t, nil, "export", from, "-o", to); code != 0 {
		t.Fatal(errs)
	}
	before, err := model.Read(from)
	if err != nil {
		t.Fatal(err)
	}
	after, err := model.Read(to)
	if err != nil {
		t.Fatal(err)
	}
	if len(before.Whitening) == 0 || !slices.Equal(after.Whitening, before.Whitening) {
		t.Errorf("%d numbers of the matrix are %d", len(before.Whitening), len(after.Whitening))
	}
}

// What is exported of a trained run gives in ONNX Runtime, for both inputs, one
// image and seven at a time, the class that eval gives and its probabilities.
func TestExportedONNXGivesWhatTheNetworkGives(t *testing.T) {
	python := os.Getenv("CIFARTUI_ONNX")
	if python == "" {
		t.Skip("set CIFARTUI_ONNX to a Python that has onnx and onnxruntime")
	}
	t.Parallel()
	for _, from := range []string{reference(t), whitened(t)} {
		m, err := model.Open("", from)
		if err != nil {
			t.Fatal(err)
		}
		d, err := cifar.Open(t.Context(), cifar.Options{Data: "demo:200", Seed: 7})
		if err != nil {
			t.Fatal(err)
		}
		n := 3 * m.Spec.Size * m.Spec.Size
		pixels := d.Test.Pixels[:min(len(d.Test.Pixels)/n, 50)*n] // for smaller images any bytes will do
		for _, input := range []string{"float", "uint8"} {
			runsInRuntime(t, python, m, from, input, pixels)
		}
	}
}

// runsInRuntime exports m and compares what ONNX Runtime and the network say.
func runsInRuntime(t *testing.T, python string, m *model.Model, from, input string, pixels []byte) {
	t.Helper()
	b := nn.NewCPU(0)
	defer b.Close()
	p, err := m.NewPredictor(b)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	want, err := p.Bytes(pixels)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, images, out := filepath.Join(dir, "m.onnx"), filepath.Join(dir, "x"), filepath.Join(dir, "y")
	if code, _, errs := cli(t, nil, "export", from, "-o", file, "--input", input); code != 0 {
		t.Fatal(errs)
	}
	if err := os.WriteFile(images, asInput(pixels, m.Spec.Size, input), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(python, "nn/onnx/testdata/run.py", file, images, "1,7", out).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	var about struct{ Metadata map[string]string }
	var classes []string
	if err := json.Unmarshal(said, &about); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(about.Metadata["classes"]), &classes); err != nil || !slices.Equal(classes, m.Classes) {
		t.Errorf("the file names %v, %v", classes, err)
	}
	got, err := os.ReadFile(out)
	if err != nil || len(got) != 2*4*len(want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	sameAnswers(t, input, len(classes), got[:len(got)/2], want)
	sameAnswers(t, input, len(classes), got[len(got)/2:], want)
}

// asInput are images, three planes each, as an ONNX file takes them.
func asInput(pixels []byte, size int, input string) []byte {
	var b []byte
	if input == "float" {
		for _, v := range pixels {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)/255))
		}
		return b
	}
	plane := size * size
	for ; len(pixels) > 0; pixels = pixels[3*plane:] {
		for at := range plane {
			b = append(b, pixels[at], pixels[at+plane], pixels[at+2*plane])
		}
	}
	return b
}

// sameAnswers compares a runtime's raw probabilities of each image.
func sameAnswers(t *testing.T, input string, classes int, raw []byte, want []float32) {
	t.Helper()
	got := make([]float32, len(want))
	for i := range got {
		got[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-5) {
			t.Fatalf("%s, image %d: %v, the network says %v", input, i/classes, got[i], want[i])
		}
	}
	for i := 0; i < len(got); i += classes {
		a, b := got[i:i+classes], want[i:i+classes]
		if slices.Index(a, slices.Max(a)) != slices.Index(b, slices.Max(b)) {
			t.Errorf("%s, image %d: another class", input, i/classes)
		}
	}
}
