package main

import (
	"cmp"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"cifartui/cifar"
	"cifartui/train"
	"cifartui/train/config"
	"cifartui/train/runs"
	"cifartui/tui"
)

// settings is everything that the train command can be told. The embedded
// Config is what decides a run's result and is kept in its config.json; the
// rest is about this process. The same keys, with underscores, stand in a
// settings file given with --config.
type settings struct {
	config.Config `yaml:",inline"`

	Sweep    []string `yaml:"sweep,omitempty"`    // key=v1,v2: several make their product
	Order    string   `yaml:"order,omitempty"`    // interleave or sequential; "": interleave, or what a resumed one had
	Parallel string   `yaml:"parallel,omitempty"` // runs that train at once: auto or a number; "": auto, or what a resumed comparison had

	Resume     string `yaml:"resume,omitempty"`          // run folder, run name or "last"
	Checkpoint string `yaml:"checkpoint,omitempty"`      // file of the resumed run to go on from; "": the newest
	Again      bool   `yaml:"resume_or_start,omitempty"` // the run called Name is resumed if it is there, see again.go
	DataURL    string `yaml:"data_url,omitempty"`        // where CIFAR-10 is fetched from

	NoTUI     bool                `yaml:"no_tui,omitempty"`
	Detach    bool                `yaml:"detach,omitempty"`
	Theme     string              `yaml:"theme,omitempty"`      // auto, dark, light or none
	Keys      map[string][]string `yaml:"keys,omitempty"`       // action: keys
	LogFormat string              `yaml:"log_format,omitempty"` // text or json
	LogEvery  int                 `yaml:"log_every,omitempty"`  // steps; 0: no step lines
	Metrics   string              `yaml:"metrics,omitempty"`    // address; "" is off
	Linger    config.Seconds      `yaml:"metrics_linger"`       // how long at most they stay for one more scrape
	Device    string              `yaml:"device,omitempty"`     // auto, cpu, cuda or cuda:N
	Fallback  bool                `yaml:"fallback,omitempty"`   // to the processor when the GPU is lost
	Kernels   string              `yaml:"kernels,omitempty"`    // "": the fastest here
	OnEnd     string              `yaml:"on_end,omitempty"`     // shell command
	Bell      bool                `yaml:"bell,omitempty"`

	// Given names the settings that the person gave in a file or by a flag, by
	// their YAML key: a resume refuses those that would change the run.
	Given map[string]bool `yaml:"-"`

	sweeps  []config.Sweep
	batches []string // --batch, before it is split into Config.Batch and Sweep
	file    string   // --config
	child   bool     // this process took over from one that detached
	asked   []string // commands that held when it did, as control's requests
	left    []string // runs that had ended when it did, and that it leaves so
	goesOn  bool     // with what this process has trained so far
}

// logFormats are the values of --log-format, the default first.
var logFormats = []string{"text", "json"}

// defaultSettings are the article's recipe and a person at a terminal.
func defaultSettings() settings {
	return settings{
		Config:    config.Default(),
		Device:    deviceAuto,
		Theme:     "auto",
		LogFormat: "text",
		Linger:    60,
	}
}

