// Package watch is the screen over all runs: a list of every run in some folders,
// live ones moving, with the curves and the settings of those that are marked
// beside it, and what can be asked of many runs at once. From it a person opens a
// run's own screen (package tui), and comes back.
//
// The [Model] owns the terminal (host.go) and shows the list or, over it, one
// run's screen. What the runs do comes from a [survey.Watcher] in batches that a
// command waits for; nothing is read from a disk in Update. The list (list.go)
// holds the runs, which of them are shown and in what order, and the marks;
// table.go draws it. What stands beside it is a pane: curves.go or settings.go.
// steer.go and remove.go ask, and do, what is asked of the marked runs. All keys
// stand in keys.go, all messages in messages.go.
package watch

import (
	"context"
	"errors"
	"io"

	"cifartui/train/event"
	"cifartui/train/runs"
	"cifartui/tui"

	tea "github.com/charmbracelet/bubbletea"
)

// Options says what the screen shows and what it may do.
type Options struct {
	// Screen is the terminal and how it is drawn on; with First, it is also the
	// run's screen that comes first.
	Screen tui.Options
	// First shows a run's screen before the list, to which a key turns. It stays
	// open for as long as the program does.
	First bool
	// Folder tells, with First, the folder of that run or comparison; "" while there
	// is none.
	Folder func() string

	// Folders hold the run folders.
	Folders []string
	// Open makes the options of a run's screen, of a live one to steer it. The
	// closer, if any, is closed with the screen.
	Open func(ctx context.Context, folder string) (tui.Options, io.Closer, error)
	// Send asks a live run, which may be another process's or another machine's,
	// for something, and returns when that has taken the command.
	Send func(ctx context.Context, folder string, c event.Command) error
	// Jobs tells what a cluster's scheduler knows of runs, by their folders; nil
	// where there is none.
	Jobs func(ctx context.Context, folders []string) (map[string]runs.Job, error)
}

// Run shows the screen until the person leaves it or ctx ends, and restores the
// terminal. It does not end the runs. The error is a [*tui.Crash] after a panic,
// [tui.ErrTerminal] when the terminal is gone, or why the screen could not open;
// training can go on without it in any case.
func Run(ctx context.Context, o Options) (tui.Result, error) {
	var m *Model
	err := tui.Show(ctx, o.Screen, func(ctx context.Context, t *tui.Terminal) (tea.Model, error) {
		var err error
		o.Screen.Terminal = t
		m, err = New(ctx, o)
		return m, err
	})
	if m != nil {
		m.Close()
	}
	switch {
	case m != nil && m.err != nil:
		return tui.Result{}, m.err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return tui.Result{Action: tui.Cancelled}, nil
	case err != nil:
		return tui.Result{}, err
	}
	return m.result, nil
}
