package train

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"cifartui/cifar"
	"cifartui/cifar/plain"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// Options is what a [Trainer] is made from.
type Options struct {
	// Config are the settings. With Resume they may differ from those that the
	// run was trained with only where the bits trained so far do not depend on
	// them (epochs, patience, learning rate, threads, ...); the zero Config
	// means the run's own.
	Config config.Config
	// Dataset is the data, already read.
	Dataset *cifar.Dataset
	// Backend computes. It stays the caller's, to close after Run.
	Backend nn.Backend
	// Resume is the run folder to go on in; "" starts a new run.
	Resume string
	// Exact has a new run be called Config.Name and nothing else. A folder of that
	// name may be there, if nothing has begun in it; else it is a
	// *rundir.BegunError.
	Exact bool
	// Checkpoint is the file in Resume's checkpoints folder to go on from; ""
	// means LastFile.
	Checkpoint string
	// NewRate has a resume go on at Config.LR, whatever the learning rate has been
	// set to since; otherwise it does so only if Config.LR is another one than the
	// run had.
	NewRate bool
	// Version is the program's version.
	Version string
	// Turns lets the runs of a comparison take turns; nil: this run is alone.
	Turns Turns
	// AtOnce is how many runs the processor trains at once, 0 or 1 for this one.
	AtOnce int
	// Shared is held by whoever of several runs uses the Backend, which serves one
	// goroutine at a time: a run lets the others in while it waits, and between two
	// batches. nil: the Backend is this run's alone.
	Shared sync.Locker
	// GoesOn reports whether the caller goes on with the run from its last checkpoint
	// after such an error of Run, which is told with the end; nil: never.
	GoesOn func(error) bool
	// FreeMemory has the run give the memory of its batches back with its turn.
	FreeMemory bool
	// Warnings are told when the run starts.
	Warnings []string
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	disk   rundir.Disk // nil: the real one
	whiten whitening   // nil: whiten.Cached in the cache folder
	told   []string    // warnings of other runs on the same data: not told again
	// parts are the images of a run; nil: a copy of its own where some are held out.
	parts func(config.Config) (train, val *cifar.Set, err error)
}

// Turns makes several runs take turns, an epoch each.
type Turns interface {
	// Acquire waits for the caller's turn. It returns ctx's error when that ends
	// first.
	Acquire(ctx context.Context) error
	// Release passes the turn on. Only who has it calls Release.
	Release()
}

// ErrDiverged is what Run returns when the loss is no longer finite.
var ErrDiverged = errors.New("training diverged")

// Trainer trains one run. It owns the run's folder, and holds its lock from
// NewTrainer until Run returns or Close is called.
type Trainer struct {
	options Options
	config  config.Config // Options' or, in a resume, the run's own
	folder  string
	name    string
	spec    nn.Spec
	data    checkpoint.DataSum
	lock    *rundir.Lock
	store   *checkpoint.Store
	log     *record.Log
	seq     uint64 // of the last event in the folder
	// from is what a resume goes on from; nil at the start of a run.
	from *checkpoint.Checkpoint
	// init are the weights that a new run starts with; nil means drawn ones.
	init     []checkpoint.Tensor
	resumed  bool     // also when there was no checkpoint yet
	made     bool     // the folder is new, and this trainer's
	warnings []string // to be told once Run has started
	commands *mailbox
	asked    []event.Command // see Asked
	closing  sync.Once
}