// flags binds each flag of the train command to its setting. The flag's name is
// the YAML key with hyphens.
func (s *settings) flags(f *pflag.FlagSet) {
	f.StringVar(&s.file, "config", "", "settings `file` (YAML, or a run's config.json); flags win over it")

	f.StringVar(&s.Recipe, "recipe", s.Recipe, `settings to begin with, article or fast ("cifartui train --help" lists them); what else is given wins over them`)
	f.StringVar(&s.Data, "data", s.Data, "images: auto (CIFAR-10), cifar100, demo (demo:400: a small one), or a `folder` with one for each class of your pictures")
	f.IntVar(&s.Size, "size", s.Size, "height and width that the pictures of a folder are fitted to: 32, 48, 64 or 96 (0: 32)")
	f.StringVar(&s.DataURL, "data-url", s.DataURL, "fetch CIFAR-10 or CIFAR-100 from this `address` instead of its home page")
	f.IntVar(&s.ValSplit, "val-split", s.ValSplit, "hold `n` training images out for validation and leave the test set to the end (of a folder without test or val: a tenth)")
	f.StringVar(&s.Preprocess, "preprocess", s.Preprocess, "pixels: unit ([0,1]), signed ([-1,1]), mean, standard, or zca (whitened)")
	f.Var(&s.Augment, "augment", "what is done to the training images each time: true (shift,flip), false, or `kinds` of shift, flip, rotate, zoom, cutout and color, with amounts, as shift=0.125,flip,rotate=15")
	f.Lookup("augment").NoOptDefVal = "true"
	f.BoolVar(&s.Shuffle, "shuffle", s.Shuffle, "a new order of images each epoch")

	f.StringVar(&s.Fill, "fill", s.Fill, "what a shift leaves empty: nearest (pixels) or reflect")
	f.StringVar(&s.Flips, "flips", s.Flips, "which images are mirrored: random ones, or alternate (in every other epoch)")

	s.batches = []string{strconv.Itoa(s.Batch)}
	f.StringSliceVar(&s.batches, "batch", s.batches, "images a step; several (64,128,256,512) are compared")
	f.StringArrayVar(&s.Sweep, "sweep", nil, "compare `key=v1,v2`: "+strings.Join(config.SweepKeys(), ", ")+"; may be given again")
	f.StringVar(&s.Order, "order", s.Order, "comparisons: interleave (an epoch of each in turn, the default) or sequential")
	f.StringVar(&s.Parallel, "parallel", s.Parallel, "comparisons: train `n` runs at once, each with its share of the processor or its own GPU; auto (the default): one a GPU, or one")
	f.IntVar(&s.Epochs, "epochs", s.Epochs, "epochs at most")
	f.Float64Var(&s.SmallEpochs, "small-epochs", s.SmallEpochs, "part of the epochs, the first ones, that train on smaller images")
	f.IntVar(&s.SmallSize, "small-size", s.SmallSize, "height and width of those: a multiple of 8 below the images' own (0: 24)")
	f.Var(&s.Budget, "budget", "training `time`, as 30m: the epochs that fit it, measured on this machine, take the place of --epochs")
	f.Int64Var(&s.MaxSteps, "max-steps", s.MaxSteps, "stop after so many steps in all (0: no limit)")
	f.Uint64Var(&s.Seed, "seed", s.Seed, "seed of weights, order, augmentation and dropout")
	f.IntVar(&s.Threads, "threads", s.Threads, "processor threads (0: all that this process may use); results do not depend on it")
	f.Float64Var(&s.Dropout, "dropout", s.Dropout, "share of units dropped before the dense layer")

	f.Var(&s.Filters, "filters", "filters of each block of two convolutions and a pool")
	f.Var(&s.Dense, "dense", "units of hidden dense layers before the last one, as 128 (0: none)")
	f.StringVar(&s.Initializer, "initializer", s.Initializer, "first weights: "+strings.Join(config.Initializers(), ", "))
	f.StringVar(&s.Freeze, "freeze", s.Freeze, "`layers` that stay as they are, as conv1-conv4 or conv,fc1")
	f.StringVar(&s.LRScale, "lr-scale", s.LRScale, "`factors` of the learning rate for layers, as conv=0.1,dense=1")

	f.Float64Var(&s.Smoothing, "smoothing", s.Smoothing, "label smoothing: part of a label that all classes share")

	f.StringVar(&s.Optimizer, "optimizer", s.Optimizer, strings.Join(config.Optimizers(), ", "))
	f.Float64Var(&s.LR, "lr", s.LR, "learning rate (0: the optimizer's own default)")
	f.Float64Var(&s.Momentum, "momentum", s.Momentum, "Nesterov momentum of sgd, sgdw and muon (0: none; muon: 0.95)")
	f.Float64Var(&s.WeightDecay, "weight-decay", s.WeightDecay, "weight decay")
	f.Float64Var(&s.DenseLR, "dense-lr", s.DenseLR, "sgd, sgdw and muon: learning rate of the dense layer (0: as --lr; muon: 0.05)")
	f.Float64Var(&s.DenseMomentum, "dense-momentum", s.DenseMomentum, "sgd, sgdw and muon: momentum of the dense layer and the biases (0: as --momentum)")
	f.Float64Var(&s.DenseDecay, "dense-decay", s.DenseDecay, "sgd, sgdw and muon: weight decay of the dense layer (0: as --weight-decay)")
	f.Float64Var(&s.BiasLR, "bias-lr", s.BiasLR, "sgd, sgdw and muon: learning rate of the biases (0: the dense layer's)")
	f.StringVar(&s.Schedule, "schedule", s.Schedule, "learning rate over time: "+strings.Join(config.Schedules(), ", "))
	f.Float64Var(&s.Warmup, "warmup", s.Warmup, "part of all steps over which the learning rate rises (0: the schedule's own)")
	f.Float64Var(&s.Average, "average", s.Average, "judge and keep the moving average of the weights, with this decay a step (0: the weights themselves)")

	f.StringVar(&s.Monitor, "monitor", s.Monitor, "what is best, and what early stopping watches: val_acc or val_loss")
	f.IntVar(&s.Patience, "patience", s.Patience, "stop after so many epochs without a better value (0: never)")
	f.Float64Var(&s.MinDelta, "min-delta", s.MinDelta, "what counts as better")
	f.IntVar(&s.CheckpointEvery, "checkpoint-every", s.CheckpointEvery, "also keep the weights every so many epochs (0: only the best)")
	f.Float64Var(&s.SaveSeconds, "save-seconds", s.SaveSeconds, "training time between exact checkpoints within an epoch (0: at epoch ends only)")
	f.StringVar(&s.Init, "init", s.Init, "start from the weights in this safetensors `file`")
	f.StringVar(&s.Resume, "resume", s.Resume, "go on with a `run`: its folder, its name, or last")

	f.BoolVar(&s.Again, "resume-or-start", s.Again, "go on with the run called --name if there is one, else start it; ends at once if it is finished")
	f.StringVar(&s.Checkpoint, "checkpoint", s.Checkpoint, "with --resume: go on from this `file` of its checkpoints folder (default last.ckpt)")

	f.StringVar(&s.Runs, "runs", s.Runs, "`folder` that holds the run folders")
	f.StringVar(&s.Name, "name", s.Name, "run's name (default model_YYYYmmdd_HHMM)")
	f.BoolVar(&s.NoTUI, "no-tui", s.NoTUI, "no screen: one line an epoch")
	f.BoolVar(&s.Detach, "detach", s.Detach, `train in the background at once; "cifartui attach" shows it`)
	f.StringVar(&s.Theme, "theme", s.Theme, "colours: auto, dark, light or none")
	f.StringVar(&s.LogFormat, "log-format", s.LogFormat, "headless lines: text or json")
	f.IntVar(&s.LogEvery, "log-every", s.LogEvery, "headless: also a line every so many steps (0: none)")
	f.StringVar(&s.Metrics, "metrics", s.Metrics, "serve Prometheus metrics on this `address` (:9100 means this machine only)")
	f.Var(&s.Linger, "metrics-linger", "`time`, as 30s, that the metrics stay at most at the end until they are scraped once more (0: none)")
	f.StringVar(&s.OnEnd, "on-end", s.OnEnd, "shell `command` to run when the run ends")
	f.BoolVar(&s.Bell, "bell", s.Bell, "ring the terminal's bell when the run ends")
	f.StringVar(&s.Device, "device", s.Device, "where to compute: auto (a GPU if one can be used), cpu, cuda, or cuda:`N` for the N-th GPU")
	f.BoolVar(&s.Fallback, "fallback", s.Fallback, "with --device auto: go on from the last checkpoint on the processor if the GPU is lost")
	f.StringVar(&s.Kernels, "kernels", s.Kernels, "processor kernels: avx512, avx2, neon or generic (default: the fastest here)")

	// Given by this program to itself; hiding fails only for a flag that is not there.
	f.BoolVar(&s.child, "child", false, "")
	f.StringArrayVar(&s.asked, "asked", nil, "")
	f.StringArrayVar(&s.left, "left", nil, "")
	_, _, _ = f.MarkHidden("child"), f.MarkHidden("asked"), f.MarkHidden("left")
}

