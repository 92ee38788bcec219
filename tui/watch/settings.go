package watch

import (
	"fmt"
	"reflect"
	"slices"

	"cifartui/train/config"
	"cifartui/train/runs"
	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// settings is the pane that shows the settings of the marked runs side by side.
type settings struct {
	first int // run of the first column
}

// aspects are what a run is compared in besides its settings.
var aspects = []struct {
	name string
	of   func(*row) string
}{
	{"machine", func(r *row) string { return r.Machine() }},
	{"kernels", func(r *row) string { return r.About.Kernels }},
	{"version", func(r *row) string { return r.About.Version }},
	{"dataset", func(r *row) string { return r.About.Dataset }},
}

// A settingLine is one setting of all runs that are compared.
type settingLine struct {
	name   string
	values []string
	differ bool
	plain  bool // the first run has the default
}

// notCompared are settings that say nothing of how a run learns, and essential
// those that are shown also where they are the defaults.
var (
	notCompared = []string{"name", "runs"}
	essential   = []string{"recipe", "data", "batch", "epochs", "seed", "dropout", "augment", "optimizer", "lr", "schedule", "patience"}
)

// settingLines are the settings of runs: first those that differ, then the
// essential ones and those that are not the defaults.
func settingLines(rows []*row) []settingLine {
	keys := config.Keys()
	lines := make([]settingLine, len(keys)+len(aspects))
	for i := range lines {
		if i < len(keys) {
			lines[i].name = keys[i]
		} else {
			lines[i].name = aspects[i-len(keys)].name
		}
		lines[i].values = make([]string, 0, len(rows))
	}
	for _, r := range rows {
		for i, v := range r.texts() {
			lines[i].add(v)
		}
	}
	defaults := textsOf(config.Default())
	for i := range defaults {
		lines[i].plain = !slices.Contains(essential, keys[i]) && (lines[i].values[0] == defaults[i] || lines[i].values[0] == "")
	}
	lines = slices.DeleteFunc(lines, func(l settingLine) bool {
		return slices.Contains(notCompared, l.name) || l.plain && !l.differ
	})
	slices.SortStableFunc(lines, func(a, b settingLine) int {
		switch {
		case a.differ == b.differ:
			return 0
		case a.differ:
			return -1
		}
		return 1
	})
	return lines
}

// texts are a run's settings, in the order of their keys, and the aspects.
func (r *row) texts() []string {
	if r.textsOf == r.Run {
		return r.settings
	}
	r.settings, r.textsOf = textsOf(r.Config), r.Run
	for _, a := range aspects {
		r.settings = append(r.settings, a.of(r))
	}
	return r.settings
}

// rate is where the learning rate stands among the settings.
var rate = slices.Index(config.Keys(), "lr")

// textsOf are settings as texts, in the order of their keys, which is that of the
// fields.
func textsOf(c config.Config) []string {
	v := reflect.ValueOf(&c).Elem()
	texts := make([]string, 0, v.NumField()+len(aspects))
	for i := range v.NumField() {
		texts = append(texts, fmt.Sprint(v.Field(i).Interface()))
	}
	texts[rate] = runs.ValueOf(&c, "lr")
	return texts
}

// add adds the value of the next run.
func (l *settingLine) add(value string) {
	l.differ = l.differ || len(l.values) > 0 && value != l.values[0]
	l.values = append(l.values, value)
}

// Widths of the pane's columns.
const (
	settingName  = 16
	settingLeast = 8
	settingMost  = 28
)

// settingColumns is how many runs there is room for in a pane w columns wide.
func settingColumns(w int) int { return max(1, (w-4-settingName)/(settingLeast+1)) }

// compared are the runs whose settings are shown.
func (m *Model) compared() []*row {
	return slices.DeleteFunc(m.list.meant(), func(r *row) bool { return !r.hasSettings() })
}

// settleSettings holds what is shown of the settings to the runs that there are.
func (m *Model) settleSettings() {
	_, pane := m.layout(m.body())
	m.setting.first = max(0, min(m.setting.first, len(m.compared())-settingColumns(pane.W)))
}

// drawSettings draws the settings side by side, differences in colour and first.
func (m *Model) drawSettings(a canvas.Area) {
	in := a.Box(style.Frame, m.glyphs)
	rows := m.compared()
	a.Text(2, 0, style.Heading, " settings ")
	if len(rows) == 0 {
		words := "No run is chosen."
		if len(m.list.meant()) > 0 {
			words = "The settings are not known yet."
		}
		in.Centre(max(0, in.H/2-1), style.Dim, words)
		return
	}
	in = in.Sub(1, 0, in.W-2, in.H)
	lines := settingLines(rows)
	shown := rows[m.setting.first:min(len(rows), m.setting.first+settingColumns(a.W))]
	width := min(settingMost, (in.W-settingName)/len(shown)-1)
	for i, r := range shown {
		st, mark := style.Heading, ""
		if r.mark > 0 {
			st, mark = style.Run(r.mark-1), m.glyphs.Marked+" "
		}
		in.Right(settingName+(i+1)*(width+1), 0, st, mark+tail(r.Name, width-len([]rune(mark)), m.glyphs))
	}
	in.Text(0, len(lines)+2, style.Dim, canvas.Elide("The other settings are the defaults.", in.W, m.glyphs))
	for y, l := range lines {
		if y+1 >= in.H {
			break
		}
		st := style.Dim
		if l.differ {
			st = style.Caution
		}
		in.Text(0, y+1, st, canvas.Elide(l.name, settingName, m.glyphs))
		for i := range shown {
			value := style.Dim
			if l.differ {
				value = style.Plain
				if r := shown[i]; r.mark > 0 {
					value = style.Run(r.mark - 1)
				}
			}
			v := l.values[m.setting.first+i]
			if v == "" {
				v = "-"
			}
			in.Right(settingName+(i+1)*(width+1), y+1, value, canvas.Elide(v, width, m.glyphs))
		}
	}
	if more := len(lines) - (in.H - 1); more > 0 {
		a.Text(2, a.H-1, style.Dim, fmt.Sprintf(" %d more ", more))
	}
	if len(rows) > len(shown) {
		where := fmt.Sprintf(" runs %d to %d of %d ", m.setting.first+1, m.setting.first+len(shown), len(rows))
		a.Text(a.W-2-canvas.Width(where), a.H-1, style.Dim, where)
	}
	if n := differing(lines); n > 0 {
		a.Text(13, 0, style.Caution, " "+format.Plural(n, "difference")+" ")
	}
}

// tail shortens a name to its end, in which those of many runs differ.
func tail(name string, w int, g *style.Glyphs) string {
	if canvas.Width(name) <= w {
		return name
	}
	r := []rune(name)
	for len(r) > 1 && canvas.Width(g.Dots+string(r)) > w {
		r = r[1:]
	}
	return g.Dots + string(r)
}

func differing(lines []settingLine) (n int) {
	for _, l := range lines {
		if l.differ {
			n++
		}
	}
	return n
}
