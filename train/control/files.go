package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cifartui/train/rundir"
)

// Where a folder can hold no socket, or is shared with a machine that cannot
// reach it, commands are files. A client moves one, holding a request line, into
// the run folder's control folder; the server takes it away and passes the
// command on, and events.jsonl shows the effect. There is no reply, so that a
// client checks the request before it leaves it.

const (
	// commandFolder is where command files are left, in the run folder.
	commandFolder = "control"
	// commandSuffix marks those that are whole.
	commandSuffix = ".json"
	// commandPoll is how often the server looks for files.
	commandPoll = 200 * time.Millisecond
	// commandLimit is how long a client waits for its file to be taken.
	commandLimit = 10 * time.Second
)

// poll takes commands left as files until ctx ends. It costs one look at a
// folder that is usually not there.
func (s *Server) poll(ctx context.Context) {
	dir := filepath.Join(s.options.Folder, commandFolder)
	tick := time.NewTicker(commandPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			takeCommands(dir, func(r Request) {
				// The one who asks sees from the events whether it took effect.
				_ = s.perform(r)
			})
		}
	}
}

// takeCommands removes every command file of this user and passes on those that hold
// a command, in the order of their names.
func takeCommands(dir string, pass func(Request)) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the usual case: nobody has left anything yet
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !strings.HasSuffix(e.Name(), commandSuffix) {
			continue
		}
		if info, err := e.Info(); err != nil || !ownFile(info) {
			continue // who left it must not take it for obeyed
		}
		r, err := readCommand(path)
		if rerr := os.Remove(path); rerr != nil {
			continue // taken back by its client; or it would be passed on again and again
		}
		if err == nil {
			pass(r)
		}
	}
}

func readCommand(path string) (Request, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Request{}, err
	}
	if !info.Mode().IsRegular() || !ownFile(info) || info.Size() > MaxRequest {
		return Request{}, fmt.Errorf("%s: not a command of this user", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return Request{}, err
	}
	r, err := ParseRequest([]byte(strings.TrimSuffix(string(b), "\n")))
	if err == nil && r.Cmd != VerbDetach && r.Command() == nil {
		err = fmt.Errorf("%s: %q cannot be asked for by a file", path, string(r.Cmd))
	}
	return r, err
}

// leaveCommand leaves a command as a file and waits until the server has taken
// it.
func leaveCommand(ctx context.Context, folder string, r Request) error {
	line, err := encodeLine(r)
	if err != nil {
		return err
	}
	dir := filepath.Join(folder, commandFolder)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("leave a command for the run: %w", err)
	}
	path := filepath.Join(dir, fmt.Sprintf("%d-%d%s", time.Now().UnixNano(), os.Getpid(), commandSuffix))
	if err := writeFile(path, line); err != nil {
		return fmt.Errorf("leave a command for the run: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, commandLimit,
		fmt.Errorf("the run has taken nothing from %s for %v: does it still run, and as this user?", dir, commandLimit))
	defer cancel()
	for {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			if os.Remove(path) != nil {
				return nil // taken at the last moment
			}
			return context.Cause(ctx)
		case <-time.After(commandPoll / 4):
		}
	}
}

// commandByFile does what a server does with a request, for a run that cannot be
// reached: it leaves a file, and with r.Wait follows the events to its effect.
func commandByFile(ctx context.Context, folder string, r Request) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if !r.Wait {
		return leaveCommand(ctx, folder, r)
	}
	b := newOverview()
	tails := allTails(folder, nil)
	defer func() {
		for _, t := range tails {
			t.close()
		}
	}()
	for _, t := range tails {
		if err := b.readFrom(t); err != nil {
			return fmt.Errorf("event log: %w", err)
		}
	}
	var outcome error
	w := &waiter{request: r, tell: func(err error) { outcome = err }}
	there := w.prepare(b)
	if err := leaveCommand(ctx, folder, r); err != nil || there {
		return err
	}
	for gone := false; ; {
		tails = allTails(folder, tails)
		for _, t := range tails {
			for {
				line, err := t.next()
				if err != nil {
					break
				}
				if e, err := t.event(line); err == nil && w.see(e) {
					return outcome
				}
			}
		}
		if gone {
			return &ReplyError{CodeEnded, "the run's process ended before the command took effect"}
		}
		if _, live := process(folder); !live {
			gone = true // one more look: it may have said something since
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(commandPoll / 2):
		}
	}
}

// ReadStatus folds the events of a run folder: how its runs stand, or stood when
// their process ended. Those of a comparison may have a process each.
func ReadStatus(folder string) ([]Status, error) {
	b := newOverview()
	_, all := rundir.Live(folder)
	live := make(map[string]bool)
	for _, path := range eventLogs(folder) {
		own := filepath.Dir(path)
		_, one := rundir.Live(own) // before its record is read, which tells of an end meanwhile
		live[rundir.Name(own)] = all || one
		if err := b.read(path); err != nil {
			return nil, fmt.Errorf("event log: %w", err)
		}
	}
	return b.snapshot(func(run string) bool { return live[run] }), nil
}
