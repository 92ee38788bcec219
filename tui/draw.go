package tui

import (
	"fmt"

	"cifartui/train/event"
	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// The smallest window that has room for the views.
const leastWidth, leastHeight = 40, 12

// rows divides the window's height: lines of the header, and below the view one
// for the keys and, where there is room, one for a message.
func rows(h int) (header, below int) {
	header, below = 3, 2
	if h < 16 {
		header = 2
	}
	if h < 18 {
		below = 1
	}
	return header, below
}

// tooSmall reports whether the window has no room for the views.
func (m *Model) tooSmall() bool { return m.w < leastWidth || m.h < leastHeight }

// drawBody draws what is between the header and the message line.
func (m *Model) drawBody() string {
	if m.tooSmall() {
		return ""
	}
	top, below := rows(m.h)
	c := canvas.New(m.w, m.h-top-below)
	body := c.All()
	switch {
	case m.loading.on:
		m.loading.draw(body)
	case m.help.On:
		m.help.Draw(body, m.table, m.glyphs)
	default:
		m.view(m.shown).draw(body)
	}
	if m.dialog != nil {
		m.dialog.Draw(body, m.glyphs)
	}
	return c.Encode(m.palette, m.glyphs)
}

// around puts the header above a body, the message line and the keys below it.
// These change several times a second, the body hardly ever.
func (m *Model) around(body string) string {
	if m.tooSmall() {
		c := canvas.New(m.w, m.h)
		if m.dialog != nil { // what is asked is answered by keys, and must be seen
			m.dialog.Draw(c.All(), m.glyphs)
		} else {
			c.All().Text(0, 0, style.Plain, canvas.Elide(fmt.Sprintf("needs %dx%d, is %dx%d", leastWidth, leastHeight, m.w, m.h), m.w, m.glyphs))
		}
		return c.Encode(m.palette, m.glyphs)
	}
	top, below := rows(m.h)
	head, foot := canvas.New(m.w, top), canvas.New(m.w, below)
	m.header.draw(head.All())
	keys := foot.All().Sub(1, below-1, m.w-2, 1)
	words, r := m.message(), m.current()
	switch {
	case below > 1:
		foot.All().Text(1, 0, words.Style, canvas.Elide(words.Text, m.w-2, m.glyphs))
		m.drawFooter(keys)
	case m.notice.Text != "", r != nil && r.asked != "":
		keys.Text(0, 0, words.Style, canvas.Elide(words.Text, keys.W, m.glyphs))
	default:
		m.drawFooter(keys)
	}
	return head.Encode(m.palette, m.glyphs) + "\n" + body + "\n" + foot.Encode(m.palette, m.glyphs)
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
		return style.Caution.Text(format.UpperFirst(r.asked) + m.glyphs.Dots)
	case r.Ended != nil && r.State == event.StateFailed:
		return style.Trouble.Text(r.outcome())
	case r.Ended != nil:
		return style.Plain.Text(r.outcome())
	case r.lost != "" && m.o.Mode == Replay:
		return style.Caution.Text("The record ends without the run's end: it was killed, or is at work elsewhere.")
	case r.State == event.StatePaused:
		return style.Caution.Text("Paused. " + m.keyOf("pause") + " goes on.")
	case r.overfits:
		return style.Caution.Text(r.overfitting.words())
	case r.epochs.Len() == 0 && r.Step == nil:
		return style.Dim.Text("Waiting for the first batch.")
	case r.epochs.Len() == 0:
		return style.Dim.Text("Validation values come after the first epoch.")
	}
	return style.Span{}
}

// drawFooter shows the keys that count now, as many as fit.
func (m *Model) drawFooter(a canvas.Area) {
	if m.dialog != nil || m.loading.on {
		return
	}
	m.table.DrawFooter(a, int(m.shown), screenGroup, m.glyphs)
}
