package train

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nlpodyssey/safetensors"
)

// The checkpoints that a run is resumed from: the last, and the one before it.
const (
	LastFile     = "last.ckpt"
	PreviousFile = "last.ckpt.1"
)

// WeightsExt ends the name of a file of weights, which a new run can start from.
const WeightsExt = ".safetensors"

// store writes a run's checkpoints folder.
type store struct {
	disk   disk
	folder string
	// lastGood is set when LastFile is known to be whole, so that it may take
	// the place of PreviousFile.
	lastGood bool
}

// saveLast writes LastFile, and keeps the one before it as PreviousFile. At
// every instant one of the two is whole.
func (s *store) saveLast(c *Checkpoint) (int64, error) {
	b, err := c.encode()
	if err != nil {
		return 0, err
	}
	last, previous := filepath.Join(s.folder, LastFile), filepath.Join(s.folder, PreviousFile)
	temp, size, err := writeTemp(s.disk, last, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", last, err)
	}
	if s.lastGood {
		if err := s.keep(last, previous); err != nil {
			return 0, fmt.Errorf("keep %s: %w", previous, errors.Join(err, s.disk.Remove(temp)))
		}
	}
	if err := s.disk.Rename(temp, last); err != nil {
		return 0, fmt.Errorf("save %s: %w", last, errors.Join(err, s.disk.Remove(temp)))
	}
	s.lastGood = true
	if err := s.disk.SyncDir(s.folder); err != nil {
		return 0, fmt.Errorf("save %s: %w", last, err)
	}
	return size, nil
}

// keep makes previous the same file as last, so that last is there at every
// instant. Where the file system has no links it is renamed instead: a kill at
// the wrong instant then leaves only previous, which a resume takes.
func (s *store) keep(last, previous string) error {
	link := tempName(previous)
	if err := s.disk.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.disk.Link(last, link); err != nil {
		err := s.disk.Rename(last, previous)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // somebody deleted it: there is nothing to keep
		}
		return err
	}
	return s.disk.Rename(link, previous)
}

// dropBad returns the newest checkpoint from before batch total, after which
// the loss was not finite. A checkpoint of batch total itself holds the weights
// that gave this loss, finite as they may look: the one before takes its place.
// It returns nil when none is good.
func (s *store) dropBad(total int64) *Checkpoint {
	last, previous := filepath.Join(s.folder, LastFile), filepath.Join(s.folder, PreviousFile)
	if c, err := ReadCheckpoint(last); err == nil && c.Total < total {
		return c
	}
	c, err := ReadCheckpoint(previous)
	if err != nil || c.Total >= total || s.disk.Rename(previous, last) != nil {
		return nil
	}
	return c
}

// saveWeights writes a weights file.
func (s *store) saveWeights(name string, w Weights) (int64, error) {
	path := filepath.Join(s.folder, name)
	size, err := writeAtomic(s.disk, path, w.encode)
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", path, err)
	}
	return size, nil
}

