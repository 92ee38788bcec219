package tui

import (
	"errors"
	"strings"
	"time"

	"cifartui/tui/canvas"
	"cifartui/tui/dialog"
	"cifartui/tui/format"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// loading is the screen while the data is being made ready.
type loading struct {
	*common
	on       bool // else the data is ready
	progress Progress
	reports  chan Progress // holds the newest report; closed when loading ends
	err      error         // why it failed; nil: under way
	chosen   int
	folder   *dialog.Line // being typed; nil: choosing
}

// load makes the data ready: what the settings say, "demo" or a folder.
func (l *loading) load(data string) tea.Cmd {
	if l.o.Load == nil {
		return nil
	}
	reports := make(chan Progress, 1)
	*l = loading{common: l.common, on: true, reports: reports}
	report := func(p Progress) { // called by one goroutine
		select {
		case <-reports: // make room: only the newest counts
		default:
		}
		select {
		case reports <- p:
		default:
		}
	}
	return tea.Batch(l.nextProgress(), l.do(func() tea.Msg {
		defer close(reports)
		return loadedMsg{l.o.Load(l.ctx, data, report)}
	}))
}

// nextProgress waits for the next report, at most a few a second.
func (l *loading) nextProgress() tea.Cmd {
	reports := l.reports
	return l.do(func() tea.Msg {
		time.Sleep(eventPause)
		p, ok := <-reports
		if !ok {
			return nil
		}
		return loadMsg{p}
	})
}

// receive learns how loading goes.
func (l *loading) receive(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case loadMsg:
		if l.on {
			l.progress = msg.progress
			return l.nextProgress()
		}
	case loadedMsg:
		if l.ctx.Err() == nil {
			l.on, l.err = l.on && msg.err != nil, msg.err
		}
	}
	return nil
}

// choices are what can be done when training can't start.
func (l *loading) choices() []dialog.Option {
	again := dialog.Option{Key: "r", Label: "try again", Do: func() tea.Cmd { return l.load("") }}
	if _, data := l.title(); !data {
		return []dialog.Option{again, {Key: "q", Label: "quit", Do: l.quit}}
	}
	return []dialog.Option{
		again,
		{Key: "e", Label: "train on the demo set", Hint: "made up on the spot; shows how all works", Do: func() tea.Cmd { return l.load("demo") }},
		{Key: "f", Label: "use a folder", Hint: "of pictures, or of CIFAR's files", Do: func() tea.Cmd { l.folder = &dialog.Line{}; return nil }},
		{Key: "q", Label: "quit", Do: l.quit},
	}
}

// title is what went wrong, in a few words, and whether other data may help.
func (l *loading) title() (title string, data bool) {
	var start *StartError
	if errors.As(l.err, &start) {
		return start.Title, start.Data
	}
	return "Training cannot start", false
}

func (l *loading) quit() tea.Cmd { return l.leave(Result{Action: Closed, Err: l.err}) }

func (l *loading) key(msg tea.KeyMsg) tea.Cmd {
	k := msg.String()
	switch {
	case k == "ctrl+c":
		return l.quit()
	case l.folder != nil && k == "esc":
		l.folder = nil
	case l.folder != nil && k == "enter":
		if name := strings.TrimSpace(string(l.folder.Text)); name != "" {
			return l.load(name)
		}
	case l.folder != nil:
		l.folder.Key(msg)
	case l.err == nil:
		if k == "q" {
			return l.quit()
		}
	default:
		d := l.question()
		cmd, _ := d.OptionKey(k)
		l.chosen = d.Chosen
		return cmd
	}
	return nil
}

// question says what went wrong and asks what to do.
func (l *loading) question() dialog.Dialog {
	if l.folder != nil {
		return dialog.Dialog{Title: "Folder with the data", Text: "A folder of pictures, with a subfolder for each class, or the folder or the archive of CIFAR-10 or CIFAR-100, in its binary version.", Input: l.folder}
	}
	title, _ := l.title()
	return dialog.Dialog{Title: title, Text: format.Sentence(l.err.Error()), Options: l.choices(), Chosen: l.chosen}
}

func (l *loading) draw(a canvas.Area) {
	if l.err != nil {
		d := l.question()
		d.Draw(a, l.glyphs)
		return
	}
	w := min(a.W, 76)
	in := a.Sub((a.W-w)/2, max(0, a.H/2-2), w, 4)
	what := l.progress.What
	if what == "" {
		what = "Making the data ready"
	}
	in.Text(1, 0, style.Heading, what)
	p := l.progress
	if p.Total > 0 {
		share := float64(p.Done) / float64(p.Total)
		in.Right(w-1, 0, style.Plain, format.Done(share))
		in.Bar(0, 1, w, share, l.glyphs)
		in.Text(1, 2, style.Dim, p.amount(p.Done)+" of "+strings.TrimSpace(p.amount(p.Total)+" "+p.Of))
	} else if p.Done > 0 {
		in.Text(1, 1, style.Dim, strings.TrimSpace(p.amount(p.Done)+" "+p.Of))
	}
	in.Right(w-1, 2, style.Dim, "q quits")
}

// amount is how much n is.
func (p Progress) amount(n int64) string {
	if p.Of != "" {
		return format.Count(n)
	}
	return strings.TrimSpace(format.Size(n))
}
