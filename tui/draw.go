package tui

import (
	"fmt"

	"cifartui/train"

	tea "github.com/charmbracelet/bubbletea"
)

// draw makes the frame: the header, a view, the message line and the keys, and
// over them what asks for an answer.
func (m *Model) draw() string {
	c := newCanvas(m.w, m.h)
	all := c.all()
	if m.w < leastWidth || m.h < leastHeight {
		all.text(0, 0, plain, elide(fmt.Sprintf("needs %dx%d, is %dx%d", leastWidth, leastHeight, m.w, m.h), m.w, m.glyphs))
		return m.encode(c)
	}
	top := m.headerHeight()
	bottom := 1
	message := m.h >= 18
	if message {
		bottom = 2
	}
	m.drawHeader(all.sub(0, 0, m.w, top))
	body := all.sub(0, top, m.w, m.h-top-bottom)
	foot := all.sub(1, m.h-1, m.w-2, 1)
	words := m.message()
	if message {
		all.text(1, m.h-2, words.s, elide(words.t, m.w-2, m.glyphs))
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
	if !message && m.notice.t != "" {
		foot.text(0, 0, m.notice.s, elide(m.notice.t, foot.w, m.glyphs))
	} else {
		m.drawFooter(foot)
	}
	return m.encode(c)
}

func (m *Model) encode(c *canvas) string {
	if !m.glyphs.unicode {
		c.asciiOnly()
	}
	return c.encode(m.palette)
}

func (m *Model) drawView(a area) {
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
func (m *Model) drawNothing(a area, title string) {
	in := a.box(frame, m.glyphs)
	a.text(2, 0, heading, " "+title+" ")
	words := "Waiting for the run to begin."
	switch {
	case len(m.runs) > 0:
		words = "All runs are hidden."
	case m.sourceDone:
		words = "This run has no events: it never began."
	}
	in.centre(in.h/2, dim, words)
}

// message is the one sentence that matters most now.
func (m *Model) message() span {
	r := m.current()
	switch {
	case m.notice.t != "":
		return m.notice
	case r == nil:
		return span{}
	case r.asked != "":
		return span{amber, upperFirst(r.asked) + m.glyphs.dots}
	case r.ended != nil && r.state == train.StateFailed:
		return span{trouble, r.outcome()}
	case r.ended != nil:
		return span{plain, r.outcome()}
	case r.lost != "" && m.o.Mode == Replay:
		return span{amber, "The record ends without the run's end: it was killed, or is at work elsewhere."}
	case r.state == train.StatePaused:
		return span{amber, "Paused. " + keyLabel(m.keyOf("pause"), m.glyphs) + " goes on."}
	case r.turned:
		return span{amber, r.turnWords()}
	case r.epochs.len() == 0 && r.step == nil:
		return span{dim, "Waiting for the first batch."}
	case r.epochs.len() == 0:
		return span{dim, "Validation values come after the first epoch."}
	}
	return span{}
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
func (m *Model) drawFooter(a area) {
	if m.dialog != nil || m.loading != nil {
		return
	}
	var left, right []part
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
		p := part{b.rank, []span{{keyName, label}, {dim, " " + name}}}
		if b.group == "The screen" {
			right = append(right, p)
		} else {
			left = append(left, p)
		}
	}
	a.line(0, 2, left, right)
}

// drawHelp lists every binding by its group, in columns where there is room.
func (m *Model) drawHelp(a area) {
	in := a.box(frame, m.glyphs)
	a.text(2, 0, heading, " Keys ")
	lines := m.helpLines()
	cols := max(1, min(3, in.w/58))
	perCol := (len(lines) + cols - 1) / cols
	if cols == 1 {
		perCol = len(lines)
	}
	m.helpTop = max(0, min(m.helpTop, perCol-in.h))
	w := in.w / cols
	for c := range cols {
		for y := range in.h {
			i := c*perCol + m.helpTop + y
			if i >= len(lines) || y+m.helpTop >= perCol {
				break
			}
			in.sub(c*w+1, y, w-2, 1).spans(0, 0, lines[i]...)
		}
	}
	if perCol > in.h {
		a.text(a.w-2-width(" more below "), a.h-1, dim, " more "+m.glyphs.up+m.glyphs.down+" ")
	}
}

func (m *Model) helpLines() [][]span {
	var lines [][]span
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
			lines = append(lines, []span{{heading, group}})
		}
		var keys string
		for i, k := range b.keys {
			if i > 0 {
				keys += " "
			}
			keys += keyLabel(k, m.glyphs)
		}
		pad := max(1, 15-width(keys))
		lines = append(lines, []span{{keyName, keys}, {plain, fmt.Sprintf("%*s", pad, "")}, {plain, b.long}})
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
