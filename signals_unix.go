//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// catchSignals begins to handle signals:
//
//	SIGINT, SIGTERM  finish the batch, save, end; a second SIGINT leaves at once,
//	                 a second SIGTERM changes nothing
//	SIGUSR1          save now
//	SIGQUIT          restore the terminal, then what Go does: every stack, and the end
//	SIGHUP           nothing: a run outlives its terminal
//	SIGPIPE          nothing: a log that nobody reads does not end a run
func catchSignals() *signals {
	signal.Ignore(syscall.SIGHUP)
	s := newSignals()
	// A write to a closed pipe ends the process unless somebody listens.
	signal.Notify(s.ignored, syscall.SIGPIPE)
	signal.Notify(s.caught, os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1)
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		select {
		case <-quit:
			s.restore()
			signal.Reset(syscall.SIGQUIT)
			// It cannot fail for this process itself.
			_ = syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		case <-s.closed:
			signal.Stop(quit)
		}
	}()
	go s.listen()
	return s
}

// savesNow reports whether a signal asks for a checkpoint.
func savesNow(sig os.Signal) bool { return sig == syscall.SIGUSR1 }

// terminate is the signal by which others end a process.
const terminate = syscall.SIGTERM
