package nn

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cifartui/nn/kernel"
)

// TestTrainingAgreesWithPyTorch trains the article's network and has
// peer/peer.py repeat it, which says why the images and weights to start from
// are chosen. It needs python3 with torch (CIFARTUI_PYTHON names another
// interpreter), and takes some minutes. The images are those of CIFARTUI_DATA,
// a folder with data_batch_1.bin, or else random ones.
func TestTrainingAgreesWithPyTorch(t *testing.T) {
	if os.Getenv("CIFARTUI_PEER") == "" {
		t.Skip("set CIFARTUI_PEER=1 to compare with PyTorch")
	}
	const batch = 64
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }

	if err := os.WriteFile(file("all"), peerRecords(t, 4000), 0o600); err != nil {
		t.Fatal(err)
	}
	var start []Tensor
	var records []byte
	// begin chooses weights to start from and images for a network.
	begin := func(spec Spec) {
		fresh, err := New(newCPU(t, 0), spec, 1)
		if err != nil {
			t.Fatal(err)
		}
		start = weightsOf(t, fresh)
		for i, w := range start {
			if w.Name == "dense.weight" {
				for j := range w.Data {
					start[i].Data[j] /= 100
				}
			}
		}
		writeSafetensors(t, file("start"), start)
		peer(t, "select", "--weights", file("start"), "--data", file("all"), "--out", file("data"), "--count", fmt.Sprint(batch))
		if records, err = os.ReadFile(file("data")); err != nil {
			t.Fatal(err)
		}
	}

	used := kernel.Name()
	defer func() {
		if err := kernel.Use(used); err != nil {
			t.Error(err)
		}
	}()
	groups := SolverOptions{
		LR: 0.01, Momentum: 0.9, WeightDecay: 0.01, BiasLR: 0.02, DenseLR: 0.005, DenseMomentum: 0.85, DenseDecay: 0.05,
	}
	cases := []struct {
		name      string
		options   SolverOptions
		smoothing float64
		steps     int
		tolerance string // of the losses after the first
		dense     []int
	}{
		{"sgd", SolverOptions{LR: 0.01}, 0, 50, "5e-3", nil},
		{"adadelta", SolverOptions{}, 0, 5, "2e-3", nil},
		{"sgd", SolverOptions{LR: 0.01, Momentum: 0.9, WeightDecay: 5e-4}, 0, 1, "0", nil},
		{"adam", SolverOptions{WeightDecay: 5e-4}, 0, 1, "0", nil},
		{"adamw", SolverOptions{WeightDecay: 0.01}, 0, 1, "0", nil},
		{"sgd", groups, 0.125, 5, "2e-3", nil},
		{"sgdw", groups, 0.125, 5, "2e-3", nil},
		{"muon", groups, 0.125, 5, "2e-3", nil},
		{"sgd", SolverOptions{LR: 0.01}, 0, 5, "2e-3", []int{128}},
		{"adadelta", SolverOptions{}, 0, 1, "0", []int{128}},
	}
	for i, c := range cases {
		spec := VGG(0)
		spec.Smoothing, spec.Dense = c.smoothing, c.dense
		if i == 0 || len(c.dense) != len(cases[i-1].dense) {
			begin(spec)
		}
		for _, k := range kernel.Names() {
			t.Run(fmt.Sprintf("%s %+v %s %v", c.name, c.options, k, c.dense), func(t *testing.T) {
				if err := kernel.Use(k); err != nil {
					t.Fatal(err)
				}
				steps := c.steps
				if k != used || k == "generic" {
					steps = 1 // more would take too long
				}
				on := newCPU(t, 0)
				n, err := New(on, spec, 1)
				if err != nil {
					t.Fatal(err)
				}
				if err := n.SetWeights(start); err != nil {
					t.Fatal(err)
				}
				s, err := NewSolver(on, c.name, c.options)
				if err != nil {
					t.Fatal(err)
				}
				st, err := n.NewStep(batch, s)
				if err != nil {
					t.Fatal(err)
				}
				defer st.Close()
				var lines []byte
				for i := range steps {
					x, labels := pixels(records[i*batch*3073:][:batch*3073])
					r, err := st.Run(x, labels, 0)
					if err != nil {
						t.Fatal(err)
					}
					lines = fmt.Appendf(lines, "{\"event\":\"step\",\"step\":%d,\"loss\":%.9g}\n", i+1, r.Loss)
					if i == 0 {
						writeSafetensors(t, file("after"), weightsOf(t, n))
					}
				}
				if err := os.WriteFile(file("log"), lines, 0o600); err != nil {
					t.Fatal(err)
				}
				// Newton-Schulz multiplies the small singular values of a gradient,
				// and its rounding with them: PyTorch's own float32 filters' gradients
				// are 6e-4 to 3e-3 from its float64 ones on 32 unselected images, and
				// 5e-3 to 6e-3 once orthogonalized. The formula itself is held to 2e-4
				// on the same gradient elsewhere.
				change := "1e-3"
				if c.name == "muon" {
					change = "5e-3"
				}
				peer(t, "compare", "--change", change, "--weights", file("start"), "--data", file("data"), "--log", file("log"), "--after", file("after"),
					"--optimizer", c.name, "--lr", fmt.Sprint(c.options.LR), "--momentum", fmt.Sprint(c.options.Momentum),
					"--weight-decay", fmt.Sprint(c.options.WeightDecay), "--bias-lr", fmt.Sprint(c.options.BiasLR),
					"--dense-lr", fmt.Sprint(c.options.DenseLR), "--dense-momentum", fmt.Sprint(c.options.DenseMomentum),
					"--dense-decay", fmt.Sprint(c.options.DenseDecay), "--smoothing", fmt.Sprint(c.smoothing), "--batch", fmt.Sprint(batch), "--steps", fmt.Sprint(steps),
					"--tolerance", c.tolerance)
			})
		}
	}
}

