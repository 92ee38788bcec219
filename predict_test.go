package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/model/modeltest"
)

// weightsFile writes the weights of a small network, as drawn, that knows four
// classes and images of 16 pixels.
func weightsFile(t *testing.T) string {
	t.Helper()
	return smallWeights(t, `{"name":"standard","mean":[0.5,0.4,0.3],"std":[0.2,0.25,0.3]}`)
}

// smallWeights is that with a preprocessing, and tensors that belong to it.
func smallWeights(t *testing.T, preprocess string, more ...checkpoint.Tensor) string {
	t.Helper()
	spec := nn.Spec{Size: 16, Filters: []int{4, 8}, Dense: []int{6}, Classes: 4}
	network, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	w := modeltest.Weights(t, spec, 1, map[string]string{
		checkpoint.MetaNetwork: string(network), checkpoint.MetaClasses: `["cat","dog","bread roll","飛行機"]`,
		checkpoint.MetaPreprocess: preprocess,
	})
	w.Tensors = append(w.Tensors, more...)
	return modeltest.File(t, "w.safetensors", w)
}

const pictures = "cifar/picture/testdata"

// cli runs a command line in this process.
func cli(t *testing.T, stdin io.Reader, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, stdin, &o, &e)
	return code, o.String(), e.String()
}

type saidOfImage struct {
	Image string
	Top   []struct {
		Class       string
		Probability float64
	}
}

// An object a line, in the order of the arguments; a folder is its pictures; all
// classes under --top 0, the likeliest first; what can't be read is named, does
// not stop the others, and makes the exit code 1.
func TestPredictWritesAnObjectALine(t *testing.T) {
	w, jpeg := weightsFile(t), pictures+"/exif6.jpg"
	broken := filepath.Join(t.TempDir(), "broken.jpg")
	if err := os.WriteFile(broken, []byte("\xff\xd8\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(jpeg)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	code, out, errs := cli(t, in, "predict", w, jpeg, broken, pictures, "-", "gone.png", "--json", "--top", "0")
	if code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	for _, want := range []string{broken + ": JPEG that breaks off", "gone.png: no such file", "2 of "} {
		if !strings.Contains(errs, want) {
			t.Errorf("standard error has no %q:\n%s", want, errs)
		}
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) < 40 {
		t.Fatalf("%d answers", len(lines))
	}
	var answers []saidOfImage
	for _, line := range lines {
		var a saidOfImage
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		sum := 0.0
		for i, c := range a.Top {
			sum += c.Probability
			if i > 0 && c.Probability > a.Top[i-1].Probability {
				t.Errorf("%s is not in order", line)
			}
		}
		if len(a.Top) != 4 || math.Abs(sum-1) > 1e-5 {
			t.Errorf("%s: want four classes whose probabilities are 1 together", line)
		}
		answers = append(answers, a)
	}
	first, last := answers[0], answers[len(answers)-1]
	if first.Image != jpeg || answers[1].Image != pictures+"/alpha.png" || last.Image != "-" {
		t.Errorf("the order is %s, %s, ..., %s", first.Image, answers[1].Image, last.Image)
	}
	if first.Top[0] != last.Top[0] {
		t.Errorf("the same picture is %v and %v", first.Top, last.Top)
	}
	if !strings.Contains(out, `{"image":"`+jpeg+`","top":[{"class":"`) {
		t.Errorf("not the form that is promised: %s", lines[0])
	}
}

func TestPredictWritesALineAPicture(t *testing.T) {
	code, out, errs := cli(t, nil, "predict", weightsFile(t), pictures+"/alpha.png", "--top", "2")
	if parts := strings.Split(out, ", "); code != 0 || len(parts) != 2 || !strings.HasPrefix(out, pictures+"/alpha.png: ") || !strings.HasSuffix(out, "%\n") || errs != "" {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}

// A name may hold anything: it steers no terminal and breaks no line.
func TestPredictPrintsNoControlCharacters(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a\x1b[31m\nb.png")
	if err := os.WriteFile(name, []byte("no picture"), 0o600); err != nil {
		t.Skipf("this file system has no such names: %v", err)
	}
	_, out, errs := cli(t, nil, "predict", weightsFile(t), name)
	if out != "" || strings.Contains(errs, "\x1b") || strings.Count(errs, "\n") != 1 {
		t.Errorf("%q", errs)
	}
}

// On a terminal there are the picture and bars; without colours for it, in
// letters.
func TestPredictDrawsOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("LC_ALL", "")
	t.Setenv("NO_COLOR", "")
	control, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	defer control.Close()
	if err := pty.Setsize(control, &pty.Winsize{Rows: 24, Cols: 90}); err != nil {
		t.Fatal(err)
	}
	shown := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(control) // it ends with an error when the terminal is closed
		shown <- string(b)
	}()
	var errs bytes.Buffer
	code := run(t.Context(), []string{"predict", weightsFile(t), pictures + "/cmyk.jpg", "--theme", "dark"}, nil, tty, &errs)
	tty.Close()
	got := <-shown
	if code != 0 || strings.Count(got, "\n") != 17 || strings.Count(got, "▀") != 16*32 || strings.Count(got, "%") != 4 || !strings.Contains(got, "飛行機") {
		t.Errorf("exit code %d, %s\n%s", code, errs.String(), got)
	}
}

func TestPredictAndExportWrongUsage(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"predict", "name a run"},
		{"predict last", "name pictures behind last"},
		{"predict - a.png", "standard input is for a picture"},
		{"predict last - -", "give - once"},
		{"predict last a.png --top -1", "--top"},
		{"predict last a.png --theme pink", "--theme"},
		{"predict last a.png --device gpu", "--device"},
		{"export", "name a run"},
		{"export last", "-o model.onnx"},
		{"export a b -o m.onnx", "one network at a time"},
		{"export last -o m.pt", "must end in .onnx or .safetensors"},
		{"export last -o m.onnx --input int8", "none of float, uint8"},
		{"export last -o m.onnx --dtype f16", "an ONNX file is written in float32"},
		{"export last -o m.safetensors --dtype f8", "none of f16, bf16, f32"},
		{"export last -o m.safetensors --input uint8", "weights have no input"},
	} {
		if code, _, errs := cli(t, nil, strings.Fields(c.args)...); code != exitUsage || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit code %d, %s, want %q", c.args, code, errs, c.says)
		}
	}
}
