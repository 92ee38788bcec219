package tui

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"slices"
	"time"

	"cifartui/train/event"
	"cifartui/tui/format"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

const (
	// eventBatch is how many events are taken from the source at a time.
	eventBatch = 4096
	// eventPause is how long the reader rests after it has caught up, so that
	// numbers change at a pace one can read and the terminal is sent little.
	eventPause = 200 * time.Millisecond
	// watchPause is that of a screen on another process's run in which no key was
	// pressed for attention: many of them may be left open, and what they take is
	// taken from training.
	watchPause = time.Second
	attention  = 3 * time.Second
	// chartPause is how often running charts take up new points.
	chartPause = time.Second
	// catchUpPause is how often the screen is drawn while history is read.
	catchUpPause = 100 * time.Millisecond
)

// Model is the screen of one run, or of several that are compared: a Bubble Tea
// model. A program that has the terminal ([Show]) opens it with [New], gives it its
// messages, shows its View and closes it after its [LeftMsg]: package watch.
//
// It keeps what is common. Each view has its own state, keys and drawing.
type Model struct {
	*common
	cancel context.CancelFunc

	steering *steering
	curves   *curves // how the Charts and the Compare view look at runs
	header   *header
	loading  *loading
	help     *keymap.Help

	charts  *chartsView
	compare *compareView
	files   *checkpointsView
	samples *samplesView
	system  *systemView

	w, h    int           // of the window; 0 until it is known
	flushed time.Time     // when the charts last took up points
	drawn   time.Time     // when the frame was made
	ticking bool          // a tickMsg is under way
	touched time.Time     // when a key was last pressed
	hurry   chan struct{} // ends the reader's rest; holds one token, never closed
	stale   bool          // the body is to be drawn anew
	body    string        // the frame without what is above and below the view
	frame   string        // what View returns

	crash *Crash
}

// New makes a screen. Close ends what it waits for.
func New(ctx context.Context, o Options) (*Model, error) {
	o = o.filled()
	g, palette := o.Look()
	ctx, cancel := context.WithCancel(ctx)
	m := newModel(&common{ctx: ctx, o: o, glyphs: g, palette: palette, now: o.now()})
	m.cancel = cancel
	if o.Terminal != nil {
		m.terminal = o.Terminal.Out
	}
	table, err := keymap.Bind(m.bindings(), o.Keys)
	if err != nil {
		cancel()
		return nil, err
	}
	m.table = table
	m.loading.on = o.Load != nil
	return m, nil
}

// newModel puts the parts of a screen together.
func newModel(c *common) *Model {
	p := page{common: c}
	m := &Model{
		hurry:  make(chan struct{}, 1),
		common: c, steering: &steering{common: c}, curves: newCurves(c),
		header: &header{c}, loading: &loading{common: c}, help: new(keymap.Help),
	}
	m.charts = &chartsView{page: p, curves: m.curves}
	m.compare = &compareView{page: p, curves: m.curves}
	m.files = &checkpointsView{page: p}
	m.samples = &samplesView{page: p, cell: cell{said: -1}, walk: walk{common: c, filter: everyImage, exampled: -1}}
	m.system = &systemView{page: p}
	c.turnTo = m.show
	return m
}

// view returns the view of that name.
func (m *Model) view(v viewID) view {
	return [views]view{m.charts, m.compare, m.files, m.samples, m.system}[v]
}

// Init implements [tea.Model].
func (m *Model) Init() tea.Cmd {
	return tea.Batch(m.wait(0), m.loading.load(""), m.askBackground())
}

// Close ends what the screen waits for. The run goes on.
func (m *Model) Close() { m.cancel() }

// askBackground asks the terminal for its background.
func (m *Model) askBackground() tea.Cmd {
	ask := m.o.Terminal.AskBackground(m.o)
	if ask == nil {
		return nil
	}
	return m.do(ask)
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
			case <-m.hurry:
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
	return m.after(time.Second, func(t time.Time) tea.Msg { return tickMsg{t} })
}

