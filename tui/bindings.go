package tui

import (
	"slices"

	"cifartui/tui/keymap"

	tea "github.com/charmbracelet/bubbletea"
)

// screenGroup is the heading of the keys that every screen has; the footer has
// them on the right.
const screenGroup = "The screen"

// bindings are all keys of the screen, in the order of the help.
func (m *Model) bindings() []keymap.Binding {
	return slices.Concat(
		m.steering.bindings(), m.curves.bindings(),
		m.charts.bindings(), m.compare.bindings(), m.listBindings(),
		m.files.bindings(), m.samples.bindings(), m.system.bindings(),
		m.screenBindings(),
	)
}

// CheckKeys reports what is wrong with the keys of a config file: unknown
// actions, and keys that would do two things in one view.
func CheckKeys(custom map[string][]string) error {
	_, err := keymap.Bind(newModel(&common{}).bindings(), custom)
	return err
}

// A lister is a view that scrolls.
type lister interface {
	// scroll moves what is chosen or shown by so many rows; settle holds it to
	// what there is.
	scroll(d int)
}

// listBindings are the keys of the views that scroll.
func (m *Model) listBindings() []keymap.Binding {
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
	return keymap.Grouped("Lists", keymap.In(viewCheckpoints, viewSamples, viewSystem), m.needRun([]keymap.Binding{
		{Action: "up", Keys: []string{"up", "k"}, Short: "move", Rank: 9, Pair: true, Long: "up", Do: scroll(by(-1))},
		{Action: "down", Keys: []string{"down", "j"}, Long: "down", Do: scroll(by(1))},
		{Action: "page_up", Keys: []string{"pgup", "ctrl+b"}, Long: "a page up", Do: scroll(page(-1))},
		{Action: "page_down", Keys: []string{"pgdown", "ctrl+f"}, Long: "a page down", Do: scroll(page(1))},
		{Action: "top", Keys: []string{"home", "g"}, Long: "to the top", Do: scroll(by(-all))},
		{Action: "bottom", Keys: []string{"end", "G"}, Long: "to the bottom", Do: scroll(by(all))},
	}))
}

// back leaves what was opened last.
func (m *Model) back() tea.Cmd {
	if m.shown == viewSamples && m.samples.back() {
		return nil
	}
	return m.curves.back()
}

// screenBindings are the keys that turn to a view, and those of the screen.
func (m *Model) screenBindings() []keymap.Binding {
	to := func(v func() viewID) func() tea.Cmd { return func() tea.Cmd { return m.show(v()) } }
	view := func(v viewID) func() tea.Cmd { return to(func() viewID { return v }) }
	return keymap.Grouped(screenGroup, keymap.Everywhere, []keymap.Binding{
		{Action: "next_view", Keys: []string{"tab"}, Short: "view", Rank: 2, Long: "the next view", Do: to(func() viewID { return (m.shown + 1) % views })},
		{Action: "previous_view", Keys: []string{"shift+tab"}, Long: "the view before", Do: to(func() viewID { return (m.shown + views - 1) % views })},
		{Action: "charts", Keys: []string{"1"}, Long: "Charts", Do: view(viewCharts)},
		{Action: "compare", Keys: []string{"2"}, Long: "Compare", Do: view(viewCompare)},
		{Action: "checkpoints", Keys: []string{"3"}, Long: "Checkpoints", Do: view(viewCheckpoints)},
		{Action: "samples", Keys: []string{"4"}, Long: "Samples", Do: view(viewSamples)},
		{Action: "system", Keys: []string{"5"}, Long: "System and log", Do: view(viewSystem)},
		{Action: "all_runs", Keys: []string{"0", "backspace"}, Short: "all runs", Rank: 3, Long: "the screen over all runs", When: func() bool { return m.o.AllRuns }, WhyNot: func() string { return "There is no screen over all runs here." }, Do: m.allRuns},
		{Action: "back", Keys: []string{"esc"}, Long: "take away the cursor, then the zoom; leave the images", Do: m.back},
		{Action: "help", Keys: []string{"?"}, Short: "help", Rank: 1, Long: "this help", Do: m.help.Toggle},
		{Action: "quit", Keys: []string{"q", "ctrl+c"}, Short: "quit", Long: "leave: stop the run, or let it train", Do: m.steering.askQuit},
	})
}

// allRuns turns to the screen over all runs; this one goes on.
func (m *Model) allRuns() tea.Cmd { return func() tea.Msg { return AllRunsMsg{m.common} } }
