package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cifartui/train/rundir"
)

// A command line that can't be is refused with 2, and says which flag and what
// is allowed.
func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--optimizer", "sdg"}, "want adadelta, sgd, "},
		{[]string{"--batch", "many"}, `"many" is no whole number`},
		{[]string{"--batch", "0"}, "batch: 0"},
		{[]string{"--batch", "064"}, `"064" is no whole number`},
		{[]string{"--no-such-flag"}, "--no-such-flag"},
		{[]string{"tarin"}, `"tarin" is no command of cifartui: did you mean train?`},
		{[]string{"data", "fetc"}, `"fetc" is no command of cifartui data: did you mean fetch?`},
		{[]string{"xyz"}, "\"xyz\" is no command of cifartui\n"},
		{[]string{"--epoch", "3"}, "--epoch: did you mean --epochs?"},
		{[]string{"-epochs=3"}, "did you mean --epochs?"},
		{[]string{"eval", "x", "--wrost", "3"}, "--wrost: did you mean --worst?"},
		{[]string{"--sweep", "color=red"}, "color"},
		{[]string{"--theme", "pink"}, "auto, dark, light, none"},
		{[]string{"--order", "random"}, "none of interleave, sequential"},
		{[]string{"bench", "--threads", "100000"}, "between 0 and 1024"},
		{[]string{"--config", "no/such/file.yaml"}, "no/such/file.yaml"},
		{[]string{"ctl"}, "name a run"},
		{[]string{"ctl", "x", "lr"}, "learning rate"},
		{[]string{"ctl", "x", "foo"}, "ctl: \"foo\" is none of status|pause|resume|save|stop|detach|lr RATE\n"},
		{[]string{"ctl", "x", "events"}, `"events" is none of status|pause|resume|save|stop|detach|lr RATE`},
		{[]string{"ctl", "x", "puase", "1"}, "did you mean pause?"},
		{[]string{"ctl", "x", "lr", "1_000"}, `"1_000" is no number`},
		{[]string{"ctl", "x", "lr", "inf"}, `"inf" is no number`},
		{[]string{"ctl", "x", "lr", "1e9"}, "at most 1e+06"},
		{[]string{"ctl", "x", "pause", "--after", "epoch"}, "--after is for stop"},
		{[]string{"--lr", "1_000"}, `"1_000" is no number`},
		{[]string{"--lr", "1e9"}, "0 (the optimizer's default) to 1e+06"},
		{[]string{"--epochs", "0x10"}, `"0x10" is no whole number`},
		{[]string{"--epochs", "010"}, `"010" is no whole number`},
		{[]string{"--threads", "100000"}, "to 1024"},
		{[]string{"--max-steps", "9999999999999"}, "max_steps"},
		{[]string{"--patience", "99999999"}, "patience"},
		{[]string{"--save-seconds", "1e300"}, "seconds"},
		{[]string{"--metrics-linger", "2h"}, "between 0 and 1h"},
		{[]string{"--log-every", "-1"}, "--log-every"},
		{[]string{"--sweep", "lr=0.1,1_0"}, `"1_0"`},
		{[]string{"--name", "last"}, "choose another"},
		{[]string{"--name", "-"}, "name"},
		{[]string{"--name", "größe"}, "letters from a to z and A to Z"},
		{[]string{"summary", "--batch", "1_0"}, `"1_0" is no whole number`},
		{[]string{"summary", "--dropout", "2"}, "dropout: 2"},
		{[]string{"summary", "--batch", "64,128"}, "one batch size"},
		{[]string{"summary", "--freeze", "conv7"}, "conv1, conv2, conv3, conv4, conv5, conv6, dense"},
		{[]string{"--freeze", "conv-dense", "--lr", "1"}, `no layer "conv"`},
		{[]string{"--freeze", "conv,dense"}, "all layers are frozen"},
		{[]string{"--lr-scale", "conv=fast"}, "conv=0.1,dense=1"},
		{[]string{"--filters", "64,0"}, "numbers from 1"},
		{[]string{"--filters", "64,64,64,64,64,64"}, "multiple of 64"},
		{[]string{"--dense", "16384", "--filters", "4096"}, "64,000,000"},
		{[]string{"--initializer", "ones"}, "orthogonal, zeros"},
		{[]string{"plot", "x", "--width", "100000"}, "--width"},
		{[]string{"plot", "x", "--height", "0.001"}, "--height"},
		{[]string{"plot", "x", "--smooth", "nan"}, "no number"},
		{[]string{"plot", "x", "--smooth", "1"}, "0 to under 1"},
		{[]string{"plot", "x", "--x", "day"}, "none of epoch, images, time"},
		{[]string{"data", "info", "x", "--data", "y"}, "name the data once"},
		{[]string{"data", "fetch", "mnist"}, "neither cifar10 nor cifar100"},
		{[]string{"bench", "--batches", "0"}, "--batches"},
		{[]string{"bench", "--batches", ""}, `"" is no whole number`},
		{[]string{"gpu", "bench", "--batches", "64,0x10"}, `"0x10" is no whole number`},
		{[]string{"summary", "--classes", "1"}, "--classes: 1 is not between 2 and 256"},
		{[]string{"--resume", ""}, "--resume: it names nothing"},
		{[]string{"submit", "--resume="}, "--resume: it names nothing"},
		{[]string{"summary", "--config", ""}, "--config: it names nothing"},
		{[]string{"open"}, "name a run"},
		{[]string{"eval"}, "name a run"},
		{[]string{"eval", "x", "--split", "all"}, "test, train, val"},
		{[]string{"eval", "x", "--tta", "crop"}, "only flip"},
		{[]string{"eval", "x", "--worst", "5"}, "name the PNG file"},
		{[]string{"eval", "x", "--worst", "0", "y.png"}, "between 1 and"},
		{[]string{"eval", "x", "y.png"}, "is a picture"},
		{[]string{"eval", "x", "--device", "tpu"}, "none of auto"},
		{[]string{"average", "x"}, "which file to write"},
		{[]string{"average", "x", "-o", "y.bin"}, ".safetensors"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(t.Context(), c.args, strings.NewReader(""), &out, &errs)
			if code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			if !strings.Contains(errs.String(), c.says) {
				t.Errorf("it says %q, which does not name %q", errs.String(), c.says)
			}
		})
	}
}

