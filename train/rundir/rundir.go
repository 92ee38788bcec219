// Package rundir is a run folder on disk: the names of its files, how a file is
// written so that it is never half there (disk.go), and the lock that says
// whether a process is writing the folder. It knows nothing of what the files
// say, and imports nothing of ours. How a folder is made is in make.go.
package rundir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ComparisonFile is in the folder of a comparison, beside its run folders, and
// says what they are.
const ComparisonFile = "comparison.json"

// IsComparison reports whether a folder is a comparison's.
func IsComparison(folder string) bool {
	st, err := os.Stat(filepath.Join(folder, ComparisonFile))
	return err == nil && st.Mode().IsRegular()
}

// HistoryFile is the table of epochs in a run folder.
const HistoryFile = "history.csv"

// PredictionsFile is what the network said of each validation image last, in a
// run folder.
const PredictionsFile = "predictions.bin"

// The names in a run folder.
const (
	ConfigFile     = "config.json"
	EventsFile     = "events.jsonl"
	CheckpointsDir = "checkpoints"
	LockFile       = "run.lock"
)

// ErrNoLocks is the error of a lock on a file system that has none, as some network
// file systems.
var ErrNoLocks = errors.New("this file system has no locks")

var errLocked = errors.New("locked by another process")

// InUseError says that a live process already writes a run folder.
type InUseError struct {
	Folder string
	PID    int // 0 when it is not known
}

func (e *InUseError) Error() string {
	who := "a live process"
	if e.PID != 0 {
		who = fmt.Sprintf("a live process (pid %d)", e.PID)
	}
	return fmt.Sprintf("run folder %s is already in use by %s: watch it with \"cifartui attach %s\", or stop it first", e.Folder, who, Argument(e.Folder))
}

// Lock is a run folder's lock, held while a process writes the folder.
type Lock struct{ f *os.File }

// lockTries and lockPause let a lock be taken that somebody holds for a moment
// to see whether the run is alive, or to hand the run over.
const (
	lockTries = 20
	lockPause = 50 * time.Millisecond
)

// LockFolder takes a run folder's lock. It returns an *InUseError when another
// process holds it, and ErrNoLocks with a lock that does nothing where the file
// system has none.
func LockFolder(folder string) (*Lock, error) {
	for {
		l, err := lockFolder(folder)
		if l == nil || l.isOf(folder) {
			return l, err
		}
		// Its file was removed, with the folder, while this process waited for it.
		_ = l.Release()
	}
}

// isOf reports whether a lock is of the file that a folder has now.
func (l *Lock) isOf(folder string) bool {
	held, err := l.f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(filepath.Join(folder, LockFile))
	return err == nil && os.SameFile(held, there)
}

// Taken is an error if a folder whose lock this one is has another one's now: it was
// deleted or moved away, and another was put in its place, or its lock's file was
// deleted, and another process has taken a new one. Nothing may be written there any
// more. Of a nil Lock it is nil.
func (l *Lock) Taken(folder string) error {
	if l == nil {
		return nil
	}
	held, err := l.f.Stat()
	if err != nil {
		return nil // it was given back
	}
	there, err := os.Stat(filepath.Join(folder, LockFile))
	if err != nil || os.SameFile(held, there) {
		return nil // where the folder is gone, writing says so
	}
	return fmt.Errorf("%s was deleted or moved away under the run, and is another's now: put it back where it was", folder)
}

func lockFolder(folder string) (*Lock, error) {
	path := filepath.Join(folder, LockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	for try := 1; ; try++ {
		err = lockFile(f, true)
		if !errors.Is(err, errLocked) || try == lockTries {
			break
		}
		time.Sleep(lockPause)
	}
	switch {
	case errors.Is(err, errLocked):
		pid := readPID(f)
		return nil, errors.Join(&InUseError{Folder: folder, PID: pid}, f.Close())
	case errors.Is(err, ErrNoLocks):
		return &Lock{f: f}, err
	case err != nil:
		return nil, errors.Join(fmt.Errorf("run folder: lock %s: %w", path, err), f.Close())
	}
	// The number is only for people and for InUseError: the lock itself is
	// what counts, so a disk too full to hold it does no harm.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &Lock{f: f}, nil
}

// Release gives the lock back. The file stays: removing it would let two
// processes lock two files of the same name.
func (l *Lock) Release() error { return l.f.Close() }

func readPID(f io.ReaderAt) int {
	b := make([]byte, 32)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// Live reports whether a process is writing a run folder now, and its number (0
// when it cannot be read).
func Live(folder string) (pid int, live bool) {
	f, err := os.Open(filepath.Join(folder, LockFile))
	if err != nil {
		return 0, false
	}
	defer f.Close() // releases the lock, had it been free
	if !errors.Is(lockFile(f, false), errLocked) {
		return 0, false
	}
	return readPID(f), true
}

// Name is what a run in a folder is called, "." and such paths included.
func Name(folder string) string {
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	return filepath.Base(folder)
}

// IsRun reports whether a folder is a run's.
func IsRun(folder string) bool {
	st, err := os.Stat(filepath.Join(folder, ConfigFile))
	return err == nil && st.Mode().IsRegular()
}
