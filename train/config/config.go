// Package config holds settings as data: what a run can be told ([Config]), the
// defaults, what is allowed, and the files that hold them. config.json is in
// every run folder (folder.go), comparison.json in that of several runs that
// vary some settings (comparison.go, sweep.go).
package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"cifartui/cifar"
	"cifartui/train/rundir"
)

// Config is every setting of a run. Its JSON form is the run folder's
// config.json, which --config accepts back; its YAML keys are the same.
type Config struct {
	Name string `json:"name,omitempty" yaml:"name,omitempty"` // run's name; "" makes model_YYYYmmdd_HHMM
	Runs string `json:"runs" yaml:"runs"`                     // folder that holds the run folders

	Recipe string `json:"recipe,omitempty" yaml:"recipe,omitempty"` // whose settings these are, but for those given besides: see Recipes

	Data       string  `json:"data" yaml:"data"`                       // auto, cifar100, demo or a folder
	Size       int     `json:"size,omitempty" yaml:"size,omitempty"`   // height and width that a folder's pictures are fitted to; 0: 32
	ValSplit   int     `json:"val_split" yaml:"val_split"`             // training images held out for validation; 0: validate on the test set
	Preprocess string  `json:"preprocess" yaml:"preprocess"`           // unit, signed, mean, standard or zca
	Augment    Augment `json:"augment" yaml:"augment"`                 // what is done to the images each time
	Shuffle    bool    `json:"shuffle" yaml:"shuffle"`                 // a new order each epoch
	Fill       string  `json:"fill,omitempty" yaml:"fill,omitempty"`   // what a shift leaves empty: nearest or reflect; "": nearest
	Flips      string  `json:"flips,omitempty" yaml:"flips,omitempty"` // random or alternate; "": random

	Batch       int     `json:"batch" yaml:"batch"`
	Epochs      int     `json:"epochs" yaml:"epochs"`
	SmallEpochs float64 `json:"small_epochs,omitempty" yaml:"small_epochs,omitempty"` // part of the epochs, the first ones, that train on smaller images
	SmallSize   int     `json:"small_size,omitempty" yaml:"small_size,omitempty"`     // their height and width; 0: 24
	Budget      Seconds `json:"budget,omitempty" yaml:"budget,omitempty"`             // training time that sets the epochs; 0: Epochs does
	MaxSteps    int64   `json:"max_steps,omitempty" yaml:"max_steps,omitempty"`       // stop after so many batches in all; 0: no limit
	Seed        uint64  `json:"seed" yaml:"seed"`
	Threads     int     `json:"threads" yaml:"threads"` // 0: what the process may use
	Dropout     float64 `json:"dropout" yaml:"dropout"` // share of units dropped, in [0,1)

	Filters     Widths `json:"filters,omitempty" yaml:"filters,omitempty"`         // of each block's convolutions; "": 64,128,256
	Dense       Widths `json:"dense,omitempty" yaml:"dense,omitempty"`             // units of hidden dense layers; "": there are none
	Initializer string `json:"initializer,omitempty" yaml:"initializer,omitempty"` // of the first weights, see Initializers; "": he_normal
	Freeze      string `json:"freeze,omitempty" yaml:"freeze,omitempty"`           // layers that stay as they are, as conv1-conv4,dense
	LRScale     string `json:"lr_scale,omitempty" yaml:"lr_scale,omitempty"`       // factors of the learning rate, as conv=0.1,dense=1

	Smoothing float64 `json:"smoothing,omitempty" yaml:"smoothing,omitempty"` // part of a label that is shared among all classes, in [0,1)

	Optimizer   string  `json:"optimizer" yaml:"optimizer"` // see Optimizers
	LR          float64 `json:"lr" yaml:"lr"`               // 0: the optimizer's own default
	Momentum    float64 `json:"momentum" yaml:"momentum"`   // sgd, sgdw and muon: Nesterov's
	WeightDecay float64 `json:"weight_decay" yaml:"weight_decay"`

	// Of sgd, sgdw and muon. 0 stands for what the convolutions have; with muon,
	// whose numbers are for those alone, see nn.NewSolver.
	BiasLR        float64 `json:"bias_lr,omitempty" yaml:"bias_lr,omitempty"`
	DenseLR       float64 `json:"dense_lr,omitempty" yaml:"dense_lr,omitempty"`
	DenseMomentum float64 `json:"dense_momentum,omitempty" yaml:"dense_momentum,omitempty"` // of the biases, too
	DenseDecay    float64 `json:"dense_decay,omitempty" yaml:"dense_decay,omitempty"`

	Schedule string  `json:"schedule" yaml:"schedule"`                   // see Schedules
	Warmup   float64 `json:"warmup,omitempty" yaml:"warmup,omitempty"`   // part of the steps over which the rate rises; 0: the schedule's own
	Average  float64 `json:"average,omitempty" yaml:"average,omitempty"` // decay, a step, of the moving average of the weights, which is then what counts; 0: the weights themselves

	Monitor         string  `json:"monitor" yaml:"monitor"`                   // val_acc or val_loss
	Patience        int     `json:"patience" yaml:"patience"`                 // epochs without a better value before stopping; 0: never
	MinDelta        float64 `json:"min_delta" yaml:"min_delta"`               // what counts as better
	CheckpointEvery int     `json:"checkpoint_every" yaml:"checkpoint_every"` // also keep the weights every so many epochs; 0: only the best
	SaveSeconds     float64 `json:"save_seconds" yaml:"save_seconds"`         // training time between two last.ckpt within an epoch; 0: at epoch ends only
	Init            string  `json:"init,omitempty" yaml:"init,omitempty"`     // safetensors file with the first weights
}

