package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
	"cifartui/train/runs"
)

// ComparisonOptions is what a [Comparison] is made from.
type ComparisonOptions struct {
	// Config is what the runs have in common; its Name is the comparison's.
	Config config.Config
	// Sweeps are what they differ in; see [config.Expand].
	Sweeps []config.Sweep
	// Order is how they share the machine; "" is Interleave, or in a resume what
	// it was.
	Order config.Order
	// Dataset is shared by all runs.
	Dataset *cifar.Dataset
	// Backends compute, the GPUs of a machine or its processor. The runs are dealt
	// out to them, and one trains on each at a time. They stay the caller's.
	Backends []nn.Backend
	// Parallel is how many runs the processor trains at once, each with its share
	// of the backend's threads; 0 is one, or in a resume what it was, and less
	// than 0 one whatever it was. GPUs take one each.
	Parallel int
	// Resume is the comparison's folder to go on in; "" starts a new one.
	Resume string
	// Exact has a new comparison be called Config.Name and nothing else, see
	// [Options].
	Exact bool
	// Left are runs that a resume leaves as they are, by name: the person had
	// stopped them before this process took over.
	Left []string
	// Adjust changes the settings of each run in a resume, where that is
	// allowed (more epochs, say); nil leaves them.
	Adjust func(config.Config) config.Config
	// NewRate is that of each run, see [Options].
	NewRate bool
	// GoesOn is that of each run, see [Options].
	GoesOn func(error) bool
	// Version is the program's version.
	Version string
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// freeMemory is how many bytes of memory are free, 0 when that is not known;
	// nil: the machine's.
	freeMemory func() int64
}

// A Comparison trains several runs in one process and one folder, each with a
// [Trainer] and a run folder of its own. They take turns, so that one trains at
// a time, or as many as there are places (see places.go). Interleaved, all that
// have begun keep the memory of their batches, unless the machine has too little
// for that.
type Comparison struct {
	folder  string
	made    bool   // the folder is new, and this comparison's
	note    string // see makeFolder
	lock    *rundir.Lock
	places  places
	members []*member
	emitMu  sync.Mutex
	closing sync.Once
}

// A member is one run of a comparison.
type member struct {
	name    string
	trainer *Trainer // nil when the run had ended before this process
	seat    *seat    // nil too, then
}

// NewComparison makes the folder of a new comparison and its run folders, or
// opens those of an old one, and takes their locks. In a resume, runs that have
// ended stay as they are, unless Adjust gives them more to do.
func NewComparison(o ComparisonOptions) (*Comparison, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.freeMemory == nil {
		o.freeMemory = FreeMemory
	}
	if len(o.Backends) == 0 {
		return nil, errors.New("train: options: a backend is needed")
	}
	c := &Comparison{folder: o.Resume}
	if err := c.open(o); err != nil {
		return nil, errors.Join(err, c.discard())
	}
	return c, nil
}

func (c *Comparison) open(o ComparisonOptions) error {
	var file config.Comparison
	var err error
	if o.Resume != "" {
		if file, err = config.ReadComparison(o.Resume); err != nil {
			return err
		}
		if o.Adjust != nil { // for the runs that have not begun
			file.Config = o.Adjust(file.Config)
		}
	} else {
		file = config.Comparison{Sweeps: o.Sweeps, Config: o.Config}
	}
	file.Order = cmp.Or(o.Order, file.Order, config.Interleave)
	file.Parallel = max(0, cmp.Or(o.Parallel, file.Parallel))
	if !slices.Contains(config.Orders(), file.Order) {
		return fmt.Errorf("order %q: want interleave or sequential", file.Order)
	}
	configs, err := config.Expand(file.Config, file.Sweeps)
	if err != nil {
		return err
	}
	if o.Resume == "" {
		if c.folder, c.note, err = makeFolder(o.Config.Runs, o.Config.Name, "compare", o.Now(), o.Exact); err != nil {
			return err
		}
	}
	if c.lock, err = rundir.LockFolder(c.folder); err != nil && !errors.Is(err, rundir.ErrNoLocks) {
		return err
	}
	if o.Resume == "" {
		if err := rundir.Unbegun(c.folder); err != nil {
			return err
		}
		c.made = true
	}
	if o.Resume != "" {
		configs = c.left(file.Runs, configs)
	}
	file.Runs = nil
	for _, r := range configs {
		file.Runs = append(file.Runs, r.Name)
	}
	if o.Resume != "" {
		// Written last: settings that a run refuses must not stay behind.
		if err := c.enter(o, file, configs); err != nil {
			return err
		}
		return file.Write(c.folder)
	}
	// Written before the run folders: a kill in between leaves a comparison that
	// can be resumed.
	if err := file.Write(c.folder); err != nil {
		return err
	}
	return c.enter(o, file, configs)
}

