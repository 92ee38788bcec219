package watch

import (
	"context"
	"io"
	"path/filepath"
	"runtime/debug"
	"time"

	"cifartui/train/survey"
	"cifartui/tui"
	"cifartui/tui/dialog"
	"cifartui/tui/format"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

const (
	// listingPause is how often the list is drawn while folders are read for the
	// first time, updatePause how often from then on, so that many live runs cost
	// little and numbers change at a pace one can read.
	listingPause = 100 * time.Millisecond
	updatePause  = time.Second
	// tickPause is how often ages are looked at anew where nothing else changes.
	tickPause = 15 * time.Second
	// jobsPause is how often the scheduler is asked.
	jobsPause = 15 * time.Second
)

// Model is the program over all runs: a Bubble Tea model that shows the list or,
// over it, a run's screen. It changes only in Update.
type Model struct {
	ctx     context.Context
	cancel  context.CancelFunc
	o       Options
	glyphs  *style.Glyphs
	palette *style.Palette
	table   keymap.Table
	now     time.Time
	clock   func() time.Time

	watcher *survey.Watcher
	started bool // the watcher is at work

	home   *tui.Model // of the run that the program began with; nil: none
	screen *tui.Model // of a run opened from the list; nil: none
	folder string     // that run
	closer io.Closer  // of its source
	athome bool       // home is on top
	try    int        // counts what was opened
	wanted string     // the folder that is being opened; "": none

	counting *removal // is asked about once it is counted; nil: nothing is

	list    *list
	pane    pane
	curves  *curves
	setting *settings
	help    keymap.Help
	dialog  *dialog.Dialog
	typing  *dialog.Line // the filter that is being typed; nil: none
	before  string       // what it was
	notice  style.Span
	unasked error // why the scheduler did not tell of jobs when it was last asked

	w, h   int
	frame  string
	result tui.Result
	err    error
}

// New makes the screen. Close ends what it waits for.
func New(ctx context.Context, o Options) (*Model, error) {
	g, p := o.Screen.Look()
	ctx, cancel := context.WithCancel(ctx)
	m := &Model{
		ctx: ctx, cancel: cancel, o: o, glyphs: g, palette: p, clock: time.Now,
		watcher: survey.New(o.Folders...), list: newList(), curves: &curves{weight: 1}, setting: &settings{},
	}
	m.now = m.clock()
	var err error
	if m.table, err = keymap.Bind(m.bindings(), nil); err != nil {
		cancel()
		return nil, err
	}
	if o.First {
		first := o.Screen
		first.AllRuns = true
		if m.home, err = tui.New(ctx, first); err != nil {
			cancel()
			return nil, err
		}
		m.athome = true
	}
	return m, nil
}

// Close ends what the screen waits for. The runs go on.
func (m *Model) Close() {
	m.cancel()
	m.closeScreen()
	if m.home != nil {
		m.home.Close()
	}
}

// Init implements [tea.Model].
func (m *Model) Init() tea.Cmd {
	if m.home != nil {
		return m.home.Init()
	}
	cmds := []tea.Cmd{m.begin()}
	if ask := m.o.Screen.Terminal.AskBackground(m.o.Screen); ask != nil {
		cmds = append(cmds, m.do(ask))
	}
	return tea.Batch(cmds...)
}

// begin has the folders looked at, once the list is first shown.
func (m *Model) begin() tea.Cmd {
	if m.started {
		return nil
	}
	m.started = true
	return tea.Batch(
		m.do(func() tea.Msg { m.watcher.Run(m.ctx); return nil }),
		m.wait(0), m.tick(), m.askJobs(0),
	)
}

// wait takes what has changed after a pause. Update calls it again each time.
func (m *Model) wait(pause time.Duration) tea.Cmd {
	return m.do(func() tea.Msg {
		if !m.sleep(pause) {
			return updateMsg{over: true}
		}
		u, err := m.watcher.Next(m.ctx)
		return updateMsg{u, m.clock(), err != nil}
	})
}

func (m *Model) tick() tea.Cmd {
	return m.do(func() tea.Msg {
		m.sleep(tickPause)
		return tickMsg{m.clock()}
	})
}

// sleep waits for a time, and reports whether the screen goes on.
func (m *Model) sleep(d time.Duration) bool {
	if d <= 0 {
		return m.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-m.ctx.Done():
		return false
	}
}

// do makes a command of f; a panic in it ends the screen like one in Update.
func (m *Model) do(f func() tea.Msg) tea.Cmd {
	return func() (msg tea.Msg) {
		defer func() {
			if r := recover(); r != nil {
				msg = crashMsg{&tui.Crash{Value: r, Stack: debug.Stack()}}
			}
		}()
		return f()
	}
}

// top is the run's screen that is seen; nil: the list is.
func (m *Model) top() *tui.Model {
	if m.athome {
		return m.home
	}
	return m.screen
}

// Update implements [tea.Model].
func (m *Model) Update(msg tea.Msg) (same tea.Model, cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			m.err = &tui.Crash{Value: r, Stack: debug.Stack()}
			same, cmd = m, tea.Quit
		}
	}()
	var cmds []tea.Cmd
	if _, key := msg.(tea.KeyMsg); key && m.top() != nil {
		cmds = append(cmds, give(m.top(), msg))
	} else {
		for _, msg := range keymap.Singly(msg) {
			cmds = append(cmds, m.update(msg))
		}
		if !key {
			cmds = append(cmds, give(m.home, msg), give(m.screen, msg))
		}
	}
	if m.w > 0 && m.top() == nil {
		m.settle()
		m.frame = m.draw()
	}
	return m, tea.Batch(cmds...)
}

