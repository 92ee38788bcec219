package record

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cifartui/train/event"
	"cifartui/train/event/eventtest"
)

// eventList is a Source over events.
type eventList []event.Event

func (l *eventList) Next(_ context.Context, max int) ([]event.Event, error) {
	n := min(max, len(*l), 3)
	if n == 0 {
		return nil, io.EOF
	}
	head := (*l)[:n]
	*l = (*l)[n:]
	return head, nil
}

func TestFailedAppendIsWrittenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	a := NewAppender(f, 0)
	a.Add([]byte("one "))
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	readOnly, err := os.Open(path) // every write fails, as on a full disk
	if err != nil {
		t.Fatal(err)
	}
	a.f = readOnly
	a.Add([]byte("two "))
	if err := a.Flush(); err == nil {
		t.Fatal("a failed write gave no error")
	}
	readOnly.Close()
	a.f = f
	if _, err := f.WriteAt([]byte("t"), 4); err != nil { // what it tore
		t.Fatal(err)
	}
	a.Add([]byte("three"))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "one two three" {
		t.Errorf("file holds %q", got)
	}
}

// What had no room while nothing could be written is told, once, when the rest is
// written, and then that the file is written again.
func TestWhatAnAppenderDroppedIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	readOnly, err := os.Open(path) // every write fails, as on a full disk
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	s := &appending{Appender: NewAppender(readOnly, 0), add: [][]byte{make([]byte, maxPending), {1}, {2}, {3}}}
	s.before = func() {
		if len(s.add) == 1 {
			s.f = f
		}
	}
	var told []string
	src := eventList{&event.Warning{}, &event.Warning{}, &event.Warning{}, &event.Warning{}, &event.Warning{}}
	if err := Drain(t.Context(), &src, func(err error) {
		switch {
		case err == nil:
			told = append(told, "works")
		case errors.Is(err, ErrDropped):
			told = append(told, err.Error()[:1])
		default:
			told = append(told, "fails")
		}
	}, s); err != nil {
		t.Fatal(err)
	}
	if want := []string{"fails", "3", "works"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if st, err := os.Stat(path); err != nil || st.Size() != maxPending {
		t.Errorf("the file has %d bytes, %v", st.Size(), err)
	}
}

// appending is a Sink that appends something at each event, while there is any.
type appending struct {
	*Appender
	add    [][]byte
	before func()
}

func (a *appending) Write(event.Event) error {
	a.before()
	if len(a.add) > 0 {
		a.Add(a.add[0])
		a.add = a.add[1:]
	}
	return a.Flush()
}

func TestKeptDropsWhatResumesTookBack(t *testing.T) {
	step := func(total int64) event.Event { return &event.StepDone{Total: total, Count: 1} }
	start := func(epoch int, total int64) *event.RunStarted {
		return &event.RunStarted{Resumed: total > 0, ResumedEpoch: epoch, ResumedTotal: total}
	}
	epoch := func() event.Event { return &event.EpochDone{Epoch: 1, Total: 3} }
	now := start(2, 5)
	now.Folder = t.TempDir()
	eventtest.Write(t, now.Folder, start(0, 0), step(1), step(2), step(3), epoch(), step(4),
		start(1, 3), epoch(), // saved after the epoch's last batch and before its end
		start(1, 2), step(3), &event.Warning{}, epoch(), step(4), step(5), step(6), now, step(6))
	kept, err := Kept(now, 1)
	if err != nil {
		t.Fatal(err)
	}
	var totals []int64
	for _, e := range kept {
		switch e := e.(type) {
		case *event.StepDone:
			totals = append(totals, e.Total)
		case *event.EpochDone:
			totals = append(totals, e.Total)
		}
	}
	if want := []int64{2, 3, 3, 4, 5}; !slices.Equal(totals, want) {
		t.Errorf("totals %v, want %v", totals, want)
	}
}

// sinkLog is a Sink that remembers, and fails when told to.
type sinkLog struct {
	runs   []string
	fail   bool
	closed int
}

func (s *sinkLog) Write(e event.Event) error {
	s.runs = append(s.runs, e.Head().Run)
	if s.fail {
		return errors.New("full disk")
	}
	return nil
}

func (s *sinkLog) Close() error { s.closed++; return nil }