// left are the runs that the comparison still has: those that its file names,
// without one whose folder was deleted. All folders are made before any run
// trains, so that a folder that is missing once one has trained is no leftover of
// a kill at the start.
func (c *Comparison) left(names []string, configs []config.Config) (left []config.Config) {
	began := false
	for _, name := range names {
		st, err := os.Stat(filepath.Join(c.folder, name, rundir.EventsFile))
		began = began || err == nil && st.Size() > 0
	}
	for _, r := range configs {
		_, err := os.Stat(filepath.Join(c.folder, r.Name))
		if slices.Contains(names, r.Name) && !(began && errors.Is(err, fs.ErrNotExist)) {
			left = append(left, r)
		}
	}
	return left
}

// enter makes the trainers of the runs that are left, once it is known what they
// need together.
func (c *Comparison) enter(o ComparisonOptions, file config.Comparison, configs []config.Config) error {
	entries := make([]entry, len(configs))
	for i, r := range configs {
		var err error
		if entries[i], err = c.entryOf(o, r); err != nil {
			return fmt.Errorf("run %s: %w", c.called(r.Name), err)
		}
	}
	c.places = newPlaces(o.Backends, file.Parallel, file.Order, entries)
	warning, err := fit(o, file.Order, c.places.atOnce, entries)
	if err != nil {
		return err
	}
	told := false
	var warned []string
	parts := sharedParts{data: o.Dataset, made: make(map[parting]parted)}
	for i, e := range entries {
		m := &member{name: configs[i].Name, seat: c.places.seats[i]}
		c.members = append(c.members, m)
		if e.over {
			continue
		}
		e.options.Backend, e.options.Shared, e.options.Turns = c.places.backends[i], c.places.shared[i], m.seat
		e.options.AtOnce = c.places.sharing()
		e.options.FreeMemory = warning != "" && file.Order == config.Interleave
		if !told {
			e.options.Warnings, told = slices.DeleteFunc(slices.Concat([]string{c.note, warning}, o.Dataset.Notes), func(w string) bool { return w == "" }), true
		}
		e.options.told, e.options.parts = warned, parts.of
		if m.trainer, err = NewTrainer(e.options); err != nil {
			return fmt.Errorf("run %s: %w", c.called(m.name), err)
		}
		warned = append(warned, m.trainer.warnings...)
		m.seat.between = m.trainer.from == nil || m.trainer.from.Step == 0
	}
	return nil
}

// sharedParts are the parts of the data that runs train and validate on: one copy
// for all that hold the same images out, for as long as one of them has it.
type sharedParts struct {
	data *cifar.Dataset
	mu   sync.Mutex
	made map[parting]parted
}

type parting struct {
	held int
	seed uint64
}

type parted struct{ train, val weak.Pointer[cifar.Set] }

