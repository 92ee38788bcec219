package tui

import (
	"slices"

	tea "github.com/charmbracelet/bubbletea"
)

// screenGroup is the heading of the keys that every screen has; the footer has
// them on the right.
const screenGroup = "The screen"

// bindings are all keys of the screen, in the order of the help.
func (m *Model) bindings() []binding {
	return slices.Concat(
		m.steering.bindings(), m.curves.bindings(),
		m.charts.bindings(), m.compare.bindings(), m.listBindings(),
		m.files.bindings(), m.samples.bindings(), m.system.bindings(),
		m.screenBindings(),
	)
}

// A lister is a view that scrolls.
type lister interface {
	// scroll moves what is chosen or shown by so many rows; settle holds it to
	// what there is.
	scroll(d int)
}

// listBindings are the keys of the views that scroll.
func (m *Model) listBindings() []binding {
	scroll := func(rows func() int) func() tea.Cmd {
		return func() tea.Cmd {
			if l, ok := m.view(m.shown).(lister); ok {
				l.scroll(rows())
			}
			return nil
		}
	}
	by := func(n int) func() int { return func() int { return n } }
	page := func(pages int) func() int { return func() int { return pages * max(1, m.h/2) } }
	const all = 1 << 30
	return grouped("Lists", in(viewCheckpoints, viewSamples, viewSystem), m.needRun([]binding{
		{action: "up", keys: []string{"up", "k"}, short: "move", rank: 9, pair: true, long: "up", do: scroll(by(-1))},
		{action: "down", keys: []string{"down", "j"}, long: "down", do: scroll(by(1))},
		{action: "page_up", keys: []string{"pgup", "ctrl+b"}, long: "a page up", do: scroll(page(-1))},
		{action: "page_down", keys: []string{"pgdown", "ctrl+f"}, long: "a page down", do: scroll(page(1))},
		{action: "top", keys: []string{"home", "g"}, long: "to the top", do: scroll(by(-all))},
		{action: "bottom", keys: []string{"end", "G"}, long: "to the bottom", do: scroll(by(all))},
	}))
}

// screenBindings are the keys that turn to a view, and those of the screen.
func (m *Model) screenBindings() []binding {
	to := func(v func() viewID) func() tea.Cmd { return func() tea.Cmd { return m.show(v()) } }
	view := func(v viewID) func() tea.Cmd { return to(func() viewID { return v }) }
	return grouped(screenGroup, everywhere, []binding{
		{action: "next_view", keys: []string{"tab"}, short: "view", rank: 2, long: "the next view", do: to(func() viewID { return (m.shown + 1) % views })},
		{action: "previous_view", keys: []string{"shift+tab"}, long: "the view before", do: to(func() viewID { return (m.shown + views - 1) % views })},
		{action: "charts", keys: []string{"1"}, long: "Charts", do: view(viewCharts)},
		{action: "compare", keys: []string{"2"}, long: "Compare", do: view(viewCompare)},
		{action: "checkpoints", keys: []string{"3"}, long: "Checkpoints", do: view(viewCheckpoints)},
		{action: "samples", keys: []string{"4"}, long: "Samples", do: view(viewSamples)},
		{action: "system", keys: []string{"5"}, long: "System and log", do: view(viewSystem)},
		{action: "back", keys: []string{"esc"}, long: "take away the cursor, then the zoom", do: m.curves.back},
		{action: "help", keys: []string{"?"}, short: "help", rank: 1, long: "this help", do: m.help.toggle},
		{action: "quit", keys: []string{"q", "ctrl+c"}, short: "quit", long: "leave: stop the run, or let it train", do: m.steering.askQuit},
	})
}
