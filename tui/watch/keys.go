package watch

import (
	"cifartui/tui/dialog"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// The headings in the help.
const (
	listGroup   = "The list"
	curvesGroup = "The curves"
	steerGroup  = "The marked runs, or the chosen one"
	screenGroup = "The screen"
)

// bindings are all keys of the list, in the order of the help.
func (m *Model) bindings() []keymap.Binding {
	do := func(f func()) func() tea.Cmd { return func() tea.Cmd { f(); return nil } }
	move := func(d func() int) func() tea.Cmd { return do(func() { m.list.move(d()) }) }
	by := func(n int) func() int { return func() int { return n } }
	page := func(n int) func() int { return func() int { return n * max(1, m.listRows()-1) } }
	const all = 1 << 30
	list := keymap.Grouped(listGroup, keymap.Everywhere, m.needRuns([]keymap.Binding{
		{Action: "open", Keys: []string{"enter"}, Short: "open", Rank: 1, Long: "open the run's own screen; backspace or 0 comes back", Do: m.open},
		{Action: "mark", Keys: []string{" "}, Short: "mark", Rank: 2, Long: "mark the run, or take the mark away", Do: do(m.list.toggle)},
		{Action: "mark_shown", Keys: []string{"a"}, Long: "mark all that are shown, or none", Do: do(m.list.markShown)},
		{Action: "unmark", Keys: []string{"u"}, Long: "take all marks away", Do: do(m.list.unmarkAll)},
		{Action: "up", Keys: []string{"up", "k"}, Long: "up", Do: move(by(-1))},
		{Action: "down", Keys: []string{"down", "j"}, Long: "down", Do: move(by(1))},
		{Action: "page_up", Keys: []string{"pgup", "ctrl+b"}, Long: "a page up", Do: move(page(-1))},
		{Action: "page_down", Keys: []string{"pgdown", "ctrl+f"}, Long: "a page down", Do: move(page(1))},
		{Action: "top", Keys: []string{"home", "g"}, Long: "to the top", Do: move(by(-all))},
		{Action: "bottom", Keys: []string{"end", "G"}, Long: "to the bottom", Do: move(by(all))},
	}))
	list = append(list, keymap.Grouped(listGroup, keymap.Everywhere, []keymap.Binding{
		{Action: "filter", Keys: []string{"/"}, Short: "filter", Rank: 3, Long: "show only some: batch=64 lr>0.1 running name", Do: do(m.startTyping)},
		{Action: "sort", Keys: []string{"o"}, Short: "order", Rank: 7, Long: "sort by the next column", Do: do(m.nextOrder)},
		{Action: "reverse", Keys: []string{"O"}, Long: "the other way round", Do: do(m.reverse)},
	})...)
	steer := keymap.Grouped(steerGroup, keymap.Everywhere, m.needRuns([]keymap.Binding{
		{Action: "pause", Keys: []string{"p"}, Short: "pause", Rank: 4, Long: "pause or go on; asks first", Do: m.askPause},
		{Action: "save", Keys: []string{"s"}, Short: "save", Rank: 6, Long: "save a checkpoint now; asks first", Do: m.askSave},
		{Action: "stop", Keys: []string{"x"}, Short: "stop", Rank: 5, Long: "stop after this batch or this epoch; asks first", Do: m.askStop},
		{Action: "delete", Keys: []string{"D", "delete"}, Short: "delete", Rank: 9, Long: "delete with all that they hold; asks first", Do: m.askDelete},
		{Action: "prune", Keys: []string{"P"}, Long: "delete checkpoints but the best; asks first", Do: m.askPrune},
	}))
	curves := keymap.Grouped(curvesGroup, keymap.Everywhere, []keymap.Binding{
		{Action: "pane", Keys: []string{"tab"}, Short: "pane", Rank: 5, Long: "beside the list: curves, settings, nothing", Do: do(func() { m.turnPane(1) })},
		{Action: "pane_back", Keys: []string{"shift+tab"}, Long: "the other way round", Do: do(func() { m.turnPane(-1) })},
		{Action: "metric", Keys: []string{"m"}, Short: "curve", Rank: 10, Long: "val_acc, val_loss, acc or loss", Do: do(m.nextMetric)},
		{Action: "x_axis", Keys: []string{"t"}, Short: "axis", Rank: 8, Long: "x axis: epochs, images or time", Do: do(m.nextAxis)},
		{Action: "cursor_left", Keys: []string{"left", "h"}, Short: "inspect", Rank: 11, Pair: true, Long: "move the cursor: it reads out values; in the settings, to the runs before", Do: do(func() { m.moveCursor(-1) })},
		{Action: "cursor_right", Keys: []string{"right", "l"}, Long: "move it right; to the next runs", Do: do(func() { m.moveCursor(1) })},
		{Action: "smooth_less", Keys: []string{"["}, Short: "smooth", Rank: 12, Pair: true, Long: "smooth less", Do: do(func() { m.curves.smooth(-1) })},
		{Action: "smooth_more", Keys: []string{"]"}, Long: "smooth more", Do: do(func() { m.curves.smooth(1) })},
		{Action: "log_scale", Keys: []string{"y"}, Long: "losses on a logarithmic scale", Do: do(func() { m.curves.log = !m.curves.log })},
	})
	screen := keymap.Grouped(screenGroup, keymap.Everywhere, []keymap.Binding{
		{Action: "home", Keys: []string{"0", "backspace"}, Short: "back", Rank: 3, Long: "back to the run that the program began with", When: func() bool { return m.home != nil }, WhyNot: func() string { return "This is the screen over all runs." }, Do: m.goHome},
		{Action: "back", Keys: []string{"esc"}, Long: "take away the cursor, then the filter, then the marks", Do: m.back},
		{Action: "help", Keys: []string{"?"}, Short: "help", Rank: 1, Long: "this help", Do: m.help.Toggle},
		{Action: "quit", Keys: []string{"q", "ctrl+c"}, Short: "quit", Long: "leave; the runs go on", Do: m.quit},
	})
	bs := append(list, steer...)
	return append(append(bs, curves...), screen...)
}

// needRuns marks bindings that do nothing where no run is shown.
func (m *Model) needRuns(bs []keymap.Binding) []keymap.Binding {
	for i := range bs {
		bs[i].When = func() bool { return len(m.list.meant()) > 0 }
		bs[i].WhyNot = func() string { return "There is no run here." }
	}
	return bs
}

// key gives a key to what lies on top, else to what it is bound to.
func (m *Model) key(msg tea.KeyMsg) tea.Cmd {
	if m.top() != nil { // of several keys read together, one turned to a run's screen
		return give(m.top(), msg)
	}
	k := msg.String()
	// A question that came late would take what is typed by then for its answer.
	m.notice, m.counting = style.Span{}, nil
	switch {
	case m.dialog != nil && !msg.Paste:
		d := m.dialog
		m.dialog = nil // what it does may ask again
		cmd, done := d.Key(msg)
		if !done {
			m.dialog = d
		}
		return cmd
	case m.typing != nil:
		m.typed(msg)
		return nil
	case msg.Paste:
		return nil // a paste is no series of commands
	case m.help.On:
		m.help.Key(k)
		if k == "ctrl+c" {
			return m.quit()
		}
		return nil
	}
	b := m.table.Find(0, k)
	switch {
	case b == nil:
		return nil
	case b.When != nil && !b.When():
		m.say(style.Dim, b.WhyNot())
		return nil
	}
	if m.wanted != "" && b.Action != "open" { // who goes on does not wait for a screen
		m.wanted = ""
	}
	return b.Do()
}

// startTyping begins to type which runs are shown.
func (m *Model) startTyping() {
	m.before = m.list.text
	m.typing = &dialog.Line{Text: []rune(m.list.text)}
}

// typed takes a key of the filter. The list follows each.
func (m *Model) typed(msg tea.KeyMsg) {
	switch msg.String() {
	case "enter":
		m.typing = nil
		return
	case "esc", "ctrl+c":
		m.typing = nil
		m.list.ask(m.before)
		return
	case "up":
		m.list.move(-1)
		return
	case "down":
		m.list.move(1)
		return
	}
	m.typing.Key(msg)
	m.list.ask(string(m.typing.Text))
}

// back takes away what was added to the plain list, one thing at a time.
func (m *Model) back() tea.Cmd {
	switch {
	case m.wanted != "":
		m.wanted = ""
	case m.curves.hasCursor:
		m.curves.hasCursor = false
	case m.list.text != "":
		m.list.ask("")
	case len(m.list.marks) > 0:
		m.list.unmarkAll()
	}
	return nil
}

func (m *Model) goHome() tea.Cmd {
	m.athome = true
	return tea.ClearScreen
}

func (m *Model) nextOrder() {
	m.list.order, m.list.reversed, m.list.stale = (m.list.order+1)%len(orders), false, true
}

func (m *Model) reverse() {
	m.list.reversed, m.list.stale = !m.list.reversed, true
}
