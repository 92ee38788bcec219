package checkpoint

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

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Info is one file of a run's checkpoints folder.
type Info struct {
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
	ValAcc, ValLoss event.Float
	// Problem says why the file cannot be used; "" as far as its description
	// tells. [Verify] reads it whole.
	Problem string
}

// List lists the checkpoints in a run folder: first those that a
// resume goes on from, then the weights by epoch and step. It reads only their
// descriptions.
func List(folder string) ([]Info, error) {
	dir := filepath.Join(folder, rundir.CheckpointsDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var list []Info
	for _, e := range entries {
		name := e.Name()
		resumable := name == LastFile || name == PreviousFile
		if !resumable && (!strings.HasSuffix(name, WeightsExt) || strings.HasPrefix(name, ".")) {
			continue
		}
		c := Info{File: name, Path: filepath.Join(dir, name), Resumable: resumable}
		c.ValAcc, c.ValLoss = NotKnown, NotKnown
		if err := c.describe(); err != nil {
			c.Problem = err.Error()
		}
		list = append(list, c)
	}
	slices.SortStableFunc(list, func(a, b Info) int {
		if a.Resumable != b.Resumable {
			return cmp.Compare(b2i(b.Resumable), b2i(a.Resumable))
		}
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Step, b.Step), cmp.Compare(a.File, b.File))
	})
	return list, nil
}

// PlanOf is what the budget of a run allows, by the checkpoint that it goes on from;
// nil where that tells of none.
func PlanOf(folder string) *Plan {
	if c := describe(folder, func(c *Checkpoint) bool { return c.Plan != nil }); c != nil {
		return c.Plan
	}
	return nil
}

// DataOf is the data that a run was trained on, by the checkpoint that it goes on
// from; known is false where there is none.
func DataOf(folder string) (sum DataSum, known bool) {
	if c := describe(folder, func(*Checkpoint) bool { return true }); c != nil {
		return c.Data, true
	}
	return DataSum{}, false
}

// describe is the description of the newest checkpoint of a run that tells what is
// asked for, without its tensors; nil if none does.
func describe(folder string, tells func(*Checkpoint) bool) *Checkpoint {
	for _, name := range []string{LastFile, PreviousFile} {
		f, err := rundir.Open(filepath.Join(folder, rundir.CheckpointsDir, name))
		if err != nil {
			continue
		}
		c, err := readHeader(f)
		f.Close()
		if err == nil && tells(c) {
			return c
		}
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// describe fills in what the file says of itself.
func (c *Info) describe() error {
	f, err := rundir.Open(c.Path)
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
		ck, err := readHeader(f)
		if err != nil {
			return err
		}
		c.Epoch, c.Step = ck.Epoch, ck.Step
		if n := len(ck.History); ck.Step == 0 && n > 0 && ck.History[n-1] != nil { // nil: damaged
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

// maxMeta bounds the description of a safetensors file: the format's own bound.
const maxMeta = 100_000_000

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
	if length > maxMeta {
		return nil, fmt.Errorf("a description of %d bytes, want at most %d", length, maxMeta)
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

// Verify reads a checkpoint whole and says what is wrong with it.
// Weights have no sum of their own: their sizes are checked, and that every
// number is finite.
func Verify(path string) error {
	if !strings.HasSuffix(path, WeightsExt) {
		_, err := Read(path)
		return err
	}
	w, err := ReadWeights(path)
	if err != nil {
		return err
	}
	if !Finite(w.Tensors) {
		return fmt.Errorf("weights: %s: some numbers are not finite", path)
	}
	return nil
}

// Delete deletes one file of a run's checkpoints folder. Those that a
// live run goes on from stay.
func Delete(path string) error {
	name := filepath.Base(path)
	dir := filepath.Dir(path)
	resumable := name == LastFile || name == PreviousFile
	if filepath.Base(dir) != rundir.CheckpointsDir || !resumable && !strings.HasSuffix(name, WeightsExt) {
		return fmt.Errorf("delete %s: it is no checkpoint of a run", path)
	}
	if pid, live := rundir.Live(filepath.Dir(dir)); live && resumable {
		return fmt.Errorf("delete %s: the run is in use by a live process (pid %d): stop it first", path, pid)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("delete checkpoint: %w", err)
	}
	return nil
}
