package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cifartui/train"
	"cifartui/tui/chart"
	"cifartui/tui/format"

	tea "github.com/charmbracelet/bubbletea"
)

// rateStep is the factor of one key that changes the learning rate.
const rateStep = 1.1

// canSteer reports whether the selected run takes commands.
func (m *Model) canSteer() bool {
	r := m.current()
	return m.o.Control != nil && r != nil && r.live() && !m.sourceDone
}

func (m *Model) canDetach() bool { return m.o.CanDetach && m.canSteer() }

func (m *Model) hasRun() bool { return m.current() != nil }

func (m *Model) several() bool { return len(m.runs) > 1 }

// whyNot says why a key does nothing now.
func (m *Model) whyNot(b *binding) string {
	r := m.current()
	switch {
	case b.action == "next_run" || b.action == "previous_run":
		return "There is only one run."
	case b.group == "Checkpoints":
		return "There is no checkpoint yet."
	case m.o.Control == nil && m.o.ReadOnlyWhy != "":
		return sentence(m.o.ReadOnlyWhy)
	case m.o.Mode == Replay:
		return "This run has ended: it can only be looked at."
	case m.o.Control == nil:
		return "This run can only be looked at."
	case r == nil || r.started.StepsPerEpoch == 0:
		return "The run has not begun yet."
	case r.ended != nil || m.sourceDone:
		return "The run has ended."
	case b.action == "detach":
		return "This run can't be detached."
	}
	return "Not now."
}

// send hands a command to the run, off the drawing goroutine.
func (m *Model) send(c train.Command) tea.Cmd {
	control := m.o.Control
	return m.do(func() tea.Msg { return sentMsg{c, control.Send(c)} })
}

// to addresses a command to the selected run.
func (m *Model) to() train.To {
	return train.To{Run: m.current().name, Why: m.pressed + " pressed"}
}

func (m *Model) togglePause() tea.Cmd {
	r := m.current()
	if r.state == train.StatePaused {
		r.asked = "going on"
		return m.send(train.Resume{To: m.to()})
	}
	r.asked = "pausing after this batch"
	return m.send(train.Pause{To: m.to()})
}

func (m *Model) save() tea.Cmd {
	m.current().asked = "saving"
	return m.send(train.Save{To: m.to()})
}

func (m *Model) stop(after train.Boundary) tea.Cmd {
	m.current().asked = "stopping after this " + string(after)
	return m.send(train.Stop{To: m.to(), After: after})
}

func (m *Model) askStop() tea.Cmd {
	r := m.current()
	epoch, step, steps := r.progress()
	m.dialog = &dialog{
		title: "Stop the run",
		text:  fmt.Sprintf("%s is in epoch %d, step %d of %d. It is saved and can be resumed.", r.name, epoch, step, steps),
		options: []option{
			{"b", "after this batch", "", func(m *Model) tea.Cmd { return m.stop(train.AfterBatch) }},
			{"e", "after this epoch", m.epochLeft(r), func(m *Model) tea.Cmd { return m.stop(train.AfterEpoch) }},
			{"c", "cancel", "", nil},
		},
	}
	return nil
}

// epochLeft says how long the epoch still takes.
func (m *Model) epochLeft(r *run) string {
	if left, _ := r.left(); left >= 0 {
		return "in about " + format.Duration(left)
	}
	return ""
}

func (m *Model) lr() float64 {
	r := m.current()
	switch {
	case r.step != nil:
		return r.step.LR
	case r.epoch != nil:
		return r.epoch.LR
	}
	return r.started.Config.LR
}

func (m *Model) setRate(v float64) tea.Cmd {
	m.current().asked = "setting the learning rate to " + format.Rate(v)
	return m.send(train.SetLearnRate{To: m.to(), Rate: v})
}

// scaleRate changes the learning rate by a factor. Keys pressed faster than
// the run answers build on each other.
func (m *Model) scaleRate(factor float64) tea.Cmd {
	r := m.current()
	base := m.lr()
	if r.wanted > 0 {
		base = r.wanted
	}
	if base <= 0 {
		return nil
	}
	v, _ := strconv.ParseFloat(strconv.FormatFloat(base*factor, 'g', 3, 64), 64)
	r.wanted = v
	return m.setRate(v)
}

