package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
	"cifartui/train/runs"
)

// fullDisk fails to write while full is set; a write takes half of the bytes
// first, as a full disk does.
type fullDisk struct {
	rundir.OS
	full func() bool
}

var errFull error = syscall.ENOSPC

func (d fullDisk) Create(path string) (rundir.File, error) { return d.wrap(d.OS.Create(path)) }

func (d fullDisk) Append(path string) (rundir.File, error) { return d.wrap(d.OS.Append(path)) }

func (d fullDisk) wrap(f rundir.File, err error) (rundir.File, error) {
	if err != nil {
		return nil, err
	}
	return &fullFile{f, d.full}, nil
}

type fullFile struct {
	rundir.File
	full func() bool
}

func (f *fullFile) Write(p []byte) (int, error) {
	if !f.full() {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:len(p)/2])
	if err == nil {
		err = fmt.Errorf("write: %w", errFull)
	}
	return n, err
}

// slowDisk takes a last.ckpt, or a file of weights, only when it is let.
type slowDisk struct {
	rundir.OS
	let     chan struct{} // a token for each
	weights bool
}

func (d slowDisk) Create(path string) (rundir.File, error) {
	f, err := d.OS.Create(path)
	slow := checkpoint.LastFile
	if d.weights {
		slow = checkpoint.WeightsExt
	}
	if err != nil || !strings.Contains(filepath.Base(path), slow) {
		return f, err
	}
	return slowFile{f, d.let}, nil
}

type slowFile struct {
	rundir.File
	let chan struct{}
}

func (f slowFile) Sync() error {
	select {
	case <-f.let:
	case <-time.After(2 * time.Minute):
		return errors.New("training waits for the disk")
	}
	return f.File.Sync()
}

// Training goes on while a slow disk takes the checkpoint of an epoch's end, which
// is of that moment all the same; a pause and the run's end wait for it.
func TestTrainingGoesOnWhileASlowDiskSaves(t *testing.T) {
	o := tinyOptions(t)
	straight, _ := mustTrain(t, o, nil)
	disk := slowDisk{let: make(chan struct{}, o.Config.Epochs)}
	o.disk = disk
	var order []string
	folder, rec := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		switch e := e.(type) {
		case *event.StepDone:
			at := fmt.Sprintf("step %d of epoch %d", e.Step, e.Epoch)
			order = append(order, at)
			switch at {
			case "step 3 of epoch 2":
				disk.let <- struct{}{}
			case "step 1 of epoch 3":
				tr.Send(event.Pause{})
				disk.let <- struct{}{}
			}
		case *event.EpochDone:
			if e.Epoch == e.Epochs {
				disk.let <- struct{}{}
			}
		case *event.CheckpointSaved:
			if e.File == checkpoint.LastFile {
				order = append(order, fmt.Sprintf("saved before step %d of epoch %d", e.Step+1, e.Epoch))
			}
		case *event.StateChanged:
			if e.State == event.StatePaused {
				order = append(order, "paused")
				tr.Send(event.Resume{})
			}
		case *event.RunEnded:
			order = append(order, "ended")
		}
	})
	checkpointtest.SameRuns(t, folder, straight)
	if w := of[*event.Warning](rec.events); len(w) > 0 {
		t.Errorf("warned: %s", w[0].Message)
	}
	for _, pair := range [][2]string{
		{"step 3 of epoch 2", "saved before step 1 of epoch 2"},
		{"step 1 of epoch 3", "saved before step 1 of epoch 3"},
		{"saved before step 1 of epoch 3", "paused"},
		{"saved before step 1 of epoch 4", "ended"},
	} {
		if first, then := slices.Index(order, pair[0]), slices.Index(order, pair[1]); first < 0 || then < first {
			t.Errorf("%q does not come before %q in %q", pair[0], pair[1], order)
		}
	}
}

