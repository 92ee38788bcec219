package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cifartui/nn"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/metrics"
	"cifartui/train/record"
	"cifartui/train/survey/surveytest"
	"cifartui/tui"
)

// closing is a backend that only tells whether it was closed.
type closing struct {
	nn.Backend
	closed bool
}

func (c *closing) Close() { c.closed = true }

// idleRunner is a run that is there.
type idleRunner struct{ runner }

func (idleRunner) Folder() string                               { return "runs/x" }
func (idleRunner) Run(context.Context, func(event.Event)) error { return nil }
func (idleRunner) Send(event.Command) error                     { return nil }
func (idleRunner) Asked() []event.Command                       { return nil }

// An abort leaves a batch under way, which must not lose its backend; once a run
// has ended that is closed.
func TestBackendOutlivesTheBatchOfAnAbortedRun(t *testing.T) {
	for _, ended := range []bool{false, true} {
		b := &closing{}
		s := newSession(io.Discard, io.Discard, false)
		s.signals, s.backends = &signals{}, []nn.Backend{b}
		l := newLeg(s, plan{})
		l.run(idleRunner{})
		if ended {
			close(l.done)
		}
		l.close()
		s.closeBackends()
		if b.closed != ended {
			t.Errorf("ended %v: the backend is closed: %v", ended, b.closed)
		}
	}
}

// The process in the background may not get a GPU that this one still has: it would
// train on the processor, where that was left to it. This one lets go of it before.
func TestRunThatIsHandedOverLetsGoOfTheGPU(t *testing.T) {
	b := &closing{}
	s := newSession(io.Discard, io.Discard, false)
	s.signals, s.backends = &signals{}, []nn.Backend{b}
	l := newLeg(s, plan{defaultSettings()})
	l.run(idleRunner{})
	l.seen.take(&event.RunEnded{Header: event.Header{Run: "x"}, Outcome: event.OutcomeDetached})
	l.err = errors.New("so that no process is begun")
	close(l.done)
	if next, err := l.handOver(t.Context(), "ctl"); next != nil || !errors.Is(err, l.err) {
		t.Fatalf("next %v, error %v", next, err)
	}
	if !b.closed || len(s.backends) != 0 {
		t.Errorf("before the next process begins the backend is closed: %v; %d are kept", b.closed, len(s.backends))
	}
}

// endedRunner is a run that has ended.
type endedRunner struct{ idleRunner }

func (endedRunner) Send(event.Command) error { return errors.New("the run has ended") }

// A run that has ended when somebody wants it in the background is no failure: what
// was wanted at its end is done.
func TestRunThatEndsBeforeItIsHandedOverHasEnded(t *testing.T) {
	var out, errs bytes.Buffer
	s := newSession(&out, &errs, false)
	s.signals = &signals{}
	var p plan
	p.NoTUI, p.OnEnd = true, "echo it has ended"
	l := newLeg(s, p)
	l.run(endedRunner{})
	l.seen.take(&event.RunEnded{Header: event.Header{Run: "x"}, Outcome: event.OutcomeFinished})
	close(l.done)
	next, err := l.handOver(t.Context(), "ctl")
	if next != nil || err != nil || !strings.Contains(out.String(), "it has ended") {
		t.Errorf("next %v, error %v; it says %s%s", next, err, out.String(), errs.String())
	}
}

// Who waits for a process in the background hears of it for as long as it makes
// the run ready: they give up one that says nothing for 30 s. It is ready once it
// trains, as also one does that is to stop after the epoch, or is paused.
func TestWhoWaitsHearsThatTheRunIsMadeReady(t *testing.T) {
	for _, state := range []event.State{event.StateRunning, event.StatePaused, event.StateStopping} {
		file := filepath.Join(t.TempDir(), "ready")
		t.Setenv("CIFARTUI_READY", file)
		s := newSession(io.Discard, io.Discard, false)
		s.signals = &signals{}
		synctest.Test(t, func(t *testing.T) {
			var p plan
			p.child = true
			l := newLeg(s, p)
			defer l.close()
			events := l.bus.Subscribe()
			l.read(func() { l.watch(idleRunner{}, events) })
			said := ""
			for range 3 {
				time.Sleep(20 * time.Second)
				b, err := os.ReadFile(file + ".progress")
				if err != nil || string(b) == said {
					t.Errorf("after 20 s more it says %s, %v", b, err)
				}
				said = string(b)
			}
			if _, err := os.Stat(file); err == nil {
				t.Error("it is ready before it trains")
			}
			l.bus.Publish(&event.StateChanged{State: state})
			synctest.Wait()
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %v", state, err)
			}
			l.bus.Close()
			l.readers.Wait()
		})
	}
}

// A leg that trains something else than the one before has the threads of its own
// settings; one that goes on keeps what there is.
func TestLegHasTheThreadsOfItsSettings(t *testing.T) {
	s := newSession(io.Discard, io.Discard, false)
	s.signals = &signals{}
	defer s.closeBackends()
	c := config.Default()
	c.Data = "demo:40"
	var last nn.Backend
	for i, threads := range []int{1, 2, 2} {
		c.Threads = threads
		l := newLeg(s, plan{defaultSettings()})
		if err := l.open(t.Context(), l.plan.onProcessor(), c, nil); err != nil {
			t.Fatal(err)
		}
		l.close()
		if n := s.backends[0].Threads(); n != threads || (s.backends[0] == last) != (i == 2) {
			t.Errorf("leg %d has %d threads, want %d", i, n, threads)
		}
		last = s.backends[0]
	}
}

