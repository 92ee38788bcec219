// Package checkpoint is what a run keeps: last.ckpt, from which it goes on with
// the same bits (checkpoint.go), files of weights that other programs read
// (safetensors.go), which of them is the best (monitor.go), and the folder that
// holds them (store.go to write it, list.go to look at it). It knows no network:
// a [Tensor] is a name, a shape and numbers.
package checkpoint

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"

	"cifartui/cifar"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Checkpoint is last.ckpt: all that a run needs to go on with the same bits as
// if it had never ended. There is no random state in it beyond Config.Seed and
// the position, since order, augmentation and dropout are drawn from these.
//
// The file is
//
//	8 bytes   "cifarckp"
//	4 bytes   version, little-endian, as all numbers
//	8 bytes   length of the JSON
//	          JSON: this struct and the tensors' names and shapes
//	          the tensors, float32, in the order of the JSON
//	32 bytes  SHA-256 of everything before
type Checkpoint struct {
	Config  config.Config `json:"config"`
	Run     string        `json:"run"`
	Version string        `json:"version"` // of the program that wrote it
	Saved   time.Time     `json:"saved"`
	// Network describes the network, in the words of whoever trains it.
	Network json.RawMessage `json:"network"`
	// About is what a file of these weights would say of them under the Meta
	// keys, where no file says it yet; nil in checkpoints of older versions.
	About map[string]string `json:"about,omitempty"`
	Data  DataSum           `json:"data"`
	// Arithmetic is the nn.Backend's that trained it last; "" in checkpoints of older
	// versions.
	Arithmetic string `json:"arithmetic,omitempty"`

	Position

	// Weights are the parameters, Solver the optimiser's state.
	Weights []Tensor `json:"-"`
	Solver  []Tensor `json:"-"`
	// Best are the best weights so far, when they are still needed and may be
	// in no other file.
	Best []Tensor `json:"-"`
	// Average is the moving average of the weights, of runs that have one.
	Average []Tensor `json:"-"`
	// Whitening is the matrix of --preprocess zca, of runs that have one: see
	// WhiteningName.
	Whitening []Tensor `json:"-"`
}

// Position is where a run stands.
type Position struct {
	// Step batches of epoch Epoch (from 1) are done, Total in all. Epoch is over
	// Config.Epochs, or those of the Plan, when all are done.
	Epoch int   `json:"epoch"`
	Step  int   `json:"step"`
	Total int64 `json:"total"`
	// Sums are over the batches of the epoch so far.
	Sums Sums `json:"sums"`
	// Elapsed is the training time in seconds; EpochStart what it was when the
	// epoch began.
	Elapsed    float64 `json:"elapsed"`
	EpochStart float64 `json:"epoch_start"`
	// Rate is the learning rate that the schedule's factor is applied to.
	Rate float64 `json:"rate"`
	// Monitor is the best value so far and the patience used up.
	Monitor Monitor `json:"monitor"`
	// BestFile is the file with the best weights; "" if none is written. With
	// OldBestKept it stays when a better one comes. BestKept says the same of
	// the best weights, whose file may not be written yet.
	BestFile    string `json:"best_file"`
	OldBestKept bool   `json:"old_best_kept"`
	BestKept    bool   `json:"best_kept"`
	// Obsolete are files that can be deleted now that this checkpoint is written.
	Obsolete []string `json:"obsolete,omitempty"`
	// History are the epochs done.
	History []*event.EpochDone `json:"history"`
	// Seq is the number of the last event.
	Seq uint64 `json:"seq"`
	// Plan is what the budget of time allows, once that is known.
	Plan *Plan `json:"plan,omitempty"`
	// Test is the result on the test set, once it has been used.
	Test *TestResult `json:"test,omitempty"`
}

// Plan is how a run with a budget goes on: after Step batches in all it was at
// From of its schedule, a part in [0, 1), and goes from there to the schedule's
// end with the last batch of Epochs.
type Plan struct {
	Epochs int `json:"epochs"`
	// Small are those of the epochs, the first, that train on smaller images; 0:
	// as many as the settings' part of them; -1: none.
	Small int `json:"small,omitempty"`
	// LastSteps are the batches of the last epoch, which may be fewer than others
	// have; 0: as many.
	LastSteps int     `json:"last_steps,omitempty"`
	Step      int64   `json:"step"`
	From      float64 `json:"from"`
}

// At returns where step, of total, stands in a schedule of as many steps.
func (p *Plan) At(step, total int64) float64 {
	if p.Step >= total {
		return float64(step)
	}
	part := float64(step-p.Step) / float64(total-p.Step)
	return (p.From + (1-p.From)*part) * float64(total)
}

// Sums are over the batches of an epoch, done so far.
type Sums struct {
	Loss    event.Float  `json:"loss"` // sum over the images
	Correct int          `json:"correct"`
	Rows    int          `json:"rows"` // images
	Phases  event.Phases `json:"phases"`
	// LR is the learning rate of the last batch; 0 in files of old versions.
	LR float64 `json:"lr,omitempty"`
	// Trained is Elapsed after the last batch, validation not included.
	Trained float64 `json:"trained"`
}

// NotKnown stands for a number that there is none of.
var NotKnown = event.Float(math.NaN())

// TestResult is what the best weights gave on the test set.
type TestResult struct {
	Acc  event.Float `json:"acc"`  // from 0 to 1
	Loss event.Float `json:"loss"` // mean over the images
}

// DataSum identifies the data that a run was trained on.
type DataSum struct {
	Name  string `json:"name"`
	Train int    `json:"train"` // images
	Test  int    `json:"test"`
	CRC   uint32 `json:"crc"` // CRC-32C of all pixels and labels
}

