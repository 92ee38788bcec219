package tui

import (
	"fmt"
	"strings"
	"time"

	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// loadState is the screen while the data is being made ready.
type loadState struct {
	progress Progress
	began    time.Time
	reports  chan Progress // holds the newest report; closed when loading ends
	err      error         // why it failed; nil: under way
	chosen   int
	folder   *lineEdit // being typed; nil: choosing
}

// load makes the data ready: what the settings say, "demo" or a folder.
func (m *Model) load(data string) tea.Cmd {
	if m.o.Load == nil {
		return nil
	}
	reports := make(chan Progress, 1)
	m.loading = &loadState{reports: reports, began: m.now}
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
	return tea.Batch(m.nextProgress(), m.do(func() tea.Msg {
		defer close(reports)
		return loadedMsg{m.o.Load(m.ctx, data, report)}
	}))
}

// nextProgress waits for the next report, at most a few a second.
func (m *Model) nextProgress() tea.Cmd {
	reports := m.loading.reports
	return m.do(func() tea.Msg {
		time.Sleep(eventPause)
		p, ok := <-reports
		if !ok {
			return nil
		}
		return loadMsg{p}
	})
}

func (m *Model) loaded(err error) tea.Cmd {
	switch {
	case m.loading == nil || m.ctx.Err() != nil:
	case err == nil:
		m.loading = nil
	default:
		m.loading.err = err
	}
	return nil
}

// loadChoices are what can be done when the data can't be had.
var loadChoices = []option{
	{"r", "try again", "", func(m *Model) tea.Cmd { return m.load("") }},
	{"e", "train on the demo set", "made up on the spot; shows how all works", func(m *Model) tea.Cmd { return m.load("demo") }},
	{"f", "use a folder", "that holds the CIFAR-10 files", func(m *Model) tea.Cmd { m.loading.folder = &lineEdit{}; return nil }},
	{"q", "quit", "", func(*Model) tea.Cmd { return tea.Quit }},
}

func (m *Model) loadingKey(msg tea.KeyMsg) tea.Cmd {
	l, k := m.loading, msg.String()
	switch {
	case k == "ctrl+c":
		return tea.Quit
	case l.folder != nil && k == "esc":
		l.folder = nil
	case l.folder != nil && k == "enter":
		if name := strings.TrimSpace(string(l.folder.text)); name != "" {
			return m.load(name)
		}
	case l.folder != nil:
		l.folder.key(msg)
	case l.err == nil:
		if k == "q" {
			return tea.Quit
		}
	case k == "up" || k == "k":
		l.chosen = (l.chosen + len(loadChoices) - 1) % len(loadChoices)
	case k == "down" || k == "j":
		l.chosen = (l.chosen + 1) % len(loadChoices)
	case k == "enter":
		return loadChoices[l.chosen].do(m)
	default:
		for _, o := range loadChoices {
			if o.key == k {
				return o.do(m)
			}
		}
	}
	return nil
}

func (m *Model) drawLoading(a canvas.Area) {
	l := m.loading
	w := min(a.W, 76)
	if l.err != nil {
		d := dialog{title: "The data is not there", text: sentence(l.err.Error()), options: loadChoices, chosen: l.chosen}
		if l.folder != nil {
			d = dialog{title: "Folder with the CIFAR-10 files", text: "The folder that holds data_batch_1.bin to data_batch_5.bin and test_batch.bin, or the archive.", input: l.folder}
		}
		d.draw(a, m.glyphs)
		return
	}
	in := a.Sub((a.W-w)/2, max(0, a.H/2-2), w, 4)
	what := l.progress.What
	if what == "" {
		what = "Making the data ready"
	}
	in.Text(1, 0, style.Heading, what)
	p := l.progress
	if p.Total > 0 {
		share := float64(p.Done) / float64(p.Total)
		in.Right(w-1, 0, style.Plain, fmt.Sprintf("%3.0f%%", 100*share))
		in.Bar(0, 1, w, share, m.glyphs)
		in.Text(1, 2, style.Dim, strings.TrimSpace(format.Size(p.Done))+" of "+strings.TrimSpace(format.Size(p.Total)))
	} else if p.Done > 0 {
		in.Text(1, 1, style.Dim, strings.TrimSpace(format.Size(p.Done)))
	}
	in.Right(w-1, 2, style.Dim, "q quits")
}
