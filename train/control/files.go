package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cifartui/train/rundir"
)

// Where a folder can hold no socket, or is shared with a machine that cannot
// reach it, commands are files. A client moves one, holding a request line, into
// the run folder's control folder, as NAME.json. The server takes it by calling it
// NAME.taken, obeys it, and puts its reply in that file's place, which the client
// reads and removes. So a client knows at any time what there is to know: NAME.json
// is nobody's yet, and whoever moves it away first, the server to obey it or the
// client to give up, has it alone; NAME.taken without a reply is being obeyed, or
// was when its process was killed, and only that is not known.

const (
	// commandFolder is where command files are left, in the run folder.
	commandFolder = "control"
	// commandSuffix marks those that are whole.
	commandSuffix = ".json"
	// takenSuffix marks those that a server has taken, and its replies.
	takenSuffix = ".taken"
	// commandPoll is how often the server looks for files.
	commandPoll = 200 * time.Millisecond
	// commandLimit is how long a client waits for its reply.
	commandLimit = 10 * time.Second
	// replyKept is how long a reply is kept for a client that does not come for it.
	replyKept = time.Minute
)

// poll takes commands left as files until ctx ends. It costs one look at a
// folder that is usually not there.
func (s *Server) poll(ctx context.Context, in *inbox) {
	tick := time.NewTicker(commandPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			in.look(s.perform)
		}
	}
}

// inbox is the folder of commands left as files, for the process that trains.
type inbox struct {
	dir string
	// replies are the files that hold one, and since when this process knows.
	replies map[string]time.Time
}

// openInbox opens the inbox of a run folder for a process that begins, whose lock
// on the folder the caller holds. What was left for a process before it is not
// meant for it, and is answered so.
func openInbox(folder string) *inbox {
	in := &inbox{dir: filepath.Join(folder, commandFolder), replies: make(map[string]time.Time)}
	entries, _ := os.ReadDir(in.dir) // usually not there
	for _, e := range entries {
		name, taken := strings.CutSuffix(e.Name(), takenSuffix)
		if !taken {
			continue
		}
		if line, err := readOwn(filepath.Join(in.dir, e.Name())); err == nil {
			if _, ok := readReply(line); ok {
				in.replies[e.Name()] = time.Now()
				continue
			}
		}
		in.answer(name, 0, &ReplyError{CodeUnknown, "the process that took the command ended before it said what became of it: whether it was obeyed is not known"})
	}
	in.look(func(Request) error {
		return &ReplyError{CodeRefused, "the command was left before the process that trains the run now had begun, and was not obeyed: give it again"}
	})
	return in
}

// look takes every command file of this user, in the order of their names, passes
// on those that hold a command, and answers all of them.
func (in *inbox) look(pass func(Request) error) {
	entries, err := os.ReadDir(in.dir)
	if err != nil {
		return // the usual case: nobody has left anything yet
	}
	for _, e := range entries {
		name, left := strings.CutSuffix(e.Name(), commandSuffix)
		if !left {
			continue
		}
		if info, err := e.Info(); err != nil || !ownFile(info) {
			continue // who left it must not take it for obeyed
		}
		taken := filepath.Join(in.dir, name+takenSuffix)
		if os.Rename(filepath.Join(in.dir, e.Name()), taken) != nil {
			continue // taken back by its client; or it would be passed on again and again
		}
		r, err := readCommand(taken)
		if err != nil {
			err = &ReplyError{CodeBad, err.Error()}
		} else {
			err = pass(r)
		}
		in.answer(name, r.ID, err)
	}
	for name, since := range in.replies {
		if time.Since(since) >= replyKept {
			os.Remove(filepath.Join(in.dir, name)) // its client has it, usually
			delete(in.replies, name)
		}
	}
}

// answer puts a reply in the place of a command that was taken. Where that can't be
// done the client is told nothing, and says so.
func (in *inbox) answer(name string, id uint64, err error) {
	reply := Reply{Reply: id, OK: err == nil}
	if err != nil {
		reply.Code, reply.Error = CodeRefused, err.Error()
		var other *ReplyError
		if errors.As(err, &other) {
			reply.Code = other.Code
		}
	}
	line, err := encodeLine(reply)
	if err == nil && writeFile(filepath.Join(in.dir, name+takenSuffix), line) == nil {
		in.replies[name+takenSuffix] = time.Now()
	}
}

func readCommand(path string) (Request, error) {
	line, err := readOwn(path)
	if err != nil {
		return Request{}, err
	}
	r, err := ParseRequest(line)
	if err == nil && r.Cmd != VerbDetach && r.Command() == nil {
		err = fmt.Errorf("%s: %q cannot be asked for by a file", path, string(r.Cmd))
	}
	return r, err
}

// readOwn reads the line in a small file of this user's, its newline left out.
func readOwn(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || !ownFile(info) || info.Size() > MaxRequest {
		return nil, fmt.Errorf("%s: not a command of this user", path)
	}
	b, err := os.ReadFile(path)
	return bytes.TrimSuffix(b, []byte("\n")), err
}

// leaveCommand leaves a command as a file and waits for what the server says to it.
func leaveCommand(ctx context.Context, folder string, r Request) error {
	line, err := encodeLine(r)
	if err != nil {
		return err
	}
	dir := filepath.Join(folder, commandFolder)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("leave a command for the run: %w", err)
	}
	name := fmt.Sprintf("%d-%d", time.Now().UnixNano(), os.Getpid())
	left, taken := filepath.Join(dir, name+commandSuffix), filepath.Join(dir, name+takenSuffix)
	if err := writeFile(left, line); err != nil {
		return fmt.Errorf("leave a command for the run: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, commandLimit,
		fmt.Errorf("the run has taken nothing from %s for %v: does it still run, and as this user?", dir, commandLimit))
	defer cancel()
	for missed, gaveUp := 0, false; ; {
		there, err := namesIn(dir)
		switch {
		case there[name+takenSuffix]:
			if line, err := readOwn(taken); err == nil {
				if reply, ok := readReply(line); ok {
					os.Remove(taken) // or the server does
					return reply.Err()
				}
			}
			missed = 0
		case there[name+commandSuffix] || err != nil:
			missed = 0
		default:
			// One look may come in the middle of a rename.
			if missed++; missed > 2 {
				return &ReplyError{CodeUnknown, "the run's process took the command and did not say what became of it, as one of an older version does not: whether it was obeyed is not known"}
			}
		}
		select {
		case <-ctx.Done():
			switch {
			case os.Remove(left) == nil:
				return context.Cause(ctx)
			case gaveUp:
				return &ReplyError{CodeUnknown, "the run's process took the command and has not said what became of it: whether it was obeyed is not known"}
			}
			// Taken at the last moment: the reply is about to come.
			gaveUp = true
			ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), commandPoll)
			defer cancel()
		case <-time.After(commandPoll / 4):
		}
	}
}

// namesIn are the names in a folder. On a network file system they are newer than
// what a look at one name tells, which may be of a while ago.
func namesIn(dir string) (map[string]bool, error) {
	entries, err := os.ReadDir(dir)
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
	}
	return names, err
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
	known := b.seqs()
	if err := leaveCommand(ctx, folder, r); err != nil || there {
		return err
	}
	for gone := false; ; {
		tails = allTails(folder, tails)
		for _, t := range tails {
			for {
				line, err := t.next()
				if err == io.EOF && t.anew() {
					continue
				}
				if err != nil {
					break
				}
				h, ok := parseHead(line)
				if !ok || h.Seq <= known[t.run] {
					continue
				}
				known[t.run] = h.Seq
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