// What can be had without training works, and writes to standard output.
func TestCommandsPrint(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"summary"}, "Total params: 1,186,378"},
		{[]string{"summary", "--filters", "32,64", "--freeze", "conv1-conv2"}, "9248 frozen"},
		{[]string{"summary", "--size", "64"}, "flatten (Flatten)            (None, 16384)"},
		{[]string{"summary", "--dense", "128"}, "Total params: 1,671,114"},
		{[]string{"summary", "--initializer", "orthogonal", "--lr-scale", "conv=0.1,dense=1", "--classes", "5"}, "First weights: orthogonal; biases: zeros"},
		{[]string{"summary", "--lr-scale", "conv=0.1,dense=1"}, "Learning rate: times conv=0.1, dense=1"},
		{[]string{"summary", "--augment", "false", "--preprocess", "mean"}, "preprocessed: mean, not augmented"},
		{[]string{"--version"}, "cifartui version"},
		{[]string{"--help"}, "--data"},
		{[]string{"completion", "bash"}, "bash completion"},
		{[]string{"data", "info", "--data", "demo"}, "4000 images"},
		{[]string{"runs", "--runs", t.TempDir()}, ""},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), c.args, strings.NewReader(""), &out, &errs); code != exitOK {
				t.Fatalf("exit code %d: %s", code, errs.String())
			}
			if !strings.Contains(out.String(), c.says) {
				t.Errorf("it prints %q, which does not name %q", out.String(), c.says)
			}
		})
	}
}

// A shell completes commands, runs and the words of flags.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, rundir.ConfigFile), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args, want []string
	}{
		{[]string{"att"}, []string{"attach"}},
		{[]string{"attach", "--runs", dir, ""}, []string{"one", "two", "last"}},
		{[]string{"compare", "--runs", dir, "one", ""}, []string{"one", "two"}},
		{[]string{"eval", "--runs", dir, "one", ""}, []string{"one", "two"}},
		{[]string{"runs", "rm", "--runs", dir, ""}, []string{"one", "two"}},
		{[]string{"--runs", dir, "--resume", ""}, []string{"one", "two", "last"}},
		{[]string{"ctl", "--runs", dir, "one", ""}, []string{"pause", "status", "lr"}},
		{[]string{"--optimizer", ""}, []string{"adadelta", "adamw"}},
		{[]string{"train", "--schedule", ""}, []string{"cosine", "onecycle"}},
		{[]string{"--initializer", ""}, []string{"he_normal", "orthogonal"}},
		{[]string{"summary", "--freeze", ""}, []string{"conv", "dense"}},
		{[]string{"--theme", ""}, []string{"dark", "none"}},
		{[]string{"open", "--theme", ""}, []string{"dark"}},
		{[]string{"--recipe", ""}, []string{"article", "fast"}},
		{[]string{"--device", ""}, []string{"auto", "cpu", "cuda"}},
		{[]string{"runs", "--sort", ""}, []string{"best", "updated"}},
		{[]string{"runs", "--filter", ""}, []string{"name=", "batch="}},
		{[]string{"eval", "--split", ""}, []string{"test", "val"}},
		{[]string{"eval", "--tta", ""}, []string{"flip"}},
		{[]string{"submit", "--scheduler", ""}, []string{"slurm"}},
		{[]string{"data", "info", "--size", ""}, []string{"48", "96"}},
		{[]string{"--augment="}, []string{"false", "cutout"}},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"__complete"}, c.args...), strings.NewReader(""), &out, &errs); code != exitOK {
			t.Fatalf("%v: exit code %d: %s", c.args, code, errs.String())
		}
		for _, want := range c.want {
			if !strings.Contains("\n"+out.String(), "\n"+want+"\n") && !strings.Contains("\n"+out.String(), "\n"+want+"\t") {
				t.Errorf("%v is not completed with %s:\n%s", c.args, want, out.String())
			}
		}
	}
}

