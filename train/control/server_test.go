//go:build unix

package control

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"cifartui/train/event"
)

// Eight screens attach at different moments of a run that publishes as fast as
// it can, three of them read in fits and starts, and all see the same run.
func TestAttachedStreamsHaveNoGapAndNoDouble(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	const clients, batches = 8, 6000
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := make([]witness, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond)
			c, err := Dial(ctx, r.folder)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			var source event.Source = c
			if i < 3 {
				source = halting{c, rng}
			}
			if err := seen[i].follow(ctx, source); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	i := 0
	r.train(batches, func() {
		if i++; i%200 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	})
	r.emit(&event.RunEnded{Outcome: event.OutcomeFinished})
	// The server is let go only when all have read to the end of the log, as it
	// gives slow ones no more than a moment.
	r.bus.Close()
	wg.Wait()
	for i := range seen {
		if seen[i].total != batches || !slices.Equal(seen[i].others, seen[0].others) || seen[i].ended == nil {
			t.Errorf("client %d saw %d batches and %d other events, ended: %v; want %d and %d", i,
				seen[i].total, len(seen[i].others), seen[i].ended != nil, batches, len(seen[0].others))
		}
	}
}

// halting is a source read by someone who stops now and then.
type halting struct {
	event.Source
	rng *rand.Rand
}

func (h halting) Next(ctx context.Context, max int) ([]event.Event, error) {
	if h.rng.IntN(20) == 0 {
		time.Sleep(time.Duration(h.rng.IntN(20)) * time.Millisecond)
	}
	return h.Source.Next(ctx, max)
}

// raw connects as a program of another kind would.
func (r *rig) raw() *net.UnixConn {
	r.t.Helper()
	c, err := net.Dial("unix", r.server.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn)
}

