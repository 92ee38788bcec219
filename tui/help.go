package tui

import (
	"fmt"

	"cifartui/tui/canvas"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// help is the page that lists every key.
type help struct {
	*common
	on  bool
	top int // first line shown
}

func (p *help) toggle() tea.Cmd {
	p.on, p.top = !p.on, 0
	return nil
}

// key scrolls the help or closes it.
func (p *help) key(k string) {
	switch k {
	case "down", "j", "pgdown":
		p.top++
	case "up", "k", "pgup":
		p.top = max(p.top-1, 0)
	default:
		p.on = false
	}
}

// columns returns how many columns there is room for, and how many lines each
// has.
func (p *help) columns(w int, lines int) (cols, each int) {
	cols = max(1, min(3, w/58))
	return cols, (lines + cols - 1) / cols
}

// settle holds what is shown to what there is, in an area of this size.
func (p *help) settle(w, h int) {
	_, each := p.columns(w-2, len(p.lines()))
	p.top = max(0, min(p.top, each-(h-2)))
}

// draw lists every binding by its group, in columns where there is room.
func (p *help) draw(a canvas.Area) {
	in := p.titled(a, "Keys")
	lines := p.lines()
	cols, each := p.columns(in.W, len(lines))
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
		a.Text(a.W-2-canvas.Width(" more below "), a.H-1, style.Dim, " more "+p.glyphs.Up+p.glyphs.Down+" ")
	}
}

// lines are every binding under its heading.
func (p *help) lines() [][]style.Span {
	var lines [][]style.Span
	group := ""
	for _, b := range p.table {
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
			keys += keyLabel(k, p.glyphs)
		}
		pad := max(1, 15-canvas.Width(keys))
		lines = append(lines, []style.Span{style.Key.Text(keys), style.Plain.Text(fmt.Sprintf("%*s", pad, "")), style.Plain.Text(b.long)})
	}
	return lines
}
