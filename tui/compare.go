package tui

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"cifartui/train"
	"cifartui/tui/canvas"
	"cifartui/tui/chart"
	"cifartui/tui/format"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// compareState is the Compare view.
type compareState struct {
	layout layout
	order  order
	target int // index into targets
	table  train.Table
	told   [2]int // epochs and ended runs that the table tells of
}

// A layout is how runs are put beside each other.
type layout int

const (
	layoutPanes layout = iota // a pane a run, and where there is room a chart of all
	layoutOverlay
	layoutTable
	layouts
)

// An order is what runs are sorted by.
type order int

const (
	orderName order = iota
	orderBest
	orderSpeed
	orderBatch
	orders
)

var orderNames = [orders]string{"name", "best val_acc", "images a second", "batch size"}

// targets are the accuracies whose time is shown.
var targets = []float64{0.80, 0.85, 0.88, 0.90, 0.50, 0.60, 0.70}

// orderedRuns returns all runs in the order of the comparison.
func (m *Model) orderedRuns() []*run {
	rs := slices.Clone(m.runs)
	key := func(r *run) float64 {
		switch m.compare.order {
		case orderBest:
			return -r.bestAcc.value
		case orderSpeed:
			return -r.imagesPerSecond()
		case orderBatch:
			return float64(r.started.Config.Batch)
		}
		return 0
	}
	sort.SliceStable(rs, func(i, j int) bool { return key(rs[i]) < key(rs[j]) })
	return rs
}

// imagesPerSecond is the run's newest speed, 0 before its first step.
func (r *run) imagesPerSecond() float64 {
	switch {
	case r.epoch != nil:
		return r.epoch.ImagesPerSecond
	case r.step != nil:
		return r.step.ImagesPerSecond
	}
	return 0
}

// look is the number of the run's colour and stroke.
func (m *Model) look(r *run) int { return slices.Index(m.runs, r) }

// label names a run by the settings that set it apart from the others.
func (m *Model) label(r *run) string {
	if !m.several() {
		return r.name
	}
	var all []*train.RunHistory
	for _, o := range m.runs {
		all = append(all, &train.RunHistory{Name: o.name, Started: &o.started})
	}
	return train.Labels(all)[m.look(r)]
}

// labels names runs briefly for a legend: "64" and "128" by "batch" where they
// are called "batch 64" and "batch 128".
func (m *Model) labels(rs []*run) (short []string, by string) {
	for i, r := range rs {
		word, value, ok := strings.Cut(m.label(r), " ")
		if !ok || strings.Contains(value, " ") || i > 0 && word != by {
			short = nil
			break
		}
		short, by = append(short, value), word
	}
	if short == nil {
		for _, r := range rs {
			short = append(short, m.label(r))
		}
		return short, "run"
	}
	return short, by
}

func (m *Model) openRun() tea.Cmd { return m.show(viewCharts) }

func (m *Model) nextLayout() tea.Cmd {
	m.compare.layout = (m.compare.layout + 1) % layouts
	return nil
}

// hideRun hides the selected run from the charts, or shows it again.
func (m *Model) hideRun() tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	r.hidden = !r.hidden
	if r.hidden {
		m.say(style.Dim, fmt.Sprintf("%s is hidden; %s shows it again.", upperFirst(m.label(r)), keyLabel(m.keyOf("hide_run"), m.glyphs)))
	}
	return nil
}

func (m *Model) nextOrder() tea.Cmd {
	m.compare.order = (m.compare.order + 1) % orders
	m.say(style.Dim, "Sorted by "+orderNames[m.compare.order]+".")
	return nil
}

func (m *Model) nextTarget() tea.Cmd {
	m.compare.target = (m.compare.target + 1) % len(targets)
	return nil
}

// Sizes of the view's parts.
const (
	paneWidth    = 38 // least
	paneHeight   = 11
	overlayLeast = 14
)

func (m *Model) drawCompare(a canvas.Area) {
	var shown []*run
	for _, r := range m.orderedRuns() {
		if !r.hidden {
			shown = append(shown, r)
		}
	}
	switch {
	case len(m.runs) == 0 || len(shown) == 0:
		m.drawNothing(a, "compare")
	case m.compare.layout == layoutTable:
		m.drawRuns(a)
	case m.compare.layout == layoutOverlay:
		m.drawOverlay(a, shown)
	default:
		m.drawPanes(a, shown)
	}
}

// drawPanes draws a pane a run, those about the selected one when not all fit,
// and below them all runs on one chart where there is room.
func (m *Model) drawPanes(a canvas.Area, rs []*run) {
	cols := max(1, min(len(rs), a.W/paneWidth))
	rows := (len(rs) + cols - 1) / cols
	if len(rs) == 4 && cols == 3 {
		cols, rows = 2, 2
	}
	if left := a.H - rows*(paneHeight+3); left >= overlayLeast && len(rs) > 1 {
		h := max(overlayLeast, a.H*2/5)
		m.drawOverlay(a.Sub(0, a.H-h, a.W, h), rs)
		a = a.Sub(0, 0, a.W, a.H-h)
	}
	if fit := max(1, a.H/paneHeight); rows > fit {
		rows = fit
	}
	page := rows * cols
	first := 0
	if i := slices.Index(rs, m.current()); i >= 0 {
		first = i / page * page
	}
	rs = rs[first:min(first+page, len(rs))]
	cols = min(cols, len(rs))
	rows = (len(rs) + cols - 1) / cols
	for i, r := range rs {
		x, y := i%cols, i/cols
		x0, x1 := x*a.W/cols, (x+1)*a.W/cols
		y0, y1 := y*a.H/rows, (y+1)*a.H/rows
		m.drawPane(a.Sub(x0, y0, x1-x0, y1-y0), r)
	}
}

