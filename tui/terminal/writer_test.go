package terminal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// A stuckWriter takes nothing until it is freed.
type stuckWriter struct {
	free chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.free
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.Write(p)
}

func (w *stuckWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.String()
}

// within fails the test when f has not returned after a time that is long even
// on a busy machine.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatalf("%s: still waiting", what)
	}
}

func TestWriterNeverWaitsForTheTerminal(t *testing.T) {
	out := &stuckWriter{free: make(chan struct{})}
	repaints := make(chan struct{}, 1)
	w := NewWriter(out)
	w.Repaint = func() { repaints <- struct{}{} }
	frame := strings.Repeat("x", 10<<10)
	within(t, "writing to a stuck terminal", func() {
		for range 1000 {
			if n, err := io.WriteString(w, frame); n != len(frame) || err != nil {
				t.Errorf("wrote %d bytes, %v", n, err)
			}
		}
		_, _ = io.WriteString(w, "\x1b[?1049l")
	})
	w.mu.Lock()
	waiting := len(w.queue)
	w.mu.Unlock()
	if waiting > queueMost+shortCode {
		t.Errorf("%d bytes wait, want at most %d", waiting, queueMost)
	}
	close(out.free)
	within(t, "painting anew", func() { <-repaints })
	w.End()
	if got := out.String(); !strings.HasSuffix(got, "\x1b[?1049l") {
		t.Errorf("the code that restores the terminal was lost; the end is %q", got[max(0, len(got)-20):])
	}
}

func TestClosingAStuckTerminalDoesNotHang(t *testing.T) {
	w := NewWriter(&stuckWriter{free: make(chan struct{})})
	_, _ = io.WriteString(w, "frame")
	within(t, "closing", w.End)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestALostTerminalIsToldOnce(t *testing.T) {
	w := NewWriter(brokenWriter{})
	lost := make(chan struct{}, 10)
	w.Lost = func() { lost <- struct{}{} }
	_, _ = io.WriteString(w, "a")
	within(t, "being told", func() { <-lost })
	_, _ = io.WriteString(w, "b")
	w.End()
	if err := w.Err(); !errors.Is(err, ErrGone) || !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if len(lost) != 0 {
		t.Error("told twice")
	}
}

func TestColoursOfTerminals(t *testing.T) {
	for _, c := range []struct {
		in       string
		dark, ok bool
	}{
		{"rgb:0000/0000/0000", true, true},
		{"rgb:ffff/ffff/ffff", false, true},
		{"rgb:f/f/f", false, true},
		{"rgba:0000/0000/0000/ffff", true, true},
		{"rgb:00ff/00ff/0000", true, true}, // a little of 16 bits
		{"rgb:fdf6/e3e3/0000", false, true},
		{"rgb:xyz/0/0", false, false},
		{"rgb://", false, false},
		{"#000000", false, false},
		{"", false, false},
	} {
		if dark, ok := darkColour(c.in); dark != c.dark || ok != c.ok {
			t.Errorf("darkColour(%q) = %v, %v, want %v, %v", c.in, dark, ok, c.dark, c.ok)
		}
	}
	for _, c := range []struct {
		in       string
		dark, ok bool
	}{
		{"15;0", true, true}, {"0;15", false, true}, {"0;default;15", false, true}, {"7;8", true, true},
		{"", false, false}, {"15", false, false}, {"15;default", false, false},
	} {
		if dark, ok := DarkByEnv(env("COLORFGBG", c.in)); dark != c.dark || ok != c.ok {
			t.Errorf("COLORFGBG=%q: %v, %v, want %v, %v", c.in, dark, ok, c.dark, c.ok)
		}
	}
}

// env is an environment of these variables.
func env(set ...string) func(string) string {
	vars := map[string]string{}
	for i := 0; i+1 < len(set); i += 2 {
		vars[set[i]] = set[i+1]
	}
	return func(k string) string { return vars[k] }
}