// over returns a saved run's settings with those that the person gave this time
// in their place.
func (s *settings) over(saved config.Config) config.Config {
	from, to := reflect.ValueOf(s.Config), reflect.ValueOf(&saved).Elem()
	for i, key := range config.Keys() {
		// Where the run lies is how it was found, not a setting to change.
		if s.Given[key] && key != "runs" && key != "name" {
			to.Field(i).Set(from.Field(i))
		}
	}
	return saved
}

// check refuses what cannot be, naming the flag.
func (s *settings) check() error {
	if err := s.checkProcess(); err != nil {
		return err
	}
	if err := s.splitBatches(); err != nil {
		return err
	}
	for _, text := range s.Sweep {
		sweep, err := config.ParseSweep(text)
		if err != nil {
			return usage("--sweep: %w", err)
		}
		s.sweeps = append(s.sweeps, sweep)
	}
	if err := s.checkTogether(); err != nil || s.Resume != "" {
		return err // a resumed run's own settings count; they are checked with them
	}
	if s.Name == runs.Last {
		return usage("--name: %q is what the run trained last is called: choose another", s.Name)
	}
	if err := s.Config.Validate(); err != nil {
		return usage("%w", err)
	}
	return s.checkNetworks()
}

// checkProcess checks what the process is told, and not the run.
func (s *settings) checkProcess() error {
	if _, err := deviceIndex(s.Device); err != nil {
		return err
	}
	if s.Order != "" {
		if err := oneOf("order", s.Order, textsOf(config.Orders())...); err != nil {
			return err
		}
	}
	if err := oneOf("theme", s.Theme, tui.Themes()...); err != nil {
		return err
	}
	if err := oneOf("log-format", s.LogFormat, logFormats...); err != nil {
		return err
	}
	if err := tui.CheckKeys(s.Keys); err != nil { // wherever it will be shown
		return usage("%w", err)
	}
	if s.LogEvery < 0 || s.LogEvery > 1_000_000_000 {
		return usage("--log-every: %d is not between 0 (none) and 1000000000 steps", s.LogEvery)
	}
	if !(s.Linger >= 0 && s.Linger <= 3600) {
		return usage("--metrics-linger: %v is not between 0 and 1h", &s.Linger)
	}
	return nil
}

