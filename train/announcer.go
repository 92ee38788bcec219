package train

import (
	"fmt"
	"time"

	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// announcer tells what happens in a run: it numbers the events, and gives them
// to the record and to whoever listens.
type announcer struct {
	name string // the run's
	now  func() time.Time
	log  *record.Log
	emit func(event.Event)
	seq  uint64 // of the newest event
	// failing is set when the log could not be written at the last look.
	failing bool
}

// announce tells an event.
func (a *announcer) announce(e event.Event) {
	a.seq++
	h := e.Head()
	h.Event, h.Seq, h.Run = event.KindOf(e), a.seq, a.name
	h.Time = a.now().UTC().Truncate(time.Millisecond)
	a.log.Put(e)
	a.emit(e)
	if note := a.log.Note(); note != "" {
		a.warn(note)
	}
}

// warn tells of trouble.
func (a *announcer) warn(message string) { a.announce(&event.Warning{Message: message}) }

// tellOfLog tells once when the record cannot be written, and once when it can
// again.
func (a *announcer) tellOfLog() {
	err := a.log.Err()
	switch {
	case err != nil && !a.failing:
		a.warn(fmt.Sprintf("%s cannot be written: %v: training goes on, the events are kept in memory and tried again", rundir.EventsFile, err))
	case err == nil && a.failing:
		a.warn(fmt.Sprintf("%s is written again", rundir.EventsFile))
	}
	a.failing = err != nil
}

const (
	// logFlushTime is how long a checkpoint waits for the events before it to
	// be on disk. Without the wait a kill could lose an event for ever: the
	// resume goes on behind it.
	logFlushTime = 2 * time.Second
	// logCloseTime is how long the end of a run waits for its last events.
	logCloseTime = 5 * time.Second
)
