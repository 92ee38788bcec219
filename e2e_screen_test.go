//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"

	"cifartui/train/checkpoint"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// screen is the program in a terminal of its own: a pty that answers no query,
// with an emulator that draws what it is sent.
type screen struct {
	*exec.Cmd
	pty     *os.File
	term    vt10x.Terminal
	bytes   atomic.Int64 // sent to the terminal so far
	stalled atomic.Bool  // nobody reads
	answers string       // to the question for the background's colour; "" for none
	answer  func(string) // gives them, in a goroutine of its own
	ended   chan error
}

// open starts the program in a terminal of 120x40.
func open(t *testing.T, args ...string) *screen {
	t.Helper()
	s := &screen{Cmd: exec.Command(program(t), args...)}
	s.open(t)
	return s
}

// open starts what is to be run in a terminal of 120x40.
func (s *screen) open(t *testing.T, env ...string) {
	t.Helper()
	s.ended = make(chan error, 1)
	s.Env = append(append(os.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8", "NO_COLOR="), env...)
	var err error
	if s.pty, err = pty.StartWithSize(s.Cmd, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	s.term = vt10x.New(vt10x.WithSize(120, 40), vt10x.WithWriter(io.Discard))
	go func() {
		buf := make([]byte, 4096)
		for {
			for s.stalled.Load() {
				time.Sleep(10 * time.Millisecond)
			}
			n, err := s.pty.Read(buf)
			s.bytes.Add(int64(n))
			s.term.Write(buf[:n])
			if s.answer != nil && bytes.Contains(buf[:n], []byte("\x1b]11;?")) {
				go s.answer(s.answers)
			}
			if err != nil {
				return
			}
		}
	}()
	go func() { s.ended <- s.Wait() }()
	t.Cleanup(func() { s.Process.Kill(); s.pty.Close() })
}

func (s *screen) text() string { return s.term.String() }

func (s *screen) keys(keys string) { io.WriteString(s.pty, keys) }

// shows waits until the screen shows a text.
func (s *screen) shows(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(s.text(), text); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-s.ended:
			t.Fatalf("it ended (%v) before it showed %q:\n%s", err, text, s.text())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("within %v it did not show %q:\n%s", patience, text, s.text())
		}
	}
}

// mustEnd waits for the end and wants an exit code.
func (s *screen) mustEnd(t *testing.T, want int) {
	t.Helper()
	select {
	case err := <-s.ended:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := s.ProcessState.ExitCode(); got != want {
			t.Fatalf("exit code %d, want %d:\n%s", got, want, s.text())
		}
	case <-time.After(patience):
		t.Fatalf("it did not end within %v:\n%s", patience, s.text())
	}
}

// A person pauses, saves, changes the learning rate, goes on, stops and leaves;
// events and files tell of it.
func TestScreenSteersARun(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	folder := filepath.Join(runs, "steered")
	s := open(t, endless(runs, "steered")...)
	s.shows(t, "cifartui")
	s.shows(t, "DEMO")
	s.shows(t, "running")
	s.keys(" ")
	s.shows(t, "Paused after step")
	has(t, folder, "pause", func(e *event.StateChanged) bool { return e.State == event.StatePaused })
	s.keys("s")
	has(t, folder, "manual checkpoint", func(e *event.CheckpointSaved) bool { return e.Reason == "manual" })
	s.keys("+")
	has(t, folder, "learning rate of 1.1", func(e *event.LearnRateChanged) bool { return e.From == 1 && e.To == 1.1 })
	s.keys("3")
	s.shows(t, "manual")
	for _, view := range []struct{ key, shows string }{{"2", "batch 8"}, {"4", "samples"}, {"5", "adadelta"}, {"1", "accuracy"}} {
		s.keys(view.key)
		s.shows(t, view.shows)
	}
	s.keys("?")
	s.shows(t, "pause or go on")
	s.keys("\x1b")
	// With the next key in the same read it would be Alt and that key.
	eventually(t, "end of the help", func() bool { return !strings.Contains(s.text(), "pause or go on") })
	paused := steps(folder)
	s.keys(" ")
	eventually(t, "step after the pause", func() bool { return steps(folder) > paused })
	s.keys("x")
	s.shows(t, "after this epoch")
	s.keys("b")
	has(t, folder, "end", func(e *event.RunEnded) bool { return e.Outcome == event.OutcomeStopped })
	s.shows(t, "Stopped and saved")
	s.keys("q")
	s.mustEnd(t, 0)
	if err := checkpoint.Verify(filepath.Join(folder, rundir.CheckpointsDir, checkpoint.LastFile)); err != nil {
		t.Error(err)
	}
}

// A terminal that answers no query costs no time: a program that waits for answers
// waits 5 s at every start, one that is only slow, on a busy machine, not at all.
func TestFirstFrameWaitsForNoAnswer(t *testing.T) {
	t.Parallel()
	folder := reference(t)
	first := time.Hour // the fastest
	for try := 0; try < 6 && first > 4*time.Second; try++ {
		began := time.Now()
		s := open(t, "open", folder)
		s.shows(t, "Charts")
		first = min(first, time.Since(began))
		s.keys("q")
		s.mustEnd(t, 0)
	}
	t.Logf("first frame after %v", first)
	if first > 4*time.Second {
		t.Error("no first frame comes within 4 s")
	}
}

// A connection that drops leaves no screen behind and says how to attach again; a
// machine without the program in its PATH is told from it, and its path is taken.
func TestAttachOverSSH(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := `#!/bin/sh
case "$*" in
  *box1*) printf '\033[?1049h\033[?25lremote screen'; stty raw -echo; exit 255 ;;
  *box2*) exit 127 ;;
  *) echo "asked: $*" ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	far := func(want int, says, env string, args ...string) *screen {
		t.Helper()
		s := &screen{Cmd: exec.Command(program(t), args...)}
		s.open(t, "PATH="+dir+":"+os.Getenv("PATH"), env)
		s.mustEnd(t, want)
		eventually(t, "word of "+says, func() bool {
			// Lines may be broken where the terminal ends.
			return strings.Contains(strings.NewReplacer("\n", "", " ", "").Replace(s.text()), strings.ReplaceAll(says, " ", ""))
		})
		return s
	}
	s := far(exitFailed, "cifartui attach ssh://box1/big", "", "attach", "ssh://box1/big")
	if s.term.Mode()&vt10x.ModeAltScreen != 0 || !s.term.CursorVisible() {
		t.Error("the screen of the other machine is left behind, or the cursor hidden")
	}
	far(exitFailed, "--remote-command", "", "attach", "ssh://box2/big")
	far(exitOK, "~/'my bin/cifartui' attach", "CIFARTUI_REMOTE_COMMAND=~/my bin/cifartui", "attach", "ssh://box3/big")
	far(exitOK, "/opt/cifartui ctl", "", "ctl", "--remote-command", "/opt/cifartui", "ssh://box3/big", "pause")
}

// What keeps training from starting has its own title on the screen, and after it
// its message and exit code.
func TestErrorAtTheStartOnTheScreen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.safetensors")
	if err := os.WriteFile(bad, []byte("no weights"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args         []string
		title, words string
	}{
		{[]string{"--data", "demo:40", "--init", bad}, "The weights cannot be read", "bad.safetensors"},
		{[]string{"--data", dir}, "The data cannot be read", "data_batch"},
		{[]string{"--data", "demo:40", "--metrics", "256.0.0.1:1"}, "The metrics cannot be served", "metrics"},
	} {
		s := open(t, append(c.args, "--runs", filepath.Join(dir, "runs"))...)
		s.shows(t, c.title)
		s.keys("q")
		s.mustEnd(t, exitFailed)
		eventually(t, "message after the screen", func() bool {
			return s.term.Mode()&vt10x.ModeAltScreen == 0 && strings.Contains(s.text(), "cifartui: ") && strings.Contains(s.text(), c.words)
		})
	}
}

// SIGTERM on the screen: saved, the terminal restored, exit 4.
func TestSIGTERMOnTheScreen(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	s := open(t, endless(runs, "term")...)
	s.shows(t, "running")
	s.Process.Signal(syscall.SIGTERM)
	s.mustEnd(t, exitStopped)
	s.onAlternateScreen(t, false)
	if err := checkpoint.Verify(filepath.Join(runs, "term", rundir.CheckpointsDir, checkpoint.LastFile)); err != nil {
		t.Error(err)
	}
}

// A steady run sends under 20 KB/s, a paused one nothing.
func TestScreenIsQuiet(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	s := open(t, endless(runs, "quiet")...)
	s.shows(t, "running")
	eventually(t, "step", func() bool { return steps(filepath.Join(runs, "quiet")) > 2 })
	const window = 3 * time.Second
	before, began := s.bytes.Load(), time.Now()
	time.Sleep(window)
	rate := float64(s.bytes.Load()-before) / time.Since(began).Seconds()
	t.Logf("%.1f KB/s while training", rate/1e3)
	if rate > 20e3 {
		t.Errorf("%.1f KB/s, want under 20", rate/1e3)
	}
	s.keys(" ")
	s.shows(t, "Paused after step")
	eventually(t, "3 s of a paused run in which no bytes are sent, once messages and gauges have settled", func() bool {
		before := s.bytes.Load()
		time.Sleep(window)
		return s.bytes.Load() == before
	})
}

// When the terminal is gone the run goes on without the screen, to the same
// bits.
func TestRunOutlivesItsTerminal(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	folder := filepath.Join(runs, "hungup")
	s := open(t, small(runs, "hungup", "--no-tui=false", "--epochs", forever)...)
	eventually(t, "step", func() bool { return steps(folder) > 0 })
	before := steps(folder)
	s.pty.Close() // the kernel sends SIGHUP, and every read and write fails
	// The record tells of steps a second late.
	eventually(t, "epochs without a terminal", func() bool { return steps(folder) > before+smallSteps })
	start(t, "ctl", "--runs", runs, "--wait", "hungup", "stop").mustEnd(t, 0)
	s.mustEnd(t, 0)
	endsAs(t, folder)
}

// A run that is handed over by d goes on in the background to the same bits.
func TestHandOverKeepsTheBits(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds(2, 20) {
		name := "moved" + string(rune('a'+round))
		folder := filepath.Join(runs, name)
		s := open(t, small(runs, name, "--no-tui=false", "--epochs", forever)...)
		at := random.Int64N(smallSteps)
		eventually(t, "step", func() bool { return steps(folder) > at })
		s.keys("d")
		s.mustEnd(t, 0)
		if liveProcess(folder) == 0 {
			t.Fatalf("round %d: no process goes on with the run:\n%s", round, s.text())
		}
		start(t, "ctl", "--runs", runs, "--wait", name, "stop").mustEnd(t, 0)
		letsGo(t, folder)
		endsAs(t, folder)
		if t.Failed() {
			return
		}
		once := map[uint64]bool{}
		last := uint64(0)
		for _, e := range recorded(folder) {
			seq := e.Head().Seq
			if once[seq] || seq < last {
				t.Fatalf("round %d: event %d is told twice or out of order", round, seq)
			}
			once[seq], last = true, seq
		}
	}
}

// letsGo waits until the process that has trained a run lets go of its folder, a
// moment after it has told of the end.
func letsGo(t *testing.T, folder string) {
	t.Helper()
	eventually(t, "process that lets go of "+folder, func() bool { return liveProcess(folder) == 0 })
}

// killLeft kills the process that trains a run, which a test that fails may leave.
func killLeft(folder string) {
	if pid := liveProcess(folder); pid > 0 {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// liveProcess is the process that trains a run folder, 0 for none.
func liveProcess(folder string) int {
	pid, live := rundir.Live(folder)
	if !live {
		return 0
	}
	return pid
}

// Two screens on one run: each shows what the other did; killing one, or
// leaving, leaves the run.
func TestAttachTwice(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	folder := filepath.Join(runs, "shared")
	if out, err := exec.Command(program(t), append(endless(runs, "shared"), "--detach")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer killLeft(folder)
	a, b := open(t, "attach", "--runs", runs), open(t, "attach", "--runs", runs, "shared")
	a.shows(t, "running")
	b.shows(t, "running")
	a.keys(" ")
	a.shows(t, "paused")
	b.shows(t, "paused")
	b.keys(" ")
	a.shows(t, "running")
	b.Process.Kill()
	before := steps(folder)
	eventually(t, "step after a screen was killed", func() bool { return steps(folder) > before })
	a.keys("q")
	a.shows(t, "the run goes on")
	a.keys("l")
	a.mustEnd(t, 0)
	before = steps(folder)
	eventually(t, "step after all screens are gone", func() bool { return steps(folder) > before })
	start(t, "ctl", "--runs", runs, "--wait", "shared", "stop").mustEnd(t, 0)
	c := open(t, "open", "--runs", runs, "shared")
	c.shows(t, "Stopped and saved")
	c.keys("q")
	c.mustEnd(t, 0)
}

// In a terminal, on a run that has ended: the images, the next one, the mistakes.
func TestScreenWalksThroughTheImages(t *testing.T) {
	t.Parallel()
	s := open(t, "open", reference(t), "--theme", "dark")
	s.shows(t, "Charts")
	s.keys("4\r")
	s.shows(t, "image 0  1 of 10")
	s.keys("l")
	s.shows(t, "image 1  2 of 10")
	s.keys("f")
	s.shows(t, "mistakes")
	s.keys("a")
	s.shows(t, "augmentation")
	s.keys("\x1b")
	s.shows(t, "worst mistakes")
	s.keys("q")
	s.mustEnd(t, 0)
}
