//go:build unix

package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

func TestStatusCountsTheWholeRun(t *testing.T) {
	folder := t.TempDir()
	r := newRig(t, folder)
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps, Config: config.Config{Epochs: 9, Batch: 64, Patience: 5}})
	r.emit(&event.EpochDone{Epoch: 1, Epochs: 9, ValAcc: 0.8})
	r.emit(&event.EpochDone{Epoch: 2, Epochs: 9, ValAcc: 0.9})
	r.emit(&event.EpochDone{Epoch: 3, Epochs: 9, ValAcc: 0.99})
	r.close(false) // killed, and resumed from the end of epoch 2
	r.takeLock()
	r.open()
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps, Resumed: true, ResumedEpoch: 3, Config: config.Config{Epochs: 9, Batch: 64, Patience: 5}})
	r.emit(&event.EpochDone{Epoch: 3, Epochs: 9, ValAcc: 0.7, PatienceLeft: 4})
	c := r.dial()
	var got Status
	until(t, "the epoch is known", func() bool {
		all, err := statusOfAll(t, c)
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		got = all[0]
		return got.Seq == r.seq
	})
	if got.BestValAcc == nil || *got.BestValAcc != 0.9 || got.BestValAccEpoch != 2 || *got.ValAcc != 0.7 || got.PatienceLeft != 4 {
		t.Errorf("best %v at epoch %d, last %v, patience %d", got.BestValAcc, got.BestValAccEpoch, got.ValAcc, got.PatienceLeft)
	}
	r.close(true)
	all, err := ReadStatus(folder)
	if err != nil || len(all) != 1 || *all[0].BestValAcc != 0.9 {
		t.Errorf("read from the folder: %+v, %v", all, err)
	}
}

// A resume with more epochs is told with those at once.
func TestStatusOfAResumeWithMoreEpochs(t *testing.T) {
	b := newOverview()
	for i, e := range []event.Event{
		&event.RunStarted{Config: config.Config{Epochs: 2}},
		&event.EpochDone{Epoch: 2, Epochs: 2},
		&event.RunStarted{Config: config.Config{Epochs: 5}, Resumed: true, ResumedEpoch: 3},
	} {
		e.Head().Seq, e.Head().Run = uint64(i+1), "r"
		b.apply(e)
	}
	if s := newStatus(b.runs["r"], true); s.Epoch != 3 || s.Epochs != 5 {
		t.Errorf("epoch %d of %d, want 3 of 5", s.Epoch, s.Epochs)
	}
}

func TestAttachToADeadRunFails(t *testing.T) {
	var dead *NotLiveError
	if _, err := Dial(t.Context(), t.TempDir()); !errors.As(err, &dead) {
		t.Errorf("got %v", err)
	}
}

// Next must return when its context ends, and lose nothing by it.
func TestNextGivesUpWithItsContext(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	var w witness
	for i := range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%8)*time.Millisecond)
		err := w.follow(ctx, c)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		r.train(7, func() {})
	}
	r.emit(&event.RunEnded{Outcome: event.OutcomeFinished})
	r.close(true)
	if err := w.follow(t.Context(), c); err != nil || w.total != 280 {
		t.Errorf("%d batches, %v", w.total, err)
	}
}

// A screen that is left may ask once more.
func TestNextAfterCloseFails(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.train(3, func() {})
	c := r.dial()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := c.Next(ctx, 100)
		cancel()
		if err != nil {
			break // all that there is has been told
		}
	}
	c.Close()
	if events, err := c.Next(t.Context(), 100); !errors.Is(err, context.Canceled) || len(events) > 0 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// The process is killed: what it wrote before is told, then that it is gone.
func TestAKilledRunIsToldToItsEnd(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	var w witness
	followed := make(chan error, 1)
	go func() { followed <- w.follow(t.Context(), c) }()
	r.train(500, func() {})
	r.close(false)
	var gone *GoneError
	if err := <-followed; !errors.As(err, &gone) || w.total != 500 {
		t.Errorf("%d batches, %v", w.total, err)
	}
	all, err := ReadStatus(r.folder)
	if err != nil || len(all) != 1 || all[0].Live || all[0].State != StateInterrupted {
		t.Errorf("status %+v, %v", all, err)
	}
}