// Training goes on while a slow disk takes the best weights, too. They are there before
// the checkpoint that tells of them, and a kill meanwhile costs nothing.
func TestTrainingGoesOnWhileASlowDiskTakesTheBestWeights(t *testing.T) {
	o := tinyOptions(t)
	straight, _ := mustTrain(t, o, nil)
	disk := slowDisk{let: make(chan struct{}), weights: true}
	slow := o
	slow.disk = disk
	let := sync.OnceFunc(func() { close(disk.let) })
	left := ""
	var saved []string
	folder, rec := mustTrain(t, slow, func(tr *Trainer, e event.Event) {
		switch e := e.(type) {
		case *event.Warning: // training has waited: that is found below
			let()
		case *event.StepDone:
			if e.Epoch == 2 && e.Step == 3 {
				left = filepath.Join(t.TempDir(), filepath.Base(tr.Folder()))
				killed(t, left, tr.Folder())
				let()
			}
		case *event.CheckpointSaved:
			saved = append(saved, e.Reason)
		}
	})
	if w := of[*event.Warning](rec.events); len(w) > 0 {
		t.Errorf("warned: %s", w[0].Message)
	}
	if len(saved) < 2 || saved[0] != "best" || saved[1] != "last" {
		t.Errorf("saved %q, want the best weights first", saved)
	}
	mustTrain(t, resume(o, left), nil)
	for _, f := range []string{folder, left} {
		checkpointtest.SameRuns(t, f, straight)
		if got, want := weightFiles(t, f), weightFiles(t, straight); !slices.Equal(got, want) {
			t.Errorf("weights %v, want %v", got, want)
		}
		checkRecord(t, f, 3)
	}
}

// Training does not wait for a slow disk to save within the epoch once more: the next
// save is due when the one under way is written.
func TestASaveThatFallsDueDuringAnotherIsLeftOut(t *testing.T) {
	o := tinyOptions(t)
	straight, _ := mustTrain(t, o, nil)
	disk := slowDisk{let: make(chan struct{})}
	o.disk, o.Config.SaveSeconds = disk, 1e-9 // due after each batch
	let := sync.OnceFunc(func() { close(disk.let) })
	folder, rec := mustTrain(t, o, func(_ *Trainer, e event.Event) {
		switch e := e.(type) {
		case *event.Warning: // training has waited: that is found below
			let()
		case *event.StepDone:
			if e.Step == e.Steps {
				let()
			}
		}
	})
	checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))
	if w := of[*event.Warning](rec.events); len(w) > 0 {
		t.Errorf("warned: %s", w[0].Message)
	}
}

// diskTurns gives a run its first turn at once and the second when its checkpoint has
// been told. The disk takes that only when the run has asked for the turn and has let
// go of the backend.
type diskTurns struct {
	shared sync.Locker
	disk   slowDisk
	told   chan struct{}
	asked  int
}

func (d *diskTurns) Acquire(ctx context.Context) error {
	if d.asked++; d.asked == 1 {
		return nil
	}
	d.shared.Lock()
	if d.asked == 2 {
		d.disk.let <- struct{}{}
	}
	d.shared.Unlock()
	select {
	case <-d.told:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *diskTurns) Release() {}

// A run of a comparison that has passed its turn keeps none of the others from
// training while a slow disk takes its checkpoint, and tells of that when it is
// written, and not when it trains again.
func TestARunWaitsForItsDiskBesideTheOthers(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Epochs = 2 })
	straight, _ := mustTrain(t, o, nil)
	turns := &diskTurns{shared: new(sync.Mutex), disk: slowDisk{let: make(chan struct{}, o.Config.Epochs)}, told: make(chan struct{})}
	o.disk, o.Turns, o.Shared = turns.disk, turns, turns.shared
	tell := sync.OnceFunc(func() { close(turns.told) })
	folder, rec := mustTrain(t, o, func(_ *Trainer, e event.Event) {
		switch e := e.(type) {
		case *event.Warning: // training has waited: that is found below
			tell()
		case *event.CheckpointSaved:
			if e.File == checkpoint.LastFile {
				tell()
			}
		case *event.EpochDone:
			if e.Epoch == 2 {
				turns.disk.let <- struct{}{}
			}
		}
	})
	checkpointtest.SameRuns(t, folder, straight)
	if w := of[*event.Warning](rec.events); len(w) > 0 {
		t.Errorf("warned: %s", w[0].Message)
	}
}