func TestTheThirtyThirdClientIsRefused(t *testing.T) {
	r := newRig(t, t.TempDir())
	conns := make([]*conn, MaxClients)
	for i := range conns {
		c, err := connect(t.Context(), r.folder)
		if err != nil {
			t.Fatalf("client %d: %v", i+1, err)
		}
		defer c.Close()
		conns[i] = c
	}
	if _, err := Dial(t.Context(), r.folder); err == nil || err.(*ReplyError).Code != CodeFull {
		t.Fatalf("client 33: %v", err)
	}
	conns[0].Close()
	until(t, "there is room again", func() bool {
		c, err := connect(t.Context(), r.folder)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// patience is how long is waited for what must come: far over what it takes, as the
// machine may be busy.
const patience = 4 * time.Minute

// until waits for something that is to come.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func (s *Server) clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.links)
}

func TestCommandsReachTheTrainer(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	to := event.To{Why: "space pressed"}
	want := []event.Command{
		event.Pause{To: to}, event.Resume{To: to}, event.Save{To: event.To{Run: r.name, Why: "ctl"}},
		event.SetLearnRate{To: to, Rate: 0.25}, event.Stop{To: to, After: event.AfterEpoch},
	}
	for _, cmd := range want {
		if err := c.Send(cmd); err != nil {
			t.Errorf("%T: %v", cmd, err)
		}
	}
	if got := r.commands(); !slices.Equal(got, want) {
		t.Errorf("the trainer got\n%v, want\n%v", got, want)
	}
}

func TestWaitAnswersWhenTheEffectIsThere(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	r.emit(&event.StateChanged{State: event.StateRunning})
	c := r.dial()
	rate := 0.5
	r.mute = true
	for _, step := range []struct {
		request Request
		other   event.Event // comes first and is no answer
		effect  event.Event
	}{
		{Request{Cmd: VerbPause}, &event.Warning{}, &event.StateChanged{State: event.StatePaused}},
		{Request{Cmd: VerbSave}, &event.CheckpointSaved{Reason: "manual"}, &event.CheckpointSaved{Reason: "last"}},
		{Request{Cmd: VerbLR, Rate: &rate}, &event.LearnRateChanged{To: 0.1}, &event.LearnRateChanged{To: 0.5}},
		{Request{Cmd: VerbResume, Run: r.name}, &event.StateChanged{State: event.StateSaving}, &event.StateChanged{State: event.StateRunning}},
		{Request{Cmd: VerbStop}, &event.StateChanged{State: event.StateStopping}, &event.RunEnded{Outcome: event.OutcomeStopped}},
	} {
		step.request.Wait = true
		answered := make(chan error, 1)
		go func() {
			_, err := c.Do(t.Context(), step.request)
			answered <- err
		}()
		until(t, "the command is waited for", func() bool {
			r.server.mu.Lock()
			defer r.server.mu.Unlock()
			return len(r.server.waiters) == 1
		})
		r.emit(step.other)
		select {
		case err := <-answered:
			t.Fatalf("%s: answered by another event: %v", step.request.Cmd, err)
		case <-time.After(50 * time.Millisecond):
		}
		r.emit(step.effect)
		if err := <-answered; err != nil {
			t.Fatalf("%s: %v", step.request.Cmd, err)
		}
	}
}

// The batches before a command is passed on, which may be many on a busy machine, do
// not tell that the run has not heard it.
func TestBatchesBeforeACommandAreNoRefusal(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.dial()
	r.busy = func() { r.train(2*deaf, func() {}) }
	if _, err := c.Do(t.Context(), Request{Cmd: VerbPause, Wait: true}); err != nil {
		t.Error(err)
	}
}

func TestWaitEndsWithTheRun(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	r.mute = true
	c := r.dial()
	answered := make(chan error, 1)
	go func() {
		_, err := c.Do(t.Context(), Request{Cmd: VerbSave, Wait: true})
		answered <- err
	}()
	until(t, "the command arrives", func() bool { return len(r.commands()) == 1 })
	r.emit(&event.RunEnded{Outcome: event.OutcomeFailed})
	var refused *ReplyError
	if err := <-answered; !errors.As(err, &refused) || refused.Code != CodeEnded {
		t.Fatalf("got %v", err)
	}
}

func TestPauseOfAPausedRunIsAnsweredAtOnce(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	r.emit(&event.StateChanged{State: event.StatePaused})
	c := r.dial()
	until(t, "the server knows", func() bool {
		all, err := statusOfAll(t, c)
		return err == nil && len(all) == 1 && all[0].State == event.StatePaused
	})
	r.mute = true
	if _, err := c.Do(t.Context(), Request{Cmd: VerbPause, Wait: true}); err != nil {
		t.Fatal(err)
	}
}

// A client that never reads is cut off, and what the run publishes meanwhile is
// neither held up nor held in memory for it.
func TestAClientThatNeverReadsIsCutOff(t *testing.T) {
	if os.Getenv("CIFARTUI_LONG") == "" {
		t.Skip("takes 15 s: set CIFARTUI_LONG=1")
	}
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.raw()
	if _, err := fmt.Fprintln(c, `{"id":1,"cmd":"events"}`); err != nil {
		t.Fatal(err)
	}
	until(t, "it is let in", func() bool { return r.server.clients() == 1 })
	r.train(50_000, func() {})
	until(t, "it is cut off", func() bool { return r.server.clients() == 0 })
}

func TestGarbageIsAnsweredAndCutOff(t *testing.T) {
	r := newRig(t, t.TempDir())
	for name, data := range map[string]string{
		"not JSON":      "GET / HTTP/1.1\n",
		"no object":     "[1,2]\n",
		"binary":        "\x00\xff\xfe\n",
		"too long":      `{"id":1,"cmd":"` + string(make([]byte, MaxRequest)) + "\"}\n",
		"two on a line": `{"id":1,"cmd":"status"}{"id":2,"cmd":"status"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := connect(t.Context(), r.folder)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = c.Write([]byte(data)) // may be cut off before it is all written
			if reply, err := c.reply(t.Context(), 0); err == nil || reply.Code != CodeBad {
				t.Errorf("answered by %+v, %v", reply, err)
			}
			if _, err := c.line(t.Context()); err == nil {
				t.Error("not cut off")
			}
		})
	}
}

// 100 MB without a newline: the server reads no more of it than a request may
// have.
func TestALineWithoutEndIsCutOff(t *testing.T) {
	r := newRig(t, t.TempDir())
	c := r.raw()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = 'a'
	}
	written := 0
	for written < 100<<20 {
		n, err := c.Write(block)
		written += n
		if err != nil {
			break
		}
	}
	if written >= 2<<20 {
		t.Errorf("%d bytes of one line were taken", written)
	}
	until(t, "it is cut off", func() bool { return r.server.clients() == 0 })
}

func TestBadRequestsAreAnsweredAndForgiven(t *testing.T) {
	r := newRig(t, t.TempDir())
	c, err := connect(t.Context(), r.folder)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(`{"id":7,"cmd":"fly"}` + "\r\n" + `{"id":8,"cmd":"status"}` + "\n")); err != nil {
		t.Fatal(err)
	}
	if reply, err := c.reply(t.Context(), 7); err == nil || reply.Code != CodeBad {
		t.Errorf("answered by %+v, %v", reply, err)
	}
	if _, err := c.reply(t.Context(), 8); err != nil {
		t.Error(err)
	}
}

// A process that was killed leaves its socket; the next one takes its place, and
// nobody is told that the dead one is alive.
func TestAStaleSocketIsReplaced(t *testing.T) {
	folder := t.TempDir()
	r := newRig(t, folder)
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	r.close(false)
	if _, err := os.Lstat(filepath.Join(folder, socketName)); err != nil {
		t.Fatalf("the test needs a stale socket: %v", err)
	}
	var dead *NotLiveError
	if _, err := Dial(t.Context(), folder); !errors.As(err, &dead) {
		t.Fatalf("a dead run: %v", err)
	}
	r.takeLock()
	r.open()
	if _, err := statusOfAll(t, r.dial()); err != nil {
		t.Fatal(err)
	}
	r.close(true)
	if _, err := os.Lstat(filepath.Join(folder, socketName)); err == nil {
		t.Error("the socket is still there after the end")
	}
}

func TestTheSocketIsPrivate(t *testing.T) {
	r := newRig(t, t.TempDir())
	info, err := os.Lstat(filepath.Join(r.folder, socketName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestALongFolderHasItsSocketElsewhere(t *testing.T) {
	runtime := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	folder := filepath.Join(t.TempDir(), fmt.Sprintf("%0150d", 0))
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(folder))
	r := newRig(t, filepath.Base(folder))
	if err := r.server.NoSocket(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{folder, r.folder} {
		c, err := Dial(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if why := c.ReadOnly(); why != "" {
			t.Errorf("known as %s: %s", name, why)
		}
	}
	r.close(true)
	var left []string
	for _, dir := range []string{filepath.Join(runtime, "cifartui"), folder} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, e.Name())
		}
	}
	if !slices.Equal(left, []string{"events.jsonl", "run.lock"}) {
		t.Errorf("left behind: %v", left)
	}
}

// Somebody else's folder under the name of ours in /tmp must not be used.
func TestARuntimeFolderOpenToOthersIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := privateFolder(dir); err != nil {
		t.Errorf("a private folder: %v", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := privateFolder(dir); err == nil {
		t.Error("a folder that others can enter was taken")
	}
	link := dir + "-link"
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := privateFolder(link); err == nil {
		t.Error("a symbolic link was taken")
	}
}

// FuzzServer sends anything to a live server: the run must not notice, and the
// next client must be served.
func FuzzServer(f *testing.F) {
	r := newRig(f, f.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	for _, s := range []string{
		`{"id":1,"cmd":"status"}` + "\n", `{"id":1,"cmd":"events"}` + "\n" + `{"id":2,"cmd":"events"}` + "\n", `{"id":1`, "\n\n\n", "\x00",
		`{"id":1,"cmd":"lr","rate":"x"}` + "\n" + `{"id":1,"cmd":"status"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := net.Dial("unix", r.server.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(data) // may be cut off in the middle
		var next *conn
		until(t, "the next client is let in", func() bool { // the last ones may not have left yet
			next, err = connect(t.Context(), r.folder)
			return err == nil
		})
		defer next.Close()
		if err := next.send(Request{ID: 1, Cmd: VerbStatus}); err != nil {
			t.Fatal(err)
		}
		if _, err := next.reply(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	})
}

// Close keeps to its patience although the source has not ended and a client reads
// nothing.
func TestCloseKeepsToItsPatience(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
	c := r.raw()
	if _, err := fmt.Fprintln(c, `{"id":1,"cmd":"events"}`); err != nil {
		t.Fatal(err)
	}
	until(t, "it is let in", func() bool { return r.server.clients() == 1 })
	r.train(backlogEvents, func() {}) // far over what a socket holds
	began := time.Now()
	if err := r.server.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took >= writeLimit {
		t.Errorf("closing took %v, want about %v", took, farewell)
	}
}
