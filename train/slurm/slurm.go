// Package slurm hands runs to a cluster's scheduler. A comparison becomes a job
// array, one task a run: [Script] is what the tasks execute (script.go), sbatch
// and scancel are called in commands.go, and what is submitted is noted in the
// comparison's folder (submit.go), so that a list of runs can ask one squeue for all
// of them (queue.go, jobs.go).
//
// Nothing is asked of the nodes but the program and the folder. Whether a run is
// begun or resumed is seen by the task when it starts; a task that is stopped by
// a signal before its run's end goes back to the queue.
package slurm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"cifartui/train/rundir"
)

// The names in a comparison's folder.
const (
	// NoteFile says which jobs train the runs.
	NoteFile = "slurm.json"
	// ScriptFile is the batch script.
	ScriptFile = "submit.sh"
	// LogFolder holds what the tasks print, a file each.
	LogFolder = "logs"
)

// Submission is a job array that was submitted or, without a number, one that was
// about to be: it is noted before sbatch is called, so that a kill in between leaves
// no job that nobody knows of.
type Submission struct {
	Job       string    `json:"job"` // its number
	Submitted time.Time `json:"submitted"`
	// Tasks are the runs' names by the number of the task, those of the script.
	Tasks map[int]string `json:"tasks"`
	// User and Folder find the job in the queue as long as its number is not known:
	// who submitted it, as a number, and the comparison's folder, as the tasks have it.
	User   string `json:"user,omitempty"`
	Folder string `json:"folder,omitempty"`
}

// numbered are those submissions whose job is known.
func numbered(list []Submission) (known []Submission) {
	for _, s := range list {
		if s.Job != "" {
			known = append(known, s)
		}
	}
	return known
}

// note is NoteFile: the submissions, the newest last.
type note struct {
	Submissions []Submission `json:"submissions"`
}

// maxNote bounds a note that is read.
const maxNote = 4 << 20

// Read returns what was submitted for a comparison's folder, the newest last; it
// is empty where nothing was.
func Read(folder string) ([]Submission, error) {
	path := filepath.Join(folder, NoteFile)
	b, err := rundir.ReadFile(path, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var n note
	if err == nil {
		err = parseNote(b, &n)
	}
	if err != nil {
		return nil, fmt.Errorf("jobs of %s: %s: %w", folder, NoteFile, err)
	}
	return n.Submissions, nil
}

func parseNote(b []byte, n *note) error {
	if err := json.Unmarshal(b, n); err != nil {
		return err
	}
	for _, s := range n.Submissions {
		switch {
		case s.Job == "" && (!isNumber(s.User) || !filepath.IsAbs(s.Folder)):
			return errors.New("a job without a number, a user and a folder")
		case s.Job != "" && !isNumber(s.Job):
			return fmt.Errorf("%q is no job's number", s.Job)
		}
		for task := range s.Tasks {
			if task < 0 {
				return fmt.Errorf("job %s: %d is no task's number", s.Job, task)
			}
		}
	}
	return nil
}

// write notes what was submitted.
func write(folder string, list []Submission) error {
	b, err := json.MarshalIndent(note{list}, "", "  ")
	if err == nil {
		_, err = rundir.WriteAtomic(rundir.OS{}, filepath.Join(folder, NoteFile), func(w io.Writer) error {
			_, err := w.Write(append(b, '\n'))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("jobs of %s: %s: %w", folder, NoteFile, err)
	}
	return nil
}

// TaskIDs are the tasks that train a run, as Slurm names them ("1234_2"): those
// of the newest submission last.
func TaskIDs(list []Submission, run string) (ids []string) {
	for _, s := range numbered(list) {
		var tasks []int
		for task, name := range s.Tasks {
			if name == run {
				tasks = append(tasks, task)
			}
		}
		slices.Sort(tasks)
		for _, task := range tasks {
			ids = append(ids, s.Job+"_"+strconv.Itoa(task))
		}
	}
	return ids
}

// isNumber reports whether text is a number as Slurm counts jobs.
func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 63)
	return err == nil && text[0] != '+'
}
