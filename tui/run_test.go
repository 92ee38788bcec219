package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cifartui/train/event"
	"cifartui/tui/format"
	"cifartui/tui/style"
	"cifartui/tui/terminal"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/exp/teatest"
	"github.com/charmbracelet/x/term"
	"github.com/creack/pty"
)

// A screenPty is a screen that runs in a pseudo terminal.
type screenPty struct {
	t      *testing.T
	master *os.File
	tty    *os.File
	before *term.State // the terminal's modes before the screen
	mu     sync.Mutex
	out    bytes.Buffer
	hungUp bool
	done   chan struct{}
	result Result
	err    error
}

func startPty(t *testing.T, ctx context.Context, o Options, reply string) *screenPty {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo terminal: ", err)
	}
	_ = pty.Setsize(master, &pty.Winsize{Rows: 40, Cols: 120})
	before, err := term.GetState(tty.Fd())
	if err != nil {
		t.Fatal(err)
	}
	s := &screenPty{t: t, master: master, tty: tty, before: before, done: make(chan struct{})}
	t.Cleanup(func() { _ = master.Close(); _ = tty.Close() })
	go func() { // a terminal
		buf := make([]byte, 64<<10)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.out.Write(buf[:n])
			hungUp := s.hungUp
			s.mu.Unlock()
			if hungUp {
				_ = master.Close()
				return
			}
			if reply != "" && bytes.Contains(buf[:n], []byte(terminal.Questions)) {
				_, _ = io.WriteString(master, reply)
			}
		}
	}()
	o.In, o.Out = tty, tty
	if o.Env == nil {
		o.Env = env()
	}
	go func() {
		defer close(s.done)
		s.result, s.err = showAlone(ctx, o)
	}()
	return s
}

// modes are the terminal's modes now.
func (s *screenPty) modes() *term.State {
	s.t.Helper()
	state, err := term.GetState(s.tty.Fd())
	if err != nil {
		s.t.Fatal(err)
	}
	return state
}

func (s *screenPty) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func (s *screenPty) see(words string) {
	s.t.Helper()
	eventually(s.t, "seeing "+words, func() bool { return strings.Contains(s.text(), words) })
}

func (s *screenPty) keys(k string) {
	s.t.Helper()
	if _, err := io.WriteString(s.master, k); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screenPty) end() (Result, error) {
	s.t.Helper()
	within(s.t, "the end of the screen", func() { <-s.done })
	return s.result, s.err
}

// itself is what a terminal says that it is, after which no answer of it is waited for.
const itself = "\x1b[?62c"

func runningScript() *script {
	return newScript("model_20261123_1405", 64, 200).run(3)
}

func TestScreenOpensAndRestoresTheTerminal(t *testing.T) {
	t.Parallel()
	src := newFakeSource(runningScript().events...)
	s := startPty(t, context.Background(), Options{Source: src, Control: &fakeControl{}}, "")
	s.see("model_20261123_1405")
	if reflect.DeepEqual(s.modes(), s.before) {
		t.Error("the screen is up and the terminal's modes are those of before")
	}
	s.keys("q")
	s.see("leave it training")
	s.keys("l")
	if r, err := s.end(); err != nil || r.Action != LeaveRunning {
		t.Errorf("ended with %+v, %v", r, err)
	}
	eventually(t, "leaving the alternate screen", func() bool { return strings.Contains(s.text(), "\x1b[?1049l") })
	if !strings.Contains(s.text(), "\x1b[?25h") {
		t.Error("the cursor stays hidden")
	}
	if got := s.modes(); !reflect.DeepEqual(got, s.before) {
		t.Errorf("the terminal's modes are %+v, were %+v before the screen", got, s.before)
	}
}

