//go:build unix

package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cifartui/train/event"
	"cifartui/train/rundir"

	"golang.org/x/sys/unix"
)

// childVariable tells the test's own binary, started again, what to be.
const childVariable = "CIFARTUI_TEST_CHILD"

// TestChildProcess is no test but the process in the background of the others.
func TestChildProcess(t *testing.T) {
	role := os.Getenv(childVariable)
	if role == "" {
		t.Skip("only as a child of the tests below")
	}
	folder := os.Getenv(childVariable + "_FOLDER")
	readiness := Inherited()
	switch role {
	case "ready":
		fmt.Println("out", os.Getpid())
		fmt.Fprintln(os.Stderr, "err", os.Getpid())
		if err := alone(); err != nil {
			_ = readiness.Failed(err)
			return
		}
		if err := readiness.Ready(folder); err != nil {
			t.Error(err)
		}
		untilStopped(folder)
	case "failed":
		_ = readiness.Failed(errors.New("the data is gone"))
		time.Sleep(time.Hour)
	case "stopped":
		_ = readiness.Stopped("SIGTERM")
	case "dies":
		fmt.Fprintln(os.Stderr, "panic: no weights")
		os.Exit(3)
	case "hangs":
		time.Sleep(time.Hour)
	case "trains":
		r := resumeRig(t, folder)
		r.train(rigSteps, func() {})
		if err := readiness.Ready(folder); err != nil {
			t.Error(err)
		}
		untilStopped(folder)
		r.train(rigSteps, func() {})
		r.emit(&event.RunEnded{Outcome: event.OutcomeFinished})
		r.close(true)
	}
}

// alone makes sure that this process has no terminal and no session but its own.
func alone() error {
	sid, err := unix.Getsid(0)
	if err != nil || sid != os.Getpid() {
		return fmt.Errorf("session %d of process %d, %v", sid, os.Getpid(), err)
	}
	if f, err := os.Open("/dev/tty"); err == nil {
		f.Close()
		return errors.New("a terminal is still there")
	}
	if n, err := os.Stdin.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("standard input gives %d bytes, %v", n, err)
	}
	if v, ok := os.LookupEnv(readyVariable); ok {
		return fmt.Errorf("the environment still holds %s", v)
	}
	return nil
}

// untilStopped waits until the test wants the child to end, or is itself gone.
func untilStopped(folder string) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(folder, "stop")); err == nil {
			return
		}
	}
}

// resumeRig opens a rig on a folder where there is a run already.
func resumeRig(t testing.TB, folder string) *rig {
	r := &rig{t: t, folder: folder, name: rundir.Name(folder), logLag: 5 * time.Millisecond}
	r.takeLock()
	all, err := ReadStatus(folder)
	if err != nil || len(all) != 1 {
		t.Fatalf("the run so far: %v, %v", all, err)
	}
	r.seq, r.total = all[0].Seq, all[0].Total
	r.open()
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps, Resumed: true, ResumedTotal: r.total, PID: os.Getpid()})
	return r
}

// child is the background process of a test.
func child(t *testing.T, role, folder string) Background {
	t.Helper()
	t.Setenv(childVariable, role)
	t.Setenv(childVariable+"_FOLDER", folder)
	return Background{Args: []string{"-test.run=^TestChildProcess$"}, Folder: folder, Timeout: patience}
}

func TestSpawnedProcessHasNoTerminalAndLogsToTheRunFolder(t *testing.T) {
	folder := t.TempDir()
	c, err := Spawn(t.Context(), child(t, "ready", folder))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, c, folder)
	if c.Folder != folder || c.Output != filepath.Join(folder, OutputFile) {
		t.Errorf("folder %s, output %s", c.Folder, c.Output)
	}
	out, err := os.ReadFile(c.Output)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{fmt.Sprintf("out %d\n", c.PID), fmt.Sprintf("err %d\n", c.PID)} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in the output:\n%s", want, out)
		}
	}
}

// stop ends a child and waits until it is gone, so that the folder can be.
func stop(t *testing.T, c Child, folder string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "stop"), nil, 0o600); err != nil {
		t.Error(err)
	}
	until(t, "the child is gone", func() bool { return errors.Is(syscall.Kill(c.PID, 0), syscall.ESRCH) })
}

