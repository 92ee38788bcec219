package tui

import (
	"fmt"
	"math"

	tea "github.com/charmbracelet/bubbletea"
)

// chartState is how charts are looked at; all charts of all views share it.
type chartState struct {
	axis      axis
	win       window
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
	if m.view == viewCompare && m.charts.axis == byStep {
		return float64(max(r.started.Config.Batch, 1))
	}
	return 1
}

// places returns where the rows of a series lie on the x axis.
func (m *Model) places(r *run, s *series) []float64 {
	xs := s.at[m.charts.axis]
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
	if a != byEpoch || r.epochs.len() < fewEpochs {
		return 0, u * math.Max(r.steps.last(a), r.epochs.last(a)), true
	}
	return r.epochs.at[a][0], r.epochs.last(a), false
}

// span returns the part of the x axis that is shown of a run, and whether its
// training curve is drawn by step.
func (m *Model) span(r *run) (lo, hi float64, bySteps bool) {
	c := m.charts
	first, last, bySteps := m.extent(r)
	lo, hi = c.win.span(first, last)
	if c.win.zoomed && c.axis == byEpoch && hi-lo < fewEpochs-1 {
		bySteps = true
	}
	return lo, hi, bySteps && r.steps.len() > 0 || r.epochs.len() == 0
}

// axisName is the x axis in a word.
func (m *Model) axisName() string {
	if m.view == viewCompare && m.charts.axis == byStep {
		return "images"
	}
	return axisNames[m.charts.axis]
}

var axisNames = [axes]string{"epoch", "step", "time"}

// charts returns the accuracy and the loss chart of a run.
func (m *Model) chartsOf(r *run) (acc, loss chart) {
	c := m.charts
	lo, hi, bySteps := m.span(r)
	weight, stepWeight := smoothings[c.weight], stepSmoothings[c.weight]
	line := func(s *series, col int, name string, st, raw style, stroke int) chartLine {
		v, w := &s.values[col], weight
		if s == r.steps {
			w = stepWeight
		}
		return chartLine{name, polyline{m.places(r, s), v.smooth(w), v}, st, raw, stroke}
	}
	train, trainAcc, trainLoss, shown := r.epochs, epochAcc, epochLoss, weight
	if bySteps {
		train, trainAcc, trainLoss, shown = r.steps, stepAcc, stepLoss, stepWeight
	}
	note := fmt.Sprintf("smoothed %.4g", shown)
	if weight == 0 {
		note = "not smoothed"
	}
	base := chart{
		note: note, axis: c.axis, x0: lo, x1: hi, raw: weight > 0 || bySteps, xName: m.axisName(),
		cursor: math.NaN(), floor: 0, ceil: math.NaN(), empty: m.emptyWords(r),
	}
	if c.hasCursor {
		base.cursor = c.cursor
	}
	acc, loss = base, base
	acc.title, loss.title = "accuracy", "loss"
	acc.ceil = 1
	loss.log = c.log
	if c.log {
		loss.note += ", log"
	}
	acc.lines = []chartLine{
		line(train, trainAcc, "train", training, trainRaw, 0),
		line(r.epochs, epochValAcc, "val", valid, validRaw, 1),
	}
	loss.lines = []chartLine{
		line(train, trainLoss, "train", training, trainRaw, 0),
		line(r.epochs, epochValLoss, "val", valid, validRaw, 1),
	}
	acc.marks, loss.marks = m.marks(r)
	acc.read = m.readOut(r, bySteps, stepAcc, epochAcc, epochValAcc)
	loss.read = m.readOut(r, bySteps, stepLoss, epochLoss, epochValLoss)
	return acc, loss
}

// emptyWords says why there is nothing to draw.
func (m *Model) emptyWords(r *run) string {
	switch {
	case r.ended != nil:
		return "The run ended before its first batch."
	case r.steps.len() > 0 || r.epochs.len() > 0:
		return "Nothing here: zoom out or move on."
	}
	return "Curves begin with the first batch."
}

// marks returns what is marked on the accuracy and on the loss chart.
func (m *Model) marks(r *run) (acc, loss []chartMark) {
	g, a, u := m.glyphs, m.charts.axis, m.unit(r)
	at := func(epoch int) float64 { return u * r.epochs.convert(float64(epoch), byEpoch, a) }
	if b := r.bestAcc; b.epoch > 0 {
		acc = append(acc, chartMark{at(b.epoch), g.best, fmt.Sprintf("best %.4f @ %d", b.value, b.epoch), valid})
	}
	if r.turned {
		t := chartMark{u * r.epochs.at[a][r.turn.row], g.overfit, fmt.Sprintf("overfitting @ %.0f", r.turn.epoch), amber}
		acc, loss = append(acc, t), append(loss, t)
	}
	if b := r.bestLoss; b.epoch > 0 {
		loss = append(loss, chartMark{at(b.epoch), g.best, fmt.Sprintf("best %.4f @ %d", b.value, b.epoch), valid})
	}
	for i := len(r.rates) - 1; i >= 0; i-- {
		words := ""
		if i == len(r.rates)-1 {
			words = "lr " + rate(r.rates[i].to)
		}
		mark := chartMark{u * r.steps.convert(float64(r.rates[i].total), byStep, a), g.rate, words, mark}
		acc, loss = append(acc, mark), append(loss, mark)
	}
	return acc, loss
}

