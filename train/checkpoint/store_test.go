package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"cifartui/train/rundir"
)

// A folder's names sort by epoch, as far as the run is to go.
func TestNamesSortByEpoch(t *testing.T) {
	for _, c := range []struct {
		epochs, early, late int
		want                []string
	}{
		{50, 9, 11, []string{"CIFAR10-EP09-ACC0.8125.safetensors", "CIFAR10-EP11-ACC0.8125.safetensors"}},
		{99, 11, 99, []string{"CIFAR10-EP11-ACC0.8125.safetensors", "CIFAR10-EP99-ACC0.8125.safetensors"}},
		{100, 11, 100, []string{"CIFAR10-EP011-ACC0.8125.safetensors", "CIFAR10-EP100-ACC0.8125.safetensors"}},
		{2000, 11, 100, []string{"CIFAR10-EP0011-ACC0.8125.safetensors", "CIFAR10-EP0100-ACC0.8125.safetensors"}},
	} {
		got := []string{WeightsName("CIFAR-10", c.epochs, c.early, 0.8125), WeightsName("CIFAR-10", c.epochs, c.late, 0.8125)}
		if !slices.Equal(got, c.want) || !slices.IsSorted(got) {
			t.Errorf("of %d epochs: %q, want %q", c.epochs, got, c.want)
		}
	}
	if got := StepName("demo", 200, 7, 31); got != "DEMO-EP007-STEP00031.safetensors" {
		t.Error(got)
	}
}

func TestSameWeightsUnderAnOldName(t *testing.T) {
	if !SameWeights("CIFAR10-EP05-ACC0.7000.safetensors", WeightsName("CIFAR-10", 200, 5, 0.7)) {
		t.Error("a name of fewer digits is of the same weights")
	}
	for _, other := range []string{"CIFAR10-EP50-ACC0.7000.safetensors", "CIFAR10-EP005-ACC0.7001.safetensors", "DEMO-EP005-ACC0.7000.safetensors", ""} {
		if SameWeights(other, WeightsName("CIFAR-10", 200, 5, 0.7)) {
			t.Errorf("%q is of other weights", other)
		}
	}
}

// However often a run is saved at one position, the checkpoint of the one before
// stays: it is for when the weights at this one turn out bad.
func TestSavesAtOnePositionKeepTheOneBefore(t *testing.T) {
	s := &Store{Disk: rundir.OS{}, Folder: t.TempDir()}
	save := func(totals ...int64) {
		t.Helper()
		for _, total := range totals {
			if _, err := s.SaveLast(&Checkpoint{Position: Position{Epoch: 1, Total: total}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	save(3, 5, 10, 10)
	s = &Store{Disk: s.Disk, Folder: s.Folder}
	if c, _, err := s.Load(""); err != nil || c.Total != 10 {
		t.Fatalf("loaded %+v, %v", c, err)
	}
	save(10)
	if c := s.DropBad(10); c == nil || c.Total != 5 {
		t.Errorf("left is %+v, want batch 5", c)
	}
}

// A kill may leave the last checkpoint under both names. The next save leaves these
// two names, and no third that would keep a checkpoint's room for good.
func TestSaveAfterAKillBetweenTheTwoNames(t *testing.T) {
	s := &Store{Disk: rundir.OS{}, Folder: t.TempDir()}
	for total := range int64(3) {
		if total == 2 {
			s = &Store{Disk: s.Disk, Folder: s.Folder}
			if _, _, err := s.Load(""); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.SaveLast(&Checkpoint{Position: Position{Epoch: 1, Total: 1 + total}}); err != nil {
			t.Fatal(err)
		}
		if total == 1 {
			if _, err := s.keep(filepath.Join(s.Folder, LastFile), filepath.Join(s.Folder, PreviousFile)); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(s.Folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, %v; want %s and %s", entries, err, LastFile, PreviousFile)
	}
	if c, err := Read(filepath.Join(s.Folder, PreviousFile)); err != nil || c.Total != 2 {
		t.Errorf("the one before is %+v, %v; want batch 2", c, err)
	}
}

// linkless is a disk that knows no links, and can fail.
type linkless struct {
	rundir.OS
	stuck bool // nothing gets the name of the last checkpoint
	full  bool
}

func (*linkless) Link(_, _ string) error { return errors.ErrUnsupported }

func (d *linkless) Rename(from, to string) error {
	if d.stuck && filepath.Base(to) == LastFile {
		return syscall.EIO
	}
	return d.OS.Rename(from, to)
}

func (d *linkless) Create(path string) (rundir.File, error) {
	if d.full {
		return nil, syscall.ENOSPC
	}
	return d.OS.Create(path)
}

// Without links the last checkpoint is moved aside before the next takes its name.
// If that fails it is the only one, and nothing is given up for room.
func TestTheOnlyCheckpointIsNotGivenUp(t *testing.T) {
	d := &linkless{}
	s := &Store{Disk: d, Folder: t.TempDir()}
	save := func(total int64) error {
		_, err := s.SaveLast(&Checkpoint{Position: Position{Epoch: 1, Total: total}})
		return err
	}
	if err := save(3); err != nil {
		t.Fatal(err)
	}
	d.stuck = true
	if save(5) == nil {
		t.Fatal("a checkpoint is saved that has not got its name")
	}
	d.stuck, d.full = false, true
	if save(6) == nil {
		t.Fatal("saved on a full disk")
	}
	if c, err := Read(filepath.Join(s.Folder, PreviousFile)); err != nil || c.Total != 3 {
		t.Errorf("the only checkpoint: %+v, %v", c, err)
	}
	d.full = false
	if err := save(7); err != nil {
		t.Fatal(err)
	}
	if c, _, err := s.Load(""); err != nil || c.Total != 7 {
		t.Errorf("loaded %+v, %v", c, err)
	}
}