func TestFolderSinkRoutesByRun(t *testing.T) {
	made := make(map[string][]*sinkLog)
	sink := NewFolderSink(func(r *event.RunStarted) (Sink, error) {
		if r.Run == "bad" {
			return nil, errors.New("read-only folder")
		}
		s := new(sinkLog)
		made[r.Run] = append(made[r.Run], s)
		return s, nil
	})
	at := func(run string) event.Header { return event.Header{Run: run} }
	src := eventList{
		&event.StepDone{Header: at("a")}, // before its start: nowhere to go
		&event.RunStarted{Header: at("a")}, &event.RunStarted{Header: at("b")}, &event.RunStarted{Header: at("bad")},
		&event.StepDone{Header: at("a")}, &event.StepDone{Header: at("b")}, &event.StepDone{Header: at("bad")},
		&event.RunStarted{Header: at("a")}, &event.StepDone{Header: at("a")}, &event.StepDone{Header: at("a")},
	}
	var warnings int
	if err := Drain(t.Context(), &src, func(error) { warnings++ }, sink); err != nil {
		t.Fatal(err)
	}
	if warnings != 1 {
		t.Errorf("%d warnings, want 1 for the folder that can't be written", warnings)
	}
	if n := len(made["a"]); n != 2 {
		t.Fatalf("run a has %d sinks, want one a start", n)
	}
	counts := []int{len(made["a"][0].runs), len(made["a"][1].runs), len(made["b"][0].runs)}
	if want := []int{1, 2, 1}; !slices.Equal(counts, want) {
		t.Errorf("events by sink %v, want %v", counts, want)
	}
	for run, list := range made {
		for _, s := range list {
			if s.closed != 1 {
				t.Errorf("a sink of run %s was closed %d times", run, s.closed)
			}
		}
	}
}

func TestDrainWarnsOnceAndTellsWhenASinkWorksAgain(t *testing.T) {
	sink := &sinkLog{fail: true}
	var told []bool // failures
	src := &flipSource{sink: sink, left: 6}
	if err := Drain(t.Context(), src, func(err error) { told = append(told, err != nil) }, sink); err != nil {
		t.Fatal(err)
	}
	// Fails, fails, works, works, fails, fails.
	if want := []bool{true, false, true}; !slices.Equal(told, want) {
		t.Errorf("failures told: %v, want %v", told, want)
	}
}

// flipSource gives one event at a time and turns the sink's failing over after
// every second.
type flipSource struct {
	sink *sinkLog
	left int
}

func (f *flipSource) Next(context.Context, int) ([]event.Event, error) {
	if f.left == 0 {
		return nil, io.EOF
	}
	f.sink.fail = f.left != 4 && f.left != 3
	f.left--
	return []event.Event{&event.Warning{}}, nil
}

// panicSink panics where it is told to.
type panicSink struct {
	sinkLog
	inWrite, inClose bool
}

func (s *panicSink) Write(e event.Event) error {
	if s.inWrite {
		panic("a nil pointer, say")
	}
	return s.sinkLog.Write(e)
}

func (s *panicSink) Close() error {
	if s.inClose {
		panic("a nil pointer, say")
	}
	return s.sinkLog.Close()
}

// A panic in a writer is told, with its stack, and ends that writer alone.
func TestPanicInASinkEndsThatSinkAlone(t *testing.T) {
	good := new(sinkLog)
	folder := NewFolderSink(
		func(*event.RunStarted) (Sink, error) { panic("cannot even open") },
		func(*event.RunStarted) (Sink, error) { return &panicSink{inWrite: true}, nil },
		func(*event.RunStarted) (Sink, error) { return good, nil },
	)
	at := event.Header{Run: "a"}
	src := eventList{&event.RunStarted{Header: at}, &event.StepDone{Header: at}, &event.StepDone{Header: at}}
	direct := &panicSink{inWrite: true}
	var warnings []error
	if err := Drain(t.Context(), &src, func(err error) { warnings = append(warnings, err) }, folder, direct, &panicSink{inClose: true}); err == nil || !strings.Contains(err.Error(), "fault in the program") {
		t.Errorf("a panic in Close: %v", err)
	}
	if len(good.runs) != 2 || good.closed != 1 {
		t.Errorf("the sink beside them got %d events and was closed %d times", len(good.runs), good.closed)
	}
	if len(warnings) == 0 {
		t.Fatal("nothing was told")
	}
	for _, err := range warnings {
		var fault *PanicError
		if !errors.As(err, &fault) || !strings.Contains(string(fault.Stack), "sink_test.go") || strings.Contains(err.Error(), "\n\n") {
			t.Errorf("warning %v", err)
		}
	}
}
