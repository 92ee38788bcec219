//go:build unix

package terminal

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"golang.org/x/sys/unix"
)

// The codes that give the terminal back, and that take it again: bracketed paste,
// alternate screen, cursor.
const (
	giveBack = "\x1b[?2004l\x1b[?1049l\x1b[?25h"
	takeBack = "\x1b[?1049h\x1b[?25l\x1b[?2004h"
)

// foregroundPause is how often a process in the background looks whether it was
// brought to the foreground: not every shell tells it.
const foregroundPause = 300 * time.Millisecond

// Suspend gives the terminal back while the process is stopped (SIGTSTP, what
// Ctrl+Z is elsewhere) or in the background, and takes it and paints the screen
// anew when it goes on. The function returned ends that.
func Suspend(r *Reader, w *Writer) (end func()) {
	stop, goOn := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTSTP)
	signal.Notify(goOn, syscall.SIGCONT)
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		look := time.NewTicker(foregroundPause)
		defer look.Stop()
		look.Stop()
		for {
			select {
			case <-ended:
				return
			case <-stop:
				if !jobControl() {
					continue
				}
				w.hold(giveBack)
				r.halt()
				stopSelf(goOn)
			case <-goOn: // after a stop that could not be caught
				w.hold("")
				r.halt()
			case <-look.C:
			}
			if resume(r, w) {
				look.Stop()
			} else {
				look.Reset(foregroundPause)
			}
		}
	}()
	return func() {
		signal.Stop(stop)
		signal.Stop(goOn)
		close(ended)
		<-done
	}
}

// stopSelf stops the process until somebody continues it. It is SIGSTOP that does:
// once SIGTSTP has been caught, Go's runtime does not give its effect back.
func stopSelf(goOn chan os.Signal) {
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // it cannot fail for this process itself
	select {
	case <-goOn:
	case <-time.After(foregroundPause):
	}
}

// jobControl reports whether there is a shell that could continue the process: a
// parent of its process group in the same session. The system takes SIGTSTP for
// nothing where there is none, as in a session of its own.
func jobControl() bool {
	group := unix.Getpgrp()
	for pid := os.Getppid(); pid > 1; pid = parent(pid) {
		session, err := unix.Getsid(pid)
		own, ownErr := unix.Getsid(0)
		if err != nil || ownErr != nil || session != own {
			return false
		}
		if g, err := unix.Getpgid(pid); err != nil || g != group {
			return err == nil
		}
	}
	return false
}

// parent returns the parent of a process, 0 where that can't be told.
func parent(pid int) int {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return 0
	}
	ppid, err := p.Ppid()
	if err != nil {
		return 0
	}
	return int(ppid)
}

// inBackground reports whether another process group has the terminal.
func inBackground(f *os.File) bool {
	front, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err == nil && front != unix.Getpgrp()
}

// resume takes the terminal, where the process is in its foreground. It reports
// whether it is.
func resume(r *Reader, w *Writer) bool {
	front, err := unix.IoctlGetInt(int(r.file.Fd()), unix.TIOCGPGRP)
	switch {
	case errors.Is(err, unix.ENOTTY): // nobody's controlling terminal: no job control
	case err != nil:
		w.Fail(errors.Join(ErrGone, err))
		return true
	case front != unix.Getpgrp():
		return false
	}
	if err := r.begin(); err != nil {
		w.Fail(errors.Join(ErrGone, err))
		return true
	}
	w.release(takeBack)
	return true
}
