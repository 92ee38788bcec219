package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// trashMark begins the name of a folder that is being deleted, so that one half
// deleted is no damaged run in a list.
const trashMark = ".deleting-"

// Remove deletes a run folder, or a comparison's with its runs, and returns the
// bytes that it held. It refuses a folder that a process is writing, and one
// that is no run's. A run of a comparison leaves that too, so that the others are
// still compared and a resume does not train it again; with its last run the
// comparison goes.
func Remove(folder string) (int64, error) {
	folder = filepath.Clean(folder)
	folders, err := config.RunFolders(folder)
	if err != nil {
		folders = nil // a damaged comparison can go
	}
	if !rundir.IsComparison(folder) && !rundir.IsRun(folder) {
		if _, err := os.Stat(filepath.Join(folder, rundir.EventsFile)); err != nil {
			return 0, fmt.Errorf("%s is no run folder: nothing is deleted", folder)
		}
	}
	comparison, others := comparisonOf(folder)
	if comparison != "" && len(others) == 0 {
		return Remove(comparison)
	}
	folders = append(folders, folder)
	if comparison != "" {
		folders = append(folders, comparison) // its process would bring the run back
	}
	for _, f := range folders {
		if pid, live := rundir.Live(f); live {
			return 0, &rundir.InUseError{Folder: f, PID: pid}
		}
	}
	size, err := sizeOf(folder)
	if err != nil {
		return 0, fmt.Errorf("remove %s: %w", folder, err)
	}
	if comparison != "" {
		if err := leave(comparison, others); err != nil {
			return 0, fmt.Errorf("remove %s: %w", folder, err)
		}
	}
	trash := filepath.Join(filepath.Dir(folder), trashMark+filepath.Base(folder))
	if err := os.RemoveAll(trash); err != nil { // a leftover of one that was killed
		return 0, fmt.Errorf("remove %s: %w", folder, err)
	}
	if err := os.Rename(folder, trash); err != nil {
		return 0, fmt.Errorf("remove %s: %w", folder, err)
	}
	if err := os.RemoveAll(trash); err != nil {
		return 0, fmt.Errorf("remove %s: what is left of it is in %s: %w", folder, trash, err)
	}
	return size, nil
}

// comparisonOf is the comparison that a run folder is part of, and the names of
// the other runs in it; "" if it is part of none, or that cannot be read.
func comparisonOf(folder string) (comparison string, others []string) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return "", nil
	}
	comparison = filepath.Dir(abs)
	if !rundir.IsComparison(comparison) {
		return "", nil
	}
	members, err := config.RunFolders(comparison)
	if err != nil || !slices.Contains(members, abs) {
		return "", nil
	}
	for _, m := range members {
		if m != abs {
			others = append(others, filepath.Base(m))
		}
	}
	return comparison, others
}

// leave has a comparison know of these runs only.
func leave(comparison string, runs []string) error {
	file, err := config.ReadComparison(comparison)
	if err != nil {
		return err
	}
	file.Runs = runs
	return file.Write(comparison)
}

// Size is the bytes that a run folder or a comparison's holds.
func Size(folder string) (int64, error) {
	n, err := sizeOf(folder)
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", folder, err)
	}
	return n, nil
}

// sizeOf is the bytes of a folder's files. A file of several names counts once
// for each.
func sizeOf(folder string) (int64, error) {
	var size int64
	err := filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// Pruned is what pruning freed, or would free, in one run folder.
type Pruned struct {
	Name   string   `json:"name"`
	Folder string   `json:"folder"`
	Kept   string   `json:"kept,omitempty"` // the best weights
	Files  []string `json:"files"`          // base names in the checkpoints folder
	Bytes  int64    `json:"bytes"`
}

// Prune deletes checkpoints of the runs in a folder: of each run it keeps the
// weights of the best epoch, and of one that has not come to its end also what
// it is resumed from. Live runs and damaged folders are left alone. With dry it
// deletes nothing. It returns what was freed, by run; runs with nothing to free
// are left out. An error of one run does not keep it from the others.
func Prune(runs string, dry bool) ([]Pruned, error) {
	list, err := List(runs)
	if err != nil {
		return nil, err
	}
	if !dry {
		if err := emptyTrash(runs); err != nil {
			return nil, err
		}
	}
	var out []Pruned
	var errs []error
	for _, info := range list {
		if info.Live || info.Problem != "" {
			continue
		}
		p, err := pruneRun(info, dry)
		if err != nil {
			errs = append(errs, fmt.Errorf("prune %s: %w", info.Name, err))
		}
		if len(p.Files) > 0 {
			out = append(out, p)
		}
	}
	return out, errors.Join(errs...)
}

func pruneRun(info Info, dry bool) (p Pruned, err error) {
	p = Pruned{Name: info.Name, Folder: info.Folder}
	files, err := checkpoint.List(info.Folder)
	if err != nil {
		return p, err
	}
	ended := info.Outcome == event.OutcomeFinished || info.Outcome == event.OutcomeEarlyStopped
	best := bestOf(files, info.Monitor)
	if best < 0 {
		return p, nil // nothing is known to be better than what would be deleted
	}
	p.Kept = files[best].File
	if !dry {
		// The lock says that nobody trains here, and keeps it so for the while.
		l, lerr := rundir.LockFolder(info.Folder)
		if lerr != nil && !errors.Is(lerr, rundir.ErrNoLocks) {
			return p, lerr
		}
		defer func() { err = errors.Join(err, l.Release()) }()
	}
	for i, c := range files {
		if i == best || c.Resumable && !ended {
			continue
		}
		if !dry {
			if err := os.Remove(c.Path); err != nil {
				return p, err
			}
		}
		p.Files = append(p.Files, c.File)
		p.Bytes += c.Size
	}
	return p, nil
}

// emptyTrash deletes what a killed Remove left.
func emptyTrash(runs string) error {
	entries, err := os.ReadDir(runs)
	if err != nil {
		return fmt.Errorf("runs folder: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(runs, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), trashMark):
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("prune: %w", err)
			}
		case rundir.IsComparison(path):
			if err := emptyTrash(path); err != nil {
				return err
			}
		}
	}
	return nil
}