// Default is the article's recipe.
func Default() Config {
	return Config{
		Runs:        rundir.RunsFolder,
		Recipe:      "article",
		Data:        "auto",
		Preprocess:  "unit",
		Augment:     cifar.DefaultAugment(),
		Shuffle:     true,
		Fill:        Fills()[0],
		Flips:       FlipModes()[0],
		Batch:       64,
		Epochs:      200,
		Seed:        1,
		Dropout:     0.5,
		Filters:     filters,
		Initializer: Initializers()[0],
		Optimizer:   "adadelta",
		Schedule:    "constant",
		Monitor:     "val_acc",
		Patience:    20,
		SaveSeconds: 60,
	}
}

// Augment is what is done to the images each time they are trained on.
type Augment = cifar.Augment

// Optimizers are the optimizers that a run can be trained with.
func Optimizers() []string { return []string{"adadelta", "sgd", "sgdw", "muon", "adam", "adamw"} }

// descending are those of the optimizers that are gradient descent, with momentum
// and with numbers of their own for biases and the dense layer.
func descending() []string { return []string{"sgd", "sgdw", "muon"} }

// Schedules are the ways in which the learning rate can move over a run.
func Schedules() []string { return []string{"constant", "step", "cosine", "onecycle", "triangle"} }

// Fills are the ways to fill what a shift of an image leaves empty, the default first.
func Fills() []string { return []string{"nearest", "reflect"} }

// FlipModes are the ways to choose the images that are mirrored, the default first.
func FlipModes() []string { return []string{"random", "alternate"} }

// Monitors are the values that early stopping and the best checkpoint can go by.
func Monitors() []string { return []string{"val_acc", "val_loss"} }

// Limits that keep a slip of the finger from asking for more memory or time
// than any machine has.
const (
	maxBatch  = 65536
	maxEpochs = 1_000_000
	maxName   = 100 // bytes of a run's name
)

