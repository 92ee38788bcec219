package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cifartui/train/rundir"
	"cifartui/train/runs"
)

// Target is what a person means by a run.
type Target struct {
	// Folder is what to Dial: a run folder, or a comparison's folder.
	Folder string
	// Run is the name of one run of that comparison; "" means all there is.
	Run string
}

// Name is what a person calls the target.
func (t Target) Name() string {
	if t.Run != "" {
		return filepath.Join(filepath.Base(t.Folder), t.Run)
	}
	return filepath.Base(t.Folder)
}

// SeveralError says that a person has to choose one of several live runs.
type SeveralError struct {
	Runs string
	Live []Target
}

func (e *SeveralError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs are live in %s: name one of", len(e.Live), e.Runs)
	for _, t := range e.Live {
		b.WriteString(" " + t.Name())
	}
	return b.String()
}

// ErrNoneLive is in the error of Find when no run is live.
var ErrNoneLive = errors.New("no run is live")

// Find is [runs.Find], with the folder to dial. "" or "-" means the only live run of
// the runs folder; it is a *SeveralError if there are more, and ErrNoneLive if there
// are none. The run that is found by a name need not be live.
func Find(dir, which string) (Target, error) {
	if which == "" || which == "-" {
		live, err := liveTargets(dir)
		switch {
		case err != nil:
			return Target{}, err
		case len(live) == 0:
			return Target{}, fmt.Errorf("%w in %s: see \"cifartui runs\", or name another folder with --runs", ErrNoneLive, dir)
		case len(live) > 1:
			return Target{}, &SeveralError{Runs: dir, Live: live}
		}
		return live[0], nil
	}
	folder, err := runs.Find(dir, which)
	if err != nil {
		return Target{}, err
	}
	return target(folder), nil
}

// target sees to it that the folder with the process's socket is dialled: that
// of the comparison, for a run that is part of one.
func target(folder string) Target {
	folder = filepath.Clean(folder)
	abs, err := filepath.Abs(folder)
	if err != nil || hasSocket(folder) || !hasSocket(filepath.Dir(abs)) {
		return Target{Folder: folder}
	}
	parent := filepath.Dir(folder)
	if folder == "." {
		parent = filepath.Dir(abs)
	}
	return Target{Folder: parent, Run: filepath.Base(abs)}
}

// hasSocket reports whether a process has opened a server on a folder; the
// process may be dead.
func hasSocket(folder string) bool {
	for _, name := range []string{socketName, pointerName} {
		if _, err := os.Lstat(filepath.Join(folder, name)); err == nil {
			return true
		}
	}
	return false
}

// liveTargets returns the live runs of a runs folder, those of a comparison as one. A
// runs folder that is not there has none.
func liveTargets(dir string) ([]Target, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for live runs: %w", err)
	}
	var live []Target
	for _, e := range entries { // links to folders, too: people keep big ones on other disks
		folder := filepath.Join(dir, e.Name())
		if _, ok := process(folder); ok {
			live = append(live, Target{Folder: folder})
		}
	}
	return live, nil
}

// process returns the process that trains in a run folder, or in the folders of
// a comparison; its number is 0 when it cannot be read.
func process(folder string) (pid int, live bool) {
	if pid, live = rundir.Live(folder); live {
		return pid, true
	}
	own := filepath.Join(folder, rundir.EventsFile)
	for _, log := range eventLogs(folder) {
		if log == own {
			return 0, false
		}
		if pid, live = rundir.Live(filepath.Dir(log)); live {
			return pid, true
		}
	}
	return 0, false
}

// eventLogs returns the event logs of a run folder, or those of the runs of a
// comparison's folder.
func eventLogs(folder string) []string {
	own := filepath.Join(folder, rundir.EventsFile)
	if _, err := os.Stat(own); err == nil {
		return []string{own}
	}
	entries, _ := os.ReadDir(folder) // none where there is no folder
	var logs []string
	for _, e := range entries {
		// A name with a dot is of a run that is being deleted.
		path := filepath.Join(folder, e.Name(), rundir.EventsFile)
		if _, err := os.Stat(path); err == nil && !strings.HasPrefix(e.Name(), ".") {
			logs = append(logs, path)
		}
	}
	return logs
}
