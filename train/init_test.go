package train

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// bestOf is the file of a run's best weights.
func bestOf(t *testing.T, folder string) string {
	t.Helper()
	return filepath.Join(folder, rundir.CheckpointsDir, checkpointtest.Last(t, folder).BestFile)
}

// said are a run's warnings that mention something.
func said(rec *recorder, what string) (list []string) {
	for _, w := range of[*event.Warning](rec.events) {
		if strings.Contains(w.Message, what) {
			list = append(list, w.Message)
		}
	}
	return list
}

// weightsAre fails the test unless a run began with the weights w, but for the
// layers that are named.
func weightsAre(t *testing.T, tr *Trainer, w []checkpoint.Tensor, but ...string) {
	t.Helper()
	for _, x := range w {
		i := slices.IndexFunc(tr.init, func(y checkpoint.Tensor) bool { return y.Name == x.Name })
		same := i >= 0 && slices.Equal(tr.init[i].Data, x.Data)
		if same == slices.Contains(but, layerOf(x.Name)) && layerOf(x.Name)+".bias" != x.Name {
			t.Errorf("%s is taken from the file: %v", x.Name, same)
		}
	}
}

// Weights of other classes, by their names or by how many there are, give all
// layers but the last, which is drawn as a fresh network's.
func TestInitOfOtherClassesDrawsANewLastLayer(t *testing.T) {
	first, _ := mustTrain(t, tinyOptions(t, func(c *config.Config) { c.Epochs, c.Dense = 1, "6" }), nil)
	file := bestOf(t, first)
	w, err := checkpoint.ReadWeights(file)
	if err != nil {
		t.Fatal(err)
	}
	begin := func(change func(*Options)) *Trainer {
		o := tinyOptions(t, func(c *config.Config) { c.Epochs, c.Dense, c.Init, c.Seed = 1, "6", file, 7 })
		d := *o.Dataset
		o.Dataset = &d
		change(&o)
		tr := newTrainer(t, o)
		t.Cleanup(func() { tr.Close() })
		return tr
	}
	tr := begin(func(*Options) {})
	weightsAre(t, tr, w.Tensors)
	if len(tr.warnings) != 0 {
		t.Errorf("the same classes: %q", tr.warnings)
	}

	tr = begin(func(o *Options) { o.Config.Preprocess = "mean" })
	if len(tr.warnings) != 1 || !strings.Contains(tr.warnings[0], "preprocessed as unit, this run has mean (--preprocess unit") {
		t.Errorf("other pixels: %q", tr.warnings)
	}

	tr = begin(func(o *Options) { o.Dataset.Classes = append([]string{"кошка"}, o.Dataset.Classes[1:]...) })
	weightsAre(t, tr, w.Tensors, "dense")
	if len(tr.warnings) != 1 || !strings.Contains(tr.warnings[0], "of other classes (airplane, automobile, bird, cat, deer and 5 more): the last dense layer is drawn anew") {
		t.Errorf("other names: %q", tr.warnings)
	}
	fresh, err := nn.New(tr.options.Backend, tr.spec, 7)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := fresh.Weights()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range drawn {
		i := slices.IndexFunc(tr.init, func(y checkpoint.Tensor) bool { return y.Name == x.Name })
		if same := slices.Equal(tr.init[i].Data, x.Data); !same && layerOf(x.Name) == nn.LastLayer {
			t.Errorf("%s is not drawn as a fresh network's", x.Name)
		}
	}

	write := func() {
		var b bytes.Buffer
		if err := w.Encode(&b); err != nil {
			t.Fatal(err)
		}
		file = filepath.Join(t.TempDir(), "other.safetensors")
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.Meta[checkpoint.MetaClasses], w.Meta[checkpoint.MetaPreprocess] = `["\u001b[2J"]`, `{"name":"\u001b[2J"}`
	write()
	tr = begin(func(*Options) {})
	if text := strings.Join(tr.warnings, "\n"); len(tr.warnings) != 2 || strings.Contains(text, "\x1b") {
		t.Errorf("names that steer a terminal: %q", tr.warnings)
	}

	// Of a file that names no classes their number tells.
	delete(w.Meta, checkpoint.MetaClasses)
	delete(w.Meta, checkpoint.MetaPreprocess)
	write()
	tr = begin(func(o *Options) { o.Dataset.Classes = append(slices.Clone(o.Dataset.Classes), "eleventh") })
	weightsAre(t, tr, w.Tensors, "dense")
	if len(tr.warnings) != 1 || !strings.Contains(tr.warnings[0], "of other classes (10 of them)") {
		t.Errorf("another number: %q", tr.warnings)
	}
	tr = begin(func(o *Options) { o.Config.Freeze, o.Dataset.Classes = "dense", append(o.Dataset.Classes, "eleventh") })
	if len(tr.warnings) != 1 || !strings.Contains(tr.warnings[0], "it learns nothing") {
		t.Errorf("a new layer that is frozen: %q", tr.warnings)
	}
}

// What does not fit is named tensor by tensor before a folder is made.
func TestInitOfAnotherNetworkIsRefused(t *testing.T) {
	folder, _ := mustTrain(t, tinyOptions(t, func(c *config.Config) { c.Epochs, c.Dense = 1, "6" }), nil)
	o := tinyOptions(t, func(c *config.Config) { c.Filters, c.Init = "4,9,8", bestOf(t, folder) })
	_, err := NewTrainer(o)
	for _, says := range []string{
		filepath.Base(o.Config.Init), "conv3.weight has shape [8 4 3 3], [9 4 3 3] is wanted", "conv5.weight has shape [8 8 3 3], [8 9 3 3] is wanted",
		"dense.weight has shape [10 6], [10 32] is wanted", "fc1.weight [6 32] is one too many", "fc1.bias [6] is one too many",
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if list, err := os.ReadDir(o.Config.Runs); err == nil && len(list) > 0 {
		t.Errorf("%v were made", list)
	}
}

// Frozen layers end as they began, with those of the file or as they were drawn,
// and the average too; a run that freezes other layers does not go on.
func TestFrozenLayersEndAsTheyBegan(t *testing.T) {
	first, _ := mustTrain(t, tinyOptions(t, func(c *config.Config) { c.Epochs = 1 }), nil)
	o := tinyOptions(t, func(c *config.Config) {
		c.Epochs, c.Init, c.Freeze, c.LRScale, c.Average = 2, bestOf(t, first), "conv1-conv4", "dense=2", 0.5
	})
	w, err := checkpoint.ReadWeights(o.Config.Init)
	if err != nil {
		t.Fatal(err)
	}
	folder, rec := mustTrain(t, o, nil)
	last := checkpointtest.Last(t, folder)
	for name, list := range map[string][]checkpoint.Tensor{"weights": last.Weights, "average": last.Average} {
		for _, x := range list {
			i := slices.IndexFunc(w.Tensors, func(y checkpoint.Tensor) bool { return y.Name == x.Name })
			frozen := slices.Contains([]string{"conv1", "conv2", "conv3", "conv4"}, layerOf(x.Name))
			if same := slices.Equal(w.Tensors[i].Data, x.Data); same != frozen {
				t.Errorf("%s of the %s is as it was: %v", x.Name, name, same)
			}
		}
	}
	for _, s := range last.Solver {
		if strings.HasPrefix(s.Name, "conv1") || strings.HasPrefix(s.Name, "conv4") {
			t.Errorf("the optimizer's state has %s", s.Name)
		}
	}
	if notes := said(rec, "as they are drawn"); len(notes) > 0 {
		t.Errorf("%q", notes)
	}
	c, _, err := config.Read(folder)
	if err != nil || c.Freeze != "conv1-conv4" || c.LRScale != "dense=2" || c.Filters != "4,8,8" {
		t.Errorf("config.json: %+v, %v", c, err)
	}
	again := resume(o, folder)
	again.Config = c
	again.Config.Freeze, again.Config.Epochs = "conv1", 3
	if _, err := NewTrainer(again); err == nil || !strings.Contains(err.Error(), "freeze: the run was trained with conv1-conv4") {
		t.Errorf("other layers frozen: %v", err)
	}

	_, rec = mustTrain(t, tinyOptions(t, func(c *config.Config) { c.Epochs, c.Freeze = 1, "conv1" }), nil)
	if len(said(rec, "conv1 stay as they are drawn")) != 1 {
		t.Errorf("freezing what nobody has trained is not told: %+v", of[*event.Warning](rec.events))
	}
}

func TestSettingsOfLayersThatAreNotThereAreRefused(t *testing.T) {
	for says, change := range map[string]func(*config.Config){
		`freeze: there is no layer "conv9"`:   func(c *config.Config) { c.Freeze = "conv9" },
		"all layers are frozen":               func(c *config.Config) { c.Freeze = "conv,dense" },
		"lr_scale: there are no fc layers":    func(c *config.Config) { c.LRScale = "fc=2" },
		"can't be halved 6 times":             func(c *config.Config) { c.Filters = "4,4,4,4,4,4" },
		"24 pixels can't be halved 4 times":   func(c *config.Config) { c.Filters, c.SmallEpochs = "4,4,4,4", 0.5 },
		"want at most 64,000,000: take fewer": func(c *config.Config) { c.Filters, c.Dense = "4096", "4096" },
	} {
		o := tinyOptions(t, change)
		o.Dataset = dataOf(cifar.Size)
		if _, err := NewTrainer(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