// None of the runs of a comparison waits for the disk of another.
func TestASlowDiskHoldsNoOtherRunUp(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	c := newComparison(t, o)
	disk := slowDisk{let: make(chan struct{})}
	c.members[0].trainer.store.Disk = disk
	rec := &recorder{at: func(e event.Event) {
		if e, ok := e.(*event.EpochDone); ok && e.Run == "batch=8" && e.Epoch == 1 { // all have trained
			close(disk.let)
		}
	}}
	if err := c.Run(context.Background(), rec.emit); err != nil {
		t.Fatal(err)
	}
	if w := of[*event.Warning](rec.events); len(w) > 0 {
		t.Errorf("%s warned: %s", w[0].Run, w[0].Message)
	}
}

// A record that tells of two epochs is of a run whose first checkpoint was written:
// were it not, a kill would leave a run that a resume takes for one that has lost it.
func TestNoSecondEpochIsToldBeforeTheFirstIsSaved(t *testing.T) {
	o := tinyOptions(t)
	disk := slowDisk{let: make(chan struct{}, o.Config.Epochs)}
	o.disk = disk
	told := make(chan struct{})
	mustTrain(t, o, func(tr *Trainer, e event.Event) {
		switch e := e.(type) {
		case *event.StepDone:
			if e.Epoch == 2 && e.Step == e.Steps {
				go func() {
					select {
					case <-told: // too early: that is found below
					case <-time.After(200 * time.Millisecond):
					}
					for range o.Config.Epochs {
						disk.let <- struct{}{}
					}
				}()
			}
		case *event.EpochDone:
			if e.Epoch != 2 {
				return
			}
			if _, err := os.Stat(filepath.Join(tr.Folder(), rundir.CheckpointsDir, checkpoint.LastFile)); err != nil {
				t.Errorf("epoch 2 is told of: %v", err)
			}
			close(told)
		}
	})
}

// faultyDisk panics where it is to take a last.ckpt.
type faultyDisk struct{ rundir.OS }

func (d faultyDisk) Create(path string) (rundir.File, error) {
	if strings.Contains(filepath.Base(path), checkpoint.LastFile) {
		panic("a fault")
	}
	return d.OS.Create(path)
}

// A fault beside the training is the trainer's, whose caller catches it: the process
// has a screen to restore and other runs to save.
func TestAFaultWhileSavingIsTheTrainers(t *testing.T) {
	o := tinyOptions(t)
	o.disk = faultyDisk{}
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "a fault") || !strings.Contains(p, "faultyDisk") {
			t.Errorf("panicked with %s", p)
		}
	}()
	_, _, err := train(t, o, nil)
	t.Errorf("trained to the end: %v", err)
}

