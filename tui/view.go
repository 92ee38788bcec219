package tui

import (
	"context"
	"io"
	"runtime/debug"
	"time"

	"cifartui/tui/canvas"
	"cifartui/tui/dialog"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// A viewID names a page of the screen.
type viewID int

const (
	viewCharts viewID = iota
	viewCompare
	viewCheckpoints
	viewSamples
	viewSystem
	views // how many there are
)

var viewNames = [views]string{"Charts", "Compare", "Checkpoints", "Samples", "System"}

// A view is one page of the screen. It owns its state, the keys that steer it
// and its drawing.
type view interface {
	// bindings are the keys that steer the view and no other one.
	bindings() []keymap.Binding
	// setSize tells the size of the area that the view is drawn in.
	setSize(w, h int)
	// open is called as the screen turns to the view.
	open() tea.Cmd
	// receive learns from a message, on screen or not.
	receive(msg tea.Msg) tea.Cmd
	// settle is called after every message: it makes ready what is drawn and
	// holds what is scrolled or chosen to what there is.
	settle() tea.Cmd
	// draw draws the view and changes nothing.
	draw(a canvas.Area)
}

// A page is what views have in common, for those that need no more.
type page struct {
	*common
	w, h int // of the area that it is drawn in
}

func (p *page) bindings() []keymap.Binding { return nil }
func (p *page) setSize(w, h int)           { p.w, p.h = w, h }
func (p *page) open() tea.Cmd              { return nil }
func (p *page) receive(tea.Msg) tea.Cmd    { return nil }
func (p *page) settle() tea.Cmd            { return nil }

// common is what the model and its views share: the runs, how the terminal
// draws, and what is said and asked. It changes only in Update.
type common struct {
	ctx      context.Context
	o        Options
	glyphs   *style.Glyphs
	palette  *style.Palette
	table    keymap.Table // of all keys
	terminal io.Writer    // takes codes for the terminal; nil: there is none

	runList
	shown      viewID
	now        time.Time // of the last message that told it
	sourceDone bool      // no more events will come
	catchingUp bool      // the source had more than one batch: history is being read

	// turnTo shows a view.
	turnTo func(viewID) tea.Cmd

	notice  style.Span // what was last worth saying
	dialog  *dialog.Dialog
	pressed string // the last key that did something, for the event log
	result  Result
}

// canSteer reports whether the selected run takes commands.
func (c *common) canSteer() bool {
	r := c.current()
	return c.o.Control != nil && r != nil && r.live() && !c.sourceDone
}

// say puts a sentence into the message line, until the next key.
func (c *common) say(s style.Style, text string) { c.notice = s.Text(text) }

// ask puts a question over the view.
func (c *common) ask(d *dialog.Dialog) { c.dialog = d }

// leave ends the screen.
func (c *common) leave(r Result) tea.Cmd {
	if r.Why == "" && c.pressed != "" {
		r.Why = c.pressed + " pressed"
	}
	c.result = r
	return func() tea.Msg { return LeftMsg{Result: r, screen: c} }
}

// do makes a command of f. Its message comes to this screen and no other; a
// panic in it ends the screen like one in Update.
func (c *common) do(f func() tea.Msg) tea.Cmd {
	return func() (msg tea.Msg) {
		defer func() {
			if r := recover(); r != nil {
				msg = ownMsg{c, crashMsg{&Crash{r, debug.Stack()}}}
			}
		}()
		if msg = f(); msg == nil {
			return nil
		}
		return ownMsg{c, msg}
	}
}

// after makes a command that says when a time has passed.
func (c *common) after(d time.Duration, msg func(time.Time) tea.Msg) tea.Cmd {
	return c.do(func() tea.Msg {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case at := <-t.C:
			return msg(at)
		case <-c.ctx.Done():
			return nil
		}
	})
}

// needRun marks bindings that do nothing before there is a run.
func (c *common) needRun(bs []keymap.Binding) []keymap.Binding {
	for i := range bs {
		bs[i].When, bs[i].WhyNot = c.hasRun, func() string { return notBegun }
	}
	return bs
}

// keyOf returns how the first key of an action is shown, "" when it has none.
func (c *common) keyOf(action string) string { return c.table.KeyOf(action, c.glyphs) }

// find returns the binding that a key triggers now, or nil.
func (c *common) find(key string) *keymap.Binding { return c.table.Find(int(c.shown), key) }

// drawNothing draws a view that has nothing to show yet.
func (c *common) drawNothing(a canvas.Area, title string) {
	in := c.titled(a, title)
	words := "Waiting for the run to begin."
	switch {
	case len(c.all) > 0:
		words = "All runs are hidden."
	case c.sourceDone:
		words = "This run has no events: it never began."
	}
	in.Centre(in.H/2, style.Dim, words)
}

// drawWords draws a view that has only a sentence to show.
func (c *common) drawWords(a canvas.Area, title, words string) {
	in := c.titled(a, title)
	for i, l := range canvas.Wrap(words, in.W-4) {
		in.Centre(in.H/2+i, style.Dim, l)
	}
}

// titled draws a frame with a title and returns what is inside it.
func (c *common) titled(a canvas.Area, title string) canvas.Area {
	in := a.Box(style.Frame, c.glyphs)
	a.Text(2, 0, style.Heading, " "+title+" ")
	return in
}