// give passes a message to a run's screen.
func give(screen *tui.Model, msg tea.Msg) tea.Cmd {
	if screen == nil {
		return nil
	}
	_, cmd := screen.Update(msg)
	return cmd
}

// View implements [tea.Model].
func (m *Model) View() string {
	if top := m.top(); top != nil {
		return top.View()
	}
	return m.frame
}

func (m *Model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = max(msg.Width, 0), max(msg.Height, 0)
	case tui.BackgroundMsg:
		if t := m.o.Screen.Theme; (t == "" || t == "auto") && msg.Dark != m.palette.Dark {
			m.palette = style.NewPalette(m.palette.Profile, msg.Dark)
		}
	case tea.KeyMsg:
		return m.key(msg)
	case updateMsg:
		return m.learn(msg)
	case tickMsg:
		m.now, m.list.stale = msg.at, true // age<2h holds of others by now
		if m.ctx.Err() == nil {
			return m.tick()
		}
	case openedMsg:
		return m.opened(msg)
	case jobsMsg:
		return m.learnJobs(msg)
	case sentMsg:
		m.sent(msg)
	case sizedMsg:
		m.sized(msg)
	case removedMsg:
		return m.removed(msg)
	case tui.AllRunsMsg:
		return m.turnToList(msg)
	case tui.LeftMsg:
		return m.left(msg)
	case crashMsg:
		m.err = msg.crash
		return tea.Quit
	}
	return nil
}

// learn takes up what has changed among the runs, and waits for more.
func (m *Model) learn(msg updateMsg) tea.Cmd {
	if msg.over {
		return nil
	}
	m.now = msg.at
	m.list.learn(msg.update, m.now)
	if !msg.update.Listed {
		return m.wait(listingPause)
	}
	return m.wait(updatePause)
}

// turnToList shows the list in place of a run's screen.
func (m *Model) turnToList(msg tui.AllRunsMsg) tea.Cmd {
	switch {
	case m.home != nil && msg.Of(m.home):
		m.athome = false
		if f := m.o.Folder; f != nil && f() != "" {
			m.list.choose(f())
		}
		return tea.Batch(m.begin(), tea.ClearScreen)
	case m.screen != nil && msg.Of(m.screen):
		m.closeScreen()
		return tea.ClearScreen
	}
	return nil
}