func TestDamagedCheckpointIsRefusedAndTheOneBeforeOffered(t *testing.T) {
	o := tinyOptions(t)
	folder, _ := mustTrain(t, o, nil)
	path := filepath.Join(folder, rundir.CheckpointsDir, checkpoint.LastFile)
	want := checkpointtest.Last(t, folder)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(1, 1))
	var damaged [][]byte
	for _, at := range []int{8, 12, 20, 21, 100, len(good) / 2, len(good) - 33, len(good) - 1, dice.IntN(len(good))} {
		b := bytes.Clone(good)
		b[at] ^= 1 << dice.IntN(8)
		damaged = append(damaged, b)
	}
	for _, n := range []int{0, 1, 19, 20, 50, len(good) / 2, len(good) - 1} {
		damaged = append(damaged, good[:n])
	}
	damaged = append(damaged, append(bytes.Clone(good), 0))
	for i, b := range damaged {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if checkpoint.Verify(path) == nil {
			t.Errorf("damage %d passes Verify", i)
		}
		_, err := NewTrainer(resume(o, folder))
		if err == nil {
			t.Fatalf("damage %d (%d bytes) is taken", i, len(b))
		}
		var d *checkpoint.DamagedError
		if !errors.As(err, &d) {
			if !errors.Is(err, checkpoint.ErrNotCheckpoint) {
				t.Errorf("damage %d: %v", i, err)
			}
			continue
		}
		if filepath.Base(d.Previous) != checkpoint.PreviousFile || d.Epoch != 3 || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), checkpoint.PreviousFile) {
			t.Errorf("damage %d: %v does not offer the one before", i, err)
		}
	}
	if _, live := rundir.Live(folder); live {
		t.Error("a refused resume keeps the lock")
	}
	// The one before leads to the same bits, and is not overwritten by the
	// damaged one on the way.
	o2 := resume(o, folder)
	o2.Checkpoint = checkpoint.PreviousFile
	tr := newTrainer(t, o2)
	if err := tr.Run(context.Background(), func(e event.Event) {
		if c, ok := e.(*event.CheckpointSaved); ok && c.File == checkpoint.LastFile {
			if err := checkpoint.Verify(filepath.Join(folder, rundir.CheckpointsDir, checkpoint.PreviousFile)); err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	checkpointtest.Same(t, checkpointtest.Last(t, folder), want)
}

// A run that goes on from the checkpoint before the last takes back what came
// after it, for good: a kill right then does not bring the last one back, of whose
// epoch the record knows nothing any more.
func TestKillAfterGoingBackToAnEarlierCheckpoint(t *testing.T) {
	o := tinyOptions(t)
	folder, _ := mustTrain(t, o, nil)
	want := checkpointtest.Last(t, folder)
	back := resume(o, folder)
	back.Checkpoint = checkpoint.PreviousFile
	left := ""
	mustTrain(t, back, func(_ *Trainer, e event.Event) {
		if _, ok := e.(*event.StepDone); ok && left == "" {
			left = filepath.Join(t.TempDir(), filepath.Base(folder))
			killed(t, left, folder)
		}
	})
	mustTrain(t, resume(o, left), nil)
	checkpointtest.Same(t, checkpointtest.Last(t, left), want)
	checkRecord(t, left, 3)
}

func TestMissingLastCheckpoint(t *testing.T) {
	o := tinyOptions(t)
	folder, _ := mustTrain(t, o, nil)
	want := checkpointtest.Last(t, folder)
	dir := filepath.Join(folder, rundir.CheckpointsDir)
	if err := os.Remove(filepath.Join(dir, checkpoint.LastFile)); err != nil {
		t.Fatal(err)
	}
	_, rec := mustTrain(t, resume(o, folder), nil)
	if w := of[*event.Warning](rec.events); len(w) != 1 || !strings.Contains(w[0].Message, checkpoint.PreviousFile) {
		t.Errorf("warnings %+v, want one that names %s", w, checkpoint.PreviousFile)
	}
	checkpointtest.Same(t, checkpointtest.Last(t, folder), want)
	for _, f := range []string{checkpoint.LastFile, checkpoint.PreviousFile} {
		if err := os.Remove(filepath.Join(dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	// Beginning again would train over what was done.
	if _, err := NewTrainer(resume(o, folder)); err == nil || !strings.Contains(err.Error(), "no checkpoint is left") {
		t.Errorf("resumed without any checkpoint: %v", err)
	}
	checkRecord(t, folder, 3)
}

// A kill between the first epoch's event and its checkpoint leaves a record of
// one epoch and no checkpoint: the run begins again, to the same bits.
func TestKilledBeforeItsFirstCheckpoint(t *testing.T) {
	o := tinyOptions(t)
	folder, _ := mustTrain(t, o, nil)
	want := checkpointtest.Last(t, folder)
	events, err := os.ReadFile(filepath.Join(folder, rundir.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.Index(events, []byte(`"event":"checkpoint_saved"`))
	if end < 0 || !bytes.Contains(events[:end], []byte(`"event":"epoch"`)) {
		t.Fatalf("no checkpoint after an epoch in %s", events)
	}
	end = bytes.LastIndexByte(events[:end], '\n') + 1
	if err := os.WriteFile(filepath.Join(folder, rundir.EventsFile), events[:end], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(folder, rundir.CheckpointsDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, rundir.CheckpointsDir), 0o755); err != nil {
		t.Fatal(err)
	}
	_, rec := mustTrain(t, resume(o, folder), nil)
	if s := rec.events[0].(*event.RunStarted); !s.Resumed || s.ResumedEpoch != 1 || s.ResumedTotal != 0 {
		t.Errorf("started %+v, want from the beginning", s)
	}
	checkpointtest.Same(t, checkpointtest.Last(t, folder), want)
}

func TestFullDiskIsAWarningAndARetry(t *testing.T) {
	straightOptions := tinyOptions(t, func(c *config.Config) { c.Epochs = 4 })
	straight, _ := mustTrain(t, straightOptions, nil)
	var full atomic.Bool
	o := straightOptions
	o.Config.Runs = filepath.Join(t.TempDir(), "runs")
	o.disk = fullDisk{full: full.Load}
	folder, rec := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok {
			full.Store(s.Total > 2 && s.Total <= 12) // over the ends of two epochs
		}
	})
	warnings := of[*event.Warning](rec.events)
	if len(warnings) == 0 || !strings.Contains(warnings[0].Message, "no space left") {
		t.Errorf("warnings %+v", warnings)
	}
	if !slices.ContainsFunc(warnings, func(w *event.Warning) bool { return strings.HasPrefix(w.Message, "last.ckpt is written again") }) {
		t.Errorf("nothing says that a save has succeeded again: %+v", warnings)
	}
	checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))
	if got, want := weightFiles(t, folder), weightFiles(t, straight); !slices.Equal(got, want) {
		t.Errorf("weights %v, want %v", got, want)
	}
	checkRecord(t, folder, 4)
	entries, err := os.ReadDir(filepath.Join(folder, rundir.CheckpointsDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), rundir.TempMark) {
			t.Errorf("%s is left behind", e.Name())
		}
	}
}

// smallDisk has room for so many bytes in the folder of checkpoints, in which a
// file of two names counts once.
type smallDisk struct {
	rundir.OS
	room int64
	// before is called with the folder before a file in it is made.
	before func(folder string)
}

func (d *smallDisk) Create(path string) (rundir.File, error) {
	if d.before != nil && filepath.Base(filepath.Dir(path)) == rundir.CheckpointsDir {
		d.before(filepath.Dir(path))
	}
	f, err := d.OS.Create(path)
	return &smallFile{f, d, filepath.Dir(path)}, err
}

type smallFile struct {
	rundir.File
	disk   *smallDisk
	folder string
}

func (f *smallFile) Write(p []byte) (int, error) {
	if filepath.Base(f.folder) == rundir.CheckpointsDir && used(f.folder)+int64(len(p)) > f.disk.room {
		return 0, fmt.Errorf("write: %w", errFull)
	}
	return f.File.Write(p)
}

// used is the bytes that a folder's files take.
func used(folder string) (all int64) {
	list, _ := os.ReadDir(folder)
	var files []os.FileInfo
	for _, e := range list {
		info, err := e.Info()
		if err == nil && !slices.ContainsFunc(files, func(o os.FileInfo) bool { return os.SameFile(o, info) }) {
			files, all = append(files, info), all+info.Size()
		}
	}
	return all
}

// On a disk that holds two checkpoints every save succeeds, for the one before
// the last; on one that holds a single one that stays whole.
func TestADiskWithoutRoomForAThirdCheckpoint(t *testing.T) {
	t.Parallel()
	o := tinyOptions(t, func(c *config.Config) { c.Epochs = 4 })
	straight, _ := mustTrain(t, o, nil)
	dir := filepath.Join(straight, rundir.CheckpointsDir)
	last, err := os.Stat(filepath.Join(dir, checkpoint.LastFile))
	if err != nil {
		t.Fatal(err)
	}
	whole := func(folder string) bool {
		return checkpoint.Verify(filepath.Join(folder, checkpoint.LastFile)) == nil ||
			checkpoint.Verify(filepath.Join(folder, checkpoint.PreviousFile)) == nil
	}
	other := used(dir) - 2*last.Size() // the weights
	saved := false
	disk := &smallDisk{room: other + 5*last.Size()/2, before: func(folder string) {
		if saved && !whole(folder) {
			t.Error("no checkpoint is whole while the next one is written")
		}
	}}
	o.disk = disk
	o.Config.Runs = filepath.Join(t.TempDir(), "runs")
	folder, rec := mustTrain(t, o, func(_ *Trainer, e event.Event) {
		if c, ok := e.(*event.CheckpointSaved); ok && c.File == checkpoint.LastFile {
			saved = true
		}
	})
	if w := of[*event.Warning](rec.events); len(w) != 1 || !strings.Contains(w[0].Message, "nearly full: last.ckpt.1") {
		t.Errorf("warnings %+v, want one of what is given up", w)
	}
	checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))

	// The run goes on from the one before, as the last is damaged: that is the one
	// given up then.
	dir = filepath.Join(folder, rundir.CheckpointsDir)
	if err := os.Truncate(filepath.Join(dir, checkpoint.LastFile), last.Size()-1); err != nil {
		t.Fatal(err)
	}
	again := resume(o, folder)
	again.Checkpoint = checkpoint.PreviousFile
	_, rec = mustTrain(t, again, nil)
	if w := of[*event.Warning](rec.events); len(w) != 1 || !strings.Contains(w[0].Message, "nearly full: last.ckpt,") {
		t.Errorf("warnings %+v, want one of the damaged file", w)
	}
	checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))

	// No second one fits: the first stays.
	disk.room, saved = other+3*last.Size()/2, false
	o.Config.Runs = filepath.Join(t.TempDir(), "runs")
	folder, _, err = train(t, o, nil)
	if err == nil || !errors.Is(err, errFull) || !strings.Contains(err.Error(), "could not be saved") {
		t.Errorf("the run ended with %v", err)
	}
	if c := checkpointtest.Last(t, folder); c.Epoch != 2 {
		t.Errorf("what is left is of epoch %d, want the first that was saved", c.Epoch)
	}
}

