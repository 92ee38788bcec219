package main

import (
	"os"
	"os/signal"
	"syscall"
)

// catchSignals begins to handle Ctrl+C and the console's end: finish the batch,
// save, end; a second Ctrl+C leaves at once.
func catchSignals() *signals {
	s := newSignals()
	signal.Notify(s.caught, os.Interrupt, syscall.SIGTERM)
	go s.listen()
	return s
}

// savesNow reports whether a signal asks for a checkpoint: there is none here.
func savesNow(os.Signal) bool { return false }

// terminate is what the console's end arrives as.
const terminate = syscall.SIGTERM