// left ends the program when a run's screen is left. Where a run trains in this
// process and it was another one's screen, it is first asked what is to become of
// that: the end of the program is the end of its training.
func (m *Model) left(msg tui.LeftMsg) tea.Cmd {
	home, opened := m.home != nil && msg.Of(m.home), m.screen != nil && msg.Of(m.screen)
	switch {
	case !home && !opened:
		return nil
	case home, m.home == nil, m.o.Screen.Mode != tui.Live, msg.Err != nil:
		m.result, m.err = msg.Result, msg.Err
		return tea.Quit
	}
	m.closeScreen()
	if msg.Result.Action == tui.ResumeFrom {
		m.askResume(msg.Result)
		return tea.ClearScreen
	}
	return m.quit()
}

// askResume asks whether the run that trains here is to end for another one, of
// which a checkpoint was chosen.
func (m *Model) askResume(r tui.Result) {
	m.dialog = &dialog.Dialog{
		Title: "Resume from", Text: "The run that trains here is stopped and saved first, if it is still at work.",
		Options: []dialog.Option{
			{Key: "r", Label: "resume from " + filepath.Base(r.File), Do: func() tea.Cmd {
				m.result = r
				return tea.Quit
			}},
			{Key: "c", Label: "cancel"},
		},
	}
}

func (m *Model) closeScreen() {
	if m.screen == nil {
		return
	}
	m.screen.Close()
	if m.closer != nil {
		_ = m.closer.Close() // it was only read from
	}
	m.screen, m.closer, m.folder = nil, nil, ""
}

// open shows the chosen run's own screen.
func (m *Model) open() tea.Cmd {
	r := m.list.chosenRow()
	if r == nil {
		return nil
	}
	if m.isHome(r.Folder) {
		m.athome = true
		return tea.ClearScreen
	}
	if r.State == survey.NotBegun {
		m.say(style.Dim, r.Name+" has not begun.")
		return nil
	}
	m.try++
	m.wanted = r.Folder
	m.say(style.Dim, "Opening "+r.Name+m.glyphs.Dots)
	folder, try := r.Folder, m.try
	return m.do(func() tea.Msg {
		o, closer, err := m.o.Open(m.ctx, folder)
		return openedMsg{folder, try, o, closer, err}
	})
}

// isHome reports whether a folder is of the run that the program began with.
func (m *Model) isHome(folder string) bool {
	if m.home == nil || m.o.Folder == nil {
		return false
	}
	home := m.o.Folder()
	return home != "" && (same(folder, home) || same(parent(folder), home))
}

// opened shows a run's screen that is ready.
func (m *Model) opened(msg openedMsg) tea.Cmd {
	if msg.try != m.try || m.wanted == "" || m.ctx.Err() != nil || m.screen != nil {
		if msg.closer != nil {
			_ = msg.closer.Close() // nobody waits for it any more
		}
		return nil
	}
	m.wanted, m.notice = "", style.Span{}
	if msg.err != nil {
		m.say(style.Trouble, format.Sentence(msg.err.Error()))
		return nil
	}
	o := msg.screen
	o.AllRuns, o.Terminal, o.Env, o.Theme = true, m.o.Screen.Terminal, m.o.Screen.Env, m.theme()
	screen, err := tui.New(m.ctx, o)
	if err != nil {
		m.say(style.Trouble, format.Sentence(err.Error()))
		return nil
	}
	m.screen, m.closer, m.folder = screen, msg.closer, msg.folder
	return tea.Batch(tea.ClearScreen, screen.Init(), give(screen, tea.WindowSizeMsg{Width: m.w, Height: m.h}))
}

// theme is what a run's screen is drawn in: what is known by now.
func (m *Model) theme() string {
	if t := m.o.Screen.Theme; t != "" && t != "auto" {
		return t
	}
	if m.palette.Dark {
		return "dark"
	}
	return "light"
}

// quit leaves the program; where a run trains in it, by that run's screen, which
// asks what is to become of it.
func (m *Model) quit() tea.Cmd {
	if m.home != nil {
		m.athome = true
		return tea.Batch(tea.ClearScreen, give(m.home, tui.QuitMsg{}))
	}
	m.result = tui.Result{Action: tui.Closed}
	return tea.Quit
}

// say puts a sentence into the message line, until the next key.
func (m *Model) say(s style.Style, text string) { m.notice = s.Text(text) }
