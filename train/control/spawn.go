package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"cifartui/train/rundir"
)

// A process in the background is this same program, started in a session of its
// own with no terminal. It says when it has taken over by a file that the
// environment names, as that works on every system: the parent waits until the
// file is there, the child is dead or the time is up.

const (
	// readyVariable names the file in the child's environment.
	readyVariable = "CIFARTUI_READY"
	// OutputFile is where a process in the background writes what would go to a
	// terminal, in the run folder.
	OutputFile = "output.log"
	// progressSuffix makes the name of the file beside it that tells of progress.
	progressSuffix = ".progress"
	// readyPoll is how often the parent looks for the file.
	readyPoll = 3 * time.Millisecond
	// outputTail is how much of a failed child's output is shown.
	outputTail = 2 << 10
)

// Background says what process to start.
type Background struct {
	// Args are the arguments, the program's name left out. The working folder and
	// the environment are this process's.
	Args []string
	// Folder is the run folder of a run that exists; its output is appended to
	// OutputFile there. For a run that the child will make, it is the runs folder,
	// and New is set: the output file moves into the run folder once there is one.
	Folder string
	New    bool
	// Timeout is how long the child may take to say that it is ready, from when it
	// last told of progress; 0 means 30 seconds.
	Timeout time.Duration
	// Progress, if not nil, is given what the child tells by [Readiness.Progress].
	Progress func(what []byte)
	// Program is the executable; "" means this one.
	Program string
}

// Child is a process in the background that has taken over.
type Child struct {
	PID    int    `json:"pid"`
	Folder string `json:"folder"` // the run folder
	// Output is the path of the file that its output goes to.
	Output string `json:"-"`
}

// ready is what the file holds: the child that is ready, or why it cannot be.
type ready struct {
	Child
	Error  string `json:"error,omitempty"`
	Signal string `json:"signal,omitempty"` // that has ended it
}

// StoppedError says that a signal has ended a process in the background before it
// was ready: that is no trouble, but what somebody wants.
type StoppedError struct{ Signal string }

func (e *StoppedError) Error() string { return e.Signal + " ended it before training began" }

// Spawn starts a process in the background and waits until it says that it is
// ready, by [Readiness.Ready]. When it fails the process is dead and its locks
// are free again: the error says why, with the end of its output. ctx's end is a
// failure too. The child outlives this process and its terminal.
func Spawn(ctx context.Context, b Background) (Child, error) {
	child, err := b.spawn(ctx)
	if err != nil {
		return Child{}, fmt.Errorf("start a process in the background: %w", err)
	}
	return child, nil
}

func (b Background) spawn(ctx context.Context) (Child, error) {
	program := b.Program
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return Child{}, err
		}
	}
	if b.New {
		if err := os.MkdirAll(b.Folder, 0o755); err != nil {
			return Child{}, err
		}
	}
	dir, err := os.MkdirTemp("", "cifartui-start-")
	if err != nil {
		return Child{}, err
	}
	defer os.RemoveAll(dir)
	output, err := b.openOutput()
	if err != nil {
		return Child{}, err
	}
	defer output.Close()
	start, err := output.Seek(0, io.SeekEnd)
	if err != nil {
		return Child{}, err
	}
	cmd := exec.Command(program, b.Args...) // stdin is the null device
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = append(os.Environ(), readyVariable+"="+filepath.Join(dir, "ready"))
	cmd.SysProcAttr = detachedProcess()
	if err := cmd.Start(); err != nil {
		return Child{}, err
	}
	child, err := b.untilReady(ctx, cmd.Process, filepath.Join(dir, "ready"), cmd.Wait)
	if err != nil {
		err = withOutput(err, output, start)
		if b.New {
			os.Remove(output.Name())
		}
		return Child{}, err
	}
	child.Output = output.Name()
	if b.New {
		// Within one file system, and the child's open file moves along. Where an
		// open file cannot be moved it stays, and Output says so.
		if to := filepath.Join(child.Folder, OutputFile); os.Rename(child.Output, to) == nil {
			child.Output = to
		}
	}
	return child, nil
}

// untilReady waits until a child answers in a file, or has died. After an error
// it is dead.
func (b Background) untilReady(ctx context.Context, p *os.Process, file string, wait func() error) (Child, error) {
	dead := make(chan error, 1)
	go func() { dead <- wait() }()
	child, err := b.await(ctx, file, dead)
	if err == nil && child.PID != p.Pid {
		err = fmt.Errorf("process %d answered for process %d", child.PID, p.Pid)
	}
	if err != nil {
		select {
		case <-dead:
		default:
			_ = p.Kill() // dead already, if it fails
			<-dead
		}
	}
	return child, err
}