// remove deletes files that a newer checkpoint has made superfluous. One that
// cannot be deleted costs space and no more.
func (s *store) remove(names []string) {
	for _, n := range names {
		if filepath.Base(n) == n && strings.HasSuffix(n, WeightsExt) {
			_ = s.disk.Remove(filepath.Join(s.folder, n))
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

// load reads the checkpoint to resume from: name, or LastFile if name is "". It
// returns nil without an error when the run has none yet. note says what the
// person should know.
func (s *store) load(name string) (c *Checkpoint, note string, err error) {
	file := cmp.Or(name, LastFile)
	if filepath.Base(file) != file {
		return nil, "", fmt.Errorf("checkpoint %q: want the name of a file in %s", name, s.folder)
	}
	path := filepath.Join(s.folder, file)
	c, err = ReadCheckpoint(path)
	if err == nil {
		s.lastGood = file == LastFile
		return c, "", nil
	}
	if errors.Is(err, errNotCheckpoint) || errors.Is(err, fs.ErrPermission) {
		return nil, "", err
	}
	missing := errors.Is(err, fs.ErrNotExist)
	if missing && name != "" {
		return nil, "", err
	}
	previous := filepath.Join(s.folder, PreviousFile)
	before, perr := ReadCheckpoint(previous)
	switch {
	case missing && errors.Is(perr, fs.ErrNotExist):
		return nil, "", nil // killed before its first checkpoint
	case missing && perr == nil:
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

// weightsName is the article's name for the weights after an epoch. Those of
// the demo set are called after it, since the name shows an accuracy.
func weightsName(demo bool, epoch int, valAcc float64) string {
	return fmt.Sprintf("%s-EP%02d-ACC%.4f%s", dataMark(demo), epoch, valAcc, WeightsExt)
}

// stepName is the name of weights saved within an epoch.
func stepName(demo bool, epoch, step int) string {
	return fmt.Sprintf("%s-EP%02d-STEP%05d%s", dataMark(demo), epoch, step, WeightsExt)
}

func dataMark(demo bool) string {
	if demo {
		return "DEMO"
	}
	return "CIFAR10"
}

// CheckpointInfo is one file of a run's checkpoints folder.
type CheckpointInfo struct {
	File string // base name
	Path string
	Size int64 // bytes
	Time time.Time
	// Resumable is set for last.ckpt and the one before it, which hold the
	// whole state; the others are weights.
	Resumable bool
	// Step batches of epoch Epoch were done; Step is 0 in a file saved after an
	// epoch.
	Epoch, Step int
	// ValAcc and ValLoss are NaN in a file saved within an epoch.
	ValAcc, ValLoss Float
	// Problem says why the file cannot be used; "" as far as its description
	// tells. [VerifyCheckpoint] reads it whole.
	Problem string
}

// ListCheckpoints lists the checkpoints in a run folder: first those that a
// resume goes on from, then the weights by epoch and step. It reads only their
// descriptions.
func ListCheckpoints(folder string) ([]CheckpointInfo, error) {
	dir := filepath.Join(folder, CheckpointsDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var list []CheckpointInfo
	for _, e := range entries {
		name := e.Name()
		resumable := name == LastFile || name == PreviousFile
		if !resumable && (!strings.HasSuffix(name, WeightsExt) || strings.HasPrefix(name, ".")) {
			continue
		}
		c := CheckpointInfo{File: name, Path: filepath.Join(dir, name), Resumable: resumable}
		c.ValAcc, c.ValLoss = notKnown, notKnown
		if err := c.describe(); err != nil {
			c.Problem = err.Error()
		}
		list = append(list, c)
	}
	slices.SortStableFunc(list, func(a, b CheckpointInfo) int {
		if a.Resumable != b.Resumable {
			return cmp.Compare(b2i(b.Resumable), b2i(a.Resumable))
		}
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Step, b.Step), cmp.Compare(a.File, b.File))
	})
	return list, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// describe fills in what the file says of itself.
func (c *CheckpointInfo) describe() error {
	f, err := os.Open(c.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	c.Size, c.Time = st.Size(), st.ModTime()
	if c.Resumable {
		ck, err := readCheckpointHeader(f)
		if err != nil {
			return err
		}
		c.Epoch, c.Step = ck.Epoch, ck.Step
		if n := len(ck.History); ck.Step == 0 && n > 0 {
			c.ValAcc, c.ValLoss = ck.History[n-1].ValAcc, ck.History[n-1].ValLoss
		}
		return nil
	}
	meta, err := readMeta(f, st.Size())
	if err != nil {
		return err
	}
	// A file of another program may lack these, and still be good weights.
	c.Epoch, _ = strconv.Atoi(meta[MetaEpoch])
	c.Step, _ = strconv.Atoi(meta[MetaStep])
	c.ValAcc, c.ValLoss = metaFloat(meta, MetaValAcc), metaFloat(meta, MetaValLoss)
	return nil
}

// readMeta reads the metadata of a safetensors file of a size.
func readMeta(f io.Reader, size int64) (map[string]string, error) {
	var n [8]byte
	if _, err := io.ReadFull(f, n[:]); err != nil {
		return nil, errors.New("it ends too early")
	}
	length := int64(0)
	for i := range n {
		length |= int64(n[i]) << (8 * i)
	}
	if length < 0 || length > size-8 {
		return nil, errors.New("it ends too early, or is no safetensors file")
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(f, text); err != nil {
		return nil, err
	}
	var m safetensors.Metadata
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("its description cannot be read: %w", err)
	}
	end := uint64(0)
	for _, t := range m.Tensors() {
		end = max(end, t.DataOffsets[1])
	}
	if end != uint64(size-8-length) {
		return nil, fmt.Errorf("%d bytes of numbers, want %d", size-8-length, end)
	}
	return m.Metadata(), nil
}

// VerifyCheckpoint reads a checkpoint whole and says what is wrong with it.
// Weights have no sum of their own: their sizes are checked, and that every
// number is finite.
func VerifyCheckpoint(path string) error {
	if !strings.HasSuffix(path, WeightsExt) {
		_, err := ReadCheckpoint(path)
		return err
	}
	w, err := ReadWeights(path)
	if err != nil {
		return err
	}
	if !finite(w.Tensors) {
		return fmt.Errorf("weights: %s: some numbers are not finite", path)
	}
	return nil
}

// DeleteCheckpoint deletes one file of a run's checkpoints folder. Those that a
// live run goes on from stay.
func DeleteCheckpoint(path string) error {
	name := filepath.Base(path)
	dir := filepath.Dir(path)
	resumable := name == LastFile || name == PreviousFile
	if filepath.Base(dir) != CheckpointsDir || !resumable && !strings.HasSuffix(name, WeightsExt) {
		return fmt.Errorf("delete %s: it is no checkpoint of a run", path)
	}
	if pid, live := Live(filepath.Dir(dir)); live && resumable {
		return fmt.Errorf("delete %s: the run is in use by a live process (pid %d): stop it first", path, pid)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("delete checkpoint: %w", err)
	}
	return nil
}