// NewTrainer makes the folder of a new run, or opens that of an old one, and
// takes its lock. Everything that a person can have got wrong is found here,
// before training starts.
func NewTrainer(o Options) (*Trainer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.disk == nil {
		o.disk = rundir.OS{}
	}
	if o.Shared == nil {
		o.Shared = new(sync.Mutex)
	}
	if o.Dataset == nil || o.Backend == nil {
		return nil, errors.New("train: options: data set and backend are needed")
	}
	t := &Trainer{options: o, config: o.Config, folder: o.Resume, resumed: o.Resume != "", commands: newMailbox()}
	var about config.About
	if t.resumed {
		saved, a, err := config.Read(o.Resume)
		if err != nil {
			return nil, err
		}
		if o.Config == (config.Config{}) {
			t.config = saved
		}
		about = a
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	if !t.resumed {
		folder, note, err := makeFolder(t.config.Runs, t.config.Name, "model", t.options.Now(), o.Exact)
		if err != nil {
			return nil, err
		}
		t.folder = folder
		if note != "" {
			t.warnings = append(t.warnings, note)
		}
	}
	t.name = filepath.Base(filepath.Clean(t.folder))
	if err := t.open(about); err != nil {
		return nil, errors.Join(err, t.discard())
	}
	t.warnings = append(t.warnings, o.Warnings...)
	return t, nil
}

// makeFolder makes the folder of a new run or comparison: name, or of a kind and
// the time. note says that it could not be called what was asked for.
func makeFolder(runs, name, kind string, now time.Time, exact bool) (folder, note string, err error) {
	if exact {
		folder, err = rundir.MakeExactly(runs, name)
		return folder, "", err
	}
	folder, err = rundir.Make(runs, cmp.Or(name, kind+now.Format("_20060102_1504")))
	if base := filepath.Base(folder); err == nil && name != "" && base != name {
		note = fmt.Sprintf("there is a run %s already: this one is called %s (--resume %s goes on with that one, --resume-or-start does so if it is there)", name, base, name)
	}
	return folder, note, err
}

// check validates the settings, by themselves and with the data.
func (t *Trainer) check() error {
	if err := t.config.Validate(); err != nil {
		return fmt.Errorf("settings:\n%w", err)
	}
	if err := t.checkSplit(t.options.Dataset); err != nil {
		return fmt.Errorf("settings:\n%w", err)
	}
	var err error
	if t.spec, err = NetworkFor(t.config, t.options.Dataset); err != nil {
		return fmt.Errorf("settings:\n%w", err)
	}
	if small := t.config.Small(); t.config.SmallEpochs > 0 {
		if small >= t.spec.Size {
			return fmt.Errorf("settings:\nsmall_size: %d is not allowed: the data's images have %d pixels a side", small, t.spec.Size)
		}
		spec := t.spec
		spec.Size = small
		if err := spec.Validate(); err != nil {
			return fmt.Errorf("settings:\nsmall_size: %w", err)
		}
	}
	t.data = checkpoint.SumOf(t.options.Dataset)
	if _, host := t.options.Backend.(*nn.CPU); host && t.options.Turns == nil {
		needs, _, err := memoryOf([]config.Config{t.config}, func(config.Config) (nn.Spec, error) { return t.spec, nil }, 1)
		if err != nil {
			return err
		}
		if note := loneMemoryNote(needs, FreeMemory()); note != "" {
			t.warnings = append(t.warnings, note)
		}
	}
	if t.resumed {
		return nil
	}
	return t.readInit()
}

// checkSplit finds out what is validated on. Of data that has nothing for that a
// tenth of the training images is, as if the settings said so.
func (t *Trainer) checkSplit(d *cifar.Dataset) error {
	n := d.Train.Len()
	switch {
	case t.config.ValSplit >= n:
		return fmt.Errorf("val_split: %d is not allowed: the data has %d training images", t.config.ValSplit, n)
	case t.config.ValSplit > 0 && d.Val != nil:
		return fmt.Errorf("val_split: %d is not allowed: the data has images to validate on, %d in a folder of their own", t.config.ValSplit, d.Val.Len())
	case t.config.ValSplit == 0 && d.Val == nil && d.Test.Len() == 0:
		const part = 10
		if n < 2*part {
			return fmt.Errorf("val_split: a tenth of %d images is too few to validate on: put more pictures into the folder, or a folder test with some beside a folder train", n)
		}
		t.config.ValSplit = n / part
	}
	if t.config.ValSplit > 0 && !t.resumed {
		t.warnEmptied(d)
	}
	return nil
}

// warnEmptied says which classes the split leaves nothing of to train on.
func (t *Trainer) warnEmptied(d *cifar.Dataset) {
	var names []string
	for _, class := range d.Train.SplitEmpties(t.config.ValSplit) {
		names = append(names, strconv.Quote(d.Classes[class]))
	}
	if len(names) == 0 {
		return
	}
	warning := fmt.Sprintf("all images of %s are held out to validate on (val_split %d), and none is left to train on: add some, or hold out fewer", plain.Few(names, 3), t.config.ValSplit)
	if !slices.Contains(t.options.told, warning) {
		t.warnings = append(t.warnings, warning)
	}
}

// validatesOnTest reports whether the images that the best weights are chosen
// on are the test set.
func (t *Trainer) validatesOnTest() bool {
	return t.config.ValSplit == 0 && t.options.Dataset.Val == nil
}

// testsAtEnd reports whether the best weights are tested at the end.
func (t *Trainer) testsAtEnd() bool { return !t.validatesOnTest() && t.options.Dataset.Test.Len() > 0 }

// open takes the folder's lock, reads what is in it and makes it ready.
func (t *Trainer) open(about config.About) error {
	l, err := rundir.LockFolder(t.folder)
	t.lock = l
	if errors.Is(err, rundir.ErrNoLocks) && l != nil {
		t.warnings = append(t.warnings, fmt.Sprintf("%s: %v: nothing keeps a second process from writing this run", t.folder, err))
	} else if err != nil {
		return err
	}
	if !t.resumed {
		if err := rundir.Unbegun(t.folder); err != nil {
			return err
		}
		t.made = true
	}
	checkpoints := filepath.Join(t.folder, rundir.CheckpointsDir)
	if err := os.MkdirAll(checkpoints, 0o755); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	rundir.RemoveTemps(t.options.disk, t.folder)
	rundir.RemoveTemps(t.options.disk, checkpoints)
	t.store = &checkpoint.Store{Disk: t.options.disk, Folder: checkpoints, Lock: t.lock}
	if t.resumed {
		if err := t.loadCheckpoint(about); err != nil {
			return err
		}
	}
	if err := t.writeConfig(about); err != nil {
		if !t.resumed {
			return err
		}
		t.warnings = append(t.warnings, err.Error())
	}
	if t.from != nil {
		t.mendRecord()
	}
	t.log, t.seq, err = record.OpenLog(t.options.disk, t.folder, t.lock)
	if err != nil {
		return err
	}
	if t.from != nil {
		t.seq = max(t.seq, t.from.Seq)
	}
	return nil
}

// lostCheckpoint is an error if the record tells of a checkpoint, or of more
// epochs than a kill before the first one leaves: without a checkpoint the run
// would begin again over them, and what they taught would be gone.
func (t *Trainer) lostCheckpoint() error {
	r, err := record.Read(t.folder)
	if err != nil {
		return nil // what is damaged in the record is told when it is opened
	}
	had := slices.ContainsFunc(r.Checkpoints, func(c *event.CheckpointSaved) bool { return c.File == checkpoint.LastFile })
	if r.EpochsDone() == 0 || r.EpochsDone() == 1 && !had {
		return nil
	}
	begin := "begin a new run under another --name"
	list, err := checkpoint.List(t.folder)
	if err != nil {
		return err
	}
	best := -1
	for i, f := range list {
		if !f.Resumable && f.Problem == "" && (best < 0 || f.ValAcc > list[best].ValAcc || !list[best].ValAcc.Finite()) {
			best = i
		}
	}
	if best >= 0 {
		begin = fmt.Sprintf("begin a new run from its weights with --init %s", rundir.Quote(list[best].Path))
	}
	return fmt.Errorf("resume %s: its record tells of training up to epoch %d, but no checkpoint is left to go on from (%s): put it back, or %s",
		t.folder, r.EpochsDone(), filepath.Join(rundir.CheckpointsDir, checkpoint.LastFile), begin)
}

// mendRecord gives the record the epochs back that the checkpoint tells of and
// that it lacks, as after somebody has deleted, emptied or cut it.
func (t *Trainer) mendRecord() {
	history := make([]event.Event, len(t.from.History))
	for i, e := range t.from.History {
		history[i] = e
	}
	n, err := record.Mend(t.options.disk, t.folder, t.beginning(), history)
	switch {
	case err != nil:
		t.warnings = append(t.warnings, err.Error())
	case n > 0:
		t.warnings = append(t.warnings, fmt.Sprintf("%s told of %d of the %d epochs that the checkpoint knows: the others are written again from there, but not the steps and the pictures that it told of", rundir.EventsFile, len(history)-n, len(history)))
	}
}

// loadCheckpoint reads what the run goes on from, and checks that it is of
// these settings and this data.
func (t *Trainer) loadCheckpoint(about config.About) error {
	c, note, err := t.store.Load(t.options.Checkpoint)
	if err != nil {
		return err
	}
	if note != "" {
		t.warnings = append(t.warnings, note)
	}
	if c == nil {
		if err := t.lostCheckpoint(); err != nil {
			return err
		}
		t.warnings = append(t.warnings, "the run has no checkpoint yet: it starts from the beginning")
		return t.readInit()
	}
	if err := t.config.CheckResume(c.Config); err != nil {
		return fmt.Errorf("resume %s:\n%w", t.folder, err)
	}
	if c.Data != t.data {
		return fmt.Errorf("resume %s: it was trained on other data: %s; this is %s: give the same --data", t.folder, c.Data, t.data)
	}
	var network nn.Spec
	if err := json.Unmarshal(c.Network, &network); err != nil {
		return fmt.Errorf("resume %s: the checkpoint's network: %w", t.folder, err)
	}
	if !sameSpec(network, t.spec) {
		return fmt.Errorf("resume %s: it trained another network: %+v, not %+v", t.folder, network, t.spec)
	}
	was, now := cmp.Or(c.Arithmetic, about.Kernels), t.options.Backend.Arithmetic()
	if w := otherArithmetic(was, now); w != "" {
		t.warnings = append(t.warnings, w)
	}
	t.from = c
	return nil
}

func sameSpec(a, b nn.Spec) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }

// writeConfig writes config.json, in a resume only when a setting has changed.
func (t *Trainer) writeConfig(about config.About) error {
	if t.resumed {
		saved, _, err := config.Read(t.folder)
		if err == nil && saved == t.config {
			return nil
		}
	} else {
		about = config.Machine(t.options.Version, t.options.Now())
		about.Kernels = t.options.Backend.Name()
		about.Dataset, about.Source = t.options.Dataset.Name, t.options.Dataset.Source
		about.Validation = fmt.Sprintf("on the test set (%d images), as in the article: the best epoch is chosen on the images it is reported on", t.options.Dataset.Test.Len())
		if !t.validatesOnTest() {
			about.Validation = fmt.Sprintf("on %d images held out of the training set", t.config.ValSplit)
			if v := t.options.Dataset.Val; v != nil {
				about.Validation = fmt.Sprintf("on %d images of their own", v.Len())
			}
			if t.testsAtEnd() {
				about.Validation += "; the test set is used once, at the end"
			}
		}
	}
	return config.Write(t.options.disk, t.folder, t.config, about)
}

// Folder is the run folder.
func (t *Trainer) Folder() string { return t.folder }

// Name is the run's name, which its events carry: the folder's base name.
func (t *Trainer) Name() string { return t.name }

// Send implements [event.Controller]. The command takes effect between two batches.
func (t *Trainer) Send(c event.Command) error {
	if run := c.Target(); run != "" && run != t.name {
		return fmt.Errorf("command for run %q: this is %q", run, t.name)
	}
	return t.commands.put(c)
}

// Asked are the commands that still held when Run returned. No checkpoint has them:
// who goes on with a run that was handed over gives them again.
func (t *Trainer) Asked() []event.Command { return t.asked }

// Close gives the run folder back. Run does it too; Close is for a Trainer that
// is not run.
func (t *Trainer) Close() error {
	var err error
	t.closing.Do(func() {
		t.commands.end()
		if t.log != nil {
			t.log.Close(logCloseTime)
		}
		if t.lock != nil {
			err = t.lock.Release()
		}
	})
	return err
}

// discard is Close for a trainer that could not be made: a folder that is new
// goes.
func (t *Trainer) discard() (err error) {
	if !t.made {
		return t.Close()
	}
	t.closing.Do(func() {
		err = t.lock.Discard(t.folder, func() {
			t.commands.end()
			if t.log != nil {
				t.log.Close(logCloseTime)
			}
		})
	})
	return err
}

// errEnded is what Send returns after the run's end.
var errEnded = errors.New("the run has ended")
