package tui

import (
	"fmt"
	"sort"
	"strings"

	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// A view is one of the pages of the screen.
type view int

const (
	viewCharts view = iota
	viewCompare
	viewCheckpoints
	viewSamples
	viewSystem
	views
)

var viewNames = [views]string{"Charts", "Compare", "Checkpoints", "Samples", "System"}

// in is a set of views.
func in(vs ...view) (set uint8) {
	for _, v := range vs {
		set |= 1 << v
	}
	return set
}

const everywhere uint8 = 1<<views - 1

// A binding is one thing that keys can do. The list of all bindings dispatches
// keys and is what the footer and the help show, so that these can't differ.
type binding struct {
	action string            // its name in the config file
	keys   []string          // Bubble Tea's names for keys
	short  string            // in the footer; "" keeps it out of there
	long   string            // in the help
	group  string            // heading in the help
	views  uint8             // where it counts
	rank   int               // the higher, the earlier the footer drops it
	pair   bool              // the footer shows the next binding's key with this one's
	when   func(*Model) bool // nil: always
	do     func(*Model) tea.Cmd
}

// bindings returns every binding with its default keys.
func bindings() []binding {
	charts := in(viewCharts, viewCompare)
	lists := in(viewCheckpoints, viewSamples, viewSystem)
	return []binding{
		{"pause", []string{" ", "p"}, "pause", "pause or go on, between two batches", "The run", everywhere, 1, false, (*Model).canSteer, (*Model).togglePause},
		{"save", []string{"s"}, "save", "save a checkpoint now, also while paused", "The run", everywhere, 3, false, (*Model).canSteer, (*Model).save},
		{"stop", []string{"x"}, "stop", "stop after this batch or this epoch", "The run", everywhere, 4, false, (*Model).canSteer, (*Model).askStop},
		{"learn_rate", []string{"L"}, "rate", "set the learning rate", "The run", everywhere, 5, false, (*Model).canSteer, (*Model).askRate},
		{"learn_rate_up", []string{"+", "="}, "", "raise the learning rate by a tenth", "The run", everywhere, 0, false, (*Model).canSteer, func(m *Model) tea.Cmd { return m.scaleRate(rateStep) }},
		{"learn_rate_down", []string{"-"}, "", "lower it as much", "The run", everywhere, 0, false, (*Model).canSteer, func(m *Model) tea.Cmd { return m.scaleRate(1 / rateStep) }},
		{"detach", []string{"d"}, "detach", "leave the run training in the background", "The run", everywhere, 6, false, (*Model).canDetach, (*Model).detach},
		{"next_run", []string{"n"}, "next run", "the next run", "The run", everywhere, 6, false, (*Model).several, func(m *Model) tea.Cmd { return m.selectRun(1) }},
		{"previous_run", []string{"N"}, "", "the run before", "The run", everywhere, 0, false, (*Model).several, func(m *Model) tea.Cmd { return m.selectRun(-1) }},

		{"cursor_left", []string{"left", "h"}, "inspect", "move the cursor: it reads out values", "Charts", charts, 7, true, (*Model).hasRun, func(m *Model) tea.Cmd { return m.moveCursor(-1) }},
		{"cursor_right", []string{"right", "l"}, "", "move it right", "Charts", charts, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.moveCursor(1) }},
		{"cursor_first", []string{"home", "g"}, "", "to the beginning", "Charts", charts, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.cursorTo(false) }},
		{"cursor_last", []string{"end", "G"}, "", "to the end", "Charts", charts, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.cursorTo(true) }},
		{"zoom_in", []string{"up", "k"}, "zoom", "zoom in at the cursor", "Charts", charts, 10, true, (*Model).hasRun, func(m *Model) tea.Cmd { return m.zoom(0.5) }},
		{"zoom_out", []string{"down", "j"}, "", "zoom out", "Charts", charts, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.zoom(2) }},
		{"pan_left", []string{"shift+left", ","}, "", "move the window left", "Charts", charts, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.pan(-0.25) }},
		{"pan_right", []string{"shift+right", "."}, "", "move it right", "Charts", charts, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.pan(0.25) }},
		{"fit", []string{"f"}, "", "show all of it", "Charts", charts, 0, false, (*Model).hasRun, (*Model).fit},
		{"x_axis", []string{"t"}, "axis", "x axis: epochs, steps or time", "Charts", charts, 8, false, (*Model).hasRun, (*Model).nextAxis},
		{"log_scale", []string{"y"}, "log", "loss on a logarithmic scale", "Charts", charts, 11, false, (*Model).hasRun, (*Model).toggleLog},
		{"smooth_less", []string{"["}, "smooth", "smooth less", "Charts", charts, 9, true, (*Model).hasRun, func(m *Model) tea.Cmd { return m.changeSmoothing(-1) }},
		{"smooth_more", []string{"]"}, "", "smooth more", "Charts", charts, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.changeSmoothing(1) }},
		{"metric", []string{"m"}, "chart", "both charts, accuracy or loss", "Charts", charts, 12, false, (*Model).hasRun, (*Model).nextMetric},

		{"open_run", []string{"enter"}, "open", "open the selected run large", "Compare", in(viewCompare), 2, false, (*Model).hasRun, (*Model).openRun},
		{"layout", []string{"w"}, "layout", "panes, one chart of all, or a table", "Compare", in(viewCompare), 5, false, (*Model).hasRun, (*Model).nextLayout},
		{"hide_run", []string{"v"}, "hide", "hide or show the selected run", "Compare", in(viewCompare), 7, false, (*Model).hasRun, (*Model).hideRun},
		{"sort_runs", []string{"o"}, "order", "sort by name, val_acc, speed or batch", "Compare", in(viewCompare), 8, false, (*Model).hasRun, (*Model).nextOrder},
		{"target", []string{"a"}, "target", "the accuracy to time", "Compare", in(viewCompare), 9, false, (*Model).hasRun, (*Model).nextTarget},

		{"up", []string{"up", "k"}, "move", "up", "Lists", lists, 9, true, (*Model).hasRun, func(m *Model) tea.Cmd { return m.scroll(-1) }},
		{"down", []string{"down", "j"}, "", "down", "Lists", lists, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.scroll(1) }},
		{"page_up", []string{"pgup", "ctrl+b"}, "", "a page up", "Lists", lists, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.scroll(-m.page()) }},
		{"page_down", []string{"pgdown", "ctrl+f"}, "", "a page down", "Lists", lists, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.scroll(m.page()) }},
		{"top", []string{"home", "g"}, "", "to the top", "Lists", lists, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.scroll(-1 << 30) }},
		{"bottom", []string{"end", "G"}, "", "to the bottom", "Lists", lists, 0, false, (*Model).hasRun, func(m *Model) tea.Cmd { return m.scroll(1 << 30) }},

		{"resume_from", []string{"r", "enter"}, "resume from", "leave this run and train on from there", "Checkpoints", in(viewCheckpoints), 2, false, (*Model).hasCheckpoint, (*Model).askResume},
		{"verify", []string{"v"}, "verify", "read the file and check it", "Checkpoints", in(viewCheckpoints), 4, false, (*Model).hasCheckpoint, (*Model).verify},
		{"copy_path", []string{"c"}, "copy path", "copy the file's path to the clipboard", "Checkpoints", in(viewCheckpoints), 5, false, (*Model).hasCheckpoint, (*Model).copyPath},
		{"delete", []string{"D", "delete"}, "delete", "delete the file; asks first", "Checkpoints", in(viewCheckpoints), 6, false, (*Model).hasCheckpoint, (*Model).askDelete},

		{"matrix", []string{"m"}, "matrix", "images, the confusion matrix or both", "Samples", in(viewSamples), 3, false, (*Model).hasRun, (*Model).nextSamples},

		{"next_view", []string{"tab"}, "view", "the next view", "The screen", everywhere, 2, false, nil, func(m *Model) tea.Cmd { return m.show((m.view + 1) % views) }},
		{"previous_view", []string{"shift+tab"}, "", "the view before", "The screen", everywhere, 0, false, nil, func(m *Model) tea.Cmd { return m.show((m.view + views - 1) % views) }},
		{"charts", []string{"1"}, "", "Charts", "The screen", everywhere, 0, false, nil, func(m *Model) tea.Cmd { return m.show(viewCharts) }},
		{"compare", []string{"2"}, "", "Compare", "The screen", everywhere, 0, false, nil, func(m *Model) tea.Cmd { return m.show(viewCompare) }},
		{"checkpoints", []string{"3"}, "", "Checkpoints", "The screen", everywhere, 0, false, nil, func(m *Model) tea.Cmd { return m.show(viewCheckpoints) }},
		{"samples", []string{"4"}, "", "Samples", "The screen", everywhere, 0, false, nil, func(m *Model) tea.Cmd { return m.show(viewSamples) }},
		{"system", []string{"5"}, "", "System and log", "The screen", everywhere, 0, false, nil, func(m *Model) tea.Cmd { return m.show(viewSystem) }},
		{"back", []string{"esc"}, "", "take away the cursor, then the zoom", "The screen", everywhere, 0, false, nil, (*Model).back},
		{"help", []string{"?"}, "help", "this help", "The screen", everywhere, 1, false, nil, (*Model).toggleHelp},
		{"quit", []string{"q", "ctrl+c"}, "quit", "leave: stop the run, or let it train", "The screen", everywhere, 0, false, nil, (*Model).askQuit},
	}
}

