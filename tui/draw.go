package tui

import (
	"fmt"

	"cifartui/train"
	"cifartui/tui/canvas"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// draw makes the frame: the header, a view, the message line and the keys, and
// over them what asks for an answer.
func (m *Model) draw() string {
	c := canvas.New(m.w, m.h)
	all := c.All()
	if m.w < leastWidth || m.h < leastHeight {
		all.Text(0, 0, style.Plain, canvas.Elide(fmt.Sprintf("needs %dx%d, is %dx%d", leastWidth, leastHeight, m.w, m.h), m.w, m.glyphs))
		return m.encode(c)
	}
	top := m.headerHeight()
	bottom := 1
	message := m.h >= 18
	if message {
		bottom = 2
	}
	m.drawHeader(all.Sub(0, 0, m.w, top))
	body := all.Sub(0, top, m.w, m.h-top-bottom)
	foot := all.Sub(1, m.h-1, m.w-2, 1)
	words := m.message()
	if message {
		all.Text(1, m.h-2, words.Style, canvas.Elide(words.Text, m.w-2, m.glyphs))
	}
	switch {
	case m.loading != nil:
		m.drawLoading(body)
	case m.help:
		m.drawHelp(body)
	default:
		m.drawView(body)
	}
	if m.dialog != nil {
		m.dialog.draw(body, m.glyphs)
	}
	if !message && m.notice.Text != "" {
		foot.Text(0, 0, m.notice.Style, canvas.Elide(m.notice.Text, foot.W, m.glyphs))
	} else {
		m.drawFooter(foot)
	}
	return m.encode(c)
}

func (m *Model) encode(c *canvas.Canvas) string {
	if !m.glyphs.Unicode {
		c.ASCIIOnly()
	}
	return c.Encode(m.palette)
}

func (m *Model) drawView(a canvas.Area) {
	switch m.view {
	case viewCharts:
		m.drawCharts(a)
	case viewCompare:
		m.drawCompare(a)
	case viewCheckpoints:
		m.drawCheckpoints(a)
	case viewSamples:
		m.drawSamples(a)
	case viewSystem:
		m.drawSystem(a)
	}
}

// drawNothing draws a view that has nothing to show yet.
func (m *Model) drawNothing(a canvas.Area, title string) {
	in := a.Box(style.Frame, m.glyphs)
	a.Text(2, 0, style.Heading, " "+title+" ")
	words := "Waiting for the run to begin."
	switch {
	case len(m.runs) > 0:
		words = "All runs are hidden."
	case m.sourceDone:
		words = "This run has no events: it never began."
	}
	in.Centre(in.H/2, style.Dim, words)
}

// message is the one sentence that matters most now.
func (m *Model) message() style.Span {
	r := m.current()
	switch {
	case m.notice.Text != "":
		return m.notice
	case r == nil:
		return style.Span{}
	case r.asked != "":
		return style.Caution.Text(upperFirst(r.asked) + m.glyphs.Dots)
	case r.ended != nil && r.state == train.StateFailed:
		return style.Trouble.Text(r.outcome())
	case r.ended != nil:
		return style.Plain.Text(r.outcome())
	case r.lost != "" && m.o.Mode == Replay:
		return style.Caution.Text("The record ends without the run's end: it was killed, or is at work elsewhere.")
	case r.state == train.StatePaused:
		return style.Caution.Text("Paused. " + keyLabel(m.keyOf("pause"), m.glyphs) + " goes on.")
	case r.turned:
		return style.Caution.Text(r.turnWords())
	case r.epochs.Len() == 0 && r.step == nil:
		return style.Dim.Text("Waiting for the first batch.")
	case r.epochs.Len() == 0:
		return style.Dim.Text("Validation values come after the first epoch.")
	}
	return style.Span{}
}

// turnWords says what overfitting looks like in this run.
func (r *run) turnWords() string {
	t := r.turn
	return fmt.Sprintf("Overfitting since epoch %.0f: validation loss rose from %.4f to %.4f while training loss fell from %.4f to %.4f.",
		t.epoch, t.valLow, t.valNow, t.trainThen, t.trainIs)
}

// keyOf returns the first key of an action, "" when it has none.
func (m *Model) keyOf(action string) string {
	for _, b := range m.bindings {
		if b.action == action && len(b.keys) > 0 {
			return b.keys[0]
		}
	}
	return ""
}

// drawFooter shows the keys that count now, as many as fit.
func (m *Model) drawFooter(a canvas.Area) {
	if m.dialog != nil || m.loading != nil {
		return
	}
	var left, right []canvas.Part
	for i, b := range m.bindings {
		if b.short == "" && b.action != "quit" || b.views&(1<<m.view) == 0 || len(b.keys) == 0 || b.when != nil && !b.when(m) {
			continue
		}
		label := keyLabel(b.keys[0], m.glyphs)
		if b.pair && i+1 < len(m.bindings) && len(m.bindings[i+1].keys) > 0 {
			next := keyLabel(m.bindings[i+1].keys[0], m.glyphs)
			if len(label) > 1 && label[0] < 0x80 {
				next = "/" + next
			}
			label += next
		}
		name := b.short
		switch b.action {
		case "pause":
			if r := m.current(); r.state == train.StatePaused {
				name = "go on"
			}
		}
		p := canvas.Ranked(b.rank, style.Key.Text(label), style.Dim.Text(" "+name))
		if b.group == "The screen" {
			right = append(right, p)
		} else {
			left = append(left, p)
		}
	}
	a.Line(0, 2, left, right)
}

// drawHelp lists every binding by its group, in columns where there is room.
func (m *Model) drawHelp(a canvas.Area) {
	in := a.Box(style.Frame, m.glyphs)
	a.Text(2, 0, style.Heading, " Keys ")
	lines := m.helpLines()
	cols := max(1, min(3, in.W/58))
	perCol := (len(lines) + cols - 1) / cols
	if cols == 1 {
		perCol = len(lines)
	}
	m.helpTop = max(0, min(m.helpTop, perCol-in.H))
	w := in.W / cols
	for c := range cols {
		for y := range in.H {
			i := c*perCol + m.helpTop + y
			if i >= len(lines) || y+m.helpTop >= perCol {
				break
			}
			in.Sub(c*w+1, y, w-2, 1).Spans(0, 0, lines[i]...)
		}
	}
	if perCol > in.H {
		a.Text(a.W-2-canvas.Width(" more below "), a.H-1, style.Dim, " more "+m.glyphs.Up+m.glyphs.Down+" ")
	}
}

func (m *Model) helpLines() [][]style.Span {
	var lines [][]style.Span
	group := ""
	for _, b := range m.bindings {
		if len(b.keys) == 0 {
			continue
		}
		if b.group != group {
			if group != "" {
				lines = append(lines, nil)
			}
			group = b.group
			lines = append(lines, []style.Span{style.Heading.Text(group)})
		}
		var keys string
		for i, k := range b.keys {
			if i > 0 {
				keys += " "
			}
			keys += keyLabel(k, m.glyphs)
		}
		pad := max(1, 15-canvas.Width(keys))
		lines = append(lines, []style.Span{style.Key.Text(keys), style.Plain.Text(fmt.Sprintf("%*s", pad, "")), style.Plain.Text(b.long)})
	}
	return lines
}

func (m *Model) toggleHelp() tea.Cmd {
	m.help, m.helpTop = !m.help, 0
	return nil
}

// helpKey scrolls the help or closes it.
func (m *Model) helpKey(k string) tea.Cmd {
	switch k {
	case "down", "j", "pgdown":
		m.helpTop++
	case "up", "k", "pgup":
		m.helpTop = max(m.helpTop-1, 0)
	default:
		m.help = false
		if b := m.find(k); b != nil && b.action == "quit" && k == "ctrl+c" {
			return m.askQuit()
		}
	}
	return nil
}
