package tui

import (
	"fmt"
	"math"

	"cifartui/tui/canvas"
	"cifartui/tui/chart"
	"cifartui/tui/format"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// chartState is how charts are looked at; all charts of all views share it.
type chartState struct {
	axis      chart.Axis
	win       chart.Window
	hasCursor bool
	cursor    float64 // place on the axis
	weight    int     // index into smoothings
	log       bool
	metric    metric
}

// A metric is which of the two charts are shown.
type metric int

const (
	bothMetrics metric = iota
	accuracyOnly
	lossOnly
	metrics
)

// smoothings are the weights of the moving average to choose from, and
// stepSmoothings those for curves by step, which are noisier.
var (
	smoothings     = []float64{0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.99}
	stepSmoothings = []float64{0, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999}
)

func newChartState() chartState { return chartState{weight: 1} }

// fewEpochs is below how many epochs in view training is drawn by step: an
// epoch can take minutes, and two points are no curve.
const fewEpochs = 3

// unit is what a run's places on the x axis are multiplied by: comparing runs
// of several batch sizes, images are counted instead of steps.
func (m *Model) unit(r *run) float64 {
	if m.view == viewCompare && m.charts.axis == chart.ByStep {
		return float64(max(r.started.Config.Batch, 1))
	}
	return 1
}

// places returns where the rows of a series lie on the x axis.
func (m *Model) places(r *run, s *chart.Series) []float64 {
	xs := s.At[m.charts.axis]
	if u := m.unit(r); u != 1 {
		xs = append([]float64(nil), xs...)
		for i := range xs {
			xs[i] *= u
		}
	}
	return xs
}

// extent returns where the data of a run begin and end on the x axis, and
// whether its training curve is drawn by step. Runs that are compared share
// one axis.
func (m *Model) extent(r *run) (first, last float64, bySteps bool) {
	first, last, bySteps = m.extentOf(r)
	if m.view == viewCompare {
		for _, o := range m.runs {
			if !o.hidden {
				f, l, _ := m.extentOf(o)
				first, last = math.Min(first, f), math.Max(last, l)
			}
		}
	}
	return first, last, bySteps
}

func (m *Model) extentOf(r *run) (first, last float64, bySteps bool) {
	a, u := m.charts.axis, m.unit(r)
	if a != chart.ByEpoch || r.epochs.Len() < fewEpochs {
		return 0, u * math.Max(r.steps.Last(a), r.epochs.Last(a)), true
	}
	return r.epochs.At[a][0], r.epochs.Last(a), false
}

// span returns the part of the x axis that is shown of a run, and whether its
// training curve is drawn by step.
func (m *Model) span(r *run) (lo, hi float64, bySteps bool) {
	c := m.charts
	first, last, bySteps := m.extent(r)
	lo, hi = c.win.Span(first, last)
	if c.win.Zoomed && c.axis == chart.ByEpoch && hi-lo < fewEpochs-1 {
		bySteps = true
	}
	return lo, hi, bySteps && r.steps.Len() > 0 || r.epochs.Len() == 0
}

// axisName is the x axis in a word.
func (m *Model) axisName() string {
	if m.view == viewCompare && m.charts.axis == chart.ByStep {
		return "images"
	}
	return axisNames[m.charts.axis]
}

var axisNames = [chart.Axes]string{"epoch", "step", "time"}

// charts returns the accuracy and the loss chart of a run.
func (m *Model) chartsOf(r *run) (acc, loss chart.Chart) {
	c := m.charts
	lo, hi, bySteps := m.span(r)
	weight, stepWeight := smoothings[c.weight], stepSmoothings[c.weight]
	line := func(s *chart.Series, col int, name string, st, raw style.Style, stroke int) chart.Line {
		v, w := &s.Values[col], weight
		if s == r.steps {
			w = stepWeight
		}
		return chart.Line{Name: name, Polyline: chart.Polyline{Xs: m.places(r, s), Smooth: v.Smooth(w), Raw: v}, Style: st, RawStyle: raw, Stroke: stroke}
	}
	train, trainAcc, trainLoss, shown := r.epochs, epochAcc, epochLoss, weight
	if bySteps {
		train, trainAcc, trainLoss, shown = r.steps, stepAcc, stepLoss, stepWeight
	}
	note := fmt.Sprintf("smoothed %.4g", shown)
	if weight == 0 {
		note = "not smoothed"
	}
	base := chart.Chart{
		Note: note, Axis: c.axis, X0: lo, X1: hi, Raw: weight > 0 || bySteps, XName: m.axisName(),
		Cursor: math.NaN(), Floor: 0, Ceil: math.NaN(), Empty: m.emptyWords(r),
	}
	if c.hasCursor {
		base.Cursor = c.cursor
	}
	acc, loss = base, base
	acc.Title, loss.Title = "accuracy", "loss"
	acc.Ceil = 1
	loss.Log = c.log
	if c.log {
		loss.Note += ", log"
	}
	acc.Lines = []chart.Line{
		line(train, trainAcc, "train", style.Training, style.TrainingRaw, 0),
		line(r.epochs, epochValAcc, "val", style.Validation, style.ValidationRaw, 1),
	}
	loss.Lines = []chart.Line{
		line(train, trainLoss, "train", style.Training, style.TrainingRaw, 0),
		line(r.epochs, epochValLoss, "val", style.Validation, style.ValidationRaw, 1),
	}
	acc.Marks, loss.Marks = m.marks(r)
	acc.Read = m.readOut(r, bySteps, stepAcc, epochAcc, epochValAcc)
	loss.Read = m.readOut(r, bySteps, stepLoss, epochLoss, epochValLoss)
	return acc, loss
}

// emptyWords says why there is nothing to draw.
func (m *Model) emptyWords(r *run) string {
	switch {
	case r.ended != nil:
		return "The run ended before its first batch."
	case r.steps.Len() > 0 || r.epochs.Len() > 0:
		return "Nothing here: zoom out or move on."
	}
	return "Curves begin with the first batch."
}

// marks returns what is marked on the accuracy and on the loss chart.
func (m *Model) marks(r *run) (acc, loss []chart.Mark) {
	g, a, u := m.glyphs, m.charts.axis, m.unit(r)
	at := func(epoch int) float64 { return u * r.epochs.Convert(float64(epoch), chart.ByEpoch, a) }
	if b := r.bestAcc; b.epoch > 0 {
		acc = append(acc, chart.Mark{At: at(b.epoch), Sign: g.Best, Words: fmt.Sprintf("best %.4f @ %d", b.value, b.epoch), Style: style.Validation})
	}
	if r.turned {
		t := chart.Mark{At: u * r.epochs.At[a][r.turn.row], Sign: g.Overfit, Words: fmt.Sprintf("overfitting @ %.0f", r.turn.epoch), Style: style.Caution}
		acc, loss = append(acc, t), append(loss, t)
	}
	if b := r.bestLoss; b.epoch > 0 {
		loss = append(loss, chart.Mark{At: at(b.epoch), Sign: g.Best, Words: fmt.Sprintf("best %.4f @ %d", b.value, b.epoch), Style: style.Validation})
	}
	for i := len(r.rates) - 1; i >= 0; i-- {
		words := ""
		if i == len(r.rates)-1 {
			words = "lr " + format.Rate(r.rates[i].to)
		}
		mark := chart.Mark{At: u * r.steps.Convert(float64(r.rates[i].total), chart.ByStep, a), Sign: g.Rate, Words: words, Style: style.Mark}
		acc, loss = append(acc, mark), append(loss, mark)
	}
	return acc, loss
}

// readOut tells the values at the cursor, or the newest.
func (m *Model) readOut(r *run, bySteps bool, step, trained, validated int) []canvas.Part {
	c := m.charts
	a := c.axis
	place := math.Inf(1)
	if c.hasCursor {
		place = c.cursor / m.unit(r)
	}
	e, s := r.epochs.Nearest(a, place), r.steps.Nearest(a, place)
	value := func(st style.Style, s *chart.Series, row, col int) style.Span {
		v := float64(s.Values[col].Mean[row])
		if !chart.Finite(v) {
			st = style.Trouble
		}
		return st.Text(format.Fixed4(v))
	}
	var out []canvas.Part
	if bySteps && s >= 0 {
		epoch := math.Ceil(r.steps.At[chart.ByEpoch][s]) // a step's place is its end
		out = append(out, canvas.Ranked(2, style.Dim.Text(fmt.Sprintf("epoch %.0f, step %s:", epoch, format.Count(int64(r.steps.At[chart.ByStep][s]))))),
			canvas.Ranked(1, style.Dim.Text("train "), value(style.Training, r.steps, s, step)))
		if e >= 0 {
			out = append(out, canvas.Ranked(0, style.Dim.Text(fmt.Sprintf(" val @ %.0f ", r.epochs.At[chart.ByEpoch][e])), value(style.Validation, r.epochs, e, validated)))
		}
		return out
	}
	if e < 0 {
		return nil
	}
	return []canvas.Part{
		canvas.Ranked(2, style.Dim.Text(fmt.Sprintf("epoch %.0f:", r.epochs.At[chart.ByEpoch][e]))),
		canvas.Ranked(1, style.Dim.Text("train "), value(style.Training, r.epochs, e, trained)),
		canvas.Ranked(0, style.Dim.Text(" val "), value(style.Validation, r.epochs, e, validated)),
	}
}

// drawCharts draws the Charts view.
func (m *Model) drawCharts(a canvas.Area) {
	r := m.current()
	if r == nil {
		m.drawNothing(a, "charts")
		return
	}
	acc, loss := m.chartsOf(r)
	m.drawPair(a, acc, loss)
}

// drawPair draws two charts side by side or one over the other, or one alone
// where there is no room or no wish for both.
func (m *Model) drawPair(a canvas.Area, acc, loss chart.Chart) {
	switch {
	case m.charts.metric == accuracyOnly:
		acc.Draw(a, m.glyphs)
	case m.charts.metric == lossOnly:
		loss.Draw(a, m.glyphs)
	case a.W >= 2*sideBySide:
		half := a.W / 2
		acc.Draw(a.Sub(0, 0, half, a.H), m.glyphs)
		loss.Draw(a.Sub(half, 0, a.W-half, a.H), m.glyphs)
	case a.H >= 16:
		half := a.H / 2
		acc.Draw(a.Sub(0, 0, a.W, half), m.glyphs)
		loss.Draw(a.Sub(0, half, a.W, a.H-half), m.glyphs)
	default:
		acc.Draw(a, m.glyphs)
	}
}

// sideBySide is how wide a chart is at least beside another.
const sideBySide = 38

// moveCursor moves the cursor by a row of the data, or by a column of the
// screen where there are more rows than columns.
func (m *Model) moveCursor(d int) tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	c := &m.charts
	lo, hi, bySteps := m.span(r)
	s, u := r.epochs, m.unit(r)
	if bySteps {
		s = r.steps
	}
	if s.Len() == 0 {
		return nil
	}
	if !c.hasCursor {
		c.hasCursor = true
		edge := hi
		if d > 0 {
			edge = lo
		}
		c.cursor = u * s.At[c.axis][s.Nearest(c.axis, edge/u)]
		return nil
	}
	column := (hi - lo) / float64(max(m.plotColumns(), 1))
	i := s.Nearest(c.axis, c.cursor/u)
	next := s.Nearest(c.axis, s.At[c.axis][i]+float64(d)*column/u)
	if next == i {
		next = min(max(i+d, 0), s.Len()-1)
	}
	c.cursor = u * s.At[c.axis][next]
	m.showCursor(r)
	return nil
}

