package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// trashMark begins the name of a folder that is being deleted, so that one half
// deleted is no damaged run in a list.
const trashMark = ".deleting-"

func trashOf(folder string) string {
	return filepath.Join(filepath.Dir(folder), trashMark+filepath.Base(folder))
}

// Remove deletes a run folder, or a comparison's with its runs, and returns the
// bytes that it held. It refuses a folder that a process is writing, and one
// that is no run's. A run of a comparison leaves that too, so that the others are
// still compared and a resume does not train it again; with its last run the
// comparison goes. Of a run folder that is a link what it points to goes as well;
// other links, inside a run folder, go alone.
func Remove(folder string) (int64, error) {
	folder = filepath.Clean(folder)
	if !isFolder(folder) {
		return 0, fmt.Errorf("%s is no run folder: nothing is deleted", folder)
	}
	comparison, others := comparisonOf(folder)
	if comparison != "" && len(others) == 0 {
		return Remove(comparison)
	}
	_, size, err := contents(folder)
	if err != nil {
		return 0, fmt.Errorf("remove %s: %w", folder, err)
	}
	write := append(membersOf(folder), folder)
	if comparison != "" {
		write = append(write, comparison) // its process would bring the run back
	}
	unlock, err := lockAll(write)
	if err != nil {
		return 0, err
	}
	var trash []string
	for _, f := range places(folder) {
		t, terr := toTrash(f, unlock)
		if err = terr; err != nil {
			break
		}
		trash = append(trash, t)
	}
	if err == nil && comparison != "" {
		err = leave(comparison, others)
	}
	unlock()
	for _, t := range trash {
		if terr := emptyOut(t); terr != nil {
			err = errors.Join(err, fmt.Errorf("what is left of it is in %s: %w", t, terr))
		}
	}
	if err != nil {
		return 0, fmt.Errorf("remove %s: %w", folder, err)
	}
	return size, nil
}

// lockAll takes the locks of folders, so that nobody begins to write one, and
// returns what gives them back, which may be called twice. A disk that is too full
// for a lock's file is no reason to delete nothing.
func lockAll(folders []string) (unlock func(), err error) {
	var locks []*rundir.Lock
	unlock = func() {
		for _, l := range locks {
			_ = l.Release() // nothing of weight was written to it
		}
		locks = nil
	}
	for _, f := range folders {
		if pid, live := rundir.Live(f); live { // without the wait for a lock
			unlock()
			return nil, &rundir.InUseError{Folder: f, PID: pid}
		}
		l, err := rundir.LockFolder(f)
		if err != nil && !errors.Is(err, rundir.ErrNoLocks) && !rundir.NoRoom(err) {
			unlock()
			return nil, err
		}
		if l != nil {
			locks = append(locks, l)
		}
	}
	return unlock, nil
}

// membersOf are the run folders of a comparison: those that it names or, where
// that can't be read, those with a lock's file. A run has none.
func membersOf(folder string) (members []string) {
	if !rundir.IsComparison(folder) {
		return nil
	}
	if members, err := config.RunFolders(folder); err == nil {
		return members
	}
	entries, _ := os.ReadDir(folder) // what can't be read can't be removed either
	for _, e := range entries {
		member := filepath.Join(folder, e.Name())
		if _, err := os.Stat(filepath.Join(member, rundir.LockFile)); err == nil {
			members = append(members, member)
		}
	}
	return members
}

// places are where a run or a comparison lies: in its folder, and those of its
// runs that are links elsewhere. The folder is the last.
func places(folder string) (list []string) {
	for _, m := range membersOf(folder) {
		if isLink(m) {
			list = append(list, m)
		}
	}
	return append(list, folder)
}

func isLink(path string) bool {
	st, err := os.Lstat(path)
	return err == nil && st.Mode()&fs.ModeSymlink != 0
}

// toTrash takes a folder out of its place, at once and as a whole, and returns
// what is to be emptied out then. It calls unlock where that is in the way.
func toTrash(folder string, unlock func()) (trash string, err error) {
	trash = trashOf(folder)
	if err := emptyOut(trash); err != nil { // a leftover of one that was killed
		return "", err
	}
	if !isLink(folder) {
		return trash, rename(folder, trash, unlock)
	}
	at, err := filepath.EvalSymlinks(folder)
	if err == nil {
		at, err = filepath.Abs(at)
	}
	if err != nil {
		return "", err
	}
	// On its own disk it is moved aside too; a link says where, in case this
	// process is killed.
	if err := os.RemoveAll(trashOf(at)); err != nil {
		return "", err
	}
	if err := os.Symlink(trashOf(at), trash); err != nil {
		return "", err
	}
	if err := rename(at, trashOf(at), unlock); err != nil {
		return "", errors.Join(err, os.Remove(trash))
	}
	return trash, os.Remove(folder)
}