func TestBestWeightsThatCouldNotBeWrittenSurviveTheResume(t *testing.T) {
	t.Parallel()
	// Rate 0 after the first batch: epoch 1 stays the best.
	for _, split := range []int{0, 10} {
		o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.Epochs, c.ValSplit = "sgd", 3, split })
		zero := func(tr *Trainer, e event.Event) {
			if s, ok := e.(*event.StepDone); ok && s.Total == 1 {
				tr.Send(event.SetLearnRate{Rate: 0})
			}
		}
		straight, _ := mustTrain(t, o, zero)
		// No weights file can be written in the first part of the run.
		o.disk = noWeights{}
		o.Config.Runs = filepath.Join(t.TempDir(), "runs")
		folder, _, err := train(t, o, func(tr *Trainer, e event.Event) {
			zero(tr, e)
			if s, ok := e.(*event.StepDone); ok && s.Epoch == 2 {
				tr.Send(event.Stop{After: event.AfterEpoch})
			}
		})
		if err == nil {
			t.Error("the run ended without its best weights and without an error")
		}
		o.disk = nil
		_, _ = mustTrain(t, resume(o, folder), nil)
		checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))
		if got, want := weightFiles(t, folder), weightFiles(t, straight); !slices.Equal(got, want) || len(got) != 1 {
			t.Errorf("weights %v, want %v", got, want)
		}
	}
}