// plotColumns is about how many columns a chart's plot has.
func (m *Model) plotColumns() int {
	w := m.w
	if w >= 2*sideBySide && m.charts.metric == bothMetrics {
		w /= 2
	}
	return w - chart.YLabelWidth - 4
}

// showCursor pans so that the cursor is in the window.
func (m *Model) showCursor(r *run) {
	c := &m.charts
	first, last, _ := m.extent(r)
	lo, hi := c.win.Span(first, last)
	switch {
	case !c.win.Zoomed:
	case c.cursor < lo:
		c.win = c.win.Pan(first, last, (c.cursor-lo)/(hi-lo))
	case c.cursor > hi:
		c.win = c.win.Pan(first, last, (c.cursor-hi)/(hi-lo))
	}
}

// cursorTo moves the cursor to the window's first or last place.
func (m *Model) cursorTo(last bool) tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	m.charts.hasCursor = false
	if last {
		return m.moveCursor(-1)
	}
	return m.moveCursor(1)
}

// zoom shows more or less about the cursor, or the newest data without one.
func (m *Model) zoom(factor float64) tea.Cmd {
	r := m.current()
	switch {
	case r == nil:
		return nil
	case m.view == viewCompare && m.compare.layout == layoutTable && factor < 1:
		return m.selectRun(-1)
	case m.view == viewCompare && m.compare.layout == layoutTable:
		return m.selectRun(1)
	}
	c := &m.charts
	first, last, _ := m.extent(r)
	_, at := c.win.Span(first, last)
	if c.hasCursor {
		at = c.cursor
	}
	c.win = c.win.Zoom(first, last, at, factor)
	return nil
}