// readOut tells the values at the cursor, or the newest.
func (m *Model) readOut(r *run, bySteps bool, step, trained, validated int) []part {
	c := m.charts
	a := c.axis
	place := math.Inf(1)
	if c.hasCursor {
		place = c.cursor / m.unit(r)
	}
	e, s := r.epochs.nearest(a, place), r.steps.nearest(a, place)
	value := func(st style, s *series, row, col int) span {
		v := float64(s.values[col].mean[row])
		if !finite(v) {
			st = trouble
		}
		return span{st, fixed4(v)}
	}
	var out []part
	if bySteps && s >= 0 {
		epoch := math.Ceil(r.steps.at[byEpoch][s]) // a step's place is its end
		out = append(out, part{2, []span{{dim, fmt.Sprintf("epoch %.0f, step %s:", epoch, count(int64(r.steps.at[byStep][s])))}}},
			part{1, []span{{dim, "train "}, value(training, r.steps, s, step)}})
		if e >= 0 {
			out = append(out, part{0, []span{{dim, fmt.Sprintf(" val @ %.0f ", r.epochs.at[byEpoch][e])}, value(valid, r.epochs, e, validated)}})
		}
		return out
	}
	if e < 0 {
		return nil
	}
	return []part{
		{2, []span{{dim, fmt.Sprintf("epoch %.0f:", r.epochs.at[byEpoch][e])}}},
		{1, []span{{dim, "train "}, value(training, r.epochs, e, trained)}},
		{0, []span{{dim, " val "}, value(valid, r.epochs, e, validated)}},
	}
}

// drawCharts draws the Charts view.
func (m *Model) drawCharts(a area) {
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
func (m *Model) drawPair(a area, acc, loss chart) {
	switch {
	case m.charts.metric == accuracyOnly:
		acc.draw(a, m.glyphs)
	case m.charts.metric == lossOnly:
		loss.draw(a, m.glyphs)
	case a.w >= 2*sideBySide:
		half := a.w / 2
		acc.draw(a.sub(0, 0, half, a.h), m.glyphs)
		loss.draw(a.sub(half, 0, a.w-half, a.h), m.glyphs)
	case a.h >= 16:
		half := a.h / 2
		acc.draw(a.sub(0, 0, a.w, half), m.glyphs)
		loss.draw(a.sub(0, half, a.w, a.h-half), m.glyphs)
	default:
		acc.draw(a, m.glyphs)
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
	if s.len() == 0 {
		return nil
	}
	if !c.hasCursor {
		c.hasCursor = true
		edge := hi
		if d > 0 {
			edge = lo
		}
		c.cursor = u * s.at[c.axis][s.nearest(c.axis, edge/u)]
		return nil
	}
	column := (hi - lo) / float64(max(m.plotColumns(), 1))
	i := s.nearest(c.axis, c.cursor/u)
	next := s.nearest(c.axis, s.at[c.axis][i]+float64(d)*column/u)
	if next == i {
		next = min(max(i+d, 0), s.len()-1)
	}
	c.cursor = u * s.at[c.axis][next]
	m.showCursor(r)
	return nil
}

// plotColumns is about how many columns a chart's plot has.
func (m *Model) plotColumns() int {
	w := m.w
	if w >= 2*sideBySide && m.charts.metric == bothMetrics {
		w /= 2
	}
	return w - yLabelWidth - 4
}

// showCursor pans so that the cursor is in the window.
func (m *Model) showCursor(r *run) {
	c := &m.charts
	first, last, _ := m.extent(r)
	lo, hi := c.win.span(first, last)
	switch {
	case !c.win.zoomed:
	case c.cursor < lo:
		c.win = c.win.pan(first, last, (c.cursor-lo)/(hi-lo))
	case c.cursor > hi:
		c.win = c.win.pan(first, last, (c.cursor-hi)/(hi-lo))
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
	_, at := c.win.span(first, last)
	if c.hasCursor {
		at = c.cursor
	}
	c.win = c.win.zoom(first, last, at, factor)
	return nil
}

func (m *Model) pan(share float64) tea.Cmd {
	if r := m.current(); r != nil {
		first, last, _ := m.extent(r)
		m.charts.win = m.charts.win.pan(first, last, share)
	}
	return nil
}

func (m *Model) fit() tea.Cmd {
	m.charts.win = window{}
	return nil
}

// nextAxis changes the x axis. Cursor and window stay at the same moments.
func (m *Model) nextAxis() tea.Cmd {
	c := &m.charts
	to := (c.axis + 1) % axes
	if r := m.current(); r != nil {
		s := r.steps
		if s.len() == 0 {
			s = r.epochs
		}
		first, last, _ := m.extent(r)
		lo, hi := c.win.span(first, last)
		from, before := c.axis, m.unit(r)
		c.axis = to
		after := m.unit(r)
		moved := func(v float64) float64 { return after * s.convert(v/before, from, to) }
		c.cursor = moved(c.cursor)
		if c.win.zoomed {
			c.win.lo, c.win.hi = moved(lo), moved(hi)
			if c.win.hi <= c.win.lo {
				c.win = window{}
			}
		}
	}
	c.axis = to
	m.say(dim, "The x axis is "+m.axisName()+".")
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