// A run that the child itself names has no folder yet when the child starts.
func TestSpawnOfANewRunMovesItsOutputIntoTheFolder(t *testing.T) {
	runs := t.TempDir()
	folder := filepath.Join(runs, "model")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	b := child(t, "ready", folder)
	b.Folder, b.New = runs, true
	c, err := Spawn(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, c, folder)
	if c.Output != filepath.Join(folder, OutputFile) {
		t.Errorf("output %s", c.Output)
	}
	if left, err := filepath.Glob(filepath.Join(runs, ".output*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSpawnTellsWhyTheChildFailed(t *testing.T) {
	for role, want := range map[string]string{
		"failed": "the data is gone",
		"dies":   "panic: no weights",
		"hangs":  "was not ready within",
	} {
		t.Run(role, func(t *testing.T) {
			b := child(t, role, t.TempDir())
			if role == "hangs" {
				b.Timeout = 100 * time.Millisecond
			}
			if _, err := Spawn(t.Context(), b); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		})
	}
}

func TestSpawnEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Spawn(ctx, child(t, "hangs", t.TempDir())); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A screen is attached while the run moves to another process, and sees one run.
func TestAttachedScreenSeesNothingOfAHandOver(t *testing.T) {
	folder := t.TempDir()
	r := newRig(t, folder)
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	r.train(3*rigSteps+7, func() {})
	c := r.dial()
	var w witness
	followed := make(chan error, 1)
	go func() { followed <- w.follow(t.Context(), c) }()
	h := HandOver{
		Stop: func(context.Context) error {
			r.emit(&event.RunEnded{Outcome: event.OutcomeDetached})
			r.close(true)
			return nil
		},
		Next:   child(t, "trains", folder),
		Resume: func() error { return errors.New("not wanted") },
	}
	next, err := h.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, next, folder)
	if err := <-followed; err != nil {
		t.Fatal(err)
	}
	if want := int64(5*rigSteps + 7); w.total != want || w.ended == nil || w.ended.Outcome != event.OutcomeFinished {
		t.Errorf("saw %d batches, end %+v; want %d and finished", w.total, w.ended, want)
	}
}

func TestAFailedHandOverGoesOnHere(t *testing.T) {
	resumed := 0
	h := HandOver{
		Stop:   func(context.Context) error { return nil },
		Next:   child(t, "dies", t.TempDir()),
		Resume: func() error { resumed++; return nil },
	}
	if _, err := h.Do(t.Context()); err == nil || resumed != 1 {
		t.Errorf("error %v, resumed %d times", err, resumed)
	}
	h.Resume = func() error { return errors.New("the disk is full") }
	if _, err := h.Do(t.Context()); err == nil || !strings.Contains(err.Error(), "stands still") {
		t.Errorf("error %v", err)
	}
}

// A signal to the process that is to take over is meant for the run, which no other
// process goes on with then.
func TestAHandOverThatASignalEndsDoesNotGoOnHere(t *testing.T) {
	h := HandOver{
		Stop:   func(context.Context) error { return nil },
		Next:   child(t, "stopped", t.TempDir()),
		Resume: func() error { t.Error("it goes on"); return nil },
	}
	_, err := h.Do(t.Context())
	var stopped *StoppedError
	if !errors.As(err, &stopped) || stopped.Signal != "SIGTERM" || !strings.Contains(err.Error(), "--resume") {
		t.Errorf("error %v", err)
	}
}

// A log may be emptied while a child writes to it.
func TestAnErrorIsToldWithoutTheOutputThatIsGone(t *testing.T) {
	output, err := os.Create(filepath.Join(t.TempDir(), OutputFile))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	why := errors.New("it ended")
	if err := withOutput(why, output, 100); err != why {
		t.Error(err)
	}
	if _, err := output.WriteString("before, and its last words\n"); err != nil {
		t.Fatal(err)
	}
	if err := withOutput(why, output, 12); !errors.Is(err, why) || !strings.HasSuffix(err.Error(), "it wrote:\nits last words") {
		t.Error(err)
	}
}
