package runs

import (
	"fmt"
	"path/filepath"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/rundir"
)

// BestWeights is the file with a run's best weights, by what the run chose its
// best epoch by.
func BestWeights(folder string) (checkpoint.Info, error) {
	c, _, err := config.ReadQuick(folder)
	if err != nil {
		return checkpoint.Info{}, err
	}
	files, err := checkpoint.List(folder)
	if err != nil {
		return checkpoint.Info{}, err
	}
	best := bestOf(files, c.Monitor)
	if best < 0 {
		return checkpoint.Info{}, &NoWeightsError{Folder: folder}
	}
	return files[best], nil
}

// NoWeightsError says that no file of a run holds weights of a whole epoch.
type NoWeightsError struct{ Folder string }

func (e *NoWeightsError) Error() string {
	return fmt.Sprintf("run %s has no weights yet: %s holds none of a whole epoch; \"cifartui ctl %s save\" has a live run write them",
		e.Folder, filepath.Join(e.Folder, rundir.CheckpointsDir), rundir.Argument(e.Folder))
}

// bestOf is the best of the weights of whole epochs, the earliest of equals, as
// equal is not better; -1 if there are none.
func bestOf(files []checkpoint.Info, monitor string) int {
	best := -1
	for i, c := range files {
		if c.Resumable || c.Problem != "" || !c.ValAcc.Finite() {
			continue
		}
		if best < 0 || better(c, files[best], monitor) {
			best = i
		}
	}
	return best
}

// better reports whether checkpoint a is better than b.
func better(a, b checkpoint.Info, monitor string) bool {
	if monitor == "val_loss" && a.ValLoss.Finite() && b.ValLoss.Finite() {
		return a.ValLoss < b.ValLoss
	}
	return a.ValAcc > b.ValAcc
}
