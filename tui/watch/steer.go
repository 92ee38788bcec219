package watch

import (
	"fmt"
	"strings"

	"cifartui/train/event"
	"cifartui/tui/dialog"
	"cifartui/tui/format"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// why is what a run's record tells of who asked.
const why = "asked for from the screen over all runs"

// asked is what was asked of several runs at once.
type asked struct {
	verb   string // "pause"
	left   int    // runs that have not answered
	runs   int
	failed []string // the names of those that could not be reached, and why
}

// live are the runs among those that are meant that can be steered.
func (m *Model) live(of func(*row) bool) (rows []*row) {
	for _, r := range m.list.meant() {
		if r.Live && (of == nil || of(r)) {
			rows = append(rows, r)
		}
	}
	return rows
}

// counted says how many runs are meant, and how many of them live.
func (m *Model) counted(live []*row) string {
	meant := m.list.meant()
	switch {
	case len(meant) == 1:
		return meant[0].Name + "."
	case len(live) == len(meant):
		return fmt.Sprintf("All %d marked runs are live.", len(meant))
	}
	return fmt.Sprintf("%d of the %d marked runs %s live; the others are left as they are.", len(live), len(meant), areOrIs(len(live)))
}

func areOrIs(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// noneLive says so where nothing can be steered.
func (m *Model) noneLive(live []*row) bool {
	if len(live) > 0 {
		return false
	}
	words := "None of the marked runs is live."
	if len(m.list.marks) == 0 {
		words = m.list.chosenRow().Name + " is not live."
	}
	m.say(style.Dim, words)
	return true
}

// askPause asks whether the runs are to pause, or to go on.
func (m *Model) askPause() tea.Cmd {
	paused := m.live(func(r *row) bool { return r.Paused() })
	running := m.live(func(r *row) bool { return !r.Paused() })
	all := m.live(nil)
	if m.noneLive(all) {
		return nil
	}
	d := &dialog.Dialog{Title: "Pause or go on", Text: m.counted(all)}
	if len(running) > 0 {
		d.Options = append(d.Options, dialog.Option{Key: "p", Label: "pause " + these(running, "running"), Hint: "after the batch under way", Do: func() tea.Cmd {
			return m.send("pause", running, event.Pause{To: event.To{Why: why}})
		}})
	}
	if len(paused) > 0 {
		d.Options = append(d.Options, dialog.Option{Key: "r", Label: "let " + these(paused, "paused") + " go on", Do: func() tea.Cmd {
			return m.send("go on", paused, event.Resume{To: event.To{Why: why}})
		}})
	}
	d.Options = append(d.Options, dialog.Option{Key: "c", Label: "cancel"})
	m.dialog = d
	return nil
}

// these are one run by its name, or several by their number.
func these(rows []*row, what string) string {
	if len(rows) == 1 {
		return rows[0].Name
	}
	return fmt.Sprintf("the %d that are %s", len(rows), what)
}

func (m *Model) askSave() tea.Cmd {
	live := m.live(nil)
	if m.noneLive(live) {
		return nil
	}
	m.dialog = &dialog.Dialog{Title: "Save", Text: m.counted(live), Options: []dialog.Option{
		{Key: "s", Label: "save " + these(live, "live"), Hint: "a checkpoint, now", Do: func() tea.Cmd {
			return m.send("save", live, event.Save{To: event.To{Why: why}})
		}},
		{Key: "c", Label: "cancel"},
	}}
	return nil
}

func (m *Model) askStop() tea.Cmd {
	live := m.live(nil)
	if m.noneLive(live) {
		return nil
	}
	stop := func(after event.Boundary) func() tea.Cmd {
		return func() tea.Cmd {
			return m.send("stop", live, event.Stop{To: event.To{Why: why}, After: after})
		}
	}
	m.dialog = &dialog.Dialog{Title: "Stop " + format.Plural(len(live), "run"), Text: m.counted(live) + " What is stopped is saved and can be resumed.", Options: []dialog.Option{
		{Key: "b", Label: "after the batch under way", Do: stop(event.AfterBatch)},
		{Key: "e", Label: "after the epoch under way", Do: stop(event.AfterEpoch)},
		{Key: "c", Label: "cancel"},
	}}
	return nil
}

// send asks every run for something, side by side.
func (m *Model) send(verb string, rows []*row, c event.Command) tea.Cmd {
	a := &asked{verb: verb, left: len(rows), runs: len(rows)}
	m.say(style.Caution, fmt.Sprintf("Asking %s to %s%s", format.Plural(len(rows), "run"), verb, m.glyphs.Dots))
	var cmds []tea.Cmd
	for _, r := range rows {
		folder := r.Folder
		cmds = append(cmds, m.do(func() tea.Msg { return sentMsg{a, folder, m.o.Send(m.ctx, folder, c)} }))
	}
	return tea.Batch(cmds...)
}

// sent counts the answers, and says in the end who could not be reached.
func (m *Model) sent(msg sentMsg) {
	a := msg.asked
	a.left--
	m.watcher.Look(msg.folder)
	if msg.err != nil {
		a.failed = append(a.failed, fmt.Sprintf("%s: %v", m.nameOf(msg.folder), msg.err))
	}
	if a.left > 0 {
		m.say(style.Caution, fmt.Sprintf("Asked %d of %d to %s%s", a.runs-a.left, a.runs, a.verb, m.glyphs.Dots))
		return
	}
	if len(a.failed) == 0 {
		m.say(style.Plain, fmt.Sprintf("%s asked to %s.", format.UpperFirst(werePlural(a.runs)), a.verb))
		return
	}
	m.tell("Not reached", fmt.Sprintf("%d of %s could not be asked to %s:", len(a.failed), format.Plural(a.runs, "run"), a.verb), a.failed)
}

func werePlural(n int) string {
	if n == 1 {
		return "1 run was"
	}
	return fmt.Sprintf("%d runs were", n)
}

// nameOf is what the run of a folder is called.
func (m *Model) nameOf(folder string) string {
	if r := m.list.rows[folder]; r != nil {
		return r.Name
	}
	return folder
}

// tell puts a list of what went wrong over the screen.
func (m *Model) tell(title, text string, lines []string) {
	const most = 8
	if n := len(lines); n > most {
		lines = append(lines[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	m.dialog = &dialog.Dialog{Title: title, Text: text + "\n" + strings.Join(lines, "\n"), Options: []dialog.Option{{Key: "o", Label: "go on"}}}
}
