//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hinshun/vt10x"

	"cifartui/train/event"
)

// answer is what a terminal says when it is asked for its background and for
// what it is. Its letters are keys of the screen: d leaves the run.
const answer = "\x1b]11;rgb:dddd/dddd/dddd\x1b\\\x1b[?62;22c"

// shell starts a shell in a terminal, which knows the program as $P.
func shell(t *testing.T, prepare func(*screen)) *screen {
	t.Helper()
	sh, err := exec.LookPath("bash")
	args := []string{"--norc", "--noprofile", "-i"}
	if err != nil {
		sh, args = "/bin/sh", []string{"-i"}
	}
	s := &screen{Cmd: exec.Command(sh, args...)}
	if prepare != nil {
		prepare(s)
	}
	s.open(t, "P="+program(t), "PS1=ready: ", "HISTFILE=")
	s.shows(t, "ready: ")
	return s
}

// onAlternateScreen waits until the terminal is on it, or is not.
func (s *screen) onAlternateScreen(t *testing.T, want bool) {
	t.Helper()
	eventually(t, "change of the alternate screen", func() bool { return s.term.Mode()&vt10x.ModeAltScreen != 0 == want })
}

// An answer that comes in pieces, among keys, is obeyed by nobody.
func TestAnswersInPiecesAreNoKeys(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	s := &screen{Cmd: exec.Command(program(t), endless(runs, "pieces")...), answers: answer}
	given := make(chan struct{})
	s.answer = func(all string) {
		for rest := all; rest != ""; {
			time.Sleep(20 * time.Millisecond)
			// An escape never comes alone: on a busy machine the rest may come when
			// the wait that tells it from the key is over.
			n := 1 + len(rest) - len(strings.TrimPrefix(rest, "\x1b"))
			s.keys(rest[:n])
			rest = rest[n:]
		}
		close(given)
	}
	s.open(t)
	select {
	case <-given:
	case <-time.After(patience):
		t.Fatal("the terminal was not asked")
	}
	s.shows(t, "running")
	s.keys("+++")
	folder := filepath.Join(runs, "pieces")
	has(t, folder, "learning rate of 1.33", func(e *event.LearnRateChanged) bool { return e.To == 1.33 })
	s.keys("\x1b[200~dqx\x1b[201~")
	s.keys("qs")
	s.mustEnd(t, 0)
	for _, e := range recorded(folder) {
		if e, ok := e.(*event.RunEnded); ok && e.Outcome != event.OutcomeStopped {
			t.Errorf("the run ended by %s, not by q and s", e.Outcome)
		}
	}
}

// An answer that comes when the person has left already is not typed into the
// shell, unless it comes later than the program waits, which on a busy machine may
// be. TestALateAnswerIsTakenAtTheEnd has the same with time enough.
func TestLateAnswersDoNotReachTheShell(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	start(t, small(runs, "ended", "--max-steps", "2")...).mustEnd(t, 0)
	for range 10 {
		left, given := make(chan struct{}), make(chan struct{})
		s := shell(t, func(s *screen) {
			s.answers = answer
			s.answer = func(all string) {
				<-left
				s.keys(all)
				close(given)
			}
		})
		began := time.Now()
		s.keys(`"$P" open --runs ` + runs + " ended\r")
		s.onAlternateScreen(t, true)
		s.keys("q")
		s.onAlternateScreen(t, false)
		close(left)
		select {
		case <-given:
		case <-time.After(patience):
			t.Fatal("the terminal was not asked")
		}
		eventually(t, "prompt after the program", func() bool { return strings.Count(s.text(), "ready: ") == 2 })
		took := time.Since(began)
		s.keys("echo the sum is $((40+2))\r")
		s.shows(t, "the sum is 42")
		text := s.text()
		if !strings.Contains(text, "rgb") && !strings.Contains(text, "62;22c") {
			return
		}
		if took < 2*time.Second { // it has not waited, or not for this
			t.Fatalf("the terminal's answer was typed into the shell:\n%s", text)
		}
	}
	t.Skip("the program does not begin and end within the 2 s for which it waits")
}