// noWeights is a disk that takes no weights files.
type noWeights struct{ rundir.OS }

func (noWeights) Create(path string) (rundir.File, error) {
	if strings.Contains(path, checkpoint.WeightsExt) {
		return nil, errFull
	}
	return rundir.OS{}.Create(path)
}

func TestStaleTemporaryFilesGo(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Epochs = 1 })
	folder, _ := mustTrain(t, o, nil)
	stale := filepath.Join(folder, rundir.CheckpointsDir, "."+checkpoint.LastFile+rundir.TempMark+"1")
	if err := os.WriteFile(stale, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	tr := newTrainer(t, resume(o, folder))
	defer tr.Close()
	if _, err := os.Stat(stale); err == nil {
		t.Error("the stale file is still there")
	}
}

func TestFolderInUseIsRefusedWithThePID(t *testing.T) {
	t.Parallel()
	o := tinyOptions(t)
	tr := newTrainer(t, o)
	defer tr.Close()
	if pid, live := rundir.Live(tr.Folder()); !live || pid != os.Getpid() {
		t.Errorf("live %v, pid %d", live, pid)
	}
	_, err := NewTrainer(resume(o, tr.Folder()))
	var used *rundir.InUseError
	if !errors.As(err, &used) || used.PID != os.Getpid() || !strings.Contains(err.Error(), fmt.Sprint("pid ", os.Getpid())) {
		t.Errorf("error %v, want in use by this process", err)
	}
	if err := checkpoint.Delete(filepath.Join(tr.Folder(), rundir.CheckpointsDir, checkpoint.LastFile)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("deleting a live run's last checkpoint: %v", err)
	}
}

