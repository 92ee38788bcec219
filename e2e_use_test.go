package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/record"
	"cifartui/train/rundir"
)

// said is what a command that must succeed prints.
func said(t *testing.T, args ...string) string {
	t.Helper()
	p := start(t, args...)
	p.mustEnd(t, 0)
	return p.out.String()
}

// evaluation is what scripts read of eval --json.
type evaluation struct {
	Loss, Accuracy, Top5 float64
	CalibrationError     float64 `json:"calibration_error"`
	Classes              []struct {
		Name              string
		Precision, Recall *float64
		Count             int
	}
	Confusion       [][]int
	ImagesPerSecond float64 `json:"images_per_second"`
	Images          int
	Flip            *evaluation
	Models          []evaluation
	Gain            map[string]float64
}

// evaluated runs eval --json.
func evaluated(t *testing.T, args ...string) (e evaluation) {
	t.Helper()
	text := said(t, append([]string{"eval", "--json", "--device", "cpu"}, args...)...)
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return e
}

// What eval says of a run's best weights is what training recorded of them, to
// the last image.
func TestEvalSaysWhatTrainingRecorded(t *testing.T) {
	t.Parallel()
	folder := reference(t)
	r, err := record.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	best := r.BestValAcc()
	e := evaluated(t, folder, "--tta", "flip")
	if e.Accuracy != float64(best.ValAcc) || math.Abs(e.Loss-float64(best.ValLoss)) > 1e-6 {
		t.Errorf("accuracy %v and loss %v, training recorded %v and %v", e.Accuracy, e.Loss, best.ValAcc, best.ValLoss)
	}
	if e.Images != 10 || len(e.Classes) != 10 || len(e.Confusion) != 10 || e.ImagesPerSecond <= 0 || e.Flip == nil {
		t.Errorf("it says %+v", e)
	}
	total, right := 0, 0
	for i, row := range e.Confusion {
		for _, n := range row {
			total += n
		}
		right += row[i]
	}
	if total != e.Images || float64(right)/float64(total) != e.Accuracy {
		t.Errorf("%d images in the matrix, %d right, accuracy %v", total, right, e.Accuracy)
	}
}

// A run's own held out part, several runs as an ensemble, their mean, and the
// sheet of mistakes, as a person types them.
func TestEvalAndAverageAsTyped(t *testing.T) {
	t.Parallel()
	program(t)
	runs := t.TempDir()
	for i, name := range []string{"a", "b"} {
		start(t, small(runs, name, "--val-split", "20", "--epochs", fmt.Sprint(1+i), "--threads", "1")...).mustEnd(t, 0)
	}
	r, err := record.Read(filepath.Join(runs, "a"))
	if err != nil {
		t.Fatal(err)
	}
	sheet, mean := filepath.Join(runs, "worst.png"), filepath.Join(runs, "mean.safetensors")
	e := evaluated(t, "a", "b", "--runs", runs, "--split", "val", "--worst", "6", sheet)
	// A name as long as there are, which leaves no room for the file's until it is whole.
	long := filepath.Join(runs, strings.Repeat("w", 251)+".png")
	lost := start(t, "eval", "a", "--runs", runs, "--json", "--device", "cpu", "--worst", "6", long)
	lost.mustEnd(t, 1)
	if !strings.Contains(lost.out.String(), "calibration_error") || !strings.Contains(lost.errs.String(), long) {
		t.Errorf("a sheet that cannot be written costs the figures: %s%s", lost.out.String(), lost.errs.String())
	}
	if e.Images != 20 || len(e.Models) != 2 || e.Models[0].Accuracy != float64(r.BestValAcc().ValAcc) || e.Gain == nil {
		t.Errorf("of the held out part: %+v, recorded %v", e, r.BestValAcc().ValAcc)
	}
	f, err := os.Open(sheet)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
	if text := said(t, "average", "a", "b", "--runs", runs, "-o", mean); !strings.Contains(text, "mean of 2") {
		t.Errorf("average says %q", text)
	}
	p := start(t, "average", "a", "b", "--runs", runs, "-o", mean)
	p.mustEnd(t, 1)
	if !strings.Contains(p.errs.String(), "--force") {
		t.Errorf("a file is written over: %s", p.errs.String())
	}
	if e := evaluated(t, mean, "--data", "demo:40", "--split", "train"); e.Images != 40 {
		t.Errorf("of the mean: %+v", e)
	}
	if e := said(t, "eval", filepath.Join(runs, "a", rundir.CheckpointsDir, "last.ckpt"), "--device", "cpu"); !strings.Contains(e, "demo, the test part, 10 images") {
		t.Errorf("of last.ckpt: %s", e)
	}
}

// The screen walks through the images of a run with what was said of each: as
// eval says it of the same weights, on the machine that has the data.
func TestScreenReadsTheImagesOfARun(t *testing.T) {
	t.Parallel()
	folder := reference(t)
	images := new(validationImages)
	g, err := images.Open(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	r, err := record.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, label := range g.Labels {
		if g.Said(i) == int(label) {
			right++
		}
		if len(g.Image(i)) != 3*32*32 {
			t.Errorf("image %d has %d bytes", i, len(g.Image(i)))
		}
	}
	if last := r.LastEpoch(); g.Epoch != last.Epoch || float64(right)/float64(len(g.Labels)) != float64(last.ValAcc) {
		t.Errorf("epoch %d, %d of %d right; the record says %d, %v", g.Epoch, right, len(g.Labels), last.Epoch, last.ValAcc)
	}
	examples := g.Augment(3)
	if len(examples) != augmentedExamples || len(examples[0]) != 3*32*32 {
		t.Fatalf("%d examples", len(examples))
	}
	differ := 0
	for _, px := range examples {
		if !bytes.Equal(px, g.Image(3)) {
			differ++
		}
	}
	if differ < augmentedExamples/2 {
		t.Errorf("%d of %d examples differ from the image", differ, len(examples))
	}
	copied := t.TempDir()
	if _, err := images.Open(t.Context(), copied); err == nil || !strings.Contains(err.Error(), "after the first epoch") {
		t.Errorf("a run without: %v", err)
	}
	for _, name := range []string{rundir.PredictionsFile, rundir.ConfigFile} {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.Replace(b, []byte("demo:40"), []byte("demo:80"), 1)
		if err := os.WriteFile(filepath.Join(copied, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := images.Open(t.Context(), copied); err == nil || !strings.Contains(err.Error(), "not those") {
		t.Errorf("a run on other images: %v", err)
	}
}
