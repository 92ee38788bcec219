package tui

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"cifartui/train"
	"cifartui/tui/style"
	"cifartui/tui/terminal"

	tea "github.com/charmbracelet/bubbletea"
)

const (
	// eventBatch is how many events are taken from the source at a time.
	eventBatch = 4096
	// eventPause is how long the reader rests after it has caught up, so that
	// numbers change at a pace one can read and the terminal is sent little.
	eventPause = 200 * time.Millisecond
	// chartPause is how often running charts take up new points.
	chartPause = time.Second
	// catchUpPause is how often the screen is drawn while history is read.
	catchUpPause = 100 * time.Millisecond

	// The smallest window that has room for the views.
	leastWidth, leastHeight = 40, 12
)

// Model is the state of the screen. It changes only in Update.
type Model struct {
	ctx context.Context
	o   Options

	glyphs   *style.Glyphs
	palette  *style.Palette
	bindings []binding
	w, h     int // of the window; 0 until it is known

	runs     []*run // in the order of their names
	selected int    // the run that keys act on
	chose    bool   // whether a person chose it
	view     view
	charts   chartState
	compare  compareState
	files    fileState
	samples  samplesState
	system   systemState

	help       bool
	helpTop    int // first line of the help shown
	dialog     *dialog
	loading    *loadState // data is being made ready; nil: it is
	notice     style.Span // what was last worth saying
	pressed    string     // the last key that did something, for the event log
	quitting   bool       // stop and save was chosen: wait for the end, then leave
	sourceDone bool       // no more events will come
	catchingUp bool       // the source had more than one batch

	now     time.Time // of the last message that told it
	flushed time.Time // when the charts last took up points
	drawn   time.Time // when the frame was made
	ticking bool      // a tickMsg is under way
	frame   string    // what View returns

	tell   io.Writer // takes codes for the terminal; nil: there is none
	asks   bool      // the terminal's answers would be understood
	result Result
	crash  *Crash
}

func newModel(ctx context.Context, o Options) (*Model, error) {
	bs, err := bind(o.Keys)
	if err != nil {
		return nil, err
	}
	g, profile := o.terminal()
	dark := o.Theme != "light"
	if d, ok := terminal.DarkByEnv(o.Env); ok && o.autoTheme() {
		dark = d
	}
	m := &Model{
		ctx: ctx, o: o, glyphs: g, palette: style.NewPalette(profile, dark), bindings: bs,
		charts: newChartState(), now: o.now(),
	}
	if o.Load != nil {
		m.loading = &loadState{}
	}
	return m, nil
}

func (o Options) autoTheme() bool { return o.Theme == "" || o.Theme == "auto" }

// Init implements [tea.Model].
func (m *Model) Init() tea.Cmd {
	return tea.Batch(m.wait(0), m.load(""), m.askBackground())
}

// askBackground asks the terminal once, where the answer is of use and the
// terminal is known to take the question. The answer comes as a backgroundMsg.
func (m *Model) askBackground() tea.Cmd {
	_, known := terminal.DarkByEnv(m.o.Env)
	t := m.o.Env("TERM")
	if !m.asks || m.tell == nil || known || !m.o.autoTheme() || t == "" || t == "linux" || t == "dumb" {
		return nil
	}
	return m.do(func() tea.Msg {
		_, _ = io.WriteString(m.tell, terminal.AskBackground)
		return nil
	})
}

// do makes a command of f. A panic in it ends the screen like one in Update.
func (m *Model) do(f func() tea.Msg) tea.Cmd {
	return func() (msg tea.Msg) {
		defer func() {
			if r := recover(); r != nil {
				msg = crashMsg{&Crash{r, debug.Stack()}}
			}
		}()
		return f()
	}
}

