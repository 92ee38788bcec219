package slurm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrUnsure is in the error of Submit where a job may have been submitted all the
// same. If it was, Jobs finds it.
var ErrUnsure = errors.New("whether a job was submitted is not known")

// Submit submits the script of a comparison's folder, notes the job there and
// returns its number. tasks are those of the script; only, if there are any, the
// numbers of those to submit.
func Submit(ctx context.Context, folder string, tasks map[int]string, only []string) (job string, err error) {
	if folder, err = filepath.Abs(folder); err != nil {
		return "", fmt.Errorf("working folder: %w", err)
	}
	before, err := Read(folder)
	if err != nil {
		return "", err
	}
	found, err := withFound(ctx, folder, before)
	if err != nil {
		return "", err
	}
	known := numbered(found)
	s := Submission{Submitted: time.Now().UTC(), Tasks: tasks, User: strconv.Itoa(os.Getuid()), Folder: folder}
	if err := write(folder, append(known, s)); err != nil {
		return "", err
	}
	job, err = sbatch(ctx, filepath.Join(folder, ScriptFile), only)
	var said *exec.ExitError
	switch {
	case errors.As(err, &said) && said.Exited() || errors.Is(err, ErrNoSlurm):
		return "", errors.Join(err, write(folder, before)) // nothing was submitted
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	s.Job, s.User, s.Folder = job, "", ""
	if err := write(folder, append(known, s)); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return "", errors.Join(err, Cancel(ctx, []string{job}))
	}
	return job, nil
}

// withFound is what was submitted for a comparison's folder, with the jobs in the
// queue whose numbers were not noted.
func withFound(ctx context.Context, folder string, list []Submission) ([]Submission, error) {
	known, asked := map[string]bool{}, map[string]bool{}
	for _, s := range list {
		known[s.Job] = true
	}
	tasks := map[int]string{}
	for _, s := range list {
		maps.Copy(tasks, s.Tasks)
	}
	for _, s := range slices.Clone(list) {
		if s.Job != "" || asked[s.User+s.Folder] {
			continue
		}
		asked[s.User+s.Folder] = true
		queue, err := queueOf(ctx, s.User)
		if err != nil {
			return list, err
		}
		for _, id := range slices.Sorted(maps.Keys(queue)) {
			job, _, array := strings.Cut(id, "_")
			if e := queue[id]; array && !known[job] && (e.Folder == s.Folder || same(e.Folder, folder)) {
				known[job] = true
				list = append(list, Submission{Job: job, Submitted: s.Submitted, Tasks: tasks})
			}
		}
	}
	return list, nil
}