// rename moves a folder under its locks or, on Windows, which moves no folder
// with open files, right after them.
func rename(folder, to string, unlock func()) error {
	err := os.Rename(folder, to)
	if err != nil && runtime.GOOS == "windows" {
		unlock()
		err = os.Rename(folder, to)
	}
	return err
}

// emptyOut deletes what toTrash returned; it may be gone. A comparison may hold
// trash of runs that lie elsewhere.
func emptyOut(trash string) error {
	entries, _ := os.ReadDir(trash) // what can't be read can't be removed either
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), trashMark) {
			if err := emptyOut(filepath.Join(trash, e.Name())); err != nil {
				return err
			}
		}
	}
	if at, err := os.Readlink(trash); err == nil && strings.HasPrefix(filepath.Base(at), trashMark) {
		if err := os.RemoveAll(at); err != nil {
			return err
		}
	}
	return os.RemoveAll(trash)
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
	_, n, err := contents(folder)
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", folder, err)
	}
	return n, nil
}

// contents are the files that Remove deletes, and their bytes. A file of several
// names counts once for each.
func contents(folder string) (files []string, bytes int64, err error) {
	for _, place := range places(folder) {
		at, err := filepath.EvalSymlinks(place)
		if err != nil {
			return nil, 0, err
		}
		err = filepath.WalkDir(at, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil // deleted meanwhile
			}
			if err == nil && info.Mode().IsRegular() {
				files, bytes = append(files, filepath.Base(path)), bytes+info.Size()
			}
			return err
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return files, bytes, nil
}

// Pruned is what pruning freed, or would free, in one run folder or in what a
// killed Remove left of one.
type Pruned struct {
	Name   string   `json:"name"`
	Folder string   `json:"folder"`
	Kept   string   `json:"kept,omitempty"` // the best weights
	Files  []string `json:"files"`          // base names
	Bytes  int64    `json:"bytes"`
}

// Prune deletes checkpoints of the runs in a folder: of each run it keeps the
// weights of the best epoch, and of one that has not come to its end also what
// it is resumed from. Live runs and damaged folders are left alone. What a killed
// Remove left goes, too. With dry it deletes nothing. It returns what was freed, by
// run; runs with nothing to free are left out. An error of one run does not keep
// it from the others.
func Prune(runs string, dry bool) ([]Pruned, error) {
	list, err := List(runs)
	if err != nil {
		return nil, err
	}
	out, err := emptyTrash(runs, dry)
	errs := []error{err}
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
	if !dry {
		// The lock says that nobody trains here, and keeps it so for the while.
		l, lerr := rundir.LockFolder(info.Folder)
		if lerr != nil && !errors.Is(lerr, rundir.ErrNoLocks) {
			return p, lerr
		}
		defer func() { err = errors.Join(err, l.Release()) }()
		info.Outcome = "" // somebody may have resumed it since it was looked at
		if run, rerr := record.Glance(info.Folder); rerr == nil && run.Ended != nil {
			info.Outcome = run.Ended.Outcome
		}
	}
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

// emptyTrash deletes what killed Removes left in a folder, or with dry only looks.
func emptyTrash(runs string, dry bool) (out []Pruned, err error) {
	entries, err := os.ReadDir(runs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("runs folder: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(runs, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), trashMark):
			files, bytes, cerr := contents(path)
			if !dry {
				cerr = emptyOut(path)
			}
			if cerr != nil && !errors.Is(cerr, fs.ErrNotExist) {
				err = errors.Join(err, fmt.Errorf("prune %s: %w", path, cerr))
				continue
			}
			out = append(out, Pruned{Name: e.Name(), Folder: path, Files: files, Bytes: bytes})
		case rundir.IsComparison(path):
			more, merr := emptyTrash(path, dry)
			out, err = append(out, more...), errors.Join(err, merr)
		}
	}
	return out, err
}