// Keys that come in one read, as a slow link sends them, each count, in order.
func TestKeysThatComeTogetherAllCount(t *testing.T) {
	t.Parallel()
	control := &fakeControl{}
	s := startPty(t, context.Background(), Options{Source: newFakeSource(runningScript().events...), Control: control}, itself)
	s.see("model_20261123_1405")
	s.keys("+++")
	eventually(t, "three steps up", func() bool { return len(control.commands()) == 3 })
	var rates []float64
	for _, c := range control.commands() {
		rates = append(rates, c.(event.SetLearnRate).Rate)
	}
	if want := []float64{1.1, 1.21, 1.33}; !slices.Equal(rates, want) {
		t.Errorf("+++ sets %v, want %v", rates, want)
	}
	s.keys("\x1b[200~dqx\x1b[201~")
	s.keys("ql") // the first keys after the paste
	if r, err := s.end(); err != nil || r.Action != LeaveRunning || len(control.commands()) != 3 {
		t.Errorf("a paste and q and l: %+v, %v, %v", r, err, control.commands())
	}
}

func TestLateBackgroundAnswerChangesTheThemeAndPressesNoKey(t *testing.T) {
	t.Parallel()
	src := newFakeSource(runningScript().events...)
	control := &fakeControl{}
	// Letters of the answer are keys of the screen: s would save, x would stop.
	s := startPty(t, context.Background(), Options{Source: src, Control: control}, "\x1b]11;rgb:ffff/ffff/ffff\x1b\\"+itself)
	light := style.NewPalette(0, false).Code(style.Training)
	s.see(light)
	s.keys("q")
	s.see("leave it training")
	s.keys("l")
	if _, err := s.end(); err != nil {
		t.Error(err)
	}
	if got := control.commands(); len(got) != 0 {
		t.Errorf("commands %v came of the terminal's answer", got)
	}
}

func TestScreenEndsWithItsTerminal(t *testing.T) {
	t.Parallel()
	s := startPty(t, context.Background(), Options{Source: newFakeSource(runningScript().events...), Control: &fakeControl{}}, itself)
	s.see("model_20261123_1405")
	s.mu.Lock()
	s.hungUp = true // with the next bytes
	s.mu.Unlock()
	_, _ = io.WriteString(s.master, "?") // the screen may have sent some before
	if _, err := s.end(); !errors.Is(err, ErrTerminal) {
		t.Errorf("error %v, want one that tells that the terminal is gone", err)
	}
}

func TestScreenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	s := startPty(t, ctx, Options{Source: newFakeSource(runningScript().events...), Control: &fakeControl{}}, itself)
	s.see("model_20261123_1405")
	cancel()
	if r, err := s.end(); err != nil || r.Action != Cancelled {
		t.Errorf("ended with %+v, %v", r, err)
	}
	eventually(t, "leaving the alternate screen", func() bool { return strings.Contains(s.text(), "\x1b[?1049l") })
}

// A panicSource panics in a command.
type panicSource struct{}

func (panicSource) Next(context.Context, int) ([]event.Event, error) { panic("a broken source") }

// A nilEvent makes Update panic.
type nilEvent struct{}

func (nilEvent) Head() *event.Header { return nil }

func TestPanicsRestoreTheTerminalAndBringTheStack(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]event.Source{
		"in a command": panicSource{},
		"in Update":    newFakeSource(nilEvent{}),
	} {
		t.Run(name, func(t *testing.T) {
			s := startPty(t, context.Background(), Options{Source: src, Control: &fakeControl{}}, itself)
			_, err := s.end()
			var crash *Crash
			if !errors.As(err, &crash) || !bytes.Contains(crash.Stack, []byte("tui.")) {
				t.Fatalf("error %v, want a crash with its stack", err)
			}
			eventually(t, "leaving the alternate screen", func() bool { return strings.Contains(s.text(), "\x1b[?1049l") })
			if strings.Contains(s.text(), "goroutine") {
				t.Error("the stack was written over the screen")
			}
		})
	}
}

