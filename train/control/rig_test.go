//go:build unix

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// rig stands in for a process that trains: a run folder with its lock, a bus, a
// log that merges steps, and a controller that answers by events.
type rig struct {
	t      testing.TB
	folder string
	name   string // of the run
	bus    *event.Bus
	server *Server
	lock   *rundir.Lock

	mu    sync.Mutex
	seq   uint64
	total int64
	state event.State
	// sent are the commands taken.
	sent []event.Command
	// mute commands are taken and nothing is done.
	mute bool
	// busy, if not nil, is what happens before a command is taken.
	busy func()

	logged  sync.WaitGroup
	logLag  time.Duration
	stopped bool
}

const rigSteps = 50 // batches in an epoch

func newRig(t testing.TB, folder string) *rig {
	t.Helper()
	r := &rig{t: t, folder: folder, name: rundir.Name(folder), logLag: 5 * time.Millisecond}
	r.takeLock()
	r.open()
	t.Cleanup(func() { r.close(true) })
	return r
}

func (r *rig) takeLock() {
	r.t.Helper()
	lock, err := rundir.LockFolder(r.folder) // which a client may hold for a moment, to see whether the run lives
	if err != nil {
		r.t.Fatal(err)
	}
	r.lock = lock
}

// open starts the log and the server, as a new process does.
func (r *rig) open() {
	r.t.Helper()
	r.bus, r.stopped = event.NewBus(), false
	sub := r.bus.Subscribe()
	r.logged.Go(func() { r.log(sub) })
	live := r.bus.SubscribeSteps(1)
	s, err := Serve(Options{Folder: r.folder, Name: r.name, Events: live, Control: r})
	if err != nil {
		r.t.Fatal(err)
	}
	r.server = s
}

// log writes what it finds every logLag, the steps merged meanwhile.
func (r *rig) log(sub *event.Subscription) {
	f, err := os.OpenFile(filepath.Join(r.folder, rundir.EventsFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer f.Close()
	for {
		events, err := sub.Next(context.Background(), 1<<20)
		for _, e := range events {
			b, err := json.Marshal(e)
			if err != nil {
				r.t.Error(err)
			}
			if _, err := f.Write(append(b, '\n')); err != nil {
				r.t.Error(err)
			}
		}
		if err != nil {
			return
		}
		time.Sleep(r.logLag)
	}
}

// close ends the process: in order, or as a kill does, the socket left behind.
func (r *rig) close(inOrder bool) {
	if r.stopped {
		return
	}
	r.stopped = true
	r.bus.Close()
	r.logged.Wait()
	if inOrder {
		if err := r.server.Close(); err != nil {
			r.t.Error(err)
		}
	} else {
		path := r.server.path
		if err := os.Rename(path, path+"~"); err != nil {
			r.t.Error(err)
		}
		_ = r.server.Close() // complains that the socket is gone
		if err := os.Rename(path+"~", path); err != nil {
			r.t.Error(err)
		}
	}
	if err := r.lock.Release(); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) emit(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.emitLocked(e)
}

func (r *rig) emitLocked(e event.Event) {
	h := e.Head()
	r.seq++
	h.Seq, h.Time, h.Run = r.seq, time.Now().UTC(), r.name
	switch e := e.(type) {
	case *event.RunStarted:
		h.Event, r.state = event.KindRunStarted, event.StateStarting
	case *event.StepDone:
		h.Event = event.KindStep
		r.total++
		e.Total, e.Count = r.total, 1
		e.Epoch, e.Step, e.Steps = int((r.total-1)/rigSteps)+1, int((r.total-1)%rigSteps)+1, rigSteps
		e.Loss, e.MinLoss, e.MaxLoss = event.Float(r.total), event.Float(r.total), event.Float(r.total)
	case *event.EpochDone:
		h.Event = event.KindEpoch
	case *event.Evaluated:
		h.Event = event.KindEvaluated
	case *event.CheckpointSaved:
		h.Event = event.KindCheckpointSaved
	case *event.StateChanged:
		h.Event, r.state = event.KindStateChanged, e.State
	case *event.LearnRateChanged:
		h.Event = event.KindLearnRate
	case *event.Warning:
		h.Event = event.KindWarning
	case *event.RunEnded:
		h.Event = event.KindRunEnded
	}
	r.bus.Publish(e)
}

// train emits n batches and the ends of their epochs.
func (r *rig) train(n int, pause func()) {
	for range n {
		r.mu.Lock()
		r.emitLocked(new(event.StepDone))
		if r.total%rigSteps == 0 {
			r.emitLocked(&event.EpochDone{Epoch: int(r.total / rigSteps), Epochs: 1000, Total: r.total})
		}
		r.mu.Unlock()
		pause()
	}
}

// Send implements [event.Controller].
func (r *rig) Send(c event.Command) error {
	if r.busy != nil {
		r.busy()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return errors.New("the run has ended")
	}
	r.sent = append(r.sent, c)
	if r.mute {
		return nil
	}
	switch c := c.(type) {
	case event.Pause:
		r.emitLocked(&event.StateChanged{State: event.StatePaused, Reason: c.Why})
	case event.Resume:
		r.emitLocked(&event.StateChanged{State: event.StateRunning, Reason: c.Why})
	case event.Save:
		r.emitLocked(&event.CheckpointSaved{File: "weights.safetensors", Reason: "manual"})
		r.emitLocked(&event.CheckpointSaved{File: "last.ckpt", Reason: "last"})
	case event.Stop:
		r.emitLocked(&event.StateChanged{State: event.StateStopping, Reason: c.Why})
		r.emitLocked(&event.RunEnded{Outcome: event.OutcomeStopped})
	case event.SetLearnRate:
		r.emitLocked(&event.LearnRateChanged{To: c.Rate})
	}
	return nil
}

func (r *rig) commands() []event.Command {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]event.Command(nil), r.sent...)
}