func TestResumeRefusesOtherSettingsAndOtherData(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Epochs = 1 })
	folder, _ := mustTrain(t, o, nil)
	other := resume(o, folder)
	other.Config.Batch, other.Config.Seed, other.Config.Epochs = 4, 2, 5
	_, err := NewTrainer(other)
	if err == nil || !strings.Contains(err.Error(), "batch") || !strings.Contains(err.Error(), "seed") || strings.Contains(err.Error(), "epochs:") {
		t.Errorf("error %v, want batch and seed named and epochs allowed", err)
	}
	other = resume(o, folder)
	other.Dataset = tinyData()
	other.Dataset.Train.Pixels[5] ^= 1
	if _, err = NewTrainer(other); err == nil || !strings.Contains(err.Error(), "data") {
		t.Errorf("error %v, want other data", err)
	}
	// The zero Config means the run's own; more epochs are written down.
	more := resume(o, folder)
	more.Config.Epochs = 2
	_, rec := mustTrain(t, more, nil)
	if n := len(of[*event.EpochDone](rec.events)); n != 1 {
		t.Errorf("%d more epochs, want 1", n)
	}
	own := resume(o, folder)
	own.Config = config.Config{}
	tr := newTrainer(t, own)
	defer tr.Close()
	if tr.config.Epochs != 2 || tr.config.Batch != 8 {
		t.Errorf("the run's own settings are %+v", tr.config)
	}
}