// splitBatches takes --batch apart: the first is the run's, and several are a sweep.
func (s *settings) splitBatches() error {
	if len(s.batches) == 0 {
		return usage("--batch: no batch size given")
	}
	if len(s.batches) > 1 {
		s.Sweep = append([]string{"batch=" + strings.Join(s.batches, ",")}, s.Sweep...)
	}
	for i, b := range s.batches {
		b = strings.TrimSpace(b)
		n, err := strconv.Atoi(b)
		if err != nil || !config.IsWhole(b) {
			return usage("--batch: %q is no whole number", b)
		}
		if i == 0 {
			s.Batch = n
		}
	}
	return nil
}

// checkTogether refuses settings that cannot be given with each other.
func (s *settings) checkTogether() error {
	n, err := s.parallel()
	switch {
	case err != nil:
		return err
	case n > 1 && len(s.sweeps) == 0 && s.Resume == "":
		return usage("--parallel %d: only a comparison has several runs: give several batch sizes, or --sweep", n)
	case s.Checkpoint != "" && s.Resume == "":
		return usage("--checkpoint names a file of the run to --resume: name that too")
	case s.Again && (s.Resume != "" || s.Name == ""):
		return usage("--resume-or-start goes on with the run called --name: give that, and not --resume")
	case s.Resume != "" && len(s.sweeps) > 0:
		return usage("--resume goes on with a run or a comparison as it is: leave out --sweep and the list of batch sizes")
	}
	return nil
}

// checkNetworks refuses runs without a network, by what is known before the data.
func (s *settings) checkNetworks() error {
	list := []config.Config{s.Config}
	if len(s.sweeps) > 0 {
		var err error
		if list, err = config.Expand(s.Config, s.sweeps); err != nil {
			return usage("%w", err)
		}
	}
	for _, c := range list {
		if _, err := train.NetworkOf(c, cmp.Or(c.Size, cifar.Size), cifar.Classes); err != nil {
			return usage("%w", err)
		}
	}
	return nil
}
