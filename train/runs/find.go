package runs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/rundir"
)

// FindFolder is [FindRun] for comparisons too: the folder of the run or the
// comparison that a person means by a path, by a name in runs, or by "last" for
// the one trained last. A run of a comparison is "comparison/run".
func FindFolder(runs, which string) (string, error) {
	for _, folder := range []string{filepath.Join(runs, which), which} {
		if which != "last" && rundir.IsComparison(folder) {
			return folder, nil
		}
	}
	if which != "last" {
		return FindRun(runs, which)
	}
	list, err := List(runs)
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(r Info) bool { return r.Updated.IsZero() })
	if len(list) == 0 {
		return FindRun(runs, which) // says what to do
	}
	last := slices.MaxFunc(list, func(a, b Info) int { return a.Updated.Compare(b.Updated) })
	if parent := filepath.Dir(last.Folder); rundir.IsComparison(parent) {
		return parent, nil
	}
	return last.Folder, nil
}

// FindRun returns the folder of a run that a person means: a path, a run's name
// in runs, or "last" for the one trained last.
func FindRun(runs, which string) (string, error) {
	if which == "last" {
		return lastRun(runs)
	}
	for _, folder := range []string{filepath.Join(runs, which), which} {
		if rundir.IsRun(folder) {
			return folder, nil
		}
	}
	return "", fmt.Errorf("no run %q in %s, nor a run folder of that path: see \"cifartui runs\"", which, runs)
}

// lastRun is the run folder whose record or checkpoint was written last.
func lastRun(runs string) (string, error) {
	entries, err := os.ReadDir(runs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("runs folder: %w", err)
	}
	type candidate struct {
		folder  string
		written time.Time
	}
	var all []candidate
	for _, e := range entries {
		folder := filepath.Join(runs, e.Name())
		if !rundir.IsRun(folder) {
			continue
		}
		c := candidate{folder: folder}
		for _, f := range []string{rundir.ConfigFile, rundir.EventsFile, filepath.Join(rundir.CheckpointsDir, checkpoint.LastFile)} {
			if st, err := os.Stat(filepath.Join(folder, f)); err == nil && st.ModTime().After(c.written) {
				c.written = st.ModTime()
			}
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return "", fmt.Errorf("no run in %s yet: start one with \"cifartui\", or name another folder with --runs", runs)
	}
	last := slices.MaxFunc(all, func(a, b candidate) int {
		return cmp.Or(a.written.Compare(b.written), cmp.Compare(a.folder, b.folder))
	})
	return last.folder, nil
}
