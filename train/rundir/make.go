package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// BegunError says that what was to begin in a folder has begun already.
type BegunError struct{ Folder string }

func (e *BegunError) Error() string {
	return fmt.Sprintf("%s was begun by another process just now: go on with it by \"cifartui --resume %s\"", e.Folder, Argument(e.Folder))
}

// Make makes a new folder in runs, and that too: name, or name-2, name-3 and so
// on when that is taken.
func Make(runs, name string) (string, error) {
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return "", fmt.Errorf("runs folder: %w", err)
	}
	for i := 1; i < 10000; i++ {
		folder := filepath.Join(runs, name)
		if i > 1 {
			folder += "-" + strconv.Itoa(i)
		}
		err := os.Mkdir(folder, 0o755)
		if err == nil {
			return folder, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("run folder: %w", err)
		}
	}
	return "", fmt.Errorf("run folder: %s and 9,999 like it exist in %s: choose another --name", name, runs)
}

// MakeExactly is Make for a folder that is to have this name and no other. It may
// be there already: who takes its lock asks [Unbegun] whether it is free.
func MakeExactly(runs, name string) (string, error) {
	folder := filepath.Join(runs, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("run folder: %w", err)
	}
	return folder, nil
}

// Unbegun returns nil if nothing has begun in a folder: it is new, or a process
// was killed before it wrote the settings. It is a *BegunError if there are
// settings, and another error if there is anything else that would be lost. The
// caller holds the folder's lock.
func Unbegun(folder string) error {
	if IsRun(folder) || IsComparison(folder) {
		return &BegunError{folder}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	for _, e := range entries {
		free, err := isNothing(folder, e)
		if err != nil {
			return fmt.Errorf("run folder: %w", err)
		}
		if !free {
			return fmt.Errorf("%s has no %s but holds %s: move it away, or put its settings back", folder, ConfigFile, e.Name())
		}
	}
	return nil
}

// isNothing reports whether an entry of a folder without settings is what a kill
// at the start leaves behind.
func isNothing(folder string, e fs.DirEntry) (bool, error) {
	switch {
	case e.Name() == LockFile, strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), TempMark):
		return true, nil
	case e.Name() == CheckpointsDir && e.IsDir():
		list, err := os.ReadDir(filepath.Join(folder, e.Name()))
		return len(list) == 0, err
	case e.IsDir():
		return false, nil
	}
	info, err := e.Info()
	return err == nil && info.Size() == 0, err
}

// Discard removes a folder in which nothing has begun, and gives its lock back: in
// this order, so that nobody else comes into it in between. For the same reason
// it goes under another name first: while its files are removed one after another,
// somebody could make the lock's anew and have it removed under their feet.
// release, which may be nil, closes what else is open in it.
func (l *Lock) Discard(folder string, release func()) error {
	err := remove(folder)
	if release != nil {
		release()
	}
	rerr := l.Release()
	if err != nil { // Windows moves and removes no open files
		err = remove(folder)
	}
	return errors.Join(err, rerr)
}

// remove removes a folder from its place at once, whatever it holds.
func remove(folder string) error {
	aside, err := os.MkdirTemp(filepath.Dir(folder), "."+filepath.Base(folder)+TempMark+"*")
	if err != nil {
		return err
	}
	err = os.Rename(folder, filepath.Join(aside, filepath.Base(folder)))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it is gone
	}
	return errors.Join(err, os.RemoveAll(aside))
}