// A terminal that reads nothing (Ctrl+S, a dead link) stops neither the taking
// of events nor leaving, and when it reads again it gets the newest screen.
func TestStalledTerminal(t *testing.T) {
	t.Parallel()
	for _, wakes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			out := &stuckWriter{free: make(chan struct{})}
			src := newFakeSource(runningScript().events...)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			in, keys := io.Pipe()
			go func() {
				_, err := showAlone(ctx, Options{Source: src, Control: &fakeControl{}, In: in, Out: out, Env: env(), width: 200, height: 60})
				done <- err
				keys.Close()
			}()
			taken := func() int { src.mu.Lock(); defer src.mu.Unlock(); return src.taken }
			all := len(runningScript().events)
			eventually(t, "taking what there was", func() bool { return taken() == all })
			s := newScript("model_20261123_1405", 64, 200)
			for e := 4; e <= 8; e++ { // whole epochs more, with nobody reading the screen
				s.events = nil
				s.epoch(e)
				src.feed(s.events...)
				all += len(s.events)
				eventually(t, "taking events while the terminal is stuck", func() bool { return taken() == all })
			}
			for range 2 * views { // more frames than are kept for the terminal
				_, _ = io.WriteString(keys, "\t")
				time.Sleep(120 * time.Millisecond)
			}
			if wakes {
				close(out.free)
				eventually(t, "seeing the newest screen", func() bool { return strings.Contains(out.String(), "9/200") })
			}
			cancel()
			within(t, "leaving", func() {
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
			if !wakes {
				close(out.free)
			}
		})
	}
}

// A countingWriter counts bytes and forgets them.
type countingWriter struct{ n atomic.Int64 }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n.Add(int64(len(p)))
	return len(p), nil
}

