package tui

import (
	"context"
	"io"
	"testing"
	"time"

	"cifartui/train/event"

	tea "github.com/charmbracelet/bubbletea"
)

// noEvents is a source that has ended.
type noEvents struct{}

func (noEvents) Next(context.Context, int) ([]event.Event, error) { return nil, io.EOF }

// A screen on another process's run that nobody touches looks at it once a second;
// a key has it look at once, and as often as any other for a while.
func TestUntouchedAttachedScreenRests(t *testing.T) {
	for _, c := range []struct {
		mode             Mode
		before, touching time.Duration
	}{{Attached, watchPause, eventPause}, {Live, eventPause, eventPause}} {
		now := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
		m, err := New(t.Context(), Options{Source: noEvents{}, Mode: c.mode, Env: func(string) string { return "" }, now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if got := m.pause(); got != c.before {
			t.Errorf("mode %v: untouched it rests for %v, want %v", c.mode, got, c.before)
		}
		came := make(chan tea.Msg, 1)
		rest := m.wait(time.Hour)
		go func() { came <- rest() }()
		m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{'l'}})
		select {
		case <-came:
		case <-time.After(patience):
			t.Fatalf("mode %v: a key does not end the rest", c.mode)
		}
		if got := m.pause(); got != c.touching {
			t.Errorf("mode %v: just touched it rests for %v, want %v", c.mode, got, c.touching)
		}
		m.now = now.Add(attention + time.Second)
		if got := m.pause(); got != c.before {
			t.Errorf("mode %v: left alone again it rests for %v, want %v", c.mode, got, c.before)
		}
	}
}
