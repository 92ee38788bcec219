// Package dialog asks a person something over a view: to choose an option, or to
// type a line.
package dialog

import (
	"cifartui/tui/canvas"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// A Dialog asks a question: to choose an option, or to type a line. It lies
// over the view until it is answered.
type Dialog struct {
	Title   string
	Text    string
	Options []Option
	Chosen  int
	Input   *Line
	Problem string // what was wrong with the input
	// Accept takes the typed line. It returns what is wrong with it, or "".
	Accept func(text string) (tea.Cmd, string)
}

// An Option is one answer to a dialog.
type Option struct {
	Key   string
	Label string
	Hint  string
	Do    func() tea.Cmd // nil: just close
}

// Key takes a key and reports whether the dialog is done with. Escape, and q or
// Ctrl+C pressed again, go back.
func (d *Dialog) Key(msg tea.KeyMsg) (cmd tea.Cmd, done bool) {
	k := msg.String()
	switch {
	case k == "esc" || k == "ctrl+c" || k == "q" && d.Input == nil:
		return nil, true
	case d.Input == nil:
		return d.OptionKey(k)
	case k == "enter":
		cmd, d.Problem = d.Accept(string(d.Input.Text))
		return cmd, d.Problem == ""
	}
	d.Problem = ""
	d.Input.Key(msg)
	return nil, false
}

// OptionKey takes a key of a dialog with options.
func (d *Dialog) OptionKey(k string) (cmd tea.Cmd, done bool) {
	n := len(d.Options)
	if o := d.byKey(k); o != nil { // an option's own letter comes first
		return o.Choose(), true
	}
	switch k {
	case "up", "k", "left", "h", "shift+tab":
		d.Chosen = (d.Chosen + n - 1) % n
	case "down", "j", "right", "l", "tab":
		d.Chosen = (d.Chosen + 1) % n
	case "enter", " ":
		return d.Options[d.Chosen].Choose(), true
	}
	return nil, false
}

func (d *Dialog) byKey(k string) *Option {
	for i := range d.Options {
		if d.Options[i].Key == k {
			return &d.Options[i]
		}
	}
	return nil
}

// Choose does what the option is for.
func (o Option) Choose() tea.Cmd {
	if o.Do == nil {
		return nil
	}
	return o.Do()
}

// Draw draws the dialog in the middle of a. In a low window blank lines go
// first, then the end of the text: the answers stay.
func (d *Dialog) Draw(a canvas.Area, g *style.Glyphs) {
	w := min(a.W, 66)
	lines := canvas.Wrap(d.Text, w-6)
	answers := len(d.Options)
	if d.Input != nil {
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
	box.Text(2, 0, style.Heading, " "+d.Title+" ")
	in = in.Sub(2, above, in.W-4, in.H-above)
	for y, l := range lines {
		in.Text(0, y, style.Plain, l)
	}
	in = in.Sub(0, len(lines)+between, in.W, answers)
	if d.Input != nil {
		d.Input.Draw(in.Sub(0, 0, in.W, 1), g)
		hint := style.Dim.Text("enter takes it, esc goes back")
		if d.Problem != "" {
			hint = style.Trouble.Text(d.Problem)
		}
		in.Spans(0, 1, hint)
		return
	}
	d.drawOptions(in, g)
}

func (d *Dialog) drawOptions(a canvas.Area, g *style.Glyphs) {
	labels := 0
	for _, o := range d.Options {
		labels = max(labels, canvas.Width(o.Label))
	}
	for i, o := range d.Options {
		row := a.Sub(0, i, a.W, 1)
		st, hint, mark := style.Plain, style.Dim, " "
		if i == d.Chosen {
			st, hint, mark = style.Chosen, style.Chosen, g.Selected
			row.Fill(style.Chosen, ' ')
		}
		row.Text(0, 0, st, mark)
		row.Text(2, 0, keyStyle(i == d.Chosen), o.Key)
		row.Text(4, 0, st, o.Label)
		if x := 4 + labels + 2; x+canvas.Width(o.Hint) <= a.W {
			row.Text(x, 0, hint, o.Hint)
		}
	}
}

func keyStyle(on bool) style.Style {
	if on {
		return style.Chosen
	}
	return style.Key
}

// A Line is a line of text being typed.
type Line struct {
	Text  []rune
	Fresh bool // the first key replaces the text
}

const lineMost = 512

// Key takes a key: a letter, or one that takes letters away.
func (l *Line) Key(msg tea.KeyMsg) {
	switch msg.Type {
	case tea.KeyRunes, tea.KeySpace:
		if l.Fresh {
			l.Text = nil
		}
		for _, r := range msg.Runes {
			if r >= ' ' && len(l.Text) < lineMost {
				l.Text = append(l.Text, r)
			}
		}
	case tea.KeyBackspace, tea.KeyCtrlH: // what some terminals send for it
		if l.Fresh {
			l.Text = nil
		} else if n := len(l.Text); n > 0 {
			l.Text = l.Text[:n-1]
		}
	case tea.KeyCtrlU:
		l.Text = nil
	}
	l.Fresh = false
}

// Draw draws the line with its cursor, its beginning cut off where it is too long.
func (l *Line) Draw(a canvas.Area, g *style.Glyphs) {
	t := string(l.Text)
	for canvas.Width(t) > a.W-4 && t != "" {
		t = string([]rune(t)[1:])
	}
	x := a.Text(0, 0, style.Key, g.Selected+" ")
	st := style.Plain
	if l.Fresh {
		st = style.Chosen
	}
	x = a.Text(x, 0, st, t)
	a.Text(x, 0, style.Chosen, " ")
}
