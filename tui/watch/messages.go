package watch

import (
	"io"
	"time"

	"cifartui/train/runs"
	"cifartui/train/survey"
	"cifartui/tui"
)

// updateMsg brings what has changed among the runs.
type updateMsg struct {
	update survey.Update
	at     time.Time
	over   bool // no more will come
}

// tickMsg says that some seconds have passed: ages are others by then.
type tickMsg struct{ at time.Time }

// openedMsg brings a run's screen that was asked for, or why there is none.
type openedMsg struct {
	folder string
	try    int
	screen tui.Options
	closer io.Closer
	err    error
}

// jobsMsg brings what the scheduler knows of runs.
type jobsMsg struct {
	jobs map[string]runs.Job
	err  error
}

// sentMsg tells whether a run has taken a command.
type sentMsg struct {
	asked  *asked
	folder string
	err    error
}

// sizedMsg tells what deleting or pruning would free.
type sizedMsg struct {
	removal *removal
	bytes   int64
	files   int
	err     error
}

// removedMsg tells what was deleted of a folder, or why not.
type removedMsg struct {
	removal *removal
	folder  string
	bytes   int64
	files   int
	err     error
}

// crashMsg tells of a panic in a command, which ends the screen.
type crashMsg struct{ crash *tui.Crash }
