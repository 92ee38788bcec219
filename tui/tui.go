// Package tui is the screen: a Bubble Tea program that shows runs as they
// train and lets a person steer them.
//
// It knows a run by its events alone, so that a live run, one attached to from
// another terminal and one finished long ago look the same. Events come from a
// [event.Source] in batches that a command waits for; what a person asks goes
// to a [event.Controller]. The trainer never waits for the screen, nor the
// screen for the terminal (see terminal/).
//
// The [Model] keeps what is common and changes only in Update. Each view (view.go)
// owns its state, the keys that steer it and its drawing, in a file of its own
// name; what Charts and Compare share is in curves.go. A key goes from the model
// to the binding that has it (keymap) and from there to the view. Drawing
// changes nothing: what is scrolled or chosen is settled before.
//
// What is known of a run is a run (run.go). What all is drawn with knows nothing
// of runs and lies in folders of its own: canvas, chart, dialog, keymap, style
// and format. All messages stand in messages.go.
package tui

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/event"
	_ "cifartui/tui/internal/noprobe" // keeps Bubble Tea from asking the terminal at start
	"cifartui/tui/terminal"
)

// A Mode says how the screen stands to the run.
type Mode int

const (
	// Live: the run trains in this process.
	Live Mode = iota
	// Attached: it trains in another one, which goes on when the screen closes.
	Attached
	// Replay: it ended some time ago; nothing can be steered.
	Replay
)

// Progress tells how far making the data ready has come.
type Progress struct {
	What  string // what is being done, such as "Fetching CIFAR-10"
	Done  int64  // bytes, or what Of says
	Total int64  // as many as there are, 0 when unknown
	Of    string // what is counted, such as "images"; "": bytes
}

// Checkpoints gives access to checkpoint files. Its methods may take their
// time; they are never called from the drawing goroutine.
type Checkpoints interface {
	// List returns the files of a run, given its folder as the run tells it.
	List(folder string) ([]checkpoint.Info, error)
	// Verify reads a file whole and checks it.
	Verify(path string) error
	// Delete removes a file.
	Delete(path string) error
}

// Options says what the screen shows and what it may do.
type Options struct {
	Source  event.Source     // the events of one or several runs
	Control event.Controller // nil: read only
	Mode    Mode
	// Name is shown until the first event tells the run's name.
	Name string
	// CanDetach tells that the run can be handed to a process of its own.
	CanDetach bool
	// Remote is set when the run trains on another machine, so that this one's
	// CPU and GPU are not shown as if they were the run's.
	Remote bool
	// ReadOnlyWhy says in a sentence why nothing can be steered, when Control
	// is nil.
	ReadOnlyWhy string
	// Checkpoints gives access to the files; nil where they can't be reached.
	Checkpoints Checkpoints
	// Images gives access to the validation images; nil where they can't be
	// reached.
	Images Images

	// Load, when set, makes the data ready and starts the training, whose events
	// then come from Source. Data is "" for what the settings say, "demo" or a
	// folder. It reports progress as often as it likes. When it fails the screen
	// shows why, under the title of a [StartError], and offers to try again and,
	// where other data may help, the demo set or a folder.
	Load func(ctx context.Context, data string, report func(Progress)) error

	Theme string              // auto, dark, light or none; "" is auto
	Keys  map[string][]string // keys of actions, in place of the default ones

	In  io.Reader           // nil: the terminal
	Out io.Writer           // nil: standard output
	Env func(string) string // nil: os.Getenv

	// Version is the program's version, shown in the System view.
	Version string

	// AllRuns is set where a program shows the screen that has one over all runs
	// beside it, to which a key then turns: see [AllRunsMsg].
	AllRuns bool
	// Terminal is what the screen is shown on, where a program opens it that was
	// itself given a terminal by [Show].
	Terminal *Terminal

	now func() time.Time // for tests; nil: time.Now
	// size of the window where the output is no terminal, for tests.
	width, height int
}

// Themes are the values of Theme in [Options], the default first.
func Themes() []string { return []string{"auto", "dark", "light", "none"} }

// An Action is what the person chose as they left the screen.
type Action int

const (
	// Closed: the screen was closed; there is nothing more to do. In Live mode
	// the run has ended, in Attached mode it goes on.
	Closed Action = iota
	// LeaveRunning: go on training in this process, without the screen.
	LeaveRunning
	// Detach: hand the run to a process of its own.
	Detach
	// ResumeFrom: stop this run, where it is still at work, and train on from
	// Result.File: in a run's own last checkpoint where it stands, from weights
	// in a new run.
	ResumeFrom
	// Aborted: asked to stop and save, the person did not want to wait for it.
	Aborted
	// Cancelled: the context ended.
	Cancelled
)

// A Result is how the screen was left.
type Result struct {
	Action Action
	// Why says what was pressed, for the event log.
	Why string
	// Run, Folder and File are the run, its folder and the checkpoint's path,
	// with ResumeFrom.
	Run, Folder, File string
	// Err is why training could not be started, when the person left at that.
	Err error
}

// A StartError is an error of [Options].Load with the title that the screen shows
// it under.
type StartError struct {
	Title string
	Data  bool // it is the data that is missing: other data may help
	Err   error
}

func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap gives the error itself.
func (e *StartError) Unwrap() error { return e.Err }

// ErrTerminal is the error of a terminal that is gone.
var ErrTerminal = terminal.ErrGone

// A Crash is the error of a panic in the screen.
type Crash struct {
	Value any
	Stack []byte
}

// Error says what the panic said; the stack is not part of it.
func (c *Crash) Error() string { return fmt.Sprintf("the screen crashed: %v", c.Value) }

// WhyNot says why a terminal can't show a screen, by its environment; "" means
// that it can.
func WhyNot(env func(string) string) string { return terminal.WhyNot(env) }

// filled returns o with its defaults.
func (o Options) filled() Options {
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.now == nil {
		o.now = time.Now
	}
	return o
}
