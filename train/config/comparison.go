package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"cifartui/train/rundir"
)

// Comparison is comparison.json.
type Comparison struct {
	Order Order `json:"order"`
	// Parallel is how many runs the processor trains at once; 0: one.
	Parallel int     `json:"parallel,omitempty"`
	Sweeps   []Sweep `json:"sweeps"`
	// Runs are the names of the run folders, in order.
	Runs []string `json:"runs"`
	// Config is what the runs have in common.
	Config Config `json:"config"`
}

// ReadComparisonConfig reads what the runs of a comparison have in common; its
// Name is the comparison's.
func ReadComparisonConfig(folder string) (Config, error) {
	file, err := ReadComparison(folder)
	return file.Config, err
}

// ReadComparison reads and checks the comparison.json of a folder.
func ReadComparison(folder string) (Comparison, error) {
	path := filepath.Join(folder, rundir.ComparisonFile)
	var file Comparison
	b, err := rundir.ReadFile(path, MaxFile)
	if err == nil {
		err = json.Unmarshal(b, &file)
	}
	if err != nil {
		return file, fmt.Errorf("comparison: %s: %w", path, err)
	}
	for _, name := range file.Runs {
		if !validName(name) || name == "" {
			return file, fmt.Errorf("comparison: %s: %q is no run's name", path, name)
		}
	}
	if len(file.Runs) == 0 || len(file.Sweeps) == 0 {
		return file, fmt.Errorf("comparison: %s: it names no runs", path)
	}
	return file, nil
}

// Write writes the comparison.json of a folder, whole or not at all.
func (f Comparison) Write(folder string) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		_, err = rundir.WriteAtomic(rundir.OS{}, filepath.Join(folder, rundir.ComparisonFile), func(w io.Writer) error {
			_, err := w.Write(append(b, '\n'))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("comparison: %w", err)
	}
	return nil
}

// ErrNoRuns says that a comparison has no run folder: it was killed before it
// made them, or they were deleted.
var ErrNoRuns = errors.New("none of its runs is there")

// RunFolders returns the run folders that a folder stands for: itself, or those
// that a comparison still has; if none, the error is [ErrNoRuns].
func RunFolders(folder string) ([]string, error) {
	if !rundir.IsComparison(folder) {
		return []string{folder}, nil
	}
	file, err := ReadComparison(folder)
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, name := range file.Runs {
		run := filepath.Join(folder, name)
		if _, err := os.Stat(run); !errors.Is(err, fs.ErrNotExist) {
			folders = append(folders, run)
		}
	}
	if len(folders) == 0 {
		return nil, fmt.Errorf("comparison: %s: %w", folder, ErrNoRuns)
	}
	return folders, nil
}

// RunFolder is the folder of a run in what RunFolders stands for.
func RunFolder(folder, run string) string {
	if rundir.IsComparison(folder) {
		return filepath.Join(folder, filepath.Base(run))
	}
	return folder
}

// Order says how the runs of a comparison share the machine.
type Order string

// The orders.
const (
	// Interleave trains one epoch of each run in turn, so that all curves grow
	// together.
	Interleave Order = "interleave"
	// Sequential trains one run to its end, then the next.
	Sequential Order = "sequential"
)

// Orders lists the orders, the default first.
func Orders() []Order { return []Order{Interleave, Sequential} }