// SumOf identifies a data set.
func SumOf(d *cifar.Dataset) DataSum {
	table := crc32.MakeTable(crc32.Castagnoli)
	var crc uint32
	for _, s := range []*cifar.Set{d.Train, d.Test, cmp.Or(d.Val, new(cifar.Set))} {
		crc = crc32.Update(crc, table, s.Pixels)
		crc = crc32.Update(crc, table, s.Labels)
	}
	return DataSum{Name: d.Name, Train: d.Train.Len(), Test: d.Test.Len(), CRC: crc}
}

func (s DataSum) String() string {
	return fmt.Sprintf("%s, %d and %d images, sum %08x", s.Name, s.Train, s.Test, s.CRC)
}

const (
	magic      = "cifarckp"
	version    = 1
	prefixSize = len(magic) + 4 + 8
	// maxCheckpoint bounds what is read into memory. Weights, two numbers of
	// optimiser state each, and the best weights are 20 MB; with the moving average
	// and those of the largest network that nn trains they are 1.3 GB.
	maxCheckpoint = 3 << 29
)

// header is the JSON in the file.
type header struct {
	*Checkpoint
	Tensors [5][]tensorHeader `json:"tensors"` // weights, solver, best, average, whitening; older files have three or four
}

type tensorHeader struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
	Len   int    `json:"len"` // numbers, as a state need not have a shape
}

// groups are the checkpoint's tensors in the file's order.
func (c *Checkpoint) groups() [5]*[]Tensor {
	return [5]*[]Tensor{&c.Weights, &c.Solver, &c.Best, &c.Average, &c.Whitening}
}

// encode returns the file's bytes.
func (c *Checkpoint) encode() ([]byte, error) {
	h := header{Checkpoint: c}
	size := 0
	for i, group := range c.groups() {
		for _, t := range *group {
			h.Tensors[i] = append(h.Tensors[i], tensorHeader{t.Name, t.Shape, len(t.Data)})
			size += 4 * len(t.Data)
		}
	}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	b := make([]byte, 0, prefixSize+len(text)+size+sha256.Size)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(text)))
	b = append(b, text...)
	for _, group := range c.groups() {
		for _, t := range *group {
			b = appendFloats(b, t.Data)
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// ErrNotCheckpoint is for a file of another kind or a newer version, as against
// a damaged one.
var ErrNotCheckpoint = errors.New("no checkpoint of this program")

// decode reads a file's bytes, after checking its sum.
func decode(b []byte) (*Checkpoint, error) {
	text, rest, err := parts(b)
	if err != nil {
		return nil, err
	}
	if len(rest) < sha256.Size {
		return nil, fmt.Errorf("%d bytes: it ends too early", len(b))
	}
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	if !bytes.Equal(sum[:], b[len(b)-sha256.Size:]) {
		return nil, errors.New("its SHA-256 does not match its content")
	}
	data := rest[:len(rest)-sha256.Size]
	c := new(Checkpoint)
	h := header{Checkpoint: c}
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("its description cannot be read: %w", err)
	}
	for i, group := range c.groups() {
		for _, t := range h.Tensors[i] {
			if t.Len < 0 || t.Len > len(data)/4 {
				return nil, fmt.Errorf("tensor %q: %d numbers are more than the file holds", t.Name, t.Len)
			}
			*group = append(*group, Tensor{Name: t.Name, Shape: t.Shape, Data: floats(data[:4*t.Len])})
			data = data[4*t.Len:]
		}
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%d bytes more than its tensors need", len(data))
	}
	return c, nil
}

// parts splits a file (or its beginning) into its JSON and what comes
// after it.
func parts(b []byte) (text, rest []byte, err error) {
	if len(b) < prefixSize {
		return nil, nil, fmt.Errorf("%d bytes: it ends too early", len(b))
	}
	if string(b[:len(magic)]) != magic {
		return nil, nil, ErrNotCheckpoint
	}
	if v := binary.LittleEndian.Uint32(b[len(magic):]); v != version {
		return nil, nil, fmt.Errorf("%w: it has version %d of the format, this program reads version %d", ErrNotCheckpoint, v, version)
	}
	n := binary.LittleEndian.Uint64(b[prefixSize-8:])
	b = b[prefixSize:]
	if n > uint64(len(b)) {
		return nil, nil, errors.New("it ends too early")
	}
	return b[:n], b[n:], nil
}

// Read reads and verifies a last.ckpt.
func Read(path string) (*Checkpoint, error) {
	b, err := rundir.ReadFile(path, maxCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	c, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return c, nil
}

// readHeader reads a checkpoint's description without its tensors and
// without verifying its sum, for lists.
func readHeader(f io.Reader) (*Checkpoint, error) {
	prefix := make([]byte, prefixSize)
	if _, err := io.ReadFull(f, prefix); err != nil {
		return nil, errors.New("it ends too early")
	}
	// A history of a million epochs stays under this.
	const maxText = 1 << 29
	n := binary.LittleEndian.Uint64(prefix[prefixSize-8:])
	text, err := io.ReadAll(io.LimitReader(f, int64(min(n, maxText))))
	if err != nil {
		return nil, err
	}
	text, _, err = parts(append(prefix, text...))
	if err != nil {
		return nil, err
	}
	c := new(Checkpoint)
	if err := json.Unmarshal(text, &header{Checkpoint: c}); err != nil {
		return nil, fmt.Errorf("its description cannot be read: %w", err)
	}
	return c, nil
}