// TestTrafficIsSmall holds the screen to what a slow link can carry: a run at
// work sends less than 20 KB a second in every view, a paused one nothing.
func TestTrafficIsSmall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const window = 3 * time.Second
		for v := range views {
			ctx, cancel := context.WithCancel(t.Context())
			out, src := &countingWriter{}, newFakeSource()
			s, epoch := newScript("model_20261123_1405", 64, 200), 30
			s.every = 1
			s.start()
			s.every = 100
			for e := 1; e < epoch; e++ {
				s.epoch(e)
			}
			s.every = 1
			src.feed(s.events...)
			in, keys := io.Pipe()
			ended := make(chan error, 1)
			go func() {
				_, err := showAlone(ctx, Options{Source: src, Control: &fakeControl{}, In: in, Out: out, Env: env(), width: 120, height: 40})
				ended <- err
			}()
			_, _ = keys.Write([]byte{byte('1' + v)})
			_, _ = keys.Write([]byte("t"))      // charts by step change most
			time.Sleep(1500 * time.Millisecond) // opened and settled
			sent := func(in time.Duration, meanwhile func()) float64 {
				before := out.n.Load()
				for end := time.Now().Add(in); time.Now().Before(end); time.Sleep(16 * time.Millisecond) {
					meanwhile()
				}
				return float64(out.n.Load()-before) / in.Seconds()
			}
			step := 0
			rate := sent(window, func() { // some 60 steps a second
				n := len(s.events)
				s.train(epoch, step, step+1)
				if step++; step%100 == 0 { // and short epochs, as those of the demo set
					s.emit(s.evaluated(epoch))
				}
				src.feed(s.events[n:]...)
			})
			t.Logf("%s: %.1f KB/s while running", viewNames[v], rate/1000)
			if rate > 20_000 {
				t.Errorf("%s sends %.1f KB/s, want less than 20", viewNames[v], rate/1000)
			}
			if rate == 0 {
				t.Errorf("%s shows nothing of a running run", viewNames[v])
			}
			n := len(s.events)
			s.state(event.StatePaused, "key", epoch, step)
			src.feed(s.events[n:]...)
			time.Sleep(10 * time.Second) // messages are gone
			if rate := sent(time.Minute, func() {}); rate != 0 {
				t.Errorf("%s: a paused run goes on to send, %.0f bytes a second", viewNames[v], rate)
			}
			cancel()
			keys.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

// A whole short run with keys, as a person would live it.
func TestAWholeRunWithKeys(t *testing.T) {
	t.Parallel()
	src := newFakeSource()
	s := newScript("model_20261123_1405", 64, 3)
	fed := 0
	feed := func() { src.feed(s.events[fed:]...); fed = len(s.events) }
	control := &fakeControl{answer: func(c event.Command) error {
		switch c := c.(type) {
		case event.Pause:
			s.state(event.StatePaused, c.Why, 2, 100)
		case event.Resume:
			s.state(event.StateRunning, c.Why, 2, 100)
		case event.Save:
			s.emit(&event.CheckpointSaved{Header: s.head(event.KindCheckpointSaved), File: "CIFAR10-EP02-STEP00100.safetensors", Reason: "manual", Epoch: 2, Step: 100, Size: 4751234})
		case event.SetLearnRate:
			s.emit(&event.LearnRateChanged{Header: s.head(event.KindLearnRate), From: 1, To: c.Rate, Epoch: 2, Step: 100, Total: 882})
		case event.Stop:
			s.state(event.StateStopping, c.Why, 2, 100).end(event.OutcomeStopped, "", 1)
		}
		feed()
		return nil
	}}
	m, err := New(context.Background(), Options{Source: src, Control: control, Env: env(), Name: s.name})
	if err != nil {
		t.Fatal(err)
	}
	tm := teatest.NewTestModel(t, alone{m}, teatest.WithInitialTermSize(120, 40))
	var seen strings.Builder
	see := func(words string) {
		t.Helper()
		teatest.WaitFor(t, tm.Output(), func(b []byte) bool {
			seen.Write(b)
			ok := strings.Contains(colourCode.ReplaceAllString(seen.String(), ""), words)
			if ok {
				seen.Reset()
			}
			return ok
		}, teatest.WithDuration(patience))
	}
	see("Waiting for the run to begin.")
	s.start()
	feed()
	s.epoch(1).train(2, 0, 100)
	feed()
	see("best @ 1")
	tm.Send(keyMsg(" "))
	see("Paused after step 100 of epoch 2.")
	tm.Send(keyMsg("s"))
	see("Saved CIFAR10-EP02-STEP00100.safetensors.")
	tm.Send(keyMsg("3"))
	see("manual")
	tm.Send(keyMsg("L"))
	see("Learning rate")
	tm.Type("0.25")
	tm.Send(keyMsg("enter"))
	see("Learning rate is 0.25")
	tm.Send(keyMsg("p"))
	see("Training goes on.")
	tm.Send(keyMsg("q"))
	see("stop and save")
	tm.Send(keyMsg("s"))
	tm.WaitFinished(t, teatest.WithFinalTimeout(patience))

	var kinds []string
	for _, c := range control.commands() {
		switch c := c.(type) {
		case event.Pause:
			kinds = append(kinds, "pause "+c.Run)
		case event.Save:
			kinds = append(kinds, "save "+c.Run)
		case event.SetLearnRate:
			kinds = append(kinds, "lr "+format.Rate(c.Rate))
		case event.Resume:
			kinds = append(kinds, "resume "+c.Run)
		case event.Stop:
			kinds = append(kinds, "stop "+c.Run+string(c.After))
		}
	}
	want := "pause model_20261123_1405, save model_20261123_1405, lr 0.25, resume model_20261123_1405, stop batch"
	if got := strings.Join(kinds, ", "); got != want {
		t.Errorf("commands: %s\nwant:     %s", got, want)
	}
	if final := tm.FinalModel(t).(alone); final.result.Action != Closed {
		t.Errorf("left with %+v", final.result)
	}
}

var _ tea.Model = (*Model)(nil)

// showAlone shows a run's screen by itself, as the screen over all runs shows it (see
// package watch), until the person leaves it or ctx ends.
func showAlone(ctx context.Context, o Options) (Result, error) {
	var m *Model
	err := Show(ctx, o, func(ctx context.Context, t *Terminal) (tea.Model, error) {
		var err error
		o.Terminal = t
		if m, err = New(ctx, o); err != nil {
			return nil, err
		}
		return alone{m}, nil
	})
	if m != nil {
		m.Close()
	}
	switch {
	case m != nil && m.crash != nil:
		return Result{}, m.crash
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Result{Action: Cancelled}, nil
	case err != nil:
		return Result{}, err
	}
	return m.result, nil
}

// alone is a program that ends with the screen that it shows.
type alone struct{ *Model }

func (a alone) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, left := msg.(LeftMsg); left {
		return a, tea.Quit
	}
	_, cmd := a.Model.Update(msg)
	return a, cmd
}
