package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// ReadRun reads the record of one run folder. The run has the folder's name,
// whatever it was called before somebody renamed or copied the folder.
func ReadRun(folder string) (*RunHistory, error) {
	r, err := ReadEvents(folder)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := &RunHistory{}
	for {
		events, err := r.Next(context.Background(), 4096)
		for _, e := range events {
			h.apply(e)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	h.Name = filepath.Base(filepath.Clean(folder))
	return h, nil
}

// RunFolders returns the run folders that a folder stands for: itself, or those
// of a comparison.
func RunFolders(folder string) ([]string, error) {
	if !IsComparison(folder) {
		return []string{folder}, nil
	}
	file, err := readComparison(folder)
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, name := range file.Runs {
		folders = append(folders, filepath.Join(folder, name))
	}
	return folders, nil
}

// ReadRuns reads the runs that folders stand for, comparisons included.
func ReadRuns(folders ...string) ([]*RunHistory, error) {
	var runs []*RunHistory
	for _, folder := range folders {
		list, err := RunFolders(folder)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			h, err := ReadRun(f)
			if err != nil {
				return nil, fmt.Errorf("run %s: %w", f, err)
			}
			runs = append(runs, h)
		}
	}
	return runs, nil
}

// FindFolder is [FindRun] for comparisons too: the folder of the run or the
// comparison that a person means by a path, by a name in runs, or by "last" for
// the one trained last. A run of a comparison is "comparison/run".
func FindFolder(runs, which string) (string, error) {
	for _, folder := range []string{filepath.Join(runs, which), which} {
		if which != "last" && IsComparison(folder) {
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
	list = slices.DeleteFunc(list, func(r RunInfo) bool { return r.Updated.IsZero() })
	if len(list) == 0 {
		return FindRun(runs, which) // says what to do
	}
	last := slices.MaxFunc(list, func(a, b RunInfo) int { return a.Updated.Compare(b.Updated) })
	if parent := filepath.Dir(last.Folder); IsComparison(parent) {
		return parent, nil
	}
	return last.Folder, nil
}
