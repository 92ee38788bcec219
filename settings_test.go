package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/rundir"
)

// Flags win over the file, the file over the defaults; unknown keys are named.
func TestSettingsLayers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	resolve := func(args ...string) (settings, error) {
		s := defaultSettings()
		cmd := trainCommand()
		cmd.ResetFlags()
		s.flags(cmd.Flags())
		if err := cmd.ParseFlags(args); err != nil {
			return s, err
		}
		err := s.resolve(cmd)
		return s, err
	}
	write("batch: 128\nepochs: 7\noptimizer: sgd\nmomentum: 0.9\nkeys:\n  pause: [f5]\n")
	s, err := resolve("--config", file, "--epochs", "9")
	if err != nil {
		t.Fatal(err)
	}
	if s.Batch != 128 || s.Epochs != 9 || s.Optimizer != "sgd" || s.Momentum != 0.9 || s.Dropout != 0.5 || s.Keys["pause"][0] != "f5" {
		t.Errorf("batch %d, epochs %d, %s, momentum %g, dropout %g, keys %v", s.Batch, s.Epochs, s.Optimizer, s.Momentum, s.Dropout, s.Keys)
	}
	if !s.Given["batch"] || !s.Given["epochs"] || s.Given["dropout"] {
		t.Errorf("given: %v", s.Given)
	}
	s, err = resolve("--config", file, "--batch", "64,256")
	if err != nil || len(s.sweeps) != 1 || s.sweeps[0].Key != "batch" {
		t.Errorf("--batch 64,256 over a file: %v, sweeps %v", err, s.sweeps)
	}
	write("recipe: fast\nepochs: 7\nlr: 0.04\n")
	s, err = resolve("--config", file, "--lr", "0.03")
	if err != nil || s.Recipe != "fast" || s.Optimizer != "muon" || s.Epochs != 7 || s.LR != 0.03 || s.Batch != 256 {
		t.Errorf("a file's recipe: %v, %+v", err, s.Config)
	}
	s, err = resolve("--config", file, "--recipe", "article", "--batch", "32")
	if err != nil || s.Recipe != "article" || s.Optimizer != "adadelta" || s.Epochs != 7 || s.Batch != 32 {
		t.Errorf("a recipe by flag, over a file's: %v, %+v", err, s.Config)
	}
	s, err = resolve("--recipe", "fast", "--batch", "64,128", "--name", "x")
	if err != nil || s.Optimizer != "muon" || len(s.sweeps) != 1 || s.Batch != 64 || s.Name != "x" || s.Given["optimizer"] {
		t.Errorf("a recipe by flag: %v, %+v, given %v", err, s.Config, s.Given)
	}
	if _, err := resolve("--recipe", "slow"); err == nil || !strings.Contains(err.Error(), "article or fast") {
		t.Errorf("an unknown recipe: %v", err)
	}
	write("batch: [64, 128]\nepochs: 7\n")
	s, err = resolve("--config", file)
	if err != nil || s.Batch != 64 || s.Epochs != 7 || len(s.sweeps) != 1 || !slices.Equal(s.sweeps[0].Values, []string{"64", "128"}) {
		t.Errorf("a list of batch sizes: %v, batch %d, sweeps %v", err, s.Batch, s.sweeps)
	}
	if s, err = resolve("--config", file, "--batch", "32"); err != nil || s.Batch != 32 || len(s.sweeps) != 0 {
		t.Errorf("--batch 32 over a list: %v, batch %d, sweeps %v", err, s.Batch, s.sweeps)
	}
	for _, bad := range []string{"epochs: 1_000\n", "epochs: 0x10\n", "lr: .inf\n", "epochs: 010\n", "batch: [64, 1_28]\n"} {
		write(bad)
		if _, err := resolve("--config", file); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for text, says := range map[string]string{
		"bacth: 128\n":       `unknown setting "bacth": the settings are name, `,
		"val-split: 100\n":   `"val-split": did you mean "val_split"?`,
		"log-format: json\n": `"log-format": did you mean "log_format"?`,
	} {
		write(text)
		if _, err := resolve("--config", file); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %s", text, err, says)
		}
	}
	if _, err := resolve("--resume", "last", "--batch", "64,128"); err == nil {
		t.Error("--resume with several batch sizes is taken")
	}
}

// Of a resumed run's settings only those that the person gave are changed.
func TestResumeTakesOnlyWhatWasGiven(t *testing.T) {
	s := defaultSettings()
	s.Epochs, s.Batch, s.Name = 300, 512, "other"
	s.Given = map[string]bool{"epochs": true, "name": true}
	saved := config.Default()
	saved.Name, saved.Batch, saved.Optimizer = "mine", 128, "adam"
	got := s.over(saved)
	if got.Epochs != 300 || got.Batch != 128 || got.Optimizer != "adam" || got.Name != "mine" {
		t.Errorf("epochs %d, batch %d, %s, name %q", got.Epochs, got.Batch, got.Optimizer, got.Name)
	}
}

// Every key of a run's settings has a flag of the same name.
func TestEveryConfigKeyHasAFlag(t *testing.T) {
	flags := trainCommand().Flags()
	for _, key := range config.Keys() {
		if flags.Lookup(strings.ReplaceAll(key, "_", "-")) == nil {
			t.Errorf("the setting %s has no flag", key)
		}
	}
}

// What no run may have is refused before threads are begun with it.
func TestResumeChecksWhatIsGiven(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "x")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Data = "demo:40"
	if err := config.Write(rundir.OS{}, folder, c, config.Machine("test", time.Now())); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := tool(t, "--no-tui", "--runs", dir, "--resume", "x", "--threads", "100000"); code != exitUsage || !strings.Contains(errs, "to 1024") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// Data that is named on the screen is found from every folder afterwards, as that of
// the command line is.
func TestDataNamedOnTheScreenIsFoundFromEverywhere(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", "/home/x")
	for typed, want := range map[string]string{
		"demo": "demo", "pictures": filepath.Join(dir, "pictures"), "./demo": filepath.Join(dir, "demo"), "~/pictures": "/home/x/pictures",
	} {
		p, err := plan{defaultSettings()}.on(typed)
		c, cerr := p.config()
		if err != nil || cerr != nil || c.Data != want || !p.Given["data"] {
			t.Errorf("%s is %s, want %s; %v, %v", typed, c.Data, want, err, cerr)
		}
	}
}
