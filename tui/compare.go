package tui

import (
	"fmt"
	"slices"

	"cifartui/train/runs"
	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// compareView is the Compare view: several runs side by side, on one chart, or
// in a table.
type compareView struct {
	page
	curves *curves
	layout layout
	target int // index into targets
	table  runs.Table
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

// targets are the accuracies whose time is shown.
var targets = []float64{0.80, 0.85, 0.88, 0.90, 0.50, 0.60, 0.70}

func (v *compareView) bindings() []keymap.Binding {
	return keymap.Grouped("Compare", keymap.In(viewCompare), v.needRun([]keymap.Binding{
		{Action: "open_run", Keys: []string{"enter"}, Short: "open", Rank: 2, Long: "open the selected run large", Do: func() tea.Cmd { return v.turnTo(viewCharts) }},
		{Action: "layout", Keys: []string{"w"}, Short: "layout", Rank: 5, Long: "panes, one chart of all, or a table", Do: v.nextLayout},
		{Action: "hide_run", Keys: []string{"v"}, Short: "hide", Rank: 7, Long: "hide or show the selected run", Do: v.hideRun},
		{Action: "sort_runs", Keys: []string{"o"}, Short: "order", Rank: 8, Long: "sort by name, val_acc, speed or batch", Do: v.nextOrder},
		{Action: "target", Keys: []string{"a"}, Short: "target", Rank: 9, Long: "the accuracy to time", Do: v.nextTarget},
	}))
}

func (v *compareView) open() tea.Cmd {
	v.curves.compare(true)
	return nil
}

// settle makes the table of results anew when there is something new to tell.
func (v *compareView) settle() tea.Cmd {
	if v.shown == viewCompare && v.layout == layoutTable {
		v.tabulate()
	}
	return nil
}

func (v *compareView) nextLayout() tea.Cmd {
	v.layout = (v.layout + 1) % layouts
	v.curves.asTable = v.layout == layoutTable
	return nil
}

// hideRun hides the selected run from the charts, or shows it again.
func (v *compareView) hideRun() tea.Cmd {
	r := v.current()
	r.hidden = !r.hidden
	if r.hidden {
		v.say(style.Dim, fmt.Sprintf("%s is hidden; %s shows it again.", format.UpperFirst(v.label(r)), v.keyOf("hide_run")))
	}
	return nil
}

func (v *compareView) nextOrder() tea.Cmd {
	v.order = (v.order + 1) % orders
	v.say(style.Dim, "Sorted by "+orderNames[v.order]+".")
	return nil
}

func (v *compareView) nextTarget() tea.Cmd {
	v.target = (v.target + 1) % len(targets)
	return nil
}

// Sizes of the view's parts.
const (
	paneWidth    = 38 // least
	paneHeight   = 11
	overlayLeast = 14
)

func (v *compareView) draw(a canvas.Area) {
	shown := v.visible()
	switch {
	case v.layout == layoutTable && v.hasRun(): // which has hidden ones, too
		v.drawTable(a)
	case len(shown) == 0:
		v.drawNothing(a, "compare")
	case v.layout == layoutOverlay:
		v.curves.drawOverlay(a, shown)
	default:
		v.drawPanes(a, shown)
	}
}

// drawPanes draws a pane a run, those about the selected one when not all fit,
// and below them all runs on one chart where there is room.
func (v *compareView) drawPanes(a canvas.Area, rs []*run) {
	cols := max(1, min(len(rs), a.W/paneWidth))
	rows := (len(rs) + cols - 1) / cols
	if len(rs) == 4 && cols == 3 {
		cols, rows = 2, 2
	}
	if left := a.H - rows*(paneHeight+3); left >= overlayLeast && len(rs) > 1 {
		h := max(overlayLeast, a.H*2/5)
		v.curves.drawOverlay(a.Sub(0, a.H-h, a.W, h), rs)
		a = a.Sub(0, 0, a.W, a.H-h)
	}
	if fit := max(1, a.H/paneHeight); rows > fit {
		rows = fit
	}
	page := rows * cols
	first := 0
	if i := slices.Index(rs, v.current()); i >= 0 {
		first = i / page * page
	}
	rs = rs[first:min(first+page, len(rs))]
	cols = min(cols, len(rs))
	rows = (len(rs) + cols - 1) / cols
	for i, r := range rs {
		x, y := i%cols, i/cols
		x0, x1 := x*a.W/cols, (x+1)*a.W/cols
		y0, y1 := y*a.H/rows, (y+1)*a.H/rows
		v.drawPane(a.Sub(x0, y0, x1-x0, y1-y0), r)
	}
}

// drawPane draws one run small: what it is doing, and its charts.
func (v *compareView) drawPane(a canvas.Area, r *run) {
	border, title := style.Frame, style.Heading
	mark := ""
	if r == v.current() && v.several() {
		border, title, mark = style.CursorLine, style.Chosen, v.glyphs.Selected+" "
	}
	in := a.Box(border, v.glyphs)
	a.Text(2, 0, title, " "+mark+canvas.Elide(v.label(r), a.W-8, v.glyphs)+" ")
	in = in.Sub(1, 0, in.W-2, in.H)
	facts := v.facts(r)
	n := min(len(facts), max(1, in.H-6))
	for y, f := range facts[:n] {
		in.Line(y, 2, f, nil)
	}
	in = in.Sub(0, n, in.W, in.H-n)
	acc, loss := v.curves.charts(r)
	switch {
	case v.curves.metric == bothMetrics && in.H >= 16:
		acc.DrawBare(in.Sub(0, 0, in.W, in.H/2), v.glyphs)
		loss.DrawBare(in.Sub(0, in.H/2, in.W, in.H-in.H/2), v.glyphs)
	case v.curves.metric == bothMetrics && in.W >= 56:
		acc.DrawBare(in.Sub(0, 0, in.W/2-1, in.H), v.glyphs)
		loss.DrawBare(in.Sub(in.W/2+1, 0, in.W-in.W/2-1, in.H), v.glyphs)
	case v.curves.metric == lossOnly:
		loss.DrawBare(in, v.glyphs)
	default:
		acc.DrawBare(in, v.glyphs)
	}
}

// facts are the lines over a pane's charts, the most telling first.
func (v *compareView) facts(r *run) [][]canvas.Part {
	epoch, _, _ := r.Position()
	sign, st := stateSign(r, v.glyphs)
	bestAcc := []style.Span{style.Dim.Text("val_acc "), style.Dim.Text("     -")}
	if r.bestAcc().epoch > 0 {
		bestAcc = []style.Span{style.Dim.Text("val_acc "), style.Validation.Text(format.Percent(r.bestAcc().value)), style.Dim.Text(" @ "), style.Plain.Text(fmt.Sprint(r.bestAcc().epoch))}
	}
	seconds := "     -"
	if r.LastEpoch() != nil {
		seconds = format.Duration6(r.LastEpoch().Seconds)
	}
	target := targets[v.target]
	return [][]canvas.Part{
		{canvas.Ranked(0, st.Text(sign+" "+r.stateWords())), canvas.Ranked(0, style.Dim.Text("epoch "), style.Plain.Text(format.Of(epoch, r.Started.Config.Epochs))), canvas.Ranked(1, style.Plain.Text(format.Speed(r.imagesPerSecond())), style.Dim.Text(" img/s"))},
		{canvas.Ranked(0, bestAcc...), canvas.Ranked(1, style.Plain.Text(seconds), style.Dim.Text(" an epoch"))},
		{canvas.Ranked(0, style.Dim.Text(fmt.Sprintf("to %.0f%% ", 100*target)), style.Plain.Text(format.Duration6(r.timeTo(target)))), canvas.Ranked(1, style.Dim.Text("batch "), style.Plain.Text(fmt.Sprint(r.Started.Config.Batch)))},
	}
}
