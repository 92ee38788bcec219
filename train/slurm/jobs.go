package slurm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cifartui/train/runs"
)

// Jobs tells what Slurm knows of runs, by their folders: of those that are in
// the queue. It looks at one file a comparison and calls squeue once, and not at
// all where nothing was submitted or this machine has no Slurm; once more for a
// comparison that was being submitted when the program was killed.
func Jobs(ctx context.Context, folders []string) (map[string]runs.Job, error) {
	byParent := map[string][]Submission{}
	tasks := map[string][]string{} // of each run folder
	var jobs []string
	var wrong []error
	for _, folder := range folders {
		parent := filepath.Dir(folder)
		list, known := byParent[parent]
		if !known {
			var err error
			if list, err = Read(parent); err != nil {
				wrong = append(wrong, err)
			}
			if list, err = withFound(ctx, parent, list); err != nil && !errors.Is(err, ErrNoSlurm) {
				wrong = append(wrong, err)
			}
			byParent[parent] = list
			for _, s := range numbered(list) {
				jobs = append(jobs, s.Job)
			}
		}
		if len(list) > 0 {
			tasks[folder] = TaskIDs(list, filepath.Base(folder))
		}
	}
	known := map[string]runs.Job{}
	slices.Sort(jobs)
	queue, err := Queue(ctx, slices.Compact(jobs))
	if err != nil && !errors.Is(err, ErrNoSlurm) {
		wrong = append(wrong, err)
	}
	for folder, ids := range tasks {
		for _, id := range ids { // the newest of those in the queue counts
			if e, ok := queue[id]; ok && e.of(filepath.Dir(folder)) {
				known[folder] = runs.Job{ID: id, State: strings.ToLower(e.State), Reason: e.Reason, Node: e.Node}
			}
		}
	}
	return known, errors.Join(wrong...)
}

// of reports whether a task works in a comparison's folder. Another cluster may
// have a job of the same number. Where the folder is mounted differs from machine
// to machine, its name does not.
func (e Entry) of(folder string) bool {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return false
	}
	if filepath.Base(e.Folder) == filepath.Base(abs) {
		return true
	}
	return same(e.Folder, abs)
}

// same reports whether two paths are of one folder.
func same(one, other string) bool {
	a, aerr := os.Stat(one)
	b, berr := os.Stat(other)
	return aerr == nil && berr == nil && os.SameFile(a, b)
}
