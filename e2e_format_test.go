//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/control"
	"cifartui/train/event"
)

// With --log-format json every line of every stream is an object, whatever
// happens, in the background too.
func TestAllIsAnObjectInJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs, folder := filepath.Join(dir, "runs"), filepath.Join(dir, "runs", "j")
	// The name is taken, which is a warning.
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	p := start(t, append(endless(runs, "j"), "--no-tui", "--log-format", "json", "--metrics", "127.0.0.1:0", "--log-every", "5")...)
	folder += "-2"
	has(t, folder, "step", func(*event.StepDone) bool { return true })
	ctl := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(program(t), append([]string{"ctl", "--runs", runs, "j-2"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	ctl("lr", "0.25", "--wait")
	ctl("detach")
	p.mustEnd(t, 0)
	told := false
	for _, o := range objects(t, p.out.String()) {
		if o["event"] == "detached" && o["run"] == "j-2" && o["folder"] == folder {
			told = o["pid"].(float64) > 0
		}
	}
	if !told {
		t.Fatalf("no object tells of the process in the background:\n%s", p.out.String())
	}
	defer killLeft(folder)
	said := map[any]bool{}
	for _, o := range objects(t, p.errs.String()) {
		said[o["event"]] = true
	}
	if !said["note"] || !said["warning"] { // of the metrics, and of the name
		t.Errorf("standard error has %v", said)
	}
	has(t, folder, "step in the background", func(s *event.RunStarted) bool { return s.Resumed })
	ctl("stop", "--wait")
	var output []byte
	eventually(t, "last line", func() bool {
		output, _ = os.ReadFile(filepath.Join(folder, control.OutputFile)) // it is there once there is a process
		return strings.Contains(string(output), `"event":"run_ended"`)
	})
	for _, o := range objects(t, string(output)) { // of a run that has no epoch there is no best value
		if o["event"] != string(event.KindRunEnded) || o["best_val_acc_epoch"] != nil {
			continue
		}
		if acc, there := o["best_val_acc"]; !there || acc != nil {
			t.Errorf("without an epoch the best accuracy is %v", acc)
		}
	}
	p = start(t, "--no-tui", "--log-format", "json", "--runs", runs, "--resume", "nowhere")
	p.mustEnd(t, exitFailed)
	if o := objects(t, p.errs.String()); len(o) != 1 || o[0]["event"] != "error" || o[0]["exit"] != 1.0 || !strings.Contains(fmt.Sprint(o[0]["message"]), "nowhere") {
		t.Errorf("the error is %v", o)
	}
	p = start(t, "--no-tui", "--log-format", "json", "--dropout", "7")
	p.mustEnd(t, exitUsage)
	if o := objects(t, p.errs.String()); len(o) != 1 || o[0]["exit"] != 2.0 {
		t.Errorf("the error is %v", o)
	}
}

// objects reads lines that must all be JSON objects with an event.
func objects(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil || o["event"] == nil {
			t.Errorf("no object: %q", line)
			continue
		}
		all = append(all, o)
	}
	return all
}

// What is written for a person has the rights that their umask leaves.
func TestPlotKeepsToTheUmask(t *testing.T) {
	t.Parallel()
	folder := reference(t)
	out := filepath.Join(t.TempDir(), "curves.png")
	cmd := exec.Command("/bin/sh", "-c", `umask 077; exec "$0" plot "$1" -o "$2"`, program(t), folder, out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	st, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("the picture's rights are %v, want those of the umask, 0600", st.Mode().Perm())
	}
}
