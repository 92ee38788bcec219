package tui

import (
	"cifartui/tui/canvas"
	"cifartui/tui/style"

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
	accept func(text string) (tea.Cmd, string)
}

// An option is one answer to a dialog.
type option struct {
	key   string
	label string
	hint  string
	do    func() tea.Cmd // nil: just close
}

// key takes a key and reports whether the dialog is done with. Escape, and q or
// Ctrl+C pressed again, go back.
func (d *dialog) key(msg tea.KeyMsg) (cmd tea.Cmd, done bool) {
	k := msg.String()
	switch {
	case k == "esc" || k == "ctrl+c" || k == "q" && d.input == nil:
		return nil, true
	case d.input == nil:
		return d.optionKey(k)
	case k == "enter":
		cmd, d.problem = d.accept(string(d.input.text))
		return cmd, d.problem == ""
	}
	d.problem = ""
	d.input.key(msg)
	return nil, false
}

// optionKey takes a key of a dialog with options.
func (d *dialog) optionKey(k string) (cmd tea.Cmd, done bool) {
	n := len(d.options)
	if o := d.byKey(k); o != nil { // an option's own letter comes first
		return o.choose(), true
	}
	switch k {
	case "up", "k", "left", "h", "shift+tab":
		d.chosen = (d.chosen + n - 1) % n
	case "down", "j", "right", "l", "tab":
		d.chosen = (d.chosen + 1) % n
	case "enter", " ":
		return d.options[d.chosen].choose(), true
	}
	return nil, false
}

func (d *dialog) byKey(k string) *option {
	for i := range d.options {
		if d.options[i].key == k {
			return &d.options[i]
		}
	}
	return nil
}

func (o option) choose() tea.Cmd {
	if o.do == nil {
		return nil
	}
	return o.do()
}

// draw draws the dialog in the middle of a. In a low window blank lines go
// first, then the end of the text: the answers stay.
func (d *dialog) draw(a canvas.Area, g *style.Glyphs) {
	w := min(a.W, 66)
	lines := canvas.Wrap(d.text, w-6)
	answers := len(d.options)
	if d.input != nil {
		answers = 2 // the line, and what was wrong with it
	}
	room := a.H - 2 - answers
	if len(lines) > room {
		lines = lines[:max(room, 0)]
		if n := len(lines); n > 0 {
			lines[n-1] = canvas.Elide(lines[n-1]+" "+g.Dots, w-6, g)
		}
	}
	room -= len(lines)
	between, above, below := min(room, 1), min(max(room-1, 0), 1), min(max(room-2, 0), 1)
	h := 2 + above + len(lines) + between + answers + below

	box := a.Sub((a.W-w)/2, (a.H-h)/2, w, h)
	box.Fill(style.Plain, ' ')
	in := box.Box(style.Heading, g)
	box.Text(2, 0, style.Heading, " "+d.title+" ")
	in = in.Sub(2, above, in.W-4, in.H-above)
	for y, l := range lines {
		in.Text(0, y, style.Plain, l)
	}
	in = in.Sub(0, len(lines)+between, in.W, answers)
	if d.input != nil {
		d.input.draw(in.Sub(0, 0, in.W, 1), g)
		hint := style.Dim.Text("enter takes it, esc goes back")
		if d.problem != "" {
			hint = style.Trouble.Text(d.problem)
		}
		in.Spans(0, 1, hint)
		return
	}
	d.drawOptions(in, g)
}

func (d *dialog) drawOptions(a canvas.Area, g *style.Glyphs) {
	labels := 0
	for _, o := range d.options {
		labels = max(labels, canvas.Width(o.label))
	}
	for i, o := range d.options {
		row := a.Sub(0, i, a.W, 1)
		st, hint, mark := style.Plain, style.Dim, " "
		if i == d.chosen {
			st, hint, mark = style.Chosen, style.Chosen, g.Selected
			row.Fill(style.Chosen, ' ')
		}
		row.Text(0, 0, st, mark)
		row.Text(2, 0, keyStyle(i == d.chosen), o.key)
		row.Text(4, 0, st, o.label)
		if x := 4 + labels + 2; x+canvas.Width(o.hint) <= a.W {
			row.Text(x, 0, hint, o.hint)
		}
	}
}

func keyStyle(on bool) style.Style {
	if on {
		return style.Chosen
	}
	return style.Key
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

func (l *lineEdit) draw(a canvas.Area, g *style.Glyphs) {
	t := string(l.text)
	for canvas.Width(t) > a.W-4 && t != "" {
		t = string([]rune(t)[1:])
	}
	x := a.Text(0, 0, style.Key, g.Selected+" ")
	st := style.Plain
	if l.fresh {
		st = style.Chosen
	}
	x = a.Text(x, 0, st, t)
	a.Text(x, 0, style.Chosen, " ")
}
