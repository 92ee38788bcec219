package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cifartui/train"
	"cifartui/train/control"
)

// The tests in the e2e files drive the built program as a person's shell would.
// They need minutes of processor time, so "go test -short" leaves them out, and
// some do more rounds when CIFARTUI_LONG is set.

var (
	buildOnce sync.Once
	binary    string
	buildErr  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if binary != "" {
		os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// program returns the path of the built program.
func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("end-to-end test: left out by -short")
	}
	buildOnce.Do(func() {
		var dir string
		if dir, buildErr = os.MkdirTemp("", "cifartui-e2e-"); buildErr != nil {
			return
		}
		binary = filepath.Join(dir, "cifartui")
		cmd := exec.Command("go", "build", "-o", binary, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return binary
}

// long reports whether the tests may take their time.
func long() bool { return os.Getenv("CIFARTUI_LONG") != "" }

// rounds is how often a test with random instants tries.
func rounds(short, all int) int {
	if long() {
		return all
	}
	return short
}

// patience is how long a test waits for what must happen: far over what it
// takes, as the machine may be busy.
const patience = 90 * time.Second

// small are the arguments of a run of some seconds: 30 steps of 8 images on the
// demo set, one validation, an exact checkpoint about every three steps.
func small(runs, name string, more ...string) []string {
	return append([]string{"--no-tui", "--data", "demo", "--batch", "8", "--epochs", "1", "--max-steps", "30",
		"--save-seconds", "0.05", "--runs", runs, "--name", name}, more...)
}

// start starts the program without a terminal.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program(t), args...)}
	p.Stdout, p.Stderr = &p.out, &p.errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	return p
}

type process struct {
	*exec.Cmd
	out, errs syncBuffer
}

// code waits for the end and returns the exit code, -1 after a signal.
func (p *process) code(t *testing.T) int {
	t.Helper()
	timer := time.AfterFunc(patience, func() { p.Process.Kill() })
	err := p.Wait()
	if !timer.Stop() {
		t.Fatalf("%v did not end within %v\n%s%s", p.Args[1:], patience, p.out.String(), p.errs.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// mustEnd waits for the end and wants an exit code.
func (p *process) mustEnd(t *testing.T, want int) {
	t.Helper()
	if got := p.code(t); got != want {
		t.Fatalf("%v: exit code %d, want %d\n%s%s", p.Args[1:], got, want, p.out.String(), p.errs.String())
	}
}

// syncBuffer is a buffer that a process writes while a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("within %v: no %s", patience, what)
		}
	}
}

// record reads a run's events so far.
func record(folder string) []train.Event {
	r, err := train.ReadEvents(folder)
	if err != nil {
		return nil
	}
	defer r.Close()
	var all []train.Event
	for {
		list, err := r.Next(context.Background(), 1000)
		all = append(all, list...)
		if err != nil {
			return all
		}
	}
}

// steps is how many batches a run's record tells of.
func steps(folder string) int64 {
	total := int64(0)
	for _, e := range record(folder) {
		if s, ok := e.(*train.StepDone); ok {
			total = s.Total
		}
	}
	return total
}

// sameBits wants two runs to have ended with the same weights, optimiser state
// and history, bit for bit.
func sameBits(t *testing.T, a, b string) {
	t.Helper()
	read := func(folder string) *train.Checkpoint {
		c, err := train.ReadCheckpoint(filepath.Join(folder, train.CheckpointsDir, train.LastFile))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	x, y := read(a), read(b)
	if x.Total != y.Total || x.Epoch != y.Epoch || x.Step != y.Step {
		t.Fatalf("%s ended at epoch %d step %d (%d in all), %s at epoch %d step %d (%d)", a, x.Epoch, x.Step, x.Total, b, y.Epoch, y.Step, y.Total)
	}
	if len(x.Weights) == 0 || len(x.Solver) == 0 {
		t.Fatal("the checkpoint holds no weights or no solver state")
	}
	for i := range x.Weights {
		if !equalFloats(x.Weights[i].Data, y.Weights[i].Data) {
			t.Errorf("weights %s of %s and %s differ", x.Weights[i].Name, a, b)
		}
	}
	for i := range x.Solver {
		if !equalFloats(x.Solver[i].Data, y.Solver[i].Data) {
			t.Errorf("solver state %s of %s and %s differ", x.Solver[i].Name, a, b)
		}
	}
	if len(x.History) != len(y.History) {
		t.Fatalf("%s has %d epochs, %s has %d", a, len(x.History), b, len(y.History))
	}
	for i := range x.History {
		p, q := x.History[i], y.History[i]
		if p.Loss != q.Loss || p.Acc != q.Acc || p.ValLoss != q.ValLoss || p.ValAcc != q.ValAcc {
			t.Errorf("epoch %d of %s: loss %v acc %v val %v %v; of %s: %v %v %v %v", p.Epoch, a, p.Loss, p.Acc, p.ValLoss, p.ValAcc, b, q.Loss, q.Acc, q.ValLoss, q.ValAcc)
		}
	}
}

func equalFloats(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// status asks a live run how it stands.
func status(t *testing.T, runs, name string) control.Status {
	t.Helper()
	out, err := exec.Command(program(t), "ctl", "--runs", runs, name, "status", "--json").Output()
	if err != nil {
		t.Fatalf("ctl status: %v", err)
	}
	var list []control.Status
	if err := json.Unmarshal(out, &list); err != nil || len(list) == 0 {
		t.Fatalf("ctl status: %v: %s", err, out)
	}
	return list[0]
}

// A command line that can't be is refused with 2, and says which flag and what
// is allowed.
func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--optimizer", "sdg"}, "adadelta, sgd, adam, adamw"},
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
	write("bacth: 128\n")
	if _, err := resolve("--config", file); err == nil || !strings.Contains(err.Error(), "bacth") {
		t.Errorf("an unknown key: %v, want it named", err)
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
	saved := train.Default()
	saved.Name, saved.Batch, saved.Optimizer = "mine", 128, "adam"
	got := s.over(saved)
	if got.Epochs != 300 || got.Batch != 128 || got.Optimizer != "adam" || got.Name != "mine" {
		t.Errorf("epochs %d, batch %d, %s, name %q", got.Epochs, got.Batch, got.Optimizer, got.Name)
	}
}

// Every key of a run's settings has a flag of the same name.
func TestEveryConfigKeyHasAFlag(t *testing.T) {
	flags := trainCommand().Flags()
	for _, key := range configKeys() {
		if flags.Lookup(strings.ReplaceAll(key, "_", "-")) == nil {
			t.Errorf("the setting %s has no flag", key)
		}
	}
}

// A holdWriter holds lines while a screen is up and loses none.
func TestLinesWaitForTheScreen(t *testing.T) {
	var b bytes.Buffer
	w := &holdWriter{w: &b}
	io.WriteString(w, "one\n")
	w.hold()
	io.WriteString(w, "two\n")
	if b.String() != "one\n" {
		t.Errorf("written while held: %q", b.String())
	}
	w.release()
	io.WriteString(w, "three\n")
	if b.String() != "one\ntwo\nthree\n" {
		t.Errorf("after release: %q", b.String())
	}
}
