package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/rundir"
	"cifartui/train/runs"
)

// Open makes a model of what a person names: a file of weights, a last.ckpt, or
// a run as [runs.Find] finds it in the folder dir, of which the best weights are
// taken. A comparison is refused: which of its runs is meant is not said.
func Open(dir, which string) (*Model, error) {
	folder, err := find(dir, which)
	if err != nil {
		return nil, err
	}
	if folder == "" {
		return Read(which)
	}
	members, err := config.RunFolders(folder)
	if err != nil {
		return nil, err
	}
	if rundir.IsComparison(folder) {
		var names []string
		for _, m := range members {
			names = append(names, filepath.Base(folder)+"/"+filepath.Base(m))
		}
		return nil, fmt.Errorf("%s is a comparison of %d runs: name one, as %s", which, len(names), strings.Join(names, ", "))
	}
	return ofRun(folder)
}

// OpenAll is Open for several names; a comparison stands for its runs. Models of
// the same name get their folder's in front.
func OpenAll(dir string, which ...string) ([]*Model, error) {
	var list []*Model
	for _, name := range which {
		folder, err := find(dir, name)
		if err != nil {
			return nil, err
		}
		if folder == "" {
			m, err := Read(name)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
			continue
		}
		members, err := config.RunFolders(folder)
		if err != nil {
			return nil, err
		}
		for _, member := range members {
			m, err := ofRun(member)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
		}
	}
	count := map[string]int{}
	for _, m := range list {
		count[m.Name]++
	}
	for _, m := range list {
		if count[m.Name] > 1 {
			m.Name = strings.TrimSuffix(m.Path, checkpoint.WeightsExt)
		}
	}
	return list, nil
}

// find is the run folder that a name stands for; "" if it is a file.
func find(dir, which string) (folder string, err error) {
	st, err := os.Stat(which)
	switch {
	case err == nil && st.Mode().IsRegular():
		return "", nil
	case err == nil && st.IsDir() && filepath.Base(which) == rundir.CheckpointsDir:
		which = filepath.Dir(filepath.Clean(which)) // of a run: its best is meant
	case errors.Is(err, fs.ErrNotExist) && isFileName(which):
		return "", fmt.Errorf("there is no file %s", which)
	}
	return runs.Find(dir, which)
}

// isFileName reports whether a name can only be a file's.
func isFileName(name string) bool {
	return strings.HasSuffix(name, checkpoint.WeightsExt) || isCheckpoint(name)
}

// ofRun makes a model of a run's best weights.
func ofRun(folder string) (*Model, error) {
	var m *Model
	for again := range 2 {
		best, err := runs.BestWeights(folder)
		var none *runs.NoWeightsError
		if errors.As(err, &none) {
			return ofLast(folder, none)
		}
		if err == nil {
			m, err = Read(best.Path)
		}
		if errors.Is(err, fs.ErrNotExist) && again == 0 {
			continue // a live run has just replaced them by better ones
		}
		if err != nil {
			return nil, err
		}
		break
	}
	m.Name = filepath.Base(folder)
	return m, nil
}

// ofLast makes a model of the last.ckpt of a run whose weights no other file
// holds.
func ofLast(folder string, none error) (*Model, error) {
	path := filepath.Join(folder, rundir.CheckpointsDir, checkpoint.LastFile)
	c, err := checkpoint.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	m, err := ofCheckpoint(path, c, true)
	if err != nil {
		return nil, err
	}
	m.Name = filepath.Base(folder)
	return m, nil
}

// RunFolder is the run folder that the model's file lies in, "" if in none.
func (m *Model) RunFolder() string {
	path, err := filepath.Abs(m.Path)
	if err != nil || filepath.Base(filepath.Dir(path)) != rundir.CheckpointsDir {
		return ""
	}
	folder := filepath.Dir(filepath.Dir(path))
	if !rundir.IsRun(folder) {
		return ""
	}
	return folder
}