// wait takes the next events from the source after a pause. Update calls it
// again after each batch.
func (m *Model) wait(pause time.Duration) tea.Cmd {
	if m.o.Source == nil {
		return nil
	}
	return m.do(func() tea.Msg {
		if pause > 0 {
			t := time.NewTimer(pause)
			defer t.Stop()
			select {
			case <-t.C:
			case <-m.ctx.Done():
			}
		}
		events, err := m.o.Source.Next(m.ctx, eventBatch)
		return eventsMsg{events, err, m.o.now(), len(events) == eventBatch}
	})
}

// tick asks for a tickMsg in a second, while a run is at work here and now.
func (m *Model) tick() tea.Cmd {
	if m.ticking || m.o.Mode == Replay || m.sourceDone || !m.atWork() {
		return nil
	}
	m.ticking = true
	return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tickMsg{t} })
}

// atWork reports whether some run is training.
func (m *Model) atWork() bool {
	for _, r := range m.runs {
		if r.live() && (r.state == train.StateRunning || r.state == train.StateStopping) {
			return true
		}
	}
	return false
}

// Update implements [tea.Model]. It is the only place where the screen's state
// changes, and it draws what changed.
func (m *Model) Update(msg tea.Msg) (same tea.Model, cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			m.crash = &Crash{r, debug.Stack()}
			same, cmd = m, tea.Quit
		}
	}()
	cmd = m.update(msg)
	m.takeUpSamples()
	if m.w > 0 && (!m.catchingUp || m.now.Sub(m.drawn) >= catchUpPause) {
		m.drawn = m.now
		m.frame = m.draw()
	}
	return m, cmd
}

// View implements [tea.Model].
func (m *Model) View() string { return m.frame }

func (m *Model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = max(msg.Width, 0), max(msg.Height, 0)
		m.drawn = time.Time{}
	case tea.KeyMsg:
		m.drawn = time.Time{}
		return m.key(msg)
	case eventsMsg:
		return m.take(msg)
	case tickMsg:
		m.ticking, m.now = false, msg.at
		m.takeUp(false)
		return tea.Batch(m.tick(), m.sample())
	case backgroundMsg:
		if m.o.autoTheme() && msg.dark != m.palette.Dark {
			m.palette = style.NewPalette(m.palette.Profile, msg.dark)
		}
	case sentMsg:
		if msg.err != nil {
			m.quitting = false
			for _, r := range m.runs {
				r.asked = ""
			}
			m.say(style.Trouble, sentence(msg.err.Error()))
		}
	case loadMsg:
		if m.loading != nil {
			m.loading.progress = msg.progress
			return m.nextProgress()
		}
	case loadedMsg:
		return m.loaded(msg.err)
	case filesMsg:
		m.files.take(msg)
		m.now = msg.at
	case verifiedMsg:
		m.verified(msg)
	case deletedMsg:
		return m.deleted(msg)
	case copiedMsg:
		m.say(style.Plain, "Copied "+msg.path)
	case gaugesMsg:
		m.system.take(msg.gauges)
	case crashMsg:
		m.crash = msg.crash
		return tea.Quit
	}
	return nil
}

// take learns from a batch of events and asks for the next.
func (m *Model) take(msg eventsMsg) tea.Cmd {
	m.now, m.catchingUp = msg.at, msg.more
	var cmds []tea.Cmd
	listed := false
	for _, e := range msg.events {
		r := m.run(e.Head().Run)
		notice := r.take(e, msg.at)
		if notice != "" && !m.catchingUp && r == m.current() {
			m.say(noticeStyle(e), notice)
		}
		_, saved := e.(*train.CheckpointSaved)
		listed = listed || saved
	}
	m.takeUp(m.catchingUp || msg.err != nil)
	if listed && m.view == viewCheckpoints {
		cmds = append(cmds, m.listFiles())
	}
	switch {
	case msg.err == nil && msg.more:
		cmds = append(cmds, m.wait(0))
	case msg.err == nil:
		cmds = append(cmds, m.wait(eventPause))
	case m.ctx.Err() != nil:
	default:
		m.sourceDone, m.catchingUp = true, false
		m.lose()
		if !errors.Is(msg.err, io.EOF) {
			m.say(style.Trouble, sentence(msg.err.Error()))
		}
	}
	if m.quitting && (m.sourceDone || m.allEnded()) {
		return tea.Quit
	}
	return tea.Batch(append(cmds, m.tick())...)
}