func (m *Model) askRate() tea.Cmd {
	m.dialog = &dialog{
		title: "Learning rate",
		text:  fmt.Sprintf("It is %s now. A schedule goes on from the new one, scaled.", format.Rate(m.lr())),
		input: &lineEdit{text: []rune(format.Rate(m.lr())), fresh: true},
		accept: func(m *Model, text string) (tea.Cmd, string) {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil || !chart.Finite(v) || v <= 0 {
				return nil, "A learning rate is a number above 0."
			}
			return m.setRate(v), ""
		},
	}
	return nil
}

func (m *Model) detach() tea.Cmd {
	m.result = Result{Action: Detach}
	return tea.Quit
}

// askQuit leaves at once where nothing would be lost, else it asks.
func (m *Model) askQuit() tea.Cmd {
	if m.o.Control == nil || m.o.Mode == Replay || m.sourceDone || len(m.runs) > 0 && m.allEnded() {
		return tea.Quit
	}
	stop := option{"s", "stop and save", "it can be resumed", (*Model).stopAndQuit}
	back := option{"b", "go back", "", nil}
	d := &dialog{title: "Leave", text: m.whatRuns()}
	switch {
	case m.o.Mode == Attached:
		d.options = []option{{"l", "leave", "the run goes on", func(*Model) tea.Cmd { return tea.Quit }}, stop, back}
	case m.o.CanDetach:
		d.options = []option{stop, {"l", "leave it training", "in the background", (*Model).detach}, back}
	default:
		d.options = []option{stop, {"l", "leave it training", "here, without the screen", (*Model).leaveRunning}, back}
	}
	m.dialog = d
	return nil
}

// whatRuns says what would be left.
func (m *Model) whatRuns() string {
	r := m.current()
	if r == nil {
		return "The run is about to begin."
	}
	if m.several() {
		n := 0
		for _, r := range m.runs {
			if r.ended == nil {
				n++
			}
		}
		return format.Plural(n, "run") + " of this comparison are not done."
	}
	epoch, step, steps := r.progress()
	return fmt.Sprintf("%s is %s in epoch %d of %d, step %d of %d.", r.name, r.state, epoch, r.started.Config.Epochs, step, steps)
}

func (m *Model) leaveRunning() tea.Cmd {
	m.result = Result{Action: LeaveRunning}
	return tea.Quit
}

// stopAndQuit stops every run and leaves once they have ended.
func (m *Model) stopAndQuit() tea.Cmd {
	m.quitting = true
	for _, r := range m.runs {
		if r.ended == nil {
			r.asked = "stopping after this batch"
		}
	}
	return m.send(train.Stop{To: train.To{Why: m.pressed + " pressed"}, After: train.AfterBatch})
}

// selectRun goes d runs on in the order in which they are shown.
func (m *Model) selectRun(d int) tea.Cmd {
	m.chose = true
	order := m.orderedRuns()
	for i, r := range order {
		if r == m.current() {
			m.selected = slices.Index(m.runs, order[(i+d+len(order))%len(order)])
			break
		}
	}
	m.files.chosen = 0
	if m.view == viewCheckpoints {
		return m.listFiles()
	}
	return nil
}

// show turns to a view.
func (m *Model) show(v view) tea.Cmd {
	if r := m.current(); r != nil { // steps here are images there
		before := m.unit(r)
		m.view = v
		f := m.unit(r) / before
		m.charts.cursor *= f
		m.charts.win.Lo, m.charts.win.Hi = m.charts.win.Lo*f, m.charts.win.Hi*f
	}
	m.view = v
	switch v {
	case viewCheckpoints:
		return m.listFiles()
	case viewSystem:
		return m.sample()
	}
	return nil
}

// back takes away what lies over the plain view, one thing at a time.
func (m *Model) back() tea.Cmd {
	switch {
	case m.charts.hasCursor:
		m.charts.hasCursor = false
	case m.charts.win.Zoomed:
		m.charts.win = chart.Window{}
	}
	return nil
}

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// scroll moves the chosen row of a list, or what is shown of it.
func (m *Model) scroll(d int) tea.Cmd {
	switch m.view {
	case viewCheckpoints:
		m.files.chosen = max(0, min(m.files.chosen+d, len(m.fileRows())-1))
	case viewSamples:
		m.samples.top = max(0, m.samples.top+min(d, 1<<20)) // drawing holds it to what there is
	case viewSystem:
		m.system.top = max(0, m.system.top-max(d, -1<<20))
	}
	return nil
}

// page is how many rows a page is.
func (m *Model) page() int { return max(1, m.h/2) }
