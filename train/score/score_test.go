package score

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var names = []string{"a", "b", "c", "d", "e", "f"}

// table is worked out by hand below.
var table = []struct {
	label byte
	p     []float32
}{
	{0, []float32{0.50, 0.25, 0.125, 0.0625, 0.0625, 0}}, // right
	{0, []float32{0.25, 0.50, 0.125, 0.0625, 0.0625, 0}}, // b
	{1, []float32{0, 1, 0, 0, 0, 0}},                     // right
	{1, []float32{0.75, 0.25, 0, 0, 0, 0}},               // a
	{1, []float32{0, 0.75, 0.25, 0, 0, 0}},               // right
	{2, []float32{0.25, 0.25, 0.25, 0.25, 0, 0}},         // a, the first of equals
	{3, []float32{0.50, 0.25, 0.125, 0, 0.125, 0}},       // a; d is the fifth: 0 comes before f's 0
	{5, []float32{0.50, 0.25, 0.125, 0, 0.125, 0}},       // a; f is the sixth
}

func given() (prob []float32, labels []byte) {
	for _, row := range table {
		prob, labels = append(prob, row.p...), append(labels, row.label)
	}
	return prob, labels
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12 }

func TestScoresAsWorkedOutByHand(t *testing.T) {
	prob, labels := given()
	s, err := Of(prob, labels, names)
	if err != nil {
		t.Fatal(err)
	}
	// Right are the images 0, 2 and 4.
	if s.Accuracy != 3.0/8 {
		t.Errorf("accuracy %v, want 3/8", s.Accuracy)
	}
	// All but the last have their class among the first five.
	if s.Top5 != 7.0/8 {
		t.Errorf("top-5 %v, want 7/8", s.Top5)
	}
	// -ln of 1/2, 1/4, 1, 1/4, 3/4, 1/4, and twice of the smallest number.
	loss := (math.Log(2) + 3*math.Log(4) + math.Log(4.0/3) + 2*149*math.Log(2)) / 8
	if !near(s.Loss, loss) {
		t.Errorf("loss %v, want %v", s.Loss, loss)
	}
	// By bins of 1/15: 0.25 (0 right of 1), 0.5 (1 of 4), 0.75 (1 of 2) and 1 (1
	// of 1): |0 - 0.25| + |1 - 2| + |1 - 1.5| + |1 - 1|, over 8.
	if want := 1.75 / 8; !near(s.CalibrationError, want) {
		t.Errorf("calibration error %v, want %v", s.CalibrationError, want)
	}
	want := [][]int{
		{1, 1, 0, 0, 0, 0},
		{1, 2, 0, 0, 0, 0},
		{1, 0, 0, 0, 0, 0},
		{1, 0, 0, 0, 0, 0},
		{0, 0, 0, 0, 0, 0},
		{1, 0, 0, 0, 0, 0},
	}
	for i := range want {
		if !slices.Equal(s.Confusion[i], want[i]) {
			t.Errorf("confusion of %s: %v, want %v", names[i], s.Confusion[i], want[i])
		}
	}
	// a is said five times and right once; b three times and right twice. Of a
	// half is found, of b two thirds.
	a, b, e := s.Classes[0], s.Classes[1], s.Classes[4]
	if a != (Class{"a", 1.0 / 5, 1.0 / 2, 2}) || b != (Class{"b", 2.0 / 3, 2.0 / 3, 3}) {
		t.Errorf("classes %+v %+v", a, b)
	}
	if s.Classes[2].Recall != 0 || !math.IsNaN(float64(s.Classes[2].Precision)) || !math.IsNaN(float64(e.Recall)) || e.Count != 0 {
		t.Errorf("classes never said, and without images: %+v %+v", s.Classes[2], e)
	}
}

func TestJSONHasTheKeysThatAreDocumented(t *testing.T) {
	prob, labels := given()
	s, err := Of(prob, labels, names)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, want := range []string{`"loss":`, `"accuracy":0.375`, `"top5":0.875`, `"calibration_error":0.21875`,
		`"classes":[{"name":"a","precision":0.2,"recall":0.5,"count":2},`, `"precision":null`, `"confusion":[[1,1,0,0,0,0],`} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in %s", want, text)
		}
	}
	var back Score
	if err := json.Unmarshal(b, &back); err != nil || back.Accuracy != s.Accuracy || !math.IsNaN(float64(back.Classes[2].Precision)) {
		t.Errorf("%+v %v", back, err)
	}
}