// Update implements [tea.Model]. It is the only place where the screen's state
// changes, and it draws what changed.
func (m *Model) Update(msg tea.Msg) (same tea.Model, cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			same, cmd = m, m.fail(&Crash{r, debug.Stack()})
		}
	}()
	if own, ok := msg.(ownMsg); ok {
		if own.screen != m.common {
			return m, nil // of a screen that was closed
		}
		msg = own.msg
	}
	var cmds []tea.Cmd
	for _, msg := range keymap.Singly(msg) {
		cmds = append(cmds, m.update(msg))
		for v := range views {
			cmds = append(cmds, m.view(v).receive(msg))
		}
		cmds = append(cmds, m.settle())
	}
	if m.w > 0 && m.drawDue(msg) {
		m.drawn = m.now
		if m.stale {
			m.body, m.stale = m.drawBody(), false
		}
		m.frame = m.around(m.body)
	}
	return m, tea.Batch(cmds...)
}

// drawDue reports whether what a message changed is to be shown at once: history
// that is read, and clocks on a screen that nobody touches, can wait a little.
func (m *Model) drawDue(msg tea.Msg) bool {
	since := m.now.Sub(m.drawn)
	if _, tick := msg.(tickMsg); tick && m.untouched() && since >= 0 {
		return since >= watchPause/2
	}
	return !m.catchingUp || since >= catchUpPause
}

// View implements [tea.Model].
func (m *Model) View() string { return m.frame }

// fail ends the screen after a panic.
func (m *Model) fail(c *Crash) tea.Cmd {
	m.crash = c
	return func() tea.Msg { return LeftMsg{Err: c, screen: m.common} }
}

// changesBody reports whether a message changes more than the header: steps alone
// do not, the views take them up with the charts, once a second.
func changesBody(msg tea.Msg) bool {
	switch msg := msg.(type) {
	case tickMsg:
		return false
	case eventsMsg:
		return slices.ContainsFunc(msg.events, func(e event.Event) bool {
			_, step := e.(*event.StepDone)
			return !step
		}) || msg.err != nil || msg.more
	}
	return true
}

func (m *Model) update(msg tea.Msg) tea.Cmd {
	m.stale = m.stale || changesBody(msg)
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.resize(msg.Width, msg.Height)
	case tea.KeyMsg:
		m.drawn, m.touched = time.Time{}, m.o.now()
		select {
		case m.hurry <- struct{}{}:
		default: // a token is there already
		}
		return m.key(msg)
	case eventsMsg:
		return m.apply(msg)
	case tickMsg:
		m.ticking, m.now = false, msg.at
		m.flush(false)
		return m.tick()
	case BackgroundMsg:
		if m.o.autoTheme() && msg.Dark != m.palette.Dark {
			m.palette = style.NewPalette(m.palette.Profile, msg.Dark)
		}
	case QuitMsg:
		m.pressed, m.notice = m.keyOf("quit"), style.Span{}
		return m.steering.askQuit()
	case sentMsg:
		m.steering.sent(msg)
	case loadMsg, loadedMsg:
		return m.loading.receive(msg)
	case crashMsg:
		return m.fail(msg.crash)
	}
	return nil
}

// resize takes the size of the window and gives each view its area.
func (m *Model) resize(w, h int) {
	m.w, m.h = max(w, 0), max(h, 0)
	m.drawn = time.Time{}
	header, below := rows(m.h)
	for v := range views {
		m.view(v).setSize(m.w, max(m.h-header-below, 0))
	}
}

// settle lets each view make ready what is drawn next.
func (m *Model) settle() tea.Cmd {
	header, below := rows(m.h)
	m.help.Settle(m.table, m.w, m.h-header-below, m.glyphs)
	var cmds []tea.Cmd
	for v := range views {
		cmds = append(cmds, m.view(v).settle())
	}
	return tea.Batch(cmds...)
}

