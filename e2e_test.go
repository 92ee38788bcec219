package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// The tests in the e2e files drive the built program as a person's shell would.
// They need minutes of processor time, so "go test -short" leaves them out, and
// some do more rounds when CIFARTUI_LONG is set. What they share, the program
// and the run that others are compared with, is made once, by the first who
// asks. They wait for what a run says and not for time, and run beside each
// other, as saving and waiting leave the processors idle.

// shared is the folder of what the tests share.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "cifartui-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(shared); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

var build = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(shared, "cifartui")
	cmd := exec.Command("go", "build", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
})

// program returns the path of the built program.
func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("end-to-end test: left out by -short")
	}
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// reference is the folder of a small run that was left alone, on two threads:
// what others of the same settings are compared with.
func reference(t *testing.T) string {
	t.Helper()
	return alone(t, smallEpochs)
}

// alone is reference for a run of so many epochs.
func alone(t *testing.T, epochs int) string {
	t.Helper()
	program(t)
	name := fmt.Sprint("alone", epochs)
	folder := filepath.Join(shared, name)
	once, _ := references.LoadOrStore(epochs, new(sync.Once))
	once.(*sync.Once).Do(func() {
		start(t, small(shared, name, "--epochs", strconv.Itoa(epochs), "--threads", "2")...).mustEnd(t, 0)
	})
	if got, want := steps(folder), int64(smallSteps*epochs/smallEpochs); got != want {
		t.Fatalf("the run to compare with has %d steps, want %d", got, want)
	}
	return folder
}

// references holds a *sync.Once for each number of epochs.
var references sync.Map

// endsAs resumes a run of small's settings that was broken off somewhere, has it
// end with the epoch after the one that it is in, and wants the bits of one that
// was left alone. A run that is to be broken off is begun with forever, so that it
// cannot have ended before, however fast the machine is.
func endsAs(t *testing.T, folder string) {
	t.Helper()
	epochs := epochsFor(t, folder)
	start(t, "--no-tui", "--resume", folder, "--epochs", strconv.Itoa(epochs)).mustEnd(t, 0)
	checkpointtest.SameRuns(t, folder, alone(t, epochs))
}

// epochsFor is how many epochs leave a run that was broken off something to do, and
// are those of small at least.
func epochsFor(t *testing.T, folder string) int {
	t.Helper()
	store := checkpoint.Store{Folder: filepath.Join(folder, rundir.CheckpointsDir)}
	c, _, err := store.Load("")
	if err != nil {
		t.Fatal(err)
	}
	if c == nil { // before its first checkpoint
		return smallEpochs
	}
	return max(smallEpochs, c.Epoch+1)
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
const patience = 4 * time.Minute

// network are the arguments of the network that runs train: the article's where
// the tests may take their time, a tenth of it where not.
func network() []string {
	if long() {
		return nil
	}
	return []string{"--filters", "32,64,128"}
}

// small are the arguments of a run of a second: smallSteps batches of 4 images
// of a small demo set, in three epochs with their validation, and an exact
// checkpoint every few steps.
func small(runs, name string, more ...string) []string {
	args := append([]string{"--no-tui", "--data", "demo:40", "--batch", "4", "--epochs", strconv.Itoa(smallEpochs), "--patience", "0",
		"--save-seconds", "0.1", "--runs", runs, "--name", name}, network()...)
	return append(args, more...)
}

const smallSteps, smallEpochs = 30, 3

// forever are so many epochs that only a person, or a test, ends the run.
const forever = "1000000"

// endless are the arguments of a run that only a person ends.
func endless(runs, name string) []string {
	return append([]string{"--data", "demo:400", "--batch", "8", "--epochs", forever, "--patience", "0", "--threads", "1", "--runs", runs, "--name", name}, network()...)
}

// start starts the program without a terminal.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program(t), args...), waited: make(chan struct{})}
	p.begin(t)
	return p
}

// begin starts the process.
func (p *process) begin(t *testing.T) {
	t.Helper()
	p.Stdout, p.Stderr = &p.out, &p.errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.waited)
		p.err = p.Wait()
	}()
	t.Cleanup(func() { p.Process.Kill(); <-p.waited })
}

type process struct {
	*exec.Cmd
	out, errs syncBuffer
	waited    chan struct{} // closed when it has ended and err is set
	err       error
}

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.waited:
		return true
	default:
		return false
	}
}

// waitAtMost waits for the end, but not for long.
func (p *process) waitAtMost(d time.Duration) {
	select {
	case <-p.waited:
	case <-time.After(d):
	}
}

// code waits for the end and returns the exit code, -1 after a signal.
func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.waited:
	case <-time.After(patience):
		t.Fatalf("%v did not end within %v\n%s%s", p.Args[1:], patience, p.out.String(), p.errs.String())
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		t.Fatal(p.err)
	}
	return p.ProcessState.ExitCode()
}

// kill ends the process at once; it must not have ended by itself.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.Process.Kill()
	if got := p.code(t); got != -1 {
		t.Fatalf("%v: it ended before it was killed, with %d\n%s%s", p.Args[1:], got, p.out.String(), p.errs.String())
	}
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

// has waits for an event of a run for which ok holds.
func has[E event.Event](t *testing.T, folder, what string, ok func(E) bool) {
	t.Helper()
	eventually(t, what, func() bool {
		for _, e := range recorded(folder) {
			if e, is := e.(E); is && ok(e) {
				return true
			}
		}
		return false
	})
}

// recorded reads a run's events so far.
func recorded(folder string) []event.Event {
	r, err := record.Open(folder)
	if err != nil {
		return nil
	}
	defer r.Close()
	var all []event.Event
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
	for _, e := range recorded(folder) {
		if s, ok := e.(*event.StepDone); ok {
			total = s.Total
		}
	}
	return total
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
