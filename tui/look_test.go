package tui

import (
	"context"
	"testing"
	"time"

	"cifartui/train/event"

	tea "github.com/charmbracelet/bubbletea"
)

// env is an environment for tests: a UTF-8 terminal with true colours.
func env(set ...string) func(string) string {
	vars := map[string]string{"LANG": "C.UTF-8", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
	for i := 0; i+1 < len(set); i += 2 {
		vars[set[i]] = set[i+1]
	}
	return func(k string) string { return vars[k] }
}

// A bench is a model under test, driven without a terminal.
type bench struct {
	*Model
	t       testing.TB
	control *fakeControl
	at      time.Time
	turned  bool // to the screen over all runs
}

func newBench(t testing.TB, o Options, w, h int, events ...event.Event) *bench {
	t.Helper()
	b := &bench{t: t, control: &fakeControl{}, at: testStart}
	if o.Env == nil {
		o.Env = env()
	}
	if o.Control == nil && o.Mode != Replay {
		o.Control = b.control
	}
	if o.Name == "" {
		o.Name = "model_20261123_1405"
	}
	o.now = func() time.Time { return b.at }
	m, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.Model = m
	b.Update(tea.WindowSizeMsg{Width: w, Height: h})
	b.feed(events...)
	return b
}

// feed gives events as one batch, seconds after the last.
func (b *bench) feed(es ...event.Event) {
	b.t.Helper()
	if len(es) == 0 {
		return
	}
	b.at = b.at.Add(2 * time.Second)
	if t := es[len(es)-1].Head().Time; t.After(b.at) {
		b.at = t
	}
	if files, ok := b.o.Checkpoints.(*fakeFiles); ok {
		files.write(es)
	}
	b.Update(eventsMsg{events: es, at: b.at})
	b.check()
}

// press gives keys, and runs the commands that they bring, ticks left out.
func (b *bench) press(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		_, cmd := b.Update(keyMsg(k))
		b.run(cmd)
	}
}

// open turns to a view.
func (b *bench) open(v viewID) {
	b.show(v)
	b.settle()
}

func (b *bench) run(cmd tea.Cmd) {
	b.t.Helper()
	if cmd == nil {
		return
	}
	msg := cmd()
	switch msg := msg.(type) {
	case nil, LeftMsg:
	case AllRunsMsg:
		b.turned = msg.Of(b.Model)
	case tea.BatchMsg: // these run side by side, as some wait for others
		done := make(chan tea.Msg, len(msg))
		for _, c := range msg {
			go func() {
				if c == nil {
					done <- nil
				} else {
					done <- c()
				}
			}()
		}
		for range msg {
			m := <-done
			b.run(func() tea.Msg { return m })
		}
	default:
		_, next := b.Update(msg)
		b.run(next)
	}
	b.check()
}

func (b *bench) check() {
	b.t.Helper()
	if b.crash != nil {
		b.t.Fatalf("%v\n%s", b.crash, b.crash.Stack)
	}
}

var keyTypes = map[string]tea.KeyType{
	"left": tea.KeyLeft, "right": tea.KeyRight, "up": tea.KeyUp, "down": tea.KeyDown, "enter": tea.KeyEnter,
	"esc": tea.KeyEsc, "tab": tea.KeyTab, "shift+tab": tea.KeyShiftTab, "home": tea.KeyHome, "end": tea.KeyEnd,
	"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "ctrl+c": tea.KeyCtrlC, "ctrl+z": tea.KeyCtrlZ, "delete": tea.KeyDelete,
	"shift+left": tea.KeyShiftLeft, "shift+right": tea.KeyShiftRight, "backspace": tea.KeyBackspace,
	"ctrl+b": tea.KeyCtrlB, "ctrl+f": tea.KeyCtrlF, "ctrl+u": tea.KeyCtrlU,
}

func keyMsg(k string) tea.KeyMsg {
	if t, ok := keyTypes[k]; ok {
		return tea.KeyMsg{Type: t}
	}
	if k == " " {
		return tea.KeyMsg{Type: tea.KeySpace, Runes: []rune(k)}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
}
