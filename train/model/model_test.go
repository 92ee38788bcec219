package model_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cifartui/cifar"
	"cifartui/cifar/cifartest"
	"cifartui/nn"
	"cifartui/train"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/model"
	"cifartui/train/model/modeltest"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// spec is a network of a few filters.
var spec = nn.Spec{Size: 32, Filters: []int{4, 8, 8}, Classes: 10, Dropout: 0.25}

// trained trains a run for some epochs and returns its folder, its data and what
// its record says.
func trained(t *testing.T, change func(*config.Config)) (string, *cifar.Dataset, *record.Run) {
	t.Helper()
	c := config.Default()
	c.Runs = filepath.Join(t.TempDir(), "runs")
	c.Name, c.Batch, c.Epochs, c.SaveSeconds, c.Preprocess, c.Filters, c.Dropout = "run", 8, 4, 0, "standard", "4,8,8", 0.25
	change(&c)
	d := &cifar.Dataset{Name: "CIFAR-10", Source: "test", Train: cifartest.Colours(60, 1), Test: cifartest.Colours(30, 2), Classes: cifar.ClassNames()}
	b := nn.NewCPU(1)
	defer b.Close()
	tr, err := train.NewTrainer(train.Options{Config: c, Dataset: d, Backend: b, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Run(context.Background(), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	r, err := record.Read(tr.Folder())
	if err != nil {
		t.Fatal(err)
	}
	return tr.Folder(), d, r
}

// judge returns the accuracy and the mean loss of a model on a set.
func judge(t *testing.T, m *model.Model, set *cifar.Set) (acc, loss float64) {
	t.Helper()
	b := nn.NewCPU(2)
	defer b.Close()
	p, err := m.NewPredictor(b)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	prob, err := p.Bytes(set.Pixels)
	if err != nil {
		t.Fatal(err)
	}
	n := len(m.Classes)
	if len(prob) != set.Len()*n {
		t.Fatalf("%d probabilities of %d images and %d classes", len(prob), set.Len(), n)
	}
	for i, label := range set.Labels {
		of := prob[i*n : (i+1)*n]
		if slices.Index(of, slices.Max(of)) == int(label) {
			acc++
		}
		loss -= math.Log(float64(of[label]))
	}
	return acc / float64(set.Len()), loss / float64(set.Len())
}

// What a run's best weights are, is told by what it went by; what they give is
// what training has recorded.
func TestRunIsItsBestWeightsAndGivesWhatTrainingRecorded(t *testing.T) {
	for _, monitor := range []string{"val_acc", "val_loss"} {
		folder, d, r := trained(t, func(c *config.Config) { c.Monitor, c.CheckpointEvery, c.ValSplit = monitor, 1, 20 })
		best := r.BestValAcc()
		if monitor == "val_loss" {
			best = r.BestValLoss()
		}
		m, err := model.Open(filepath.Dir(folder), "run")
		if err != nil {
			t.Fatal(err)
		}
		if m.Epoch != best.Epoch || m.Name != "run" || m.Dataset != "CIFAR-10" || len(m.Notes) > 0 {
			t.Errorf("%s: it is epoch %d of %s on %s %v, want the best, %d", monitor, m.Epoch, m.Name, m.Dataset, m.Notes, best.Epoch)
		}
		_, held, err := d.Train.Split(20, config.Default().Seed)
		if err != nil {
			t.Fatal(err)
		}
		acc, loss := judge(t, m, held)
		if acc != float64(best.ValAcc) || math.Abs(loss-float64(best.ValLoss)) > 1e-6 {
			t.Errorf("%s: accuracy %v and loss %v, training recorded %v and %v", monitor, acc, loss, best.ValAcc, best.ValLoss)
		}
	}
}

// Before a whole epoch is done, and where files were deleted, last.ckpt has all
// that is needed.
func TestRunWithoutWeightsIsItsCheckpoint(t *testing.T) {
	folder, d, r := trained(t, func(*config.Config) {})
	last, err := model.Read(filepath.Join(folder, rundir.CheckpointsDir, checkpoint.LastFile))
	if err != nil {
		t.Fatal(err)
	}
	if acc, _ := judge(t, last, d.Test); acc != float64(r.LastEpoch().ValAcc) || last.Epoch != 4 {
		t.Errorf("last.ckpt: epoch %d gives %v, want 4 and %v", last.Epoch, acc, r.LastEpoch().ValAcc)
	}
	files, err := filepath.Glob(filepath.Join(folder, rundir.CheckpointsDir, "*.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	m, err := model.Open("", folder)
	if err != nil {
		t.Fatal(err)
	}
	if acc, _ := judge(t, m, d.Test); acc != float64(r.LastEpoch().ValAcc) || len(m.Notes) != 1 {
		t.Errorf("it gives %v, want %v, and says %q", acc, r.LastEpoch().ValAcc, m.Notes)
	}
	if err := os.Remove(last.Path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(last.Path + ".1"); err != nil {
		t.Fatal(err)
	}
	if _, err := model.Open("", folder); err == nil || !strings.Contains(err.Error(), "no weights yet") {
		t.Errorf("a run without any weights: %v", err)
	}
}

func TestFileOfAnotherProgramIsKnownByItsShapes(t *testing.T) {
	m, err := model.Read(modeltest.File(t, "a.safetensors", modeltest.Weights(t, spec, 1, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if m.Spec.Size != 32 || !slices.Equal(m.Spec.Filters, spec.Filters) || m.Classes[1] != "automobile" || m.Preprocess.Name() != "unit" || len(m.Notes) != 2 {
		t.Errorf("%+v %v %s %q", m.Spec, m.Classes, m.Preprocess.Name(), m.Notes)
	}
	other := spec
	other.Classes = 7
	if m, err = model.Read(modeltest.File(t, "b.safetensors", modeltest.Weights(t, other, 1, nil))); err != nil || m.Classes[6] != "class 6" {
		t.Errorf("seven classes: %v %v", m, err)
	}
}

func TestFileThatDoesNotFitIsRefusedWithTheReason(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(*checkpoint.Weights)
	}{
		{"another network", "conv1.weight", func(w *checkpoint.Weights) { w.Tensors = w.Tensors[2:] }},
		{"huge images", "images of", func(w *checkpoint.Weights) {
			w.Meta[checkpoint.MetaNetwork] = `{"Size":1099511627776,"Filters":[4,8,8],"Classes":10}`
		}},
		{"endless blocks", "blocks", func(w *checkpoint.Weights) {
			w.Meta[checkpoint.MetaNetwork] = `{"Size":32,"Filters":[` + strings.Repeat("4,", 80) + `4],"Classes":10}`
		}},
		{"huge filters", "shape", func(w *checkpoint.Weights) {
			w.Meta[checkpoint.MetaNetwork] = `{"Size":32,"Filters":[4,8,512],"Classes":10}`
		}},
		{"no filters", "block", func(w *checkpoint.Weights) { w.Meta[checkpoint.MetaNetwork] = `{"Size":32,"Classes":10}` }},
		{"no network", "description of the network", func(w *checkpoint.Weights) { w.Meta[checkpoint.MetaNetwork] = `[` }},
		{"too few names", "names 2 classes", func(w *checkpoint.Weights) { w.Meta[checkpoint.MetaClasses] = `["cat","dog"]` }},
		{"names that steer a terminal", `class 1 "a\x1b[2J"`, func(w *checkpoint.Weights) {
			w.Meta[checkpoint.MetaClasses] = `["a","a\u001b[2J","c","d","e","f","g","h","i","j"]`
		}},
		{"no names", "names of the classes", func(w *checkpoint.Weights) { w.Meta[checkpoint.MetaClasses] = `3` }},
		{"preprocessing", "preprocessing", func(w *checkpoint.Weights) { w.Meta[checkpoint.MetaPreprocess] = `{}` }},
		{"a matrix whose means are lost", "zca.matrix", func(w *checkpoint.Weights) {
			w.Tensors = append(w.Tensors, checkpoint.Tensor{Name: checkpoint.WhiteningName, Shape: []int{1, 1}, Data: []float32{1}})
		}},
		{"a matrix that is not used", "zca.matrix", func(w *checkpoint.Weights) {
			w.Meta[checkpoint.MetaPreprocess] = `{"name":"unit","std":[1,1,1]}`
			w.Tensors = append(w.Tensors, checkpoint.Tensor{Name: checkpoint.WhiteningName, Shape: []int{1, 1}, Data: []float32{1}})
		}},
		{"not finite", "finite", func(w *checkpoint.Weights) { w.Tensors[0].Data[0] = float32(math.NaN()) }},
	} {
		w := modeltest.Weights(t, spec, 1, map[string]string{})
		c.change(&w)
		path := modeltest.File(t, "w.safetensors", w)
		if _, err := model.Read(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want something of %q and the file", c.name, err, c.want)
		}
	}
	if _, err := model.Open(t.TempDir(), "gone.safetensors"); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := model.Open(t.TempDir(), "gone"); err == nil || !strings.Contains(err.Error(), "no run") {
		t.Errorf("a missing run: %v", err)
	}
}

// A batch that is not whole, bytes and numbers give the same as one image after
// another.
func TestPredictionsDoNotDependOnTheBatch(t *testing.T) {
	m, err := model.Read(modeltest.File(t, "w.safetensors", modeltest.Weights(t, spec, 1, nil)))
	if err != nil {
		t.Fatal(err)
	}
	b := nn.NewCPU(1)
	defer b.Close()
	p, err := m.NewPredictor(b)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	set := cifartest.Colours(p.Batch()+3, 1)
	all, err := p.Bytes(set.Pixels)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, len(set.Pixels))
	if err := m.Preprocess.Apply(x, set.Pixels, m.Spec.Size); err != nil {
		t.Fatal(err)
	}
	same, err := p.Floats(x)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(all, same) {
		t.Error("bytes and numbers differ")
	}
	for _, i := range []int{0, 57, set.Len() - 1} {
		one, err := p.Bytes(set.Image(i))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one, all[i*10:(i+1)*10]) {
			t.Errorf("image %d: %v alone, %v among others", i, one, all[i*10:(i+1)*10])
		}
	}
	if _, err := p.Bytes(set.Pixels[1:]); err == nil {
		t.Error("a part of an image was taken")
	}
	if _, err := p.Floats(x[1:]); err == nil {
		t.Error("a part of an image was taken")
	}
	if none, err := p.Bytes(nil); err != nil || len(none) > 0 {
		t.Error("no images:", none, err)
	}
}

// FuzzDescription gives a file's metadata any content: it is read or refused.
func FuzzDescription(f *testing.F) {
	f.Add(`{"Size":32,"Filters":[4,8,8],"Classes":10,"Dropout":0.25}`, `["a","b"]`, `{"name":"unit","mean":[0,0,0],"std":[1,1,1]}`)
	f.Add(`{"Size":-1,"Filters":[0],"Classes":1e9}`, `{}`, `{"name":"x","mean":[1e308,0,0],"std":[0,0,0]}`)
	b := nn.NewCPU(1)
	defer b.Close()
	drawn := modeltest.Weights(f, nn.Spec{Size: 8, Filters: []int{1}, Classes: 2}, 1, nil)
	path := filepath.Join(f.TempDir(), "w.safetensors")
	f.Fuzz(func(t *testing.T, network, classes, preprocess string) {
		w := checkpoint.Weights{Tensors: drawn.Tensors, Meta: map[string]string{checkpoint.MetaNetwork: network, checkpoint.MetaClasses: classes, checkpoint.MetaPreprocess: preprocess}}
		var buf strings.Builder
		if err := w.Encode(&buf); err != nil {
			t.Skipf("no file can say this: %v", err)
		}
		if err := os.WriteFile(path, []byte(buf.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := model.Read(path)
		if err != nil {
			return
		}
		if m.Preprocess == nil || len(m.Classes) != m.Spec.Classes {
			t.Errorf("taken for good: %+v", m)
		}
		p, err := m.NewPredictor(b)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
	})
}

func TestAverageIsTheMeanAndRefusesWhatHasNone(t *testing.T) {
	read := func(w checkpoint.Weights) *model.Model {
		t.Helper()
		m, err := model.Read(modeltest.File(t, "w.safetensors", w))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	a, b := read(modeltest.Weights(t, spec, 1, map[string]string{checkpoint.MetaEpoch: "3", checkpoint.MetaValAcc: "0.5"})), read(modeltest.Weights(t, spec, 2, nil))
	slices.Reverse(b.Tensors) // any order will do
	w, err := model.Average([]*model.Model{a, b})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range w.Tensors {
		x, y := a.Tensors[i], b.Tensors[len(b.Tensors)-1-i]
		for k := range v.Data {
			if want := float32((float64(x.Data[k]) + float64(y.Data[k])) / 2); v.Data[k] != want {
				t.Fatalf("%s[%d]: %v of %v and %v", v.Name, k, v.Data[k], x.Data[k], y.Data[k])
			}
		}
	}
	mean := read(w)
	if mean.Epoch != 0 || mean.ValAcc.Finite() || mean.Meta[model.MetaAverageOf] != `["w","w"]` || len(mean.Notes) > 0 {
		t.Errorf("it says of itself %v, and %q", mean.Meta, mean.Notes)
	}
	fine := modeltest.Weights(t, spec, 3, nil)
	fine.Meta = map[string]string{checkpoint.MetaNetwork: `{"Size":32,"Filters":[4,8,8],"Classes":10,"Initializer":"zeros","Frozen":["conv1","conv2"]}`}
	if _, err := model.Average([]*model.Model{a, read(fine)}); err != nil {
		t.Errorf("one whose layers were frozen in training: %v", err)
	}
	wide, signed := spec, modeltest.Weights(t, spec, 1, nil)
	wide.Filters = []int{4, 8, 12}
	signed.Meta = map[string]string{checkpoint.MetaPreprocess: `{"name":"signed","mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}`}
	named := modeltest.Weights(t, spec, 1, map[string]string{checkpoint.MetaClasses: `["a","b","c","d","e","f","g","h","i","j"]`})
	for want, other := range map[string]*model.Model{
		"networks differ": read(modeltest.Weights(t, wide, 1, nil)), "preprocessing differs": read(signed), "classes differ": read(named),
	} {
		if _, err := model.Average([]*model.Model{a, other}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want something of %q", err, want)
		}
	}
	if _, err := model.Average([]*model.Model{a}); err == nil {
		t.Error("one alone was averaged")
	}
}
