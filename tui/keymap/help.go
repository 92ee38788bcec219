package keymap

import (
	"fmt"

	"cifartui/tui/canvas"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// Help is the page that lists every key.
type Help struct {
	On   bool
	top  int // first line shown
	page int // lines that are shown
}

// Toggle opens or closes it.
func (p *Help) Toggle() tea.Cmd {
	p.On, p.top = !p.On, 0
	return nil
}

// Key scrolls the help or closes it.
func (p *Help) Key(k string) {
	switch k {
	case "down", "j":
		p.top++
	case "up", "k":
		p.top--
	case "pgdown", "ctrl+f", " ":
		p.top += p.page - 1
	case "pgup", "ctrl+b":
		p.top -= p.page - 1
	default:
		p.On = false
	}
}

// layout returns a table's lines for w columns of the screen, into how many columns
// of lines they go, and how many each has.
func (t Table) layout(w int, g *style.Glyphs) (lines [][]style.Span, cols, each int) {
	cols = max(1, min(3, w/58))
	lines = t.Lines(g, w/cols-2)
	return lines, cols, (len(lines) + cols - 1) / cols
}

// Settle holds what is shown of a table to what there is, in an area of this size.
func (p *Help) Settle(t Table, w, h int, g *style.Glyphs) {
	if !p.On {
		return // it is not shown, and the table's lines take a while
	}
	_, _, each := t.layout(w-2, g)
	p.page = max(2, h-2)
	p.top = max(0, min(p.top, each-(h-2)))
}

// Draw lists every binding of a table by its group, in columns where there is room.
func (p *Help) Draw(a canvas.Area, t Table, g *style.Glyphs) {
	in := a.Box(style.Frame, g)
	a.Text(2, 0, style.Heading, " Keys ")
	lines, cols, each := t.layout(in.W, g)
	w := in.W / cols
	for c := range cols {
		for y := range in.H {
			i := c*each + p.top + y
			if i >= len(lines) || y+p.top >= each {
				break
			}
			in.Sub(c*w+1, y, w-2, 1).Spans(0, 0, lines[i]...)
		}
	}
	if each > in.H {
		a.Text(a.W-2-canvas.Width(" more below "), a.H-1, style.Dim, " more "+g.Up+g.Down+" ")
	}
}

// Lines are every binding under its heading, what it does in as many lines as that
// takes in w columns.
func (t Table) Lines(g *style.Glyphs, w int) [][]style.Span {
	const keysWidth = 15
	var lines [][]style.Span
	group := ""
	for _, b := range t {
		if len(b.Keys) == 0 {
			continue
		}
		if b.Group != group {
			if group != "" {
				lines = append(lines, nil)
			}
			group = b.Group
			lines = append(lines, []style.Span{style.Heading.Text(group)})
		}
		var keys string
		for i, k := range b.Keys {
			if i > 0 {
				keys += " "
			}
			keys += Label(k, g)
		}
		at := max(keysWidth, canvas.Width(keys)+1)
		for _, text := range canvas.Wrap(b.Long, w-at) {
			pad := fmt.Sprintf("%*s", at-canvas.Width(keys), "")
			lines = append(lines, []style.Span{style.Key.Text(keys), style.Plain.Text(pad), style.Plain.Text(text)})
			keys = ""
		}
	}
	return lines
}
