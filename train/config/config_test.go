package config

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestDefaultIsTheArticlesRecipe(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Batch != 64 || c.Epochs != 200 || c.Optimizer != "adadelta" || c.Dropout != 0.5 || c.Augment != Default().Augment || c.Monitor != "val_acc" || c.Patience != 20 {
		t.Errorf("%+v", c)
	}
}

func TestValidateNamesEveryWrongSetting(t *testing.T) {
	c := Config{
		Name: "../x", ValSplit: -1, Preprocess: "raw", Batch: 0, Epochs: -1, MaxSteps: -1, Threads: -1, Dropout: 1,
		Optimizer: "lion", LR: math.NaN(), Momentum: 1, WeightDecay: math.Inf(1), Schedule: "poly", Monitor: "loss", Patience: -1,
		MinDelta: -1, CheckpointEvery: -1, SaveSeconds: -1,
		SmallEpochs: 1, SmallSize: 20, Budget: -1, Recipe: "slow", Fill: "wrap", Flips: "never", Smoothing: 1, BiasLR: -1, DenseLR: -1, DenseMomentum: 1, DenseDecay: -1, Warmup: 1, Average: 1,
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"name", "runs", "data", "val_split", "preprocess", "batch", "epochs", "max_steps", "threads", "dropout", "optimizer", "lr", "momentum", "weight_decay", "schedule", "monitor", "patience", "min_delta", "checkpoint_every", "save_seconds", "smoothing", "bias_lr", "dense_lr", "dense_momentum", "dense_decay", "warmup", "average", "small_epochs", "small_size", "budget", "recipe", "fill", "flips"} {
		if !strings.Contains("\n"+err.Error(), "\n"+key+": ") {
			t.Errorf("%s is not named in\n%v", key, err)
		}
	}
	if n := strings.Count(err.Error(), "want "); n != 33 {
		t.Errorf("%d of 33 say what is allowed:\n%v", n, err)
	}
	c = Default()
	c.Momentum, c.WeightDecay, c.BiasLR = 0.9, 0.1, 0.1
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "momentum") || !strings.Contains(err.Error(), "weight_decay") || !strings.Contains(err.Error(), "bias_lr") {
		t.Errorf("momentum, weight decay and a rate of the biases with adadelta: %v", err)
	}
	c.Optimizer = "muon"
	if err := c.Validate(); err != nil {
		t.Errorf("the same with muon: %v", err)
	}
}

func TestConfigFiles(t *testing.T) {
	base := Default()
	for name, test := range map[string]struct {
		text  string
		want  func(*Config)
		wrong string // in the error
	}{
		"yaml": {text: "batch: 128\nlr: 1e-3\nseed: 18446744073709551615\naugment: false\nname: big\n", want: func(c *Config) {
			c.Batch, c.LR, c.Seed, c.Augment, c.Name = 128, 1e-3, math.MaxUint64, Augment{}, "big"
		}},
		"json":             {text: ` {"batch": 128, "lr": 1e-3, "about": {"version": "1"}}`, want: func(c *Config) { c.Batch, c.LR = 128, 1e-3 }},
		"length of time":   {text: "budget: 31m15s\n", want: func(c *Config) { c.Budget = 1875 }},
		"seconds":          {text: `{"budget": 1875}`, want: func(c *Config) { c.Budget = 1875 }},
		"no length":        {text: "budget: long\n", wrong: "30m"},
		"empty":            {text: "", want: func(*Config) {}},
		"comment":          {text: "# nothing\n", want: func(*Config) {}},
		"unknown yaml":     {text: "batch: 1\nbatches: 3\n", wrong: `"batches"`},
		"unknown json":     {text: `{"batches": 3}`, wrong: `"batches"`},
		"dashes":           {text: "val-split: 3\n", wrong: `"val_split"`},
		"wrong type json":  {text: `{"batch": "many"}`, wrong: "batch"},
		"wrong type yaml":  {text: "batch: many\n", wrong: "line 1"},
		"list":             {text: "- batch\n", wrong: "line 1"},
		"two documents":    {text: "batch: 1\n---\nepochs: 3\n", wrong: "line 2"},
		"broken behind":    {text: "batch: 1\n---\n[\n", wrong: "YAML"},
		"empty yaml":       {text: "# nothing\n", want: func(*Config) {}},
		"broken yaml":      {text: "batch: [\n", wrong: "YAML"},
		"broken json":      {text: `{"batch": `, wrong: "JSON"},
		"case matters too": {text: `{"Batch": 3}`, wrong: `"batch"`},
	} {
		c, err := Parse([]byte(test.text), base)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: error %v, want one with %s", name, err, test.wrong)
			}
			continue
		}
		want := base
		test.want(&want)
		if err != nil || c != want {
			t.Errorf("%s: %+v, %v; want %+v", name, c, err, want)
		}
	}
	b, err := json.Marshal(file{Config: base, About: About{Version: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Parse(b, Config{}); err != nil || c != base {
		t.Errorf("config.json read back: %+v, %v", c, err)
	}
	if b, err = yaml.Marshal(base); err != nil {
		t.Fatal(err)
	}
	if c, err := Parse(b, Config{}); err != nil || c != base {
		t.Errorf("YAML read back: %+v, %v\n%s", c, err, b)
	}
}

// TestRecipesAreSettings: each is whole and allowed, and leaves the rest alone.
func TestRecipesAreSettings(t *testing.T) {
	for _, r := range Recipes() {
		c, err := OfRecipe(r.Name)
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		if c.Recipe != r.Name || c.Runs != "runs" || c.Seed != 1 {
			t.Errorf("%s: %+v", r.Name, c)
		}
	}
	if c, err := OfRecipe("article"); err != nil || c != Default() {
		t.Errorf("the article's recipe is not the default: %+v, %v", c, err)
	}
	if _, err := OfRecipe("slow"); err == nil || !strings.Contains(err.Error(), "article or fast") {
		t.Errorf("an unknown recipe: %v", err)
	}
}

func TestTheFirstEpochsAreSmall(t *testing.T) {
	c := Default()
	if n := c.SmallOf(100); n != 0 {
		t.Errorf("%d epochs of 100 are small by default", n)
	}
	c.SmallEpochs = 0.4
	for epochs, want := range map[int]int{1: 0, 2: 1, 3: 1, 16: 6} {
		if n := c.SmallOf(epochs); n != want {
			t.Errorf("%d epochs of %d are small, want %d", n, epochs, want)
		}
	}
	if c.Small() != 24 {
		t.Errorf("the smaller size is %d by default", c.Small())
	}
	if c.SmallSize = 16; c.Small() != 16 {
		t.Error("the smaller size is not the one asked for")
	}
}

// Every setting can be given at a resume and counts, or is refused there: one that
// is in neither list would be ignored without a word.
func TestEverySettingIsObeyedOrRefusedAtAResume(t *testing.T) {
	obeyed := []string{"name", "runs", "data", "epochs", "budget", "max_steps", "threads", "lr", "patience", "min_delta", "checkpoint_every", "save_seconds"}
	for _, key := range Keys() {
		if slices.Contains(obeyed, key) == slices.Contains(fixed, key) {
			t.Errorf("%s: is it to be obeyed or refused?", key)
		}
	}
	a := Default()
	b := a
	b.Name, b.Runs, b.Threads, b.SaveSeconds, b.CheckpointEvery, b.Filters = "x", "elsewhere", 3, 1, 2, ""
	if !a.TrainsAs(b) {
		t.Error("another name, place, number of threads and of saves are another training")
	}
	b.Epochs++
	if a.TrainsAs(b) {
		t.Error("more epochs are no other training")
	}
}