func (b Background) openOutput() (*os.File, error) {
	if b.New {
		return os.CreateTemp(b.Folder, ".output-*.log")
	}
	return os.OpenFile(filepath.Join(b.Folder, OutputFile), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
}

// await waits for the child's word.
func (b Background) await(ctx context.Context, path string, dead chan error) (Child, error) {
	limit := cmp.Or(b.Timeout, 30*time.Second)
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	var told []byte
	for {
		if what, err := os.ReadFile(path + progressSuffix); err == nil && !bytes.Equal(what, told) {
			told = what
			timeout.Reset(limit)
			if b.Progress != nil {
				b.Progress(what)
			}
		}
		data, err := os.ReadFile(path)
		if err == nil {
			var r ready
			switch err := json.Unmarshal(data, &r); {
			case err != nil:
				return Child{}, fmt.Errorf("read the answer of the new process: %w", err)
			case r.Signal != "":
				return Child{}, &StoppedError{r.Signal}
			case r.Error != "":
				return Child{}, errors.New(r.Error)
			}
			return r.Child, nil
		}
		select {
		case err := <-dead:
			dead <- err
			if _, serr := os.Stat(path); serr == nil {
				continue // its last word
			}
			if err == nil {
				err = errors.New("exit status 0")
			}
			return Child{}, fmt.Errorf("it ended before it was ready: %w", err)
		case <-timeout.C:
			return Child{}, fmt.Errorf("it was not ready within %v, nor did it get on", limit)
		case <-ctx.Done():
			return Child{}, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// withOutput adds to an error the end of what the child wrote.
func withOutput(err error, output *os.File, start int64) error {
	info, serr := output.Stat()
	if serr != nil {
		return err
	}
	from := min(max(start, info.Size()-outputTail), info.Size()) // which is below start where somebody has emptied it
	tail := make([]byte, info.Size()-from)
	n, _ := output.ReadAt(tail, from)
	text := strings.TrimSpace(strings.ToValidUTF8(string(tail[:n]), "?"))
	if text == "" {
		return err
	}
	return fmt.Errorf("%w; it wrote:\n%s", err, text)
}

// Readiness is how a process in the background tells the one that started it
// how things stand. Its zero value, in a process that nobody waits for, tells
// nobody.
type Readiness struct{ path string }

// Inherited returns the readiness to be told, if this process was started by
// [Spawn], and takes it out of the environment, so that processes which this one
// starts don't answer in its place. It is to be called once, early.
func Inherited() Readiness {
	r := Readiness{os.Getenv(readyVariable)}
	if r.path != "" {
		// It fails only for a name that no variable can have.
		_ = os.Unsetenv(readyVariable)
	}
	return r
}

// Ready says that this process has taken over the run of a run folder: it holds
// the lock, its server is open, and the run trains or is paused.
func (r Readiness) Ready(folder string) error {
	return r.tell(ready{Child: Child{PID: os.Getpid(), Folder: folder}})
}

// Progress tells how far this process is on its way to be ready, in words or data
// that both sides know; who waits has patience for as long as this changes.
func (r Readiness) Progress(what []byte) error {
	if r.path == "" {
		return nil
	}
	if err := writeFile(r.path+progressSuffix, what); err != nil {
		return fmt.Errorf("tell the process that started this one: %w", err)
	}
	return nil
}

// Failed says why this process cannot take over. It is to end then.
func (r Readiness) Failed(why error) error {
	return r.tell(ready{Error: why.Error()})
}

// Stopped says that a signal ends this process before it takes over. What it was to
// go on with has ended so.
func (r Readiness) Stopped(signal string) error {
	return r.tell(ready{Signal: signal})
}

func (r Readiness) tell(what ready) error {
	if r.path == "" {
		return nil
	}
	data, err := json.Marshal(what)
	if err == nil {
		err = writeFile(r.path, data)
	}
	if err != nil {
		return fmt.Errorf("tell the process that started this one: %w", err)
	}
	return nil
}

// HandOver moves a run from this process to one in the background.
type HandOver struct {
	// Stop ends the run in this process after the batch under way, with
	// OutcomeDetached. When it returns nil, the run folder holds all that was
	// trained, its lock is free and this process's [Server] is closed.
	Stop func(context.Context) error
	// Next is the process that goes on.
	Next Background
	// Resume goes on in this process, from the same folder. It is called when the
	// next process has failed, and is dead; not when a signal has ended it, which is
	// meant for the run.
	Resume func() error
}

// Do hands over. With an error the run goes on in this process, or the error
// says that it does not: then it is of Stop, and nothing has changed; or a
// *[StoppedError], and the run is stopped; or of both the next process and Resume,
// and the run stands still with an exact checkpoint.
func (h HandOver) Do(ctx context.Context) (Child, error) {
	if err := h.Stop(ctx); err != nil {
		return Child{}, fmt.Errorf("hand over: %w", err)
	}
	child, err := Spawn(ctx, h.Next)
	if err == nil {
		return child, nil
	}
	var stopped *StoppedError
	if errors.As(err, &stopped) {
		return Child{}, fmt.Errorf("hand over: %w: go on with \"cifartui --resume %s\"", err, rundir.Quote(h.Next.Folder))
	}
	if rerr := h.Resume(); rerr != nil {
		return Child{}, errors.Join(
			fmt.Errorf("hand over: %w", err),
			fmt.Errorf("go on in this process: %w: the run stands still: go on with \"cifartui --resume %s\"", rerr, rundir.Quote(h.Next.Folder)))
	}
	return Child{}, fmt.Errorf("hand over: %w: the run goes on in this process", err)
}
