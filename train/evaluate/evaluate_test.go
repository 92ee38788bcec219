package evaluate

import (
	"bytes"
	"encoding/json"
	"image/png"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/model"
	"cifartui/train/model/modeltest"
	"cifartui/train/rundir"
	"cifartui/train/score"
)

var spec = nn.Spec{Size: 32, Filters: []int{4, 8}, Classes: 10}

// drawn is a model with weights drawn from a seed.
func drawn(t *testing.T, s nn.Spec, seed uint64) *model.Model {
	t.Helper()
	m, err := model.Read(modeltest.File(t, "m.safetensors", modeltest.Weights(t, s, seed, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func noise(n int) *cifar.Set {
	r := rand.New(rand.NewPCG(1, 1))
	s := cifar.NewSet(cifar.Size, n)
	for i := range s.Pixels {
		s.Pixels[i] = byte(r.IntN(256))
	}
	for i := range s.Labels {
		s.Labels[i] = byte(i % cifar.Classes)
	}
	return s
}

func TestEnsembleIsTheMeanOfWhatEachSaysAndMirrorsStandBesideIt(t *testing.T) {
	b := nn.NewCPU(1)
	defer b.Close()
	set := noise(130) // more than a batch
	models := []*model.Model{drawn(t, spec, 1), drawn(t, spec, 2)}
	seen := 0
	r, err := Run(t.Context(), Options{
		Models: models, Backend: b, Images: set, Classes: cifar.ClassNames(), Flip: true,
		Progress: func(_ string, done, total int) {
			if done < 1 || done > total || total != 2*set.Len() {
				t.Errorf("%d of %d images", done, total)
			}
			seen++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != 8 {
		t.Errorf("%d batches told of, want 8", seen)
	}
	p, err := models[1].NewPredictor(b)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	plain, err := p.Bytes(set.Pixels)
	if err != nil {
		t.Fatal(err)
	}
	turned := cifar.NewSet(set.Size, set.Len())
	for i := range set.Len() {
		for y := range 3 * set.Size {
			for x := range set.Size {
				turned.Image(i)[y*set.Size+x] = set.Image(i)[y*set.Size+set.Size-1-x]
			}
		}
	}
	mirrored, err := p.Bytes(turned.Pixels)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Models[1].Prob, plain) {
		t.Error("the plain figure is not of the images as they are")
	}
	if !slices.Equal(r.Models[1].Flip.Prob, score.Mean(plain, mirrored)) {
		t.Error("flip is not the mean over the image and its mirror image")
	}
	if !slices.Equal(r.Ensemble.Prob, score.Mean(r.Models[0].Prob, r.Models[1].Prob)) ||
		!slices.Equal(r.Ensemble.Flip.Prob, score.Mean(r.Models[0].Flip.Prob, r.Models[1].Flip.Prob)) {
		t.Error("the ensemble is not the mean of its models")
	}
	want, err := score.Of(r.Ensemble.Prob, set.Labels, cifar.ClassNames())
	if err != nil || want.Accuracy != r.Ensemble.Accuracy {
		t.Errorf("the ensemble's accuracy is %v, of its probabilities %v, %v", r.Ensemble.Accuracy, want.Accuracy, err)
	}
	report := &Report{Data: "noise", Part: Test, Images: set.Len(), Result: r}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"loss", "accuracy", "top5", "calibration_error", "classes", "confusion", "images_per_second", "flip", "gain", "models"} {
		if keys[k] == nil {
			t.Errorf("JSON lacks %s: %s", k, text)
		}
	}
	var out bytes.Buffer
	if err := report.Print(&out); err != nil || !strings.Contains(out.String(), "ensemble gains") || !strings.Contains(out.String(), "mirror") {
		t.Errorf("%v in\n%s", err, out.String())
	}
}

func TestModelsThatDoNotFitTheDataAreRefused(t *testing.T) {
	b := nn.NewCPU(1)
	defer b.Close()
	seven, large := spec, spec
	seven.Classes, large.Size = 7, 48
	names := cifar.ClassNames()
	swapped := slices.Clone(names)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	for _, c := range []struct {
		m       *model.Model
		classes []string
		want    string
	}{
		{drawn(t, seven, 1), names, "7 classes"},
		{drawn(t, large, 1), names, "48x48"},
		{drawn(t, spec, 1), swapped, "order"},
		{drawn(t, spec, 1), append(slices.Clone(names[:9]), "lorry"), `"truck"`},
	} {
		_, err := Run(t.Context(), Options{Models: []*model.Model{c.m}, Backend: b, Images: noise(3), Classes: c.classes})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want something of %q", err, c.want)
		}
	}
	d := &cifar.Dataset{Train: noise(20), Test: noise(10)}
	if _, _, err := Part(d, Val, []*model.Model{drawn(t, spec, 1)}); err == nil || !strings.Contains(err.Error(), "not in a run") {
		t.Errorf("the held out part of a file: %v", err)
	}
	if s, _, err := Part(d, Train, nil); err != nil || s != d.Train {
		t.Errorf("the training part: %v", err)
	}
	d.Test, d.Val = cifar.NewSet(cifar.Size, 0), noise(5) // as of a folder of pictures
	if s, part, err := Part(d, "", []*model.Model{drawn(t, spec, 1)}); err != nil || s != d.Val || part != Val {
		t.Errorf("without test images: %s %v", part, err)
	}
	if _, _, err := Part(d, Test, nil); err == nil || !strings.Contains(err.Error(), "no test images") {
		t.Errorf("the test images that are not there: %v", err)
	}
}

func TestSheetShowsAsManyMistakesAsAskedFor(t *testing.T) {
	set := noise(30)
	j := &Judged{Prob: make([]float32, 30*10)}
	for i := range 30 {
		j.Prob[i*10] = 1 // 27 mistakes
	}
	names := append([]string{"飛行機", strings.Repeat("long ", 30)}, cifar.ClassNames()[2:]...)
	for _, n := range []int{5, 27, 1000} {
		var out bytes.Buffer
		if err := Sheet(&out, "worst mistakes", set, names, j, n); err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(&out)
		if err != nil {
			t.Fatal(err)
		}
		const w, h = sheetPicture + sheetGap, sheetPicture + sheetLines*sheetLine + sheetGap
		cols, rows := (img.Bounds().Dx()-sheetGap)/w, (img.Bounds().Dy()-2*sheetGap-sheetLine)/h
		if cols*rows < min(n, 27) || (rows-1)*cols >= min(n, 27) {
			t.Errorf("%d mistakes asked for: a page of %d by %d", n, cols, rows)
		}
		// The worst image's first pixel, in the page's corner.
		r, g, b, _ := img.At(sheetGap, 2*sheetGap+sheetLine).RGBA()
		px, k := set.Image(1), set.Size*set.Size
		if byte(r>>8) != px[0] || byte(g>>8) != px[k] || byte(b>>8) != px[2*k] {
			t.Errorf("the first picture is not the first mistake: %d %d %d", r>>8, g>>8, b>>8)
		}
	}
	var out bytes.Buffer
	if err := Sheet(&out, "none", set.Slice(0, 1), names, &Judged{Prob: j.Prob[:10]}, 3); err != nil {
		t.Error("without mistakes:", err)
	}
}

// inRun is a model whose weights lie in the folder of a run with such settings.
func inRun(t *testing.T, change func(*config.Config)) *model.Model {
	t.Helper()
	folder, c := t.TempDir(), config.Default()
	change(&c)
	if err := config.Write(rundir.OS{}, folder, c, config.About{}); err != nil {
		t.Fatal(err)
	}
	return &model.Model{Name: "run", Path: filepath.Join(folder, rundir.CheckpointsDir, "w.safetensors")}
}

func TestDataIsWhatTheWeightsWereTrainedOn(t *testing.T) {
	file := func(dataset string) *model.Model { return &model.Model{Name: "file", Dataset: dataset} }
	run := func(data string) *model.Model { return inRun(t, func(c *config.Config) { c.Data = data }) }
	for _, c := range []struct {
		models    []*model.Model
		data, err string
	}{
		{[]*model.Model{file("")}, "", ""},
		{[]*model.Model{file("CIFAR-10")}, "auto", ""},
		{[]*model.Model{file("CIFAR-10"), file("demo")}, "", "say with --data which"},
		{[]*model.Model{file("demo:400"), run("demo:400")}, "demo:400", ""},
		{[]*model.Model{file("CIFAR-10"), run("/cifar")}, "/cifar", ""},
		{[]*model.Model{run("/cifar"), file("CIFAR-10")}, "/cifar", ""},
		{[]*model.Model{file("demo:400"), run("demo")}, "", "say with --data which"},
		{[]*model.Model{file("CIFAR-100")}, "cifar100", ""},
		{[]*model.Model{file("demo"), file("demo")}, "demo", ""},
		{[]*model.Model{file("pets")}, "", `trained on "pets"`},
		{[]*model.Model{file("pets"), run("/pets")}, "/pets", ""},
		{[]*model.Model{run("auto"), run("cifar10"), file("CIFAR-10")}, "auto", ""},
		{[]*model.Model{run("auto"), file("CIFAR-100")}, "", "say with --data which"},
	} {
		data, err := Data(c.models)
		if data != c.data || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %q, %v", c, data, err)
		}
	}
}

func TestTestImagesThatWereTrainedOnAreToldOf(t *testing.T) {
	large := &model.Model{Name: "large", Dataset: "demo:8000"}
	usual := inRun(t, func(c *config.Config) { c.Data = "demo" })
	for data, want := range map[string][]string{"demo:400": {"large", "run"}, "demo": {"large"}, "demo:8000": nil, "auto": nil} {
		got := Learnt([]*model.Model{large, usual}, data)
		if (got == "") != (want == nil) {
			t.Errorf("%s: %q", data, got)
		}
		for _, name := range want {
			if !strings.Contains(got, name) {
				t.Errorf("%s: %q does not name %s", data, got, name)
			}
		}
	}
}

// Images that the data has to validate on come before what a run held out of
// the training images of other data.
func TestImagesToValidateOnAreTheDatasOwn(t *testing.T) {
	d := &cifar.Dataset{Train: noise(20), Test: noise(10), Val: noise(5)}
	m := inRun(t, func(c *config.Config) { c.ValSplit = 7 })
	if s, _, err := Part(d, Val, []*model.Model{m}); err != nil || s != d.Val {
		t.Errorf("got %v, %v", s, err)
	}
	d.Val = nil
	if s, _, err := Part(d, Val, []*model.Model{m}); err != nil || s.Len() != 7 {
		t.Errorf("got %v, %v", s, err)
	}
}

// What a run held out of one data set it may have learned of another.
func TestHeldOutIsOfTheDataThatItWasHeldOutOf(t *testing.T) {
	d := &cifar.Dataset{Name: "pets", Source: "/pets", Train: noise(20), Test: noise(10)}
	other := &cifar.Dataset{Name: "pets", Source: "/pets", Train: noise(30), Test: noise(10)} // a picture more
	elsewhere := &cifar.Dataset{Name: "pets", Source: "/mnt/pets", Train: d.Train, Test: cifar.NewSet(cifar.Size, 0)}
	known := inRun(t, func(c *config.Config) { c.ValSplit = 7 })
	s := checkpoint.Store{Disk: rundir.OS{}, Folder: filepath.Join(known.RunFolder(), rundir.CheckpointsDir)}
	if _, err := s.SaveLast(&checkpoint.Checkpoint{Data: checkpoint.SumOf(d)}); err != nil {
		t.Fatal(err)
	}
	unknown := inRun(t, func(c *config.Config) { c.ValSplit = 7 })
	c, about, err := config.Read(unknown.RunFolder())
	if err != nil {
		t.Fatal(err)
	}
	about.Dataset, about.Source = d.Name, d.Source
	if err := config.Write(rundir.OS{}, unknown.RunFolder(), c, about); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		m    *model.Model
		d    *cifar.Dataset
		want string // "" for no error
	}{
		{"the same", known, d, ""},
		{"other images", known, other, "take the part test"},
		{"no checkpoint", unknown, d, ""},
		{"no checkpoint, another folder", unknown, elsewhere, "take the part train"},
	} {
		set, _, err := Part(c.d, Val, []*model.Model{c.m})
		switch {
		case c.want == "" && (err != nil || set.Len() != 7):
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want something of %q", c.name, err, c.want)
		}
	}
	moved := *d
	moved.Source = "/mnt/pets"
	if _, _, err := Part(&moved, Val, []*model.Model{known}); err != nil {
		t.Errorf("the same images in another place: %v", err)
	}
}

// A model is called by its file's path where several have its name, and a path may
// hold anything: it steers no terminal.
func TestReportSteersNoTerminal(t *testing.T) {
	set := noise(10)
	one := One{Name: "a\x1b[2Jb\nc", Judged: Judged{Prob: make([]float32, 10*cifar.Classes)}}
	if err := (Options{Images: set, Classes: cifar.ClassNames()}).score(&one.Judged); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&Report{Data: "noise", Part: Test, Images: set.Len(), Result: Result{Models: []One{one}}}).Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "b\nc") {
		t.Errorf("%q", out.String())
	}
}

// The matrix stands beside the names of the classes, however long these are.
func TestLongNamesLeaveTheMatrixItsRoom(t *testing.T) {
	j := &Judged{Score: score.Score{Classes: make([]score.Class, 2), Confusion: [][]int{{5, 1}, {0, 6}}}}
	j.Classes[0].Name, j.Classes[1].Name = strings.Repeat("long ", 30), strings.Repeat("広い", 30)
	for _, line := range strings.Split(confusion(j), "\n")[2:] {
		if n := runewidth.StringWidth(line); n > 40 {
			t.Errorf("%q is %d columns wide", line, n)
		}
	}
}
