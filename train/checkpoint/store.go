package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cifartui/train/rundir"
)

// The checkpoints that a run is resumed from: the last, and the one before it.
const (
	LastFile     = "last.ckpt"
	PreviousFile = "last.ckpt.1"
)

// WeightsExt ends the name of a file of weights, which a new run can start from.
const WeightsExt = ".safetensors"

// Store writes a run's checkpoints folder.
type Store struct {
	Disk   rundir.Disk
	Folder string
	// Lock is that of the run's folder; nil: nobody asks whether it still holds.
	Lock *rundir.Lock
	// GaveUp, if not nil, is told of a checkpoint that was deleted since the disk
	// had no room for the next one.
	GaveUp func(file string)

	// good is the checkpoint that is known to be whole, by its base name: the one
	// that was loaded, then LastFile; "" when there is none. LastFile may take the
	// place of PreviousFile only when it is that.
	good string
	// total is how many batches were done at good. Of one position one checkpoint is
	// kept: the one before is for when the weights at that position turn out bad.
	total int64
}

// SaveLast writes LastFile, and keeps the one from fewer batches as PreviousFile.
// At every instant one of the two is whole. On a disk that has no room for a third
// the older of the two is given up first; see giveUp.
func (s *Store) SaveLast(c *Checkpoint) (int64, error) {
	b, err := c.encode()
	if err != nil {
		return 0, err
	}
	last, previous := filepath.Join(s.Folder, LastFile), filepath.Join(s.Folder, PreviousFile)
	if err := s.there(); err != nil {
		return 0, fmt.Errorf("save %s: %w", last, err)
	}
	var temp string
	var size int64
	err = s.withRoom(func() (err error) {
		temp, size, err = rundir.WriteTemp(s.Disk, last, func(w io.Writer) error {
			_, err := w.Write(b)
			return err
		})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", last, err)
	}
	if s.good == LastFile && s.total != c.Total {
		moved, err := s.keep(last, previous)
		if moved { // until the new one is in its place
			s.good = PreviousFile
		}
		if err != nil {
			return 0, fmt.Errorf("keep %s: %w", previous, errors.Join(err, s.Disk.Remove(temp)))
		}
	}
	if err := s.Disk.Rename(temp, last); err != nil {
		return 0, fmt.Errorf("save %s: %w", last, errors.Join(err, s.Disk.Remove(temp)))
	}
	s.good, s.total = LastFile, c.Total
	if err := s.Disk.SyncDir(s.Folder); err != nil {
		return 0, fmt.Errorf("save %s: %w", last, err)
	}
	return size, nil
}

// withRoom writes, and where the disk is full once more when it has given up a
// checkpoint for the room.
func (s *Store) withRoom(write func() error) error {
	err := write()
	if !rundir.NoRoom(err) || !s.giveUp() {
		return err
	}
	return write()
}

// giveUp deletes the one of LastFile and PreviousFile that the run does not go
// on from, and reports whether there was one. Without a checkpoint that is known
// to be whole nothing is deleted: it could be the only good one.
func (s *Store) giveUp() bool {
	spare := PreviousFile
	switch s.good {
	case "":
		return false
	case PreviousFile:
		spare = LastFile
	}
	if s.Disk.Remove(filepath.Join(s.Folder, spare)) != nil {
		return false
	}
	if s.GaveUp != nil {
		s.GaveUp(spare)
	}
	return true
}

// keep makes previous the same file as last, so that last is there at every
// instant. Where the file system has no links it is moved instead: a kill at
// the wrong instant then leaves only previous, which a resume takes.
func (s *Store) keep(last, previous string) (moved bool, err error) {
	link := rundir.TempName(previous)
	if err := s.Disk.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := s.Disk.Link(last, link); err != nil {
		err := s.Disk.Rename(last, previous)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // somebody deleted it: there is nothing to keep
		}
		return err == nil, err
	}
	if err := s.Disk.Rename(link, previous); err != nil {
		return false, err
	}
	// After a kill before the new checkpoint was in its place both names are those of
	// one file, and POSIX renames none onto itself.
	if err := s.Disk.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return false, nil
}

// DropBad returns the newest checkpoint from before batch total, after which
// the loss was not finite. A checkpoint of batch total itself holds the weights
// that gave this loss, finite as they may look: the one before takes its place.
// It returns nil when none is good.
func (s *Store) DropBad(total int64) *Checkpoint {
	last, previous := filepath.Join(s.Folder, LastFile), filepath.Join(s.Folder, PreviousFile)
	if c, err := Read(last); err == nil && c.Total < total {
		return c
	}
	c, err := Read(previous)
	if err != nil || c.Total >= total || s.Disk.Rename(previous, last) != nil {
		return nil
	}
	s.good, s.total = LastFile, c.Total
	return c
}