// dial attaches to the rig.
func (r *rig) dial() *Client {
	r.t.Helper()
	c, err := Dial(r.t.Context(), r.folder)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// witness checks that a stream of events has neither a gap nor a double: numbers
// grow, every batch is told once, and every event that is no step is there.
type witness struct {
	seq    uint64
	total  int64
	others []string
	ended  *event.RunEnded
}

func (w *witness) see(e event.Event) error {
	h := e.Head()
	if h.Seq <= w.seq {
		return fmt.Errorf("event %d after event %d", h.Seq, w.seq)
	}
	step, ok := e.(*event.StepDone)
	if !ok {
		if h.Seq != w.seq+1 {
			return fmt.Errorf("%s %d after event %d", h.Event, h.Seq, w.seq)
		}
		w.others = append(w.others, fmt.Sprintf("%s %d", h.Event, h.Seq))
		w.ended, _ = e.(*event.RunEnded)
	} else if h.Seq-uint64(step.Count) != w.seq {
		return fmt.Errorf("step %d of %d batches after event %d", h.Seq, step.Count, w.seq)
	} else if step.Total-int64(step.Count) != w.total {
		return fmt.Errorf("step %d tells of batches %d to %d after batch %d", h.Seq, step.Total-int64(step.Count)+1, step.Total, w.total)
	} else {
		w.total = step.Total
	}
	w.seq = h.Seq
	return nil
}

// follow reads a source to its end.
func (w *witness) follow(ctx context.Context, s event.Source) error {
	for {
		events, err := s.Next(ctx, 100)
		for _, e := range events {
			if err := w.see(e); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// statusOfAll asks a client how the runs of its process stand.
func statusOfAll(t testing.TB, c *Client) ([]Status, error) {
	t.Helper()
	reply, err := c.Do(t.Context(), Request{Cmd: VerbStatus})
	return reply.Status, err
}