// Validate names every wrong setting and what is allowed, one a line.
func (c Config) Validate() error {
	var wrong []error
	check := func(ok bool, key string, value any, allowed string) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("%s: %v is not allowed: want %s", key, value, allowed))
		}
	}
	oneOf := func(key, value string, allowed []string) {
		check(slices.Contains(allowed, value), key, fmt.Sprintf("%q", value), strings.Join(allowed, ", "))
	}
	number := func(key string, v float64, ok bool, allowed string) {
		check(ok && !math.IsNaN(v) && !math.IsInf(v, 0), key, v, allowed)
	}
	check(validName(c.Name), "name", fmt.Sprintf("%q", c.Name), fmt.Sprintf("letters from a to z and A to Z, digits and . _ - + =, at most %d of them, not beginning with a dot or a dash", maxName))
	check(c.Runs != "", "runs", `""`, "a folder")
	_, err := OfRecipe(cmp.Or(c.Recipe, recipes[0].Name))
	check(err == nil, "recipe", fmt.Sprintf("%q", c.Recipe), "article or fast")
	check(c.Data != "", "data", `""`, "auto, cifar100, demo, or a folder")
	check(slices.Contains(cifar.Sizes(), cmp.Or(c.Size, cifar.Size)), "size", c.Size, "32, 48, 64 or 96")
	check(c.ValSplit >= 0 && c.ValSplit <= maxImages, "val_split", c.ValSplit, fmt.Sprintf("0 (validate on the test set) or a number of training images, up to %d", maxImages))
	oneOf("preprocess", c.Preprocess, cifar.Preprocessings())
	check(c.Preprocess != cifar.ZCA || cmp.Or(c.Size, cifar.Size) <= cifar.Size, "size", c.Size, "32 with --preprocess zca: at 48 its matrix would have 48 million numbers, and take some ten times as long")
	check(c.Preprocess != cifar.ZCA || c.SmallEpochs == 0, "small_epochs", c.SmallEpochs, "0 with --preprocess zca, whose matrix is for whole images")
	oneOf("fill", cmp.Or(c.Fill, Fills()[0]), Fills())
	oneOf("flips", cmp.Or(c.Flips, FlipModes()[0]), FlipModes())
	check(c.Batch >= 1 && c.Batch <= maxBatch, "batch", c.Batch, fmt.Sprintf("1 to %d", maxBatch))
	check(c.Epochs >= 1 && c.Epochs <= maxEpochs, "epochs", c.Epochs, fmt.Sprintf("1 to %d", maxEpochs))
	number("small_epochs", c.SmallEpochs, c.SmallEpochs >= 0 && c.SmallEpochs < 1, "0 up to but not including 1")
	check(c.SmallSize == 0 || c.SmallSize >= 8 && c.SmallSize < cmp.Or(c.Size, cifar.Size) && c.SmallSize%8 == 0, "small_size", c.SmallSize, "a multiple of 8 less than the images' size, as 16 or 24 (0: 24)")
	number("budget", float64(c.Budget), c.Budget >= 0 && c.Budget <= maxSeconds, fmt.Sprintf("0 (none) to %d seconds", maxSeconds))
	check(c.MaxSteps >= 0 && c.MaxSteps <= maxSteps, "max_steps", c.MaxSteps, fmt.Sprintf("0 (no limit) to %d", int64(maxSteps)))
	check(c.Threads >= 0 && c.Threads <= MaxThreads, "threads", c.Threads, fmt.Sprintf("0 (all that the process may use) to %d", MaxThreads))
	number("dropout", c.Dropout, c.Dropout >= 0 && c.Dropout < 1, "0 up to but not including 1")
	for key, err := range c.checkLayers() {
		wrong = append(wrong, fmt.Errorf("%s: %w", key, err))
	}
	oneOf("initializer", cmp.Or(c.Initializer, Initializers()[0]), Initializers())
	oneOf("optimizer", c.Optimizer, Optimizers())
	const part = "0 up to but not including 1"
	decay := fmt.Sprintf("0 to %d", maxDecay)
	number("lr", c.LR, c.LR >= 0 && c.LR <= MaxLearnRate, fmt.Sprintf("0 (the optimizer's default) to %g", float64(MaxLearnRate)))
	number("momentum", c.Momentum, c.Momentum >= 0 && c.Momentum < 1, part)
	number("weight_decay", c.WeightDecay, c.WeightDecay >= 0 && c.WeightDecay <= maxDecay, decay)
	number("bias_lr", c.BiasLR, c.BiasLR >= 0 && c.BiasLR <= MaxLearnRate, fmt.Sprintf("0 (the dense layer's) to %g", float64(MaxLearnRate)))
	number("dense_lr", c.DenseLR, c.DenseLR >= 0 && c.DenseLR <= MaxLearnRate, fmt.Sprintf("0 (as lr) to %g", float64(MaxLearnRate)))
	number("dense_momentum", c.DenseMomentum, c.DenseMomentum >= 0 && c.DenseMomentum < 1, part)
	number("dense_decay", c.DenseDecay, c.DenseDecay >= 0 && c.DenseDecay <= maxDecay, decay)
	number("smoothing", c.Smoothing, c.Smoothing >= 0 && c.Smoothing < 1, part)
	if slices.Contains(Optimizers(), c.Optimizer) {
		descends := slices.Contains(descending(), c.Optimizer)
		only := "0 with " + c.Optimizer + ": only " + strings.Join(descending(), ", ") + " have it"
		check(c.Momentum == 0 || descends, "momentum", c.Momentum, only)
		for key, v := range map[string]float64{"bias_lr": c.BiasLR, "dense_lr": c.DenseLR, "dense_momentum": c.DenseMomentum, "dense_decay": c.DenseDecay} {
			check(v == 0 || descends, key, v, only)
		}
		check(c.WeightDecay == 0 || c.Optimizer != "adadelta", "weight_decay", c.WeightDecay, "0 with adadelta: the others have weight decay")
	}
	oneOf("schedule", c.Schedule, Schedules())
	number("warmup", c.Warmup, c.Warmup >= 0 && c.Warmup < 1, part)
	number("average", c.Average, c.Average >= 0 && c.Average < 1, part)
	oneOf("monitor", c.Monitor, Monitors())
	check(c.Patience >= 0 && c.Patience <= maxEpochs, "patience", c.Patience, fmt.Sprintf("0 (never stop early) to %d epochs", maxEpochs))
	number("min_delta", c.MinDelta, c.MinDelta >= 0 && c.MinDelta <= maxDelta, fmt.Sprintf("0 to %d", maxDelta))
	check(c.CheckpointEvery >= 0 && c.CheckpointEvery <= maxEpochs, "checkpoint_every", c.CheckpointEvery, fmt.Sprintf("0 (the best only) to %d epochs", maxEpochs))
	number("save_seconds", c.SaveSeconds, c.SaveSeconds >= 0 && c.SaveSeconds <= maxSeconds, fmt.Sprintf("0 (at epoch ends only) to %d seconds", maxSeconds))
	return errors.Join(wrong...)
}