// A hand-over that failed goes on in the process that it left, and screens with
// it.
func TestAttachedScreenStaysWithARunThatCameBack(t *testing.T) {
	folder := t.TempDir()
	r := newRig(t, folder)
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps, PID: os.Getpid()})
	c := r.dial()
	var w witness
	followed := make(chan error, 1)
	go func() { followed <- w.follow(t.Context(), c) }()
	for range 3 {
		r.train(70, func() {})
		r.emit(&event.RunEnded{Outcome: event.OutcomeDetached})
		r.close(true)
		time.Sleep(20 * time.Millisecond)
		r.takeLock()
		r.open()
		r.emit(&event.RunStarted{StepsPerEpoch: rigSteps, Resumed: true, ResumedTotal: r.total, PID: os.Getpid()})
	}
	r.emit(&event.RunEnded{Outcome: event.OutcomeFinished})
	r.close(true)
	if err := <-followed; err != nil || w.total != 210 {
		t.Errorf("%d batches, %v", w.total, err)
	}
}

// Killed and resumed by somebody before the client has noticed: the numbers of
// the new process start below those that the client has seen live.
func TestAResumeAfterAKillIsNotTakenForTheSameRun(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	c.reader.pid = os.Getpid() + 1 // as if the server had been another process
	var w witness
	var gone *GoneError
	if err := w.follow(t.Context(), c); !errors.As(err, &gone) {
		t.Errorf("got %v", err)
	}
}

// withoutSockets makes a run folder where no socket can be made.
func withoutSockets(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), strings.Repeat("n", 150))
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", filepath.Join(folder, "nowhere"))
	return folder
}

func TestWithoutASocketAttachReadsAlong(t *testing.T) {
	r := newRig(t, withoutSockets(t))
	if r.server.NoSocket() == nil {
		t.Fatal("a socket was made")
	}
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	if c.ReadOnly() == "" {
		t.Error("the client does not say that it is read-only")
	}
	if err := c.Send(event.Pause{}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a command: %v", err)
	}
	var w witness
	followed := make(chan error, 1)
	go func() { followed <- w.follow(t.Context(), c) }()
	r.train(500, func() { time.Sleep(50 * time.Microsecond) })
	r.emit(&event.RunEnded{Outcome: event.OutcomeFinished})
	r.close(true)
	if err := <-followed; err != nil || w.total != 500 {
		t.Errorf("%d batches, %v", w.total, err)
	}
}