// lose marks the runs that never told their end.
func (m *Model) lose() {
	for _, r := range m.runs {
		if r.ended == nil {
			r.lost, r.asked = "out of reach", ""
			if m.o.Mode == Replay {
				r.lost = "cut short"
			}
		}
	}
}

// takeUp moves new points into the charts once a second, or now.
func (m *Model) takeUp(atOnce bool) {
	if !atOnce && m.now.Sub(m.flushed) < chartPause && m.now.After(m.flushed) {
		return
	}
	m.flushed = m.now
	for _, r := range m.runs {
		r.flush()
	}
}

func noticeStyle(e train.Event) style.Style {
	switch e := e.(type) {
	case *train.Warning:
		return style.Caution
	case *train.RunEnded:
		if e.Outcome == train.OutcomeFailed || e.Outcome == train.OutcomeDiverged {
			return style.Trouble
		}
	}
	return style.Plain
}

// run returns the run of that name, a new one when it is not known yet. Runs
// stand in the order of their names, as those of a comparison begin all at once
// and in any order. The first is shown until a person chooses.
func (m *Model) run(name string) *run {
	at := len(m.runs)
	for i, r := range m.runs {
		if r.name == name {
			return r
		}
		if at > i && before(name, r.name) {
			at = i
		}
	}
	r := newRun(name)
	m.runs = slices.Insert(m.runs, at, r)
	if m.selected >= at && m.chose {
		m.selected++
	}
	return r
}

// before orders names as people do: "batch=64" before "batch=128".
func before(a, b string) bool {
	for a != "" && b != "" {
		na, nb := leadingNumber(a), leadingNumber(b)
		switch {
		case na != "" && nb != "":
			x, y := strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
			if len(x) != len(y) {
				return len(x) < len(y)
			}
			if x != y {
				return x < y
			}
			a, b = a[len(na):], b[len(nb):]
		case a[0] != b[0]:
			return a[0] < b[0]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return len(a) < len(b)
}

// leadingNumber returns the digits that s begins with.
func leadingNumber(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

// current returns the run that the views show and keys act on, nil before the
// first event.
func (m *Model) current() *run {
	if m.selected < len(m.runs) {
		return m.runs[m.selected]
	}
	return nil
}

func (m *Model) allEnded() bool {
	for _, r := range m.runs {
		if r.ended == nil {
			return false
		}
	}
	return len(m.runs) > 0
}

// say puts a sentence into the message line, until the next key.
func (m *Model) say(s style.Style, text string) { m.notice = s.Text(text) }

// key dispatches a key: to what lies on top, else by the table of bindings.
func (m *Model) key(msg tea.KeyMsg) tea.Cmd {
	if msg.Paste && (m.dialog == nil || m.dialog.input == nil) {
		return nil // a paste is no series of commands
	}
	k := msg.String()
	m.notice = style.Span{}
	switch {
	case m.dialog != nil:
		return m.dialogKey(msg)
	case m.loading != nil:
		return m.loadingKey(msg)
	case m.quitting:
		if b := m.find(k); b != nil && b.action == "quit" {
			m.result = Result{Action: Aborted}
			return tea.Quit
		}
		return nil
	case m.help:
		return m.helpKey(k)
	}
	b := m.find(k)
	switch {
	case b == nil:
		return nil
	case b.when != nil && !b.when(m):
		m.say(style.Dim, m.whyNot(b))
		return nil
	}
	m.pressed = keyLabel(k, &style.ASCII)
	return b.do(m)
}

// sentence makes an error's text one that stands alone.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return upperFirst(s)
	}
	return upperFirst(s) + "."
}