// of is [config.Config.Parts].
func (p *sharedParts) of(c config.Config) (train, val *cifar.Set, err error) {
	if c.ValSplit == 0 {
		return c.Parts(p.data)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	as := parting{c.ValSplit, c.Seed}
	made := p.made[as]
	if train, val = made.train.Value(), made.val.Value(); train != nil && val != nil {
		return train, val, nil
	}
	if train, val, err = c.Parts(p.data); err != nil {
		return nil, nil, err
	}
	p.made[as] = parted{weak.Make(train), weak.Make(val)}
	return train, val, nil
}

// fit says, as a warning, that the runs that are left don't fit in memory
// together; "" when they do. atOnce of them train at the same time.
func fit(o ComparisonOptions, order config.Order, atOnce int, entries []entry) (warning string, err error) {
	var left []config.Config
	for _, e := range entries {
		if !e.over {
			left = append(left, e.options.Config)
		}
	}
	all, largest, err := memoryOf(left, func(c config.Config) (nn.Spec, error) { return NetworkFor(c, o.Dataset) }, atOnce)
	if err != nil {
		return "", err
	}
	return memoryNote(order, atOnce, all, largest, o.freeMemory()), nil
}

// An entry is what is known of a run before it is opened.
type entry struct {
	options Options
	over    bool // it has ended, and has nothing more to do
}

// entryOf looks at one run: whether it was begun, and is over.
func (c *Comparison) entryOf(o ComparisonOptions, r config.Config) (entry, error) {
	folder := filepath.Join(c.folder, r.Name)
	r.Runs = c.folder
	e := entry{options: Options{Config: r, NewRate: o.NewRate, GoesOn: o.GoesOn, Dataset: o.Dataset, Version: o.Version, Now: o.Now}}
	if !rundir.IsRun(folder) {
		e.options.Exact = true // a kill may have left its folder half made
		return e, nil
	}
	saved, _, err := config.Read(folder)
	if err != nil {
		return e, err
	}
	e.options.Resume, e.options.Config = folder, saved
	if o.Adjust != nil {
		e.options.Config = o.Adjust(saved)
	}
	info, err := runs.Inspect(folder)
	e.over = slices.Contains(o.Left, r.Name) || info.Outcome.Over() && e.options.Config.TrainsAs(saved)
	return e, err
}

// Folder is the comparison's folder.
func (c *Comparison) Folder() string { return c.folder }

// Name is the comparison's name: the folder's base name.
func (c *Comparison) Name() string { return filepath.Base(filepath.Clean(c.folder)) }

// called is what a person calls a run of the comparison.
func (c *Comparison) called(run string) string { return c.Name() + "/" + run }

// Runs are the names of the runs, in order.
func (c *Comparison) Runs() []string {
	names := make([]string, len(c.members))
	for i, m := range c.members {
		names[i] = m.name
	}
	return names
}

// Run trains all runs that have not ended, until they have, a command stops
// them or ctx ends. It is called once. The events of all runs go to emit, one
// at a time, each with its run's name; emit must not block. The error joins
// those of the runs that failed: one that fails does not stop the others. A run
// that panics does, and Run panics when they have saved.
func (c *Comparison) Run(ctx context.Context, emit func(event.Event)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	errs := make([]error, len(c.members))
	var fault atomic.Pointer[string] // of a run that panicked
	var wg sync.WaitGroup
	for i, m := range c.members {
		if m.trainer == nil {
			continue
		}
		wg.Go(func() {
			defer m.seat.leave()
			defer func() {
				if p := recover(); p != nil {
					text := fmt.Sprintf("run %s: %v\n%s", c.called(m.name), p, debug.Stack())
					fault.CompareAndSwap(nil, &text)
					stop(errors.New("a fault in the program"))
				}
			}()
			err := m.trainer.Run(ctx, func(e event.Event) {
				m.seat.see(e)
				c.emitMu.Lock()
				defer c.emitMu.Unlock()
				emit(e)
			})
			if err != nil {
				errs[i] = fmt.Errorf("run %s: %w", c.called(m.name), err)
			}
		})
	}
	wg.Wait()
	if text := fault.Load(); text != nil {
		// Here it can be caught by whoever called: on the run's own goroutine it
		// would have ended the process, and the other runs unsaved.
		panic(*text)
	}
	return errors.Join(append(errs, c.Close())...)
}

// Send implements [event.Controller]: the command goes to the run that it names, or to
// all that have not ended. Stopping all after the epoch stops those that wait
// between two epochs at once.
func (c *Comparison) Send(cmd event.Command) error {
	target := cmd.Target()
	if target != "" && !slices.Contains(c.Runs(), target) {
		return fmt.Errorf("there is no run %q in comparison %s: its runs are %s", target, c.Name(), strings.Join(c.Runs(), ", "))
	}
	var errs []error
	sent := false
	for _, m := range c.members {
		if target != "" && m.name != target {
			continue
		}
		err := errEnded
		if m.trainer != nil {
			err = m.trainer.Send(m.soonest(cmd))
		}
		sent = sent || err == nil
		if err != nil {
			errs = append(errs, fmt.Errorf("run %s: %w", c.called(m.name), err))
		}
	}
	if sent {
		return nil
	}
	return errors.Join(errs...)
}

// Asked are those of all runs, see [Trainer.Asked].
func (c *Comparison) Asked() (list []event.Command) {
	for _, m := range c.members {
		if m.trainer != nil {
			list = append(list, m.trainer.Asked()...)
		}
	}
	return list
}

// soonest makes a stop after the epoch a stop at once where an epoch has ended
// and the next waits for its turn.
func (m *member) soonest(cmd event.Command) event.Command {
	s, ok := cmd.(event.Stop)
	if ok && s.After == event.AfterEpoch && m.seat.idle() {
		s.After = event.AfterBatch
		return s
	}
	return cmd
}

// discard is Close for a comparison that could not be made: a folder that is new
// goes.
func (c *Comparison) discard() (err error) {
	if !c.made {
		return c.Close()
	}
	c.closing.Do(func() {
		var merr error
		err = c.lock.Discard(c.folder, func() { merr = c.closeMembers() })
		err = errors.Join(merr, err)
	})
	return err
}

// Close gives the folders back. Run does it too; Close is for a Comparison that
// is not run.
func (c *Comparison) Close() error {
	var err error
	c.closing.Do(func() {
		err = c.closeMembers()
		if c.lock != nil {
			err = errors.Join(err, c.lock.Release())
		}
	})
	return err
}

func (c *Comparison) closeMembers() (err error) {
	for _, m := range c.members {
		if m.trainer != nil {
			err = errors.Join(err, m.trainer.Close())
		}
	}
	c.places.close()
	return err
}