// Words that a person writes apart or quotes are read as meant.
func TestWordsAreReadAsMeant(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, c := range []struct{ in, want []string }{
		{[]string{"--augment", "false", "--epochs", "2"}, []string{"--augment=false", "--epochs", "2"}},
		{[]string{"--augment", "flip,rotate=10", "--epochs", "2"}, []string{"--augment=flip,rotate=10", "--epochs", "2"}},
		{[]string{"--augment", "train", "--augment", "--epochs", "2"}, []string{"--augment", "train", "--augment", "--epochs", "2"}},
		{[]string{"train", "--no-tui", "true"}, []string{"train", "--no-tui=true"}},
		{[]string{"ctl", "--wait", "true", "stop"}, []string{"ctl", "--wait", "true", "stop"}},
		{[]string{"--name", "false"}, []string{"--name", "false"}},
		{[]string{"--init", "~/w.safetensors", "--runs=~/runs"}, []string{"--init", home + "/w.safetensors", "--runs=" + home + "/runs"}},
		{[]string{"open", "~"}, []string{"open", home}},
		{[]string{"--on-end", "~/bin/tell https://box/x"}, []string{"--on-end", home + "/bin/tell https://box/x"}},
		{[]string{"open", "~other/x", "a~b"}, []string{"open", "~other/x", "a~b"}},
	} {
		if got := joinBooleans(rootCommand(), expandHomes(c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%v is read as %v, want %v", c.in, got, c.want)
		}
	}
}

// Without a home folder there is no cache, and that is what is said.
func TestDataInfoWithoutHome(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"data", "info"}, strings.NewReader(""), &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "HOME") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// Where a file is to go is looked at before the work that it is for: of the run that
// is named here nothing is known, and there is no word of it.
func TestAFileThatCannotBeWrittenIsRefusedAtTheDoor(t *testing.T) {
	dir := t.TempDir()
	gone := filepath.Join(dir, "gone")
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		ext  string
	}{
		{[]string{"plot", "x", "-o"}, ".png"},
		{[]string{"export", "x", "-o"}, ".onnx"},
		{[]string{"average", "x", "-o"}, ".safetensors"},
		{[]string{"eval", "x", "--worst", "3"}, ".png"},
	} {
		folder := filepath.Join(dir, "folder"+c.ext)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for out, says := range map[string]string{
			filepath.Join(gone, "out"+c.ext): "there is no folder " + gone + ": make it first",
			filepath.Join(file, "out"+c.ext): file + " is no folder",
			folder:                           "it is a folder: name a file",
		} {
			code, _, errs := tool(t, append(slices.Clone(c.args), out, "--runs", dir)...)
			if code != exitFailed || !strings.Contains(errs, out) || !strings.Contains(errs, says) {
				t.Errorf("%s %s: exit code %d: %s", c.args[0], out, code, errs)
			}
		}
	}
}

// A script must not take for deleted what nobody was asked about.
func TestDeletingFailsWhereNobodyCanAnswer(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "one")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, rundir.ConfigFile), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		answer string
		code   int
		says   string
	}{
		{"", exitFailed, "say --yes"},
		{"n\n", exitOK, "[y/N]"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"runs", "rm", "--runs", dir, "one"}, strings.NewReader(c.answer), &out, &errs)
		if code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("answered %q: exit code %d, %q", c.answer, code, errs.String())
		}
		if _, err := os.Stat(folder); err != nil {
			t.Errorf("answered %q: %v", c.answer, err)
		}
	}
}