func TestRunThatCannotStartLeavesNoFolder(t *testing.T) {
	o := tinyOptions(t)
	o.disk = fullDisk{full: func() bool { return true }}
	if _, err := NewTrainer(o); !errors.Is(err, errFull) {
		t.Errorf("error %v, want a full disk", err)
	}
	entries, err := os.ReadDir(o.Config.Runs)
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestTakenNameGetsANumber(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Epochs, c.Name = 1, "a" })
	first, _ := mustTrain(t, o, nil)
	second, _ := mustTrain(t, o, nil)
	if filepath.Base(second) != "a-2" {
		t.Errorf("the second run of the name is %s, want a-2", second)
	}
	for which, want := range map[string]string{"last": second, "a": first, first: first} {
		if got, err := runs.Find(o.Config.Runs, which); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", which, got, err, want)
		}
	}
}

func TestWeightsGoIntoANewRun(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Epochs = 1 })
	folder, rec := mustTrain(t, o, nil)
	file := filepath.Join(folder, rundir.CheckpointsDir, weightFiles(t, folder)[0])
	w, err := checkpoint.ReadWeights(file)
	if err != nil {
		t.Fatal(err)
	}
	epoch := of[*event.EpochDone](rec.events)[0]
	if w.Meta[checkpoint.MetaEpoch] != "1" || w.Meta[checkpoint.MetaValAcc] != fmt.Sprint(float64(epoch.ValAcc)) || !strings.Contains(w.Meta[checkpoint.MetaPreprocess], "unit") || !strings.Contains(w.Meta[checkpoint.MetaClasses], "airplane") || w.Meta[checkpoint.MetaFormat] != "pt" {
		t.Errorf("metadata %v", w.Meta)
	}
	o.Config.Init = file
	o.Config.Optimizer, o.Config.LR = "sgd", 1e-35 // which changes no bit of a weight
	again, _ := mustTrain(t, o, nil)
	got := nnByName(checkpointtest.Last(t, again).Weights)
	for _, tensor := range w.Tensors {
		if !slices.Equal(got[tensor.Name].Data, tensor.Data) || !slices.Equal(got[tensor.Name].Shape, tensor.Shape) {
			t.Errorf("%s is not as in the file", tensor.Name)
		}
	}
	for name, content := range map[string][]byte{"empty": {}, "text": []byte("weights"), "other network": encodeWeights(t, checkpoint.Weights{Tensors: w.Tensors[:3]})} {
		o.Config.Init = filepath.Join(t.TempDir(), "w.safetensors")
		if err := os.WriteFile(o.Config.Init, content, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := NewTrainer(o)
		if err == nil || !strings.Contains(err.Error(), o.Config.Init) {
			t.Errorf("%s: error %v, want one that names the file", name, err)
		}
	}
}

func nnByName(tensors []checkpoint.Tensor) map[string]checkpoint.Tensor {
	m := make(map[string]checkpoint.Tensor)
	for _, t := range tensors {
		m[t.Name] = t
	}
	return m
}

func encodeWeights(t testing.TB, w checkpoint.Weights) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := w.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The best weights that a person has saved, too, stay when better ones come.
func TestSavedBestWeightsStay(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.Monitor, c.Epochs = "sgd", "val_loss", 6 })
	saved := ""
	folder, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		var commands []event.Command
		switch e := e.(type) {
		case *event.EpochDone:
			if e.Epoch == 1 { // the first is the best so far
				commands = []event.Command{event.Pause{}}
			}
		case *event.StateChanged:
			if e.State == event.StatePaused && saved == "" {
				commands = []event.Command{event.Save{}, event.Resume{}}
			}
		case *event.CheckpointSaved:
			if e.Reason == "manual" {
				saved = e.File
			}
		}
		for _, c := range commands {
			if err := tr.Send(c); err != nil {
				t.Error(err)
			}
		}
	})
	best := checkpointtest.Last(t, folder).BestFile
	if best == saved {
		t.Fatal("no epoch is better than the first: the test shows nothing")
	}
	if got := weightFiles(t, folder); !slices.Equal(got, []string{saved, best}) {
		t.Errorf("weights %v, want %s, which was saved, and %s", got, saved, best)
	}
}