// keyWords are names of keys that people write, as Bubble Tea calls them.
var keyWords = map[string]string{"space": " ", "escape": "esc", "return": "enter", "pageup": "pgup", "pagedown": "pgdown", "del": "delete"}

// bind returns all bindings with the keys of custom in place of the default
// ones. Custom maps an action to its keys.
func bind(custom map[string][]string) ([]binding, error) {
	bs := bindings()
	var problems []string
	for action, keys := range custom {
		found := false
		for i := range bs {
			if bs[i].action != action {
				continue
			}
			found = true
			bs[i].keys = nil
			for _, k := range keys {
				if word, ok := keyWords[strings.ToLower(k)]; ok {
					k = word
				}
				bs[i].keys = append(bs[i].keys, k)
			}
		}
		if !found {
			problems = append(problems, fmt.Sprintf("no action %q", action))
		}
	}
	owner := map[string][]binding{}
	for _, b := range bs {
		for _, k := range b.keys {
			for _, o := range owner[k] {
				if o.views&b.views != 0 {
					problems = append(problems, fmt.Sprintf("%q is both %s and %s", keyLabel(k, &style.ASCII), o.action, b.action))
				}
			}
			owner[k] = append(owner[k], b)
		}
		if b.action == "quit" && len(b.keys) == 0 {
			problems = append(problems, "quit has no key")
		}
	}
	if len(problems) > 0 {
		sort.Strings(problems)
		var names []string
		for _, b := range bs {
			names = append(names, b.action)
		}
		return nil, fmt.Errorf("keys: %s; the actions are %s", strings.Join(problems, "; "), strings.Join(names, ", "))
	}
	return bs, nil
}

// CheckKeys reports what is wrong with the keys of a config file: unknown
// actions, and keys that would do two things in one view.
func CheckKeys(custom map[string][]string) error {
	_, err := bind(custom)
	return err
}

// keyLabel is how a key is shown.
func keyLabel(key string, g *style.Glyphs) string {
	switch key {
	case " ":
		return "space"
	case "left":
		return g.Left
	case "right":
		return g.Right
	case "up":
		return g.Up
	case "down":
		return g.Down
	}
	return key
}

// find returns the binding that key triggers now, or nil.
func (m *Model) find(key string) *binding {
	for i := range m.bindings {
		b := &m.bindings[i]
		if b.views&(1<<m.view) == 0 {
			continue
		}
		for _, k := range b.keys {
			if k == key {
				return b
			}
		}
	}
	return nil
}
