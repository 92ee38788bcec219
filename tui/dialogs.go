package tui

import (
	tea "github.com/charmbracelet/bubbletea"
)

// A dialog asks a question: to choose an option, or to type a line. It lies
// over the view until it is answered.
type dialog struct {
	title   string
	text    string
	options []option
	chosen  int
	input   *lineEdit
	problem string // what was wrong with the input
	// accept takes the typed line. It returns what is wrong with it, or "".
	accept func(m *Model, text string) (tea.Cmd, string)
}

// An option is one answer to a dialog.
type option struct {
	key   string
	label string
	hint  string
	do    func(*Model) tea.Cmd // nil: just close
}

// dialogKey gives a key to the dialog. Escape, and q or Ctrl+C pressed again,
// go back.
func (m *Model) dialogKey(msg tea.KeyMsg) tea.Cmd {
	d := m.dialog
	k := msg.String()
	if k == "esc" || k == "ctrl+c" || k == "q" && d.input == nil {
		m.dialog = nil
		return nil
	}
	if d.input != nil {
		if k != "enter" {
			d.problem = ""
			d.input.key(msg)
			return nil
		}
		cmd, problem := d.accept(m, string(d.input.text))
		if d.problem = problem; problem == "" && m.dialog == d {
			m.dialog = nil
		}
		return cmd
	}
	n := len(d.options)
	switch k {
	case "up", "k", "left", "h", "shift+tab":
		d.chosen = (d.chosen + n - 1) % n
	case "down", "j", "right", "l", "tab":
		if o := d.byKey(k); o != nil { // an option's own letter comes first
			return m.choose(o)
		}
		d.chosen = (d.chosen + 1) % n
	case "enter", " ":
		return m.choose(&d.options[d.chosen])
	default:
		if o := d.byKey(k); o != nil {
			return m.choose(o)
		}
	}
	return nil
}

func (d *dialog) byKey(k string) *option {
	for i := range d.options {
		if d.options[i].key == k {
			return &d.options[i]
		}
	}
	return nil
}

func (m *Model) choose(o *option) tea.Cmd {
	m.dialog = nil
	if o.do == nil {
		return nil
	}
	return o.do(m)
}

// draw draws the dialog in the middle of a. In a low window blank lines go
// first, then the end of the text: the answers stay.
func (d *dialog) draw(a area, g *glyphs) {
	w := min(a.w, 66)
	lines := wrap(d.text, w-6)
	answers := len(d.options)
	if d.input != nil {
		answers = 2 // the line, and what was wrong with it
	}
	room := a.h - 2 - answers
	if len(lines) > room {
		lines = lines[:max(room, 0)]
		if n := len(lines); n > 0 {
			lines[n-1] = elide(lines[n-1]+" "+g.dots, w-6, g)
		}
	}
	room -= len(lines)
	between, above, below := min(room, 1), min(max(room-1, 0), 1), min(max(room-2, 0), 1)
	h := 2 + above + len(lines) + between + answers + below

	box := a.sub((a.w-w)/2, (a.h-h)/2, w, h)
	box.fill(plain, ' ')
	in := box.box(heading, g)
	box.text(2, 0, heading, " "+d.title+" ")
	in = in.sub(2, above, in.w-4, in.h-above)
	for y, l := range lines {
		in.text(0, y, plain, l)
	}
	in = in.sub(0, len(lines)+between, in.w, answers)
	if d.input != nil {
		d.input.draw(in.sub(0, 0, in.w, 1), g)
		hint := span{dim, "enter takes it, esc goes back"}
		if d.problem != "" {
			hint = span{trouble, d.problem}
		}
		in.spans(0, 1, hint)
		return
	}
	d.drawOptions(in, g)
}

func (d *dialog) drawOptions(a area, g *glyphs) {
	labels := 0
	for _, o := range d.options {
		labels = max(labels, width(o.label))
	}
	for i, o := range d.options {
		row := a.sub(0, i, a.w, 1)
		st, hint, mark := plain, dim, " "
		if i == d.chosen {
			st, hint, mark = chosen, chosen, g.selected
			row.fill(chosen, ' ')
		}
		row.text(0, 0, st, mark)
		row.text(2, 0, keyStyle(i == d.chosen), o.key)
		row.text(4, 0, st, o.label)
		if x := 4 + labels + 2; x+width(o.hint) <= a.w {
			row.text(x, 0, hint, o.hint)
		}
	}
}

func keyStyle(on bool) style {
	if on {
		return chosen
	}
	return keyName
}

// A lineEdit is a line of text being typed.
type lineEdit struct {
	text  []rune
	fresh bool // the first key replaces the text
}

const lineMost = 512

func (l *lineEdit) key(msg tea.KeyMsg) {
	switch msg.Type {
	case tea.KeyRunes, tea.KeySpace:
		if l.fresh {
			l.text = nil
		}
		for _, r := range msg.Runes {
			if r >= ' ' && len(l.text) < lineMost {
				l.text = append(l.text, r)
			}
		}
	case tea.KeyBackspace:
		if l.fresh {
			l.text = nil
		} else if n := len(l.text); n > 0 {
			l.text = l.text[:n-1]
		}
	case tea.KeyCtrlU:
		l.text = nil
	}
	l.fresh = false
}

func (l *lineEdit) draw(a area, g *glyphs) {
	t := string(l.text)
	for width(t) > a.w-4 && t != "" {
		t = string([]rune(t)[1:])
	}
	x := a.text(0, 0, keyName, g.selected+" ")
	st := plain
	if l.fresh {
		st = chosen
	}
	x = a.text(x, 0, st, t)
	a.text(x, 0, chosen, " ")
}