// The largest that is allowed, where nothing else sets a bound: far over what is
// of use, and small enough to be worked with.
const (
	MaxThreads   = 1024
	MaxLearnRate = 1e6
	maxDecay     = 1000
	maxDelta     = 1000
	maxSteps     = 1_000_000_000_000
	maxSeconds   = 1_000_000 // eleven days
	maxImages    = 1_000_000
)

// validName reports whether a run may be called name: it becomes a folder, a
// file name's part and a word on the screen, on every system.
func validName(name string) bool {
	if len(name) > maxName || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") {
		return false
	}
	for _, r := range name {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-+=", r)
		if !ok {
			return false
		}
	}
	return !strings.HasSuffix(name, ".")
}

// Small is the height and width of the smaller images that the first epochs may
// train on.
func (c Config) Small() int { return cmp.Or(c.SmallSize, 24) }

// SmallOf is how many epochs of a number of them, the first, train on the smaller
// images.
func (c Config) SmallOf(epochs int) int {
	return int(math.Round(c.SmallEpochs * float64(epochs)))
}

// fixed are the settings that a resume must not change, because the bits
// trained so far depend on them.
var fixed = []string{
	"recipe", "size", "val_split", "preprocess", "augment", "shuffle", "fill", "flips", "small_epochs", "small_size", "batch", "seed", "dropout",
	"smoothing", "optimizer", "momentum", "weight_decay", "bias_lr", "dense_lr", "dense_momentum", "dense_decay",
	"schedule", "warmup", "average", "monitor", "init",
	"filters", "dense", "initializer", "freeze", "lr_scale",
}

// Filled is c with the defaults of settings that runs of old did not have, or that
// have a value which stands for one.
func (c Config) Filled() Config {
	c.Recipe = cmp.Or(c.Recipe, recipes[0].Name)
	c.Size, c.SmallSize = cmp.Or(c.Size, cifar.Size), c.Small()
	c.Fill, c.Flips = cmp.Or(c.Fill, Fills()[0]), cmp.Or(c.Flips, FlipModes()[0])
	c.Dense = cmp.Or(c.Dense, "0")
	c.Filters, c.Initializer = cmp.Or(c.Filters, filters), cmp.Or(c.Initializer, Initializers()[0])
	return c
}

// CheckResume compares the settings of a resume with those the run was trained
// with, and names each one that must stay.
func (c Config) CheckResume(saved Config) error {
	var wrong []error
	c, saved = c.Filled(), saved.Filled()
	for _, key := range fixed {
		was, is := saved.Field(key), c.Field(key)
		if was != is {
			wrong = append(wrong, fmt.Errorf("%s: the run was trained with %v and cannot go on with %v: leave it out, or start a new run", key, orNothing(was), orNothing(is)))
		}
	}
	return errors.Join(wrong...)
}

// orNothing is a setting's value, in words where there is none to see.
func orNothing(value any) any {
	if value == "" {
		return "nothing"
	}
	return value
}

// TrainsAs reports whether settings would train a run as others did: they differ
// in nothing but where it is, how often it is saved, and how fast it is.
func (c Config) TrainsAs(o Config) bool {
	o.Name, o.Runs = c.Name, c.Runs
	o.Threads, o.SaveSeconds, o.CheckpointEvery = c.Threads, c.SaveSeconds, c.CheckpointEvery
	return c.Filled() == o.Filled()
}

// Field returns the setting with a key.
func (c Config) Field(key string) any {
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if keyOf(v.Type().Field(i)) == key {
			return v.Field(i).Interface()
		}
	}
	return nil
}