// Who reads along reads on in a record that was cut, and in the one that is put in
// its place, and is told nothing twice.
func TestWithoutASocketACutRecordIsReadAnew(t *testing.T) {
	folder := withoutSockets(t)
	path := filepath.Join(folder, rundir.EventsFile)
	var text []byte
	line := func(e event.Event, seq uint64) {
		h := e.Head()
		h.Event, h.Seq, h.Run = event.KindOf(e), seq, rundir.Name(folder)
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		text = append(append(text, b...), '\n')
	}
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newReader(folder, os.Getpid(), true)
	defer r.close()
	var got []uint64
	read := func() {
		t.Helper()
		for {
			events, err := r.fromFiles(t.Context(), 100)
			for _, e := range events {
				if !r.known(e) {
					got = append(got, e.Head().Seq)
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	line(&event.RunStarted{}, 1)
	line(&event.EpochDone{Epoch: 1}, 2)
	write(text)
	read()
	write(text[:10])
	read()
	line(&event.EpochDone{Epoch: 2}, 3)
	write(text) // in its place
	read()
	line(&event.EpochDone{Epoch: 3}, 4)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	read()      // gone for a moment
	write(text) // another file
	read()
	if !slices.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("told of %v, want each of 4", got)
	}
}

func TestWithoutASocketCommandsAreFiles(t *testing.T) {
	r := newRig(t, withoutSockets(t))
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	r.emit(&event.StateChanged{State: event.StateRunning})
	c := r.dial()
	rate := 0.1
	for _, request := range []Request{
		{Cmd: VerbPause, Wait: true}, {Cmd: VerbLR, Rate: &rate, Why: "a test"}, {Cmd: VerbStop, Wait: true, After: event.AfterEpoch},
	} {
		if _, err := c.Do(t.Context(), request); err != nil {
			t.Errorf("%s: %v", request.Cmd, err)
		}
	}
	to := event.To{Why: "ctl"}
	want := []event.Command{event.Pause{To: to}, event.SetLearnRate{To: event.To{Why: "a test"}, Rate: rate}, event.Stop{To: to, After: event.AfterEpoch}}
	if got := r.commands(); !slices.Equal(got, want) {
		t.Errorf("the trainer got\n%v, want\n%v", got, want)
	}
	all, err := statusOfAll(t, c)
	if err != nil || len(all) != 1 || all[0].State != event.StateFinished {
		t.Errorf("status %+v, %v", all, err)
	}
}

func TestWaitReturnsHowItEnded(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		r.train(10, func() {})
		r.emit(&event.RunEnded{Outcome: event.OutcomeDiverged, Error: "the loss is NaN"})
		r.close(true)
	})
	ended, err := Wait(t.Context(), c)
	if err != nil || ended[r.name] == nil || ended[r.name].Outcome != event.OutcomeDiverged {
		t.Errorf("%v, %v", ended, err)
	}
	if _, err := c.Next(t.Context(), 1); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// A run whose GPU is lost ends and begins anew in its process, and is waited for to
// its end.
func TestWaitGoesOnWithARunThatGoesOn(t *testing.T) {
	for name, folder := range map[string]func(*testing.T) string{
		"socket": func(t *testing.T) string { return t.TempDir() }, "files": withoutSockets,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, folder(t))
			r.emit(&event.RunStarted{StepsPerEpoch: rigSteps, PID: os.Getpid()})
			c := r.dial()
			type end struct {
				runs map[string]*event.RunEnded
				err  error
			}
			ends := make(chan end, 1)
			go func() {
				runs, err := Wait(t.Context(), c)
				ends <- end{runs, err}
			}()
			r.train(10, func() {})
			r.emit(&event.RunEnded{Outcome: event.OutcomeFailed, Error: "the GPU is lost", GoesOn: true})
			r.close(true)
			r.takeLock()
			r.open()
			r.emit(&event.RunStarted{StepsPerEpoch: rigSteps, Resumed: true, ResumedTotal: 10, PID: os.Getpid()})
			r.train(10, func() {})
			r.emit(&event.RunEnded{Outcome: event.OutcomeFinished})
			r.close(true)
			e := <-ends
			if last := e.runs[r.name]; e.err != nil || last == nil || last.Outcome != event.OutcomeFinished {
				t.Errorf("%+v, %v", last, e.err)
			}
		})
	}
}