// apply learns from a batch of events and asks for the next.
func (m *Model) apply(msg eventsMsg) tea.Cmd {
	m.now, m.catchingUp = msg.at, msg.more
	for _, e := range msg.events {
		r := m.named(e.Head().Run)
		notice := r.apply(e, msg.at)
		if notice != "" && !m.catchingUp && r == m.current() {
			m.say(noticeStyle(e), notice)
		}
		if _, started := e.(*event.RunStarted); started {
			m.relabel()
			if r == m.current() { // what was said of its end is past
				m.notice = style.Span{}
			}
		}
	}
	m.flush(m.catchingUp || msg.err != nil)
	var next tea.Cmd
	switch {
	case msg.err == nil && msg.more:
		next = m.wait(0)
	case msg.err == nil:
		next = m.wait(m.pause())
	case m.ctx.Err() != nil:
	default:
		m.sourceDone, m.catchingUp = true, false
		m.lose()
		if !errors.Is(msg.err, io.EOF) {
			m.say(style.Trouble, format.Sentence(msg.err.Error()))
		}
	}
	if m.steering.quitting && (m.sourceDone || m.allEnded()) {
		return m.steering.close()
	}
	return tea.Batch(next, m.tick())
}

// pause is how long the reader rests.
func (m *Model) pause() time.Duration {
	if m.untouched() {
		return watchPause
	}
	return eventPause
}

// untouched reports whether the screen is one of maybe many on another process's
// run, and nobody has pressed a key for a while.
func (m *Model) untouched() bool {
	return m.o.Mode == Attached && m.now.Sub(m.touched) > attention
}

// lose marks the runs that never told their end.
func (m *Model) lose() {
	for _, r := range m.all {
		if r.Ended == nil {
			r.lost, r.asked = "out of reach", ""
			if m.o.Mode == Replay {
				r.lost = "cut short"
			}
		}
	}
}

// flush moves new points into the charts once a second, on a screen that nobody
// touches every other, or now.
func (m *Model) flush(atOnce bool) {
	pause := chartPause
	if m.untouched() {
		pause *= 2
	}
	if !atOnce && m.now.Sub(m.flushed) < pause && m.now.After(m.flushed) {
		return
	}
	m.flushed, m.stale = m.now, true
	for _, r := range m.all {
		r.flush()
	}
}

func noticeStyle(e event.Event) style.Style {
	switch e := e.(type) {
	case *event.Warning:
		return style.Caution
	case *event.RunEnded:
		if e.Outcome == event.OutcomeFailed || e.Outcome == event.OutcomeDiverged {
			return style.Trouble
		}
	}
	return style.Plain
}

// key gives a key to what lies on top, else to what it is bound to.
func (m *Model) key(msg tea.KeyMsg) tea.Cmd {
	if msg.Paste && !m.typing() {
		return nil // a paste is no series of commands
	}
	k := msg.String()
	m.notice = style.Span{}
	switch {
	case m.dialog != nil:
		d := m.dialog
		m.dialog = nil // what it does may ask again
		cmd, done := d.Key(msg)
		if !done {
			m.dialog = d
		}
		return cmd
	case m.loading.on:
		return m.loading.key(msg)
	case m.steering.quitting:
		return m.steering.waitingKey(k)
	case m.help.On:
		m.help.Key(k)
		if k == "ctrl+c" {
			return m.steering.askQuit()
		}
		return nil
	}
	b := m.find(k)
	switch {
	case b == nil:
		return nil
	case b.When != nil && !b.When():
		m.say(style.Dim, b.WhyNot())
		return nil
	}
	m.pressed = keymap.Label(k, &style.ASCII)
	return b.Do()
}

// typing reports whether what lies on top is a line of text.
func (m *Model) typing() bool {
	return m.dialog != nil && m.dialog.Input != nil || m.loading.on && m.loading.folder != nil
}

// show turns to a view.
func (m *Model) show(v viewID) tea.Cmd {
	m.shown = v
	return m.view(v).open()
}
