package main

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal that does not read must not slow training by one batch, nor
// garble the screen afterwards.
func TestStalledTerminalDoesNotStopTraining(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	folder := filepath.Join(runs, "stalled")
	s := open(t, endless(runs, "stalled")...)
	s.shows(t, "running")
	eventually(t, "step", func() bool { return steps(folder) > 0 })
	s.stalled.Store(true)
	// Whole screens fill what the system keeps for a terminal, after which
	// every write waits.
	views := 0
	next := func() {
		s.keys(string("2531"[views%4]))
		views++
	}
	eventually(t, "full terminal", func() bool { next(); return s.unread(t) == 4095 })
	for range rounds(3, 30) {
		before := steps(folder)
		eventually(t, "training while the terminal does not read", func() bool { next(); return steps(folder) > before+10 })
	}
	s.stalled.Store(false)
	s.keys("5")
	s.shows(t, "images/s")
	s.keys("q")
	s.shows(t, "stop and save")
	s.keys("s")
	s.mustEnd(t, 0)
}

// unread is how many bytes wait to be read from the terminal: at most 4095, with
// which what Linux keeps for who reads is full, and more waits behind them.
func (s *screen) unread(t *testing.T) (n int) {
	t.Helper()
	raw, err := s.pty.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ierr error
	if err := raw.Control(func(fd uintptr) { n, ierr = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil || ierr != nil {
		t.Fatal(err, ierr)
	}
	return n
}