func TestWorstMistakesComeFirst(t *testing.T) {
	prob, labels := given()
	list := Worst(prob, labels, len(names), 4)
	var order []int
	for _, m := range list {
		order = append(order, m.Index)
	}
	// 3 is 0.75 sure; of those that are 0.5 sure, 6 and 7 leave nothing to the true
	// class, and 1 a quarter.
	if !slices.Equal(order, []int{3, 6, 7, 1}) {
		t.Errorf("order %v", order)
	}
	if m := list[0]; m != (Mistake{3, 1, 0, 0.75, 0.25}) {
		t.Errorf("%+v", m)
	}
	if all := Worst(prob, labels, len(names), 100); len(all) != 5 {
		t.Errorf("%d mistakes, want 5", len(all))
	}
}

func TestWhatCannotBeScoredIsRefused(t *testing.T) {
	for _, c := range []struct {
		prob   []float32
		labels []byte
		names  []string
	}{
		{nil, nil, names},
		{nil, []byte{0}, nil},
		{[]float32{1}, []byte{0}, names[:2]},
		{[]float32{1, 0}, []byte{2}, names[:2]},
		{[]float32{float32(math.NaN()), 0}, []byte{0}, names[:2]},
		{[]float32{-1, 2}, []byte{0}, names[:2]},
	} {
		if s, err := Of(c.prob, c.labels, c.names); err == nil {
			t.Errorf("%v %v %v was scored: %+v", c.prob, c.labels, c.names, s)
		}
	}
}

func TestMeanOfProbabilities(t *testing.T) {
	if got := Mean([]float32{1, 0, 0.5}, []float32{0, 0, 1}); !slices.Equal(got, []float32{0.5, 0, 0.75}) {
		t.Error(got)
	}
}

// TestScoresAgreeWithPyTorch has peer/peer.py work out the same from the same
// probabilities. It needs python3 with torch (CIFARTUI_PYTHON names another
// interpreter).
func TestScoresAgreeWithPyTorch(t *testing.T) {
	if os.Getenv("CIFARTUI_PEER") == "" {
		t.Skip("set CIFARTUI_PEER=1 to compare with PyTorch")
	}
	const images, classes = 5000, 12
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]string, classes)
	prob, labels := make([]float32, 0, images*classes), make([]byte, images)
	for i := range images {
		labels[i] = byte(r.IntN(classes))
		p, sum := make([]float64, classes), 0.0
		for c := range p {
			p[c] = math.Exp(2 * r.NormFloat64())
			if c == int(labels[i]) {
				p[c] *= 4
			}
			sum += p[c]
		}
		for _, v := range p {
			prob = append(prob, float32(v/sum))
		}
	}
	s, err := Of(prob, labels, list)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 0, 4*len(prob)+images)
	for _, v := range prob {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	path := filepath.Join(t.TempDir(), "prob")
	if err := os.WriteFile(path, append(data, labels...), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(interpreter(t), filepath.Join("peer", "peer.py"), path, "5000", "12")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want Score
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for name, v := range map[string][2]float64{
		"loss": {s.Loss, want.Loss}, "accuracy": {s.Accuracy, want.Accuracy}, "top-5": {s.Top5, want.Top5},
		"calibration error": {s.CalibrationError, want.CalibrationError},
	} {
		t.Logf("%s: %v, PyTorch %v", name, v[0], v[1])
		if !(math.Abs(v[0]-v[1]) <= 1e-9) {
			t.Errorf("%s: %v, PyTorch says %v", name, v[0], v[1])
		}
	}
	for c := range classes {
		a, b := s.Classes[c], want.Classes[c]
		if math.Abs(float64(a.Precision-b.Precision)) > 1e-12 || math.Abs(float64(a.Recall-b.Recall)) > 1e-12 || a.Count != b.Count {
			t.Errorf("class %d: %+v, PyTorch says %+v", c, a, b)
		}
		if !slices.Equal(s.Confusion[c], want.Confusion[c]) {
			t.Errorf("confusion of %d: %v, PyTorch says %v", c, s.Confusion[c], want.Confusion[c])
		}
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
