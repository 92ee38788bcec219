package watch

import (
	"fmt"
	"strings"

	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// The smallest window that has room for the list.
const leastWidth, leastHeight = 40, 12

// A pane is what stands beside the list.
type pane int

const (
	paneCurves pane = iota
	paneSettings
	paneNone
	panes
)

// Sizes at which the pane has room.
const (
	besideWidth = 110 // of the window: beside the list
	underHeight = 26  // of the window: under it
	bothHeight  = 50  // of the pane: curves and settings
)

func (m *Model) turnPane(d int) { m.pane = (m.pane + pane(d) + panes) % panes }

// rows divides the window's height: lines of the header, and below the list one
// for the keys and, where there is room, one for a message.
func rows(h int) (header, below int) {
	if h < 18 {
		return 2, 1
	}
	return 2, 2
}

// layout divides the window between the list and the pane; where there is room for
// one only, a pane that was turned to takes it all.
func (m *Model) layout(a canvas.Area) (list, pane canvas.Area) {
	none := a.Sub(0, 0, 0, 0)
	switch {
	case m.pane == paneNone:
		return a, none
	case m.w >= besideWidth:
		least := 73
		if m.list.jobs {
			least = 79
		}
		w := max(least, min(a.W*9/20, 112))
		return a.Sub(0, 0, w, a.H), a.Sub(w, 0, a.W-w, a.H)
	case m.h >= underHeight:
		h := max(11, a.H*2/5)
		return a.Sub(0, 0, a.W, a.H-h), a.Sub(0, a.H-h, a.W, h)
	case m.pane == paneSettings:
		return none, a
	}
	return a, none
}

// listRows is how many runs the window shows.
func (m *Model) listRows() int {
	if m.tooSmall() {
		return 1
	}
	list, _ := m.layout(m.body())
	return max(1, list.H-3)
}

// body is the size of the area between the header and the message line.
func (m *Model) body() canvas.Area {
	top, below := rows(m.h)
	return canvas.Area{W: m.w, H: m.h - top - below}
}

func (m *Model) tooSmall() bool { return m.w < leastWidth || m.h < leastHeight }

// settle makes ready what is drawn next, and holds what is scrolled or chosen to
// what there is.
func (m *Model) settle() {
	m.list.settle(m.now, m.listRows()) // keys act on it in any window
	if m.tooSmall() {
		return
	}
	m.settleCurves()
	m.settleSettings()
	top, below := rows(m.h)
	m.help.Settle(m.table, m.w, m.h-top-below, m.glyphs)
}

// draw makes the frame.
func (m *Model) draw() string {
	c := canvas.New(m.w, m.h)
	all := c.All()
	if m.tooSmall() {
		if m.dialog != nil { // what is asked is answered by keys, and must be seen
			m.dialog.Draw(all, m.glyphs)
		} else {
			all.Text(0, 0, style.Plain, canvas.Elide(fmt.Sprintf("needs %dx%d, is %dx%d", leastWidth, leastHeight, m.w, m.h), m.w, m.glyphs))
		}
		return c.Encode(m.palette, m.glyphs)
	}
	top, below := rows(m.h)
	m.drawHeader(all.Sub(1, 0, m.w-2, top))
	body := all.Sub(0, top, m.w, m.h-top-below)
	if m.help.On {
		m.help.Draw(body, m.table, m.glyphs)
	} else {
		list, pane := m.layout(body)
		if list.H > 0 {
			m.drawList(list)
		}
		if pane.H > 0 {
			m.drawPane(pane)
		}
	}
	if m.dialog != nil {
		m.dialog.Draw(body, m.glyphs)
	}
	m.drawFoot(all.Sub(1, m.h-below, m.w-2, below))
	return c.Encode(m.palette, m.glyphs)
}

// drawPane draws the curves or the settings, and in a tall pane both.
func (m *Model) drawPane(a canvas.Area) {
	switch {
	case a.H >= bothHeight:
		h := a.H * 3 / 5
		m.drawCurves(a.Sub(0, 0, a.W, h))
		m.drawSettings(a.Sub(0, h, a.W, a.H-h))
	case m.pane == paneSettings:
		m.drawSettings(a)
	default:
		m.drawCurves(a)
	}
}

// drawHeader says what is watched, how many runs there are and how they do, and
// which of them are shown.
func (m *Model) drawHeader(a canvas.Area) {
	l := m.list
	left := []canvas.Part{
		canvas.Ranked(4, style.Heading.Text("cifartui")),
		canvas.Ranked(2, style.Plain.Text(canvas.Elide(strings.Join(m.o.Folders, "  "), max(10, a.W/3), m.glyphs))),
		canvas.Ranked(0, style.Plain.Text(format.Count(int64(len(l.rows)))), style.Dim.Text(plural(len(l.rows), " run"))),
	}
	if !l.listed {
		left = append(left, canvas.Ranked(1, style.Dim.Text(m.glyphs.Busy+" reading")))
	}
	if n := l.live - l.paused; n > 0 {
		left = append(left, canvas.Ranked(1, style.Running.Text(fmt.Sprintf("%s %d live", m.glyphs.Running, n))))
	}
	if l.paused > 0 {
		left = append(left, canvas.Ranked(1, style.Caution.Text(fmt.Sprintf("%s %d paused", m.glyphs.Paused, l.paused))))
	}
	if l.failed > 0 {
		left = append(left, canvas.Ranked(3, style.Trouble.Text(fmt.Sprintf("%s %d failed", m.glyphs.Failed, l.failed))))
	}
	a.Line(0, 2, left, []canvas.Part{canvas.Ranked(5, style.TabOn.Text("All runs"))})

	sorting := orders[l.order].name
	if l.reversed {
		sorting += ", reversed"
	}
	right := []canvas.Part{canvas.Ranked(2, style.Dim.Text("by "+sorting))}
	if n := len(l.marks); n > 0 {
		right = append(right, canvas.Ranked(1, style.Plain.Text(fmt.Sprintf("%d marked", n))))
	}
	second := a.Sub(0, 1, a.W, 1)
	switch {
	case m.typing != nil:
		w := max(20, a.W-40)
		second.Text(0, 0, style.Dim, "show only")
		m.typing.Draw(second.Sub(10, 0, w, 1), m.glyphs)
		second.Sub(10+w, 0, a.W-10-w, 1).Line(0, 2, nil, right)
	case l.text != "":
		second.Line(0, 2, []canvas.Part{canvas.Ranked(0, style.Dim.Text("only "), style.Caution.Text(canvas.Elide(l.text, a.W-12, m.glyphs)))}, right)
	default:
		second.Line(0, 2, nil, right)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}

// drawFoot shows what matters most now in a sentence, and the keys.
func (m *Model) drawFoot(a canvas.Area) {
	words := m.message()
	keys := a.Sub(0, a.H-1, a.W, 1)
	if a.H > 1 {
		a.Text(0, 0, words.Style, canvas.Elide(words.Text, a.W, m.glyphs))
	} else if words.Text != "" {
		keys.Text(0, 0, words.Style, canvas.Elide(words.Text, a.W, m.glyphs))
		return
	}
	if m.dialog == nil && m.typing == nil {
		m.table.DrawFooter(keys, 0, screenGroup, m.glyphs)
	}
}

// message is the one sentence that matters most now.
func (m *Model) message() style.Span {
	r := m.list.chosenRow()
	switch {
	case m.notice.Text != "":
		return m.notice
	case m.typing != nil && m.list.query.Problem != "":
		return style.Trouble.Text(format.Sentence(m.list.query.Problem))
	case m.typing != nil:
		return style.Dim.Text("A setting: batch=64 lr>0.1; a state: running, failed, live, marked; a part of a name; !not. enter keeps it, esc takes it back.")
	case m.list.problem != "":
		return style.Trouble.Text(format.Sentence(m.list.problem))
	case r != nil && r.Problem != "":
		return style.Trouble.Text(format.Sentence(r.Problem))
	case r != nil && r.Error != "" && !r.Live:
		return style.Trouble.Text(format.Sentence(r.Error))
	case m.unasked != nil:
		return style.Caution.Text(format.Sentence(m.unasked.Error()))
	}
	return style.Span{}
}
