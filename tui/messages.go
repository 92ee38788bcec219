package tui

import (
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/event"
	"cifartui/tui/machine"

	tea "github.com/charmbracelet/bubbletea"
)

// LeftMsg tells the program that shows a screen how the person left it, or that
// it crashed. The screen changes no more.
type LeftMsg struct {
	Result Result
	Err    error // a [*Crash]

	screen *common
}

// Of reports whether the message is of m, where a program shows several screens
// one after the other.
func (l LeftMsg) Of(m *Model) bool { return l.screen == m.common }

// ownMsg brings a message that is of one screen alone: another one, opened in
// its place, lets it pass.
type ownMsg struct {
	screen *common
	msg    tea.Msg
}

// eventsMsg brings what the source had, and why no more will come.
type eventsMsg struct {
	events []event.Event
	err    error // io.EOF at the end
	at     time.Time
	more   bool // a full batch: the reader is still catching up
}

// tickMsg comes once a second while something is at work, for the clocks.
type tickMsg struct{ at time.Time }

// BackgroundMsg tells that the terminal's background is dark or light.
type BackgroundMsg struct{ Dark bool }

// AllRunsMsg asks the program that shows a screen to turn to the one over all runs.
type AllRunsMsg struct{ screen *common }

// Of reports whether m asks.
func (a AllRunsMsg) Of(m *Model) bool { return a.screen == m.common }

// QuitMsg asks a screen to be left, as its key for that does.
type QuitMsg struct{}

// sentMsg tells that a command was handed to the run, or why not.
type sentMsg struct {
	command event.Command
	err     error
}

// loadMsg tells how far making the data ready has come.
type loadMsg struct{ progress Progress }

// loadedMsg tells that the data is ready, or why not.
type loadedMsg struct{ err error }

// filesMsg brings a run's checkpoint files.
type filesMsg struct {
	run   string
	files []checkpoint.Info
	upTo  uint64 // number of the run's newest event when they were asked for
	err   error
	at    time.Time
}

// verifiedMsg tells whether a checkpoint file is whole.
type verifiedMsg struct {
	path    string
	written time.Time // when what was verified was
	err     error
}

// deletedMsg tells that a checkpoint file is gone, or why not.
type deletedMsg struct {
	path string
	err  error
}

// copiedMsg tells that a path was handed to the terminal's clipboard.
type copiedMsg struct{ path string }

// readingMsg brings what the process and the GPU use.
type readingMsg struct{ reading machine.Reading }

// crashMsg tells of a panic in a command, which ends the screen.
type crashMsg struct{ crash *Crash }