// drawPane draws one run small: what it is doing, and its charts.
func (m *Model) drawPane(a canvas.Area, r *run) {
	border, title := style.Frame, style.Heading
	mark := ""
	if r == m.current() && m.several() {
		border, title, mark = style.CursorLine, style.Chosen, m.glyphs.Selected+" "
	}
	in := a.Box(border, m.glyphs)
	a.Text(2, 0, title, " "+mark+canvas.Elide(m.label(r), a.W-8, m.glyphs)+" ")
	in = in.Sub(1, 0, in.W-2, in.H)
	facts := m.facts(r)
	n := min(len(facts), max(1, in.H-6))
	for y, f := range facts[:n] {
		in.Line(y, 2, f, nil)
	}
	in = in.Sub(0, n, in.W, in.H-n)
	acc, loss := m.chartsOf(r)
	switch {
	case m.charts.metric == bothMetrics && in.H >= 16:
		acc.DrawBare(in.Sub(0, 0, in.W, in.H/2), m.glyphs)
		loss.DrawBare(in.Sub(0, in.H/2, in.W, in.H-in.H/2), m.glyphs)
	case m.charts.metric == bothMetrics && in.W >= 56:
		acc.DrawBare(in.Sub(0, 0, in.W/2-1, in.H), m.glyphs)
		loss.DrawBare(in.Sub(in.W/2+1, 0, in.W-in.W/2-1, in.H), m.glyphs)
	case m.charts.metric == lossOnly:
		loss.DrawBare(in, m.glyphs)
	default:
		acc.DrawBare(in, m.glyphs)
	}
}

// facts are the lines over a pane's charts, the most telling first.
func (m *Model) facts(r *run) [][]canvas.Part {
	epoch, _, _ := r.progress()
	sign, st := stateLook(r, m.glyphs)
	bestAcc := []style.Span{style.Dim.Text("val_acc "), style.Dim.Text("     -")}
	if r.bestAcc.epoch > 0 {
		bestAcc = []style.Span{style.Dim.Text("val_acc "), style.Validation.Text(format.Percent(r.bestAcc.value)), style.Dim.Text(" @ "), style.Plain.Text(fmt.Sprint(r.bestAcc.epoch))}
	}
	seconds := "     -"
	if r.epoch != nil {
		seconds = format.Duration6(r.epoch.Seconds)
	}
	target := targets[m.compare.target]
	return [][]canvas.Part{
		{canvas.Ranked(0, st.Text(sign+" "+r.stateWords())), canvas.Ranked(0, style.Dim.Text("epoch "), style.Plain.Text(format.Of(epoch, r.started.Config.Epochs))), canvas.Ranked(1, style.Plain.Text(format.Speed(r.imagesPerSecond())), style.Dim.Text(" img/s"))},
		{canvas.Ranked(0, bestAcc...), canvas.Ranked(1, style.Plain.Text(seconds), style.Dim.Text(" an epoch"))},
		{canvas.Ranked(0, style.Dim.Text(fmt.Sprintf("to %.0f%% ", 100*target)), style.Plain.Text(format.Duration6(m.timeTo(r, target)))), canvas.Ranked(1, style.Dim.Text("batch "), style.Plain.Text(fmt.Sprint(r.started.Config.Batch)))},
	}
}

// timeTo is the training time to an accuracy, NaN before it is reached.
func (m *Model) timeTo(r *run, acc float64) float64 {
	if t, ok := r.timeTo(acc); ok {
		return t.seconds
	}
	return math.NaN()
}

// drawOverlay draws all runs on one chart of accuracy and one of loss.
func (m *Model) drawOverlay(a canvas.Area, rs []*run) {
	acc := m.overlay(rs, "val_acc", epochValAcc)
	acc.Ceil = 1
	loss := m.overlay(rs, "val_loss", epochValLoss)
	loss.Log = m.charts.log
	m.drawPair(a, acc, loss)
}

func (m *Model) overlay(rs []*run, title string, col int) chart.Chart {
	c := m.charts
	lo, hi, _ := m.span(rs[0])
	weight := smoothings[c.weight]
	names, by := m.labels(rs)
	ch := chart.Chart{
		Title: title, Note: "by " + by, Axis: c.axis, X0: lo, X1: hi, Raw: weight > 0, XName: m.axisName(),
		Cursor: math.NaN(), Floor: 0, Ceil: math.NaN(), Empty: "Validation values come after the first epoch.",
	}
	place := math.Inf(1)
	if c.hasCursor {
		ch.Cursor, place = c.cursor, c.cursor
	}
	for k, r := range rs {
		i, v, name := m.look(r), &r.epochs.Values[col], names[k]
		ch.Lines = append(ch.Lines, chart.Line{Name: name, Polyline: chart.Polyline{Xs: m.places(r, r.epochs), Smooth: v.Smooth(weight), Raw: v}, Style: style.Run(i), RawStyle: style.RunRaw(i), Stroke: i})
		if row := r.epochs.Nearest(c.axis, place/m.unit(r)); row >= 0 {
			ch.Read = append(ch.Read, canvas.Ranked(i, style.Dim.Text(name+" "), style.Run(i).Text(format.Fixed4(float64(v.Mean[row])))))
		}
	}
	return ch
}