func TestFindChoosesTheOnlyLiveRun(t *testing.T) {
	runs := t.TempDir()
	run := func(name string) string {
		folder := filepath.Join(runs, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, rundir.ConfigFile), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	run("dead")
	if _, err := Find(runs, ""); !errors.Is(err, ErrNoneLive) {
		t.Errorf("none live: %v", err)
	}
	a := newRig(t, run("a"))
	if got, err := Find(runs, ""); err != nil || got.Folder != a.folder {
		t.Errorf("one live: %+v, %v", got, err)
	}
	// A run that lies on another disk is one of the folder's like the others.
	elsewhere := filepath.Join(t.TempDir(), "b")
	if err := errors.Join(os.Mkdir(elsewhere, 0o755), os.Symlink(elsewhere, filepath.Join(runs, "b"))); err != nil {
		t.Fatal(err)
	}
	newRig(t, run("b"))
	var several *SeveralError
	if _, err := Find(runs, ""); !errors.As(err, &several) || len(several.Live) != 2 {
		t.Errorf("two live: %v", err)
	}
	if got, err := Find(runs, "dead"); err != nil || got.Name() != "dead" {
		t.Errorf("by name: %+v, %v", got, err)
	}
	if _, err := Find(runs, "nobody"); err == nil {
		t.Error("a run that is not there was found")
	}
	if live, err := liveTargets(filepath.Join(runs, "not there")); err != nil || live != nil {
		t.Errorf("no runs folder: %v, %v", live, err)
	}
}

// A run of a comparison is reached through the comparison's process.
func TestFindReachesARunOfAComparison(t *testing.T) {
	runs := t.TempDir()
	run := filepath.Join(runs, "compare", "batch64")
	if err := os.MkdirAll(run, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{rundir.ConfigFile, rundir.EventsFile} {
		if err := os.WriteFile(filepath.Join(run, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, filepath.Join(runs, "compare"))
	got, err := Find(runs, "compare/batch64")
	if err != nil || got.Folder != r.folder || got.Run != "batch64" {
		t.Errorf("%+v, %v", got, err)
	}
}

// A screen whose terminal stands still reads nothing for a while; the server
// keeps nothing for it, and it misses nothing.
func TestAClientThatFallsBehindMissesNothing(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	var w witness
	events, err := c.Next(t.Context(), 1)
	for {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if err := w.see(e); err != nil {
				t.Fatal(err)
			}
		}
		if c.reader.stage == readLive {
			break
		}
		r.train(1, func() {})
		events, err = c.Next(t.Context(), 1)
	}
	before := w.total
	r.train(3*backlogEvents, func() {})
	r.emit(&event.RunEnded{Outcome: event.OutcomeFinished})
	until(t, "the client is behind", func() bool {
		r.server.backlog.mu.Lock()
		defer r.server.backlog.mu.Unlock()
		return r.server.backlog.first > backlogEvents
	})
	r.bus.Close()
	if err := w.follow(t.Context(), c); err != nil || w.total < before+3*backlogEvents || w.ended == nil {
		t.Errorf("%d batches, ended: %v, %v", w.total, w.ended != nil, err)
	}
}

func TestAClientThatIsCutOffComesBack(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	var w witness
	followed := make(chan error, 1)
	go func() { followed <- w.follow(t.Context(), c) }()
	for range 20 {
		r.train(100, func() {})
		until(t, "the client has come back", func() bool { return r.server.clients() > 0 })
		r.train(100, func() {})
		r.server.mu.Lock()
		for l := range r.server.links {
			l.cut()
		}
		r.server.mu.Unlock()
	}
	r.emit(&event.RunEnded{Outcome: event.OutcomeFinished})
	r.bus.Close()
	if err := <-followed; err != nil || w.total != 4000 {
		t.Errorf("%d batches, %v", w.total, err)
	}
}

// Between the end of one process and the start of the next a run is not dead.
func TestDialWaitsForTheProcessThatTakesOver(t *testing.T) {
	folder := t.TempDir()
	r := newRig(t, folder)
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	r.emit(&event.RunEnded{Outcome: event.OutcomeDetached})
	r.close(true)
	dialled := make(chan error, 1)
	go func() {
		c, err := Dial(t.Context(), folder)
		if err == nil {
			c.Close()
		}
		dialled <- err
	}()
	time.Sleep(50 * time.Millisecond)
	r.takeLock()
	r.open()
	if err := <-dialled; err != nil {
		t.Fatal(err)
	}
}

// Of runs that have a process each, as on a cluster, those are live whose process
// is there. They may lie on another disk.
func TestStatusOfRunsWithAProcessEach(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"dead", "live"} {
		elsewhere := filepath.Join(t.TempDir(), name)
		if err := errors.Join(os.Mkdir(elsewhere, 0o755), os.Symlink(elsewhere, filepath.Join(folder, name))); err != nil {
			t.Fatal(err)
		}
		r := newRig(t, filepath.Join(folder, name))
		r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
		r.emit(&event.StateChanged{State: event.StateRunning})
		if name == "dead" {
			r.close(false)
		}
	}
	until(t, "both are told of", func() bool {
		all, err := ReadStatus(folder)
		return err == nil && len(all) == 2 && all[1].State == event.StateRunning
	})
	all, err := ReadStatus(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if live := s.Run == "live"; s.Live != live || (s.State == StateInterrupted) == live {
			t.Errorf("%s: live %v, %s", s.Run, s.Live, s.State)
		}
	}
}

// What has come is given at once, however long its lines are: a screen, which rests
// after each call, keeps up with epochs that are shorter than that.
func TestNextGivesAllThatHasCome(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	c.reader.gather = time.Hour // until there is all that is asked for
	seen := uint64(0)
	for c.reader.stage != readLive {
		events, err := c.Next(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		seen = events[0].Head().Seq
		r.train(1, func() {})
	}
	for epoch := range 20 {
		r.emit(&event.Evaluated{Epoch: epoch + 1, Samples: []event.Sample{{Pixels: make([]byte, 100<<10)}}})
	}
	left := int(r.seq - seen)
	if events, err := c.Next(t.Context(), left); err != nil || len(events) != left {
		t.Errorf("%d of %d events at once, %v", len(events), left, err)
	}
}