// Stopped from outside, the program gives the terminal back, and takes it again
// when it goes on. In the background it trains on.
func TestStoppingGivesTheTerminalBack(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	folder := filepath.Join(runs, "stopped")
	s := shell(t, nil)
	s.keys(`"$P" ` + strings.Join(endless(runs, "stopped"), " ") + "\r")
	s.shows(t, "running")
	pid := liveProcess(folder)
	// What is typed before the shell has the terminal is not for it, nor is it
	// for the program before that has it back.
	prompt := func() bool { return strings.HasSuffix(strings.TrimSpace(s.text()), "ready:") }
	for i, sig := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGSTOP} {
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
		if sig == syscall.SIGTSTP { // nothing can be given back at the other one
			s.onAlternateScreen(t, false)
			s.keys("echo the sum is $((40+2))\r")
			s.shows(t, "the sum is 42")
		}
		eventually(t, "prompt", prompt)
		before := steps(folder)
		s.keys("bg\r")
		eventually(t, "step in the background", func() bool { return steps(folder) > before })
		s.keys(fmt.Sprintf("echo the next is $((40+3+%d))\r", i))
		s.shows(t, fmt.Sprint("the next is ", 43+i))
		eventually(t, "prompt", prompt)
		stood := steps(folder)
		s.keys("fg\r")
		s.onAlternateScreen(t, true)
		eventually(t, "step after the stop", func() bool { return steps(folder) > stood })
		s.shows(t, "space pause")
		s.keys(" ")
		has(t, folder, "pause by a key after the stop", func(e *event.StateChanged) bool {
			return e.State == event.StatePaused && count(folder) > i
		})
		s.shows(t, "space go on")
		s.keys(" ")
		s.shows(t, "space pause")
	}
	s.keys("q")
	s.shows(t, "stop and save")
	s.keys("s")
	eventually(t, "prompt after the program", prompt)
	s.keys("echo left with $?\r")
	s.shows(t, "left with 0")
}

// count is how often a run was paused.
func count(folder string) (n int) {
	for _, e := range recorded(folder) {
		if e, ok := e.(*event.StateChanged); ok && e.State == event.StatePaused {
			n++
		}
	}
	return n
}

// Ctrl+Z leaves the run training in the background, and says so.
func TestCtrlZLeavesTheRunTraining(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	folder := filepath.Join(runs, "left")
	s := open(t, endless(runs, "left")...)
	s.shows(t, "running")
	eventually(t, "step", func() bool { return steps(folder) > 0 })
	s.keys("\x1a")
	s.mustEnd(t, 0)
	s.shown(t, "left trains in the background")
	before := steps(folder)
	eventually(t, "step in the background", func() bool { return steps(folder) > before })
	a := open(t, "attach", "--runs", runs, "left")
	a.shows(t, "running")
	a.keys("\x1a")
	a.mustEnd(t, 0)
	a.shown(t, "left trains in the background")
	start(t, "ctl", "--runs", runs, "--wait", "left", "stop").mustEnd(t, 0)
}

// What is left paused is said to be, by whoever leaves it, and goes on when it is told.
func TestARunLeftPausedSaysHowItGoesOn(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	folder := filepath.Join(runs, "held")
	s := open(t, endless(runs, "held")...)
	s.shows(t, "running")
	eventually(t, "step", func() bool { return steps(folder) > 0 })
	s.keys(" ")
	s.shows(t, "space go on")
	s.keys("\x1a")
	s.mustEnd(t, 0)
	s.shown(t, "held is paused in the background")
	a := open(t, "attach", "--runs", runs, "held")
	a.shows(t, "space go on")
	a.keys("\x1a")
	a.mustEnd(t, 0)
	a.shown(t, "held is paused in the background")
	stood := steps(folder)
	start(t, "ctl", "--runs", runs, "held", "resume").mustEnd(t, 0)
	eventually(t, "step after the pause", func() bool { return steps(folder) > stood })
	start(t, "ctl", "--runs", runs, "--wait", "held", "stop").mustEnd(t, 0)
}

// shown wants a text on the screen of a program that has ended.
func (s *screen) shown(t *testing.T, text string) {
	t.Helper()
	eventually(t, "text "+text, func() bool { return strings.Contains(strings.ReplaceAll(s.text(), "\n", ""), text) })
}

// A terminal that can't place text gets lines and no codes.
func TestDumbTerminalsGetNoScreen(t *testing.T) {
	t.Parallel()
	for _, term := range []string{"dumb", ""} {
		runs := t.TempDir()
		s := &screen{Cmd: exec.Command(program(t), small(runs, "plain", "--no-tui=false", "--max-steps", "2")...)}
		s.open(t, "TERM="+term)
		s.mustEnd(t, 0)
		s.shown(t, "training without the screen")
		s.shown(t, "TERM is")
		s = &screen{Cmd: exec.Command(program(t), "open", "--runs", runs, "plain")}
		s.open(t, "TERM="+term)
		s.mustEnd(t, exitUsage)
		s.shown(t, "needs a terminal")
	}
}

// Keys of a settings file are checked wherever they may be used one day.
func TestKeysAreCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	file := filepath.Join(runs, "keys.yaml")
	if err := os.WriteFile(file, []byte("keys: {pause: [s]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"--no-tui", "--detach", "--no-tui=false"} {
		p := start(t, append(small(runs, "keys"), "--config", file, how)...)
		p.mustEnd(t, exitUsage)
		if got := p.errs.String(); !strings.Contains(got, `"s" is both pause and save`) {
			t.Errorf("%s: says %q", how, got)
		}
	}
}