// peer runs peer.py and fails the test if it does.
func peer(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(interpreter(t), append([]string{"-B", "peer/peer.py"}, args...)...).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("peer.py %s: %v", args[0], err)
	}
}

// interpreter finds a Python that has torch.
func interpreter(t *testing.T) string {
	t.Helper()
	for _, p := range []string{os.Getenv("CIFARTUI_PYTHON"), "python3", "/usr/bin/python3"} {
		if p != "" && exec.Command(p, "-c", "import torch").Run() == nil {
			return p
		}
	}
	t.Fatal("no python3 with torch: install it (Debian: python3-torch), or name one in CIFARTUI_PYTHON")
	return ""
}

// peerRecords returns images in CIFAR-10's binary layout: a label and 3,072
// bytes each, channel, row, column.
func peerRecords(t *testing.T, n int) []byte {
	t.Helper()
	if dir := os.Getenv("CIFARTUI_DATA"); dir != "" {
		b, err := os.ReadFile(filepath.Join(dir, "data_batch_1.bin"))
		if err != nil {
			t.Fatal(err)
		}
		return b[:n*3073]
	}
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n*3073)
	for i := range b {
		if b[i] = byte(r.IntN(256)); i%3073 == 0 {
			b[i] %= 10
		}
	}
	return b
}

// pixels turns records into a batch: pixels of 0 to 1, [rows][32][32][3].
func pixels(records []byte) ([]float32, []uint8) {
	var x []float32
	var labels []uint8
	for ; len(records) > 0; records = records[3073:] {
		labels = append(labels, records[0])
		for p := range 1024 {
			for c := range 3 {
				x = append(x, float32(records[1+c*1024+p])/255)
			}
		}
	}
	return x, labels
}

// writeSafetensors writes what peer.py reads.
func writeSafetensors(t *testing.T, path string, ts []Tensor) {
	t.Helper()
	type entry struct {
		Dtype   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header := map[string]entry{}
	var data []byte
	for _, w := range ts {
		begin := len(data)
		for _, v := range w.Data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		header[w.Name] = entry{"F32", w.Shape, [2]int{begin, len(data)}}
	}
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(h)))
	if err := os.WriteFile(path, append(append(b, h...), data...), 0o600); err != nil {
		t.Fatal(err)
	}
}