func (m *Model) pan(share float64) tea.Cmd {
	if r := m.current(); r != nil {
		first, last, _ := m.extent(r)
		m.charts.win = m.charts.win.Pan(first, last, share)
	}
	return nil
}

func (m *Model) fit() tea.Cmd {
	m.charts.win = chart.Window{}
	return nil
}

// nextAxis changes the x axis. Cursor and window stay at the same moments.
func (m *Model) nextAxis() tea.Cmd {
	c := &m.charts
	to := (c.axis + 1) % chart.Axes
	if r := m.current(); r != nil {
		s := r.steps
		if s.Len() == 0 {
			s = r.epochs
		}
		first, last, _ := m.extent(r)
		lo, hi := c.win.Span(first, last)
		from, before := c.axis, m.unit(r)
		c.axis = to
		after := m.unit(r)
		moved := func(v float64) float64 { return after * s.Convert(v/before, from, to) }
		c.cursor = moved(c.cursor)
		if c.win.Zoomed {
			c.win.Lo, c.win.Hi = moved(lo), moved(hi)
			if c.win.Hi <= c.win.Lo {
				c.win = chart.Window{}
			}
		}
	}
	c.axis = to
	m.say(style.Dim, "The x axis is "+m.axisName()+".")
	return nil
}

func (m *Model) toggleLog() tea.Cmd {
	m.charts.log = !m.charts.log
	return nil
}

func (m *Model) nextMetric() tea.Cmd {
	m.charts.metric = (m.charts.metric + 1) % metrics
	return nil
}

func (m *Model) changeSmoothing(d int) tea.Cmd {
	m.charts.weight = min(max(m.charts.weight+d, 0), len(smoothings)-1)
	return nil
}