// Who wants to be told of the end is not at the screen: the command runs when the
// run has ended, not when the screen is left, and not once more then.
func TestOnEndDoesNotWaitForTheScreen(t *testing.T) {
	var out bytes.Buffer
	s := newSession(&out, io.Discard, false)
	s.signals = &signals{}
	var p plan
	p.OnEnd = `echo "it has $CIFARTUI_OUTCOME, $CIFARTUI_EXIT"`
	l := newLeg(s, p)
	l.run(idleRunner{})
	s.out.hold()
	events := l.bus.Subscribe()
	l.read(func() { l.watch(idleRunner{}, events) })
	l.bus.Publish(&event.RunEnded{Header: event.Header{Run: "x", Seq: 1}, Outcome: event.OutcomeFinished})
	l.bus.Close()
	close(l.done)
	l.endUnderScreen(t.Context())
	if out.Len() > 0 {
		t.Errorf("written over the screen: %s", &out)
	}
	s.out.release()
	for range 2 {
		if out.String() != "it has finished, 0\n" {
			t.Errorf("it says %q", out.String())
		}
		_ = l.finish()
	}
}

// A signal between two legs, as after a GPU is lost, ends the run that the record says
// is gone on with: who waits for it learns that it was stopped, as the process does.
func TestASignalBetweenTwoLegsIsTheRunsEnd(t *testing.T) {
	s := newSession(io.Discard, io.Discard, false)
	s.signals = newSignals()
	defer s.closeBackends()
	p := plan{defaultSettings()}.onProcessor()
	p.NoTUI, p.Runs, p.Name = true, t.TempDir(), "a"
	p.Data, p.Filters, p.Batch, p.Epochs, p.Threads = "demo:40", "4,4,4", 8, 1, 1
	if _, err := s.leg(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(p.Runs, "a")
	after := p.goingOn(inFolder{folder: folder}, nil)
	after.Epochs, after.Given = 3, map[string]bool{"epochs": true}
	s.signals.take(os.Interrupt)
	next, err := s.leg(t.Context(), after)
	if code := exitCode(exitOf(err)); next != nil || code != exitStopped {
		t.Errorf("exit %d (%v), want %d", code, err, exitStopped)
	}
	r, err := record.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	if r.Ended == nil || r.Ended.Outcome != event.OutcomeStopped || r.Ended.Signal == "" || len(r.Epochs) != 1 {
		t.Errorf("the record ends with %+v after %d epochs", r.Ended, len(r.Epochs))
	}
}

// inFolder is a run with a folder of its own.
type inFolder struct {
	endedRunner
	folder string
}

func (r inFolder) Folder() string { return r.folder }

// Who leaves the screen of a run that has ended sees the summary at once, and then
// why the metrics stay and how to end that; nothing waits where the end was scraped
// already, or where training goes on from a checkpoint.
func TestMetricsStayAfterTheSummary(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "x")
	if err := surveytest.Make(folder, surveytest.Default(time.Now())); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		scraped bool // since the end
		action  tui.Action
		signal  bool // Ctrl+C after 2 s
		waits   time.Duration
	}{
		{"nobody scrapes", false, tui.Closed, false, time.Minute},
		{"Ctrl+C", false, tui.Closed, true, 2 * time.Second},
		{"scraped", true, tui.Closed, false, 0},
		{"resumed", false, tui.ResumeFrom, false, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var said bytes.Buffer
			s := newSession(&said, &said, false)
			s.signals = newSignals()
			p := plan{defaultSettings()}
			l := newLeg(s, p)
			defer l.close()
			l.run(inFolder{folder: folder})
			end := &event.RunEnded{Header: event.Header{Run: "x"}, Outcome: event.OutcomeFinished}
			l.seen.take(end)
			close(l.done)
			l.page = new(metrics.Page)
			scrape := func() {
				l.page.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
			}
			scrape()
			if err := l.page.Write(end); err != nil {
				t.Fatal(err)
			}
			if c.scraped {
				scrape()
			}
			s.signals.obey(l)
			if c.signal {
				time.AfterFunc(2*time.Second, func() { s.signals.take(os.Interrupt) })
			}
			began := time.Now()
			if _, err := l.left(t.Context(), tui.Result{Action: c.action}); err != nil && c.action == tui.Closed {
				t.Errorf("%s: %v", c.name, err)
			}
			summary, word := strings.Index(said.String(), "run folder: "), strings.Index(said.String(), "Ctrl+C ends that")
			if d := time.Since(began); d != c.waits || (word >= 0) != (c.waits > 0) || word >= 0 && (summary < 0 || summary > word) || strings.Contains(said.String(), "the batch is finished") {
				t.Errorf("%s: it waits for %v, want %v, and says\n%s", c.name, d, c.waits, &said)
			}
		})
	}
}