// SaveWeights writes a weights file. It makes room as SaveLast does.
func (s *Store) SaveWeights(name string, w Weights) (size int64, err error) {
	path := filepath.Join(s.Folder, name)
	if err := s.there(); err != nil {
		return 0, fmt.Errorf("save %s: %w", path, err)
	}
	err = s.withRoom(func() (err error) {
		size, err = rundir.WriteAtomic(s.Disk, path, w.Encode)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", path, err)
	}
	return size, nil
}

// there makes the folder again if somebody has deleted it. The folder around it is
// the run's, which is not made anew: it may have been moved.
func (s *Store) there() error {
	if err := s.Lock.Taken(filepath.Dir(s.Folder)); err != nil {
		return err
	}
	err := os.Mkdir(s.Folder, 0o755)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s", errFolderGone, filepath.Dir(s.Folder))
	}
	return err
}

var errFolderGone = errors.New("the run's folder was moved or deleted under it: put it back where it was")

// Remove deletes files that a newer checkpoint has made superfluous. One that
// cannot be deleted costs space and no more.
func (s *Store) Remove(names []string) {
	for _, n := range names {
		if filepath.Base(n) == n && strings.HasSuffix(n, WeightsExt) {
			_ = s.Disk.Remove(filepath.Join(s.Folder, n))
		}
	}
}

// DamagedError says that the checkpoint a run should go on from cannot be used,
// and offers the one before it.
type DamagedError struct {
	Path string // the checkpoint
	Err  error  // what is wrong with it
	// Previous is the path of the checkpoint before it when that one is whole,
	// else "".
	Previous    string
	Epoch, Step int // where Previous goes on
}

func (e *DamagedError) Error() string {
	s := fmt.Sprintf("checkpoint %s is damaged: %v", e.Path, e.Err)
	if e.Previous == "" {
		return s + "; the one before it is missing or damaged too: start a new run, with --init and a weights file of this one if there is any"
	}
	return fmt.Sprintf("%s; the one before it, %s, is whole (epoch %d, %d batches done): go on from there with --checkpoint %s",
		s, e.Previous, e.Epoch, e.Step, filepath.Base(e.Previous))
}

func (e *DamagedError) Unwrap() error { return e.Err }

// Load reads the checkpoint to resume from: name, or LastFile if name is "". It
// returns nil without an error when the run has none yet. note says what the
// person should know.
func (s *Store) Load(name string) (c *Checkpoint, note string, err error) {
	file := cmp.Or(name, LastFile)
	if filepath.Base(file) != file {
		return nil, "", fmt.Errorf("checkpoint %q: want the name of a file in %s", name, s.Folder)
	}
	path := filepath.Join(s.Folder, file)
	c, err = Read(path)
	if err == nil {
		s.good, s.total = file, c.Total
		return c, "", nil
	}
	if errors.Is(err, ErrNotCheckpoint) || errors.Is(err, fs.ErrPermission) {
		return nil, "", err
	}
	missing := errors.Is(err, fs.ErrNotExist)
	if missing && name != "" {
		return nil, "", err
	}
	previous := filepath.Join(s.Folder, PreviousFile)
	before, perr := Read(previous)
	switch {
	case missing && errors.Is(perr, fs.ErrNotExist):
		return nil, "", nil // killed before its first checkpoint
	case missing && perr == nil:
		s.good = PreviousFile
		return before, fmt.Sprintf("%s is missing: going on from %s", LastFile, PreviousFile), nil
	case missing:
		return nil, "", &DamagedError{Path: previous, Err: errors.Unwrap(perr)}
	}
	damaged := &DamagedError{Path: path, Err: errors.Unwrap(err)}
	if perr == nil && file != PreviousFile {
		damaged.Previous, damaged.Epoch, damaged.Step = previous, before.Epoch, before.Step
	}
	return nil, "", damaged
}

// WeightsName is the article's name for the weights after an epoch of a run of
// so many: "CIFAR10-EP09-ACC0.8125.safetensors", and EP009 where the run has 100
// epochs or more, so that the names sort by epoch. They begin with the data's,
// since they show an accuracy.
func WeightsName(data string, epochs, epoch int, valAcc float64) string {
	return fmt.Sprintf("%s-%s-ACC%.4f%s", dataMark(data), epochMark(epochs, epoch), valAcc, WeightsExt)
}

// StepName is the name of weights saved within an epoch.
func StepName(data string, epochs, epoch, step int) string {
	return fmt.Sprintf("%s-%s-STEP%05d%s", dataMark(data), epochMark(epochs, epoch), step, WeightsExt)
}

// epochMark is an epoch in as many digits as the number of epochs has, but two.
func epochMark(epochs, epoch int) string {
	return fmt.Sprintf("EP%0*d", max(2, len(strconv.Itoa(epochs))), epoch)
}

// SameWeights reports whether two names are of the same weights of a run: the
// run may have been of fewer epochs, with fewer digits, when one was given.
func SameWeights(a, b string) bool { return shortMark(a) == shortMark(b) }

// shortMark is a name without the zeros in front of its epoch.
func shortMark(name string) string {
	before, after, found := strings.Cut(name, "-EP")
	if !found {
		return name
	}
	return before + "-EP" + strings.TrimLeft(after, "0")
}

// dataMark is what a data set is called in the names of files, on every system:
// CIFAR10, DEMO, or as much of a folder's name as can stand there.
func dataMark(name string) string {
	if name == "demo" {
		return "DEMO"
	}
	mark := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, name)
	if mark == "" {
		return "IMAGES"
	}
	return mark[:min(len(mark), 32)]
}
