package main

import (
	"bytes"
	"strings"
	"testing"
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
		{[]string{"--no-such-flag"}, "--no-such-flag"},
		{[]string{"tarin"}, `"tarin" is no command`},
		{[]string{"--sweep", "color=red"}, "color"},
		{[]string{"--theme", "pink"}, "auto, dark, light, none"},
		{[]string{"--config", "no/such/file.yaml"}, "no/such/file.yaml"},
		{[]string{"ctl"}, "name a run"},
		{[]string{"ctl", "x", "lr"}, "learning rate"},
		{[]string{"bench", "--batches", "0"}, "--batches"},
		{[]string{"open"}, "name a run"},
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
