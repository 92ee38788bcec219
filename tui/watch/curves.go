package watch

import (
	"fmt"
	"math"
	"slices"
	"time"

	"cifartui/train/config"
	"cifartui/train/runs"
	"cifartui/train/survey"
	"cifartui/tui/canvas"
	"cifartui/tui/chart"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// curves is how the curves of the marked runs are looked at.
type curves struct {
	metric    int // index into metrics
	axis      chart.Axis
	weight    int // index into smoothings
	log       bool
	hasCursor bool
	cursor    float64 // place on the axis
	series    map[string]*series
	x0, x1    float64 // where the curves begin and end
}

// A series is a run's points, ready to be drawn.
type series struct {
	of   *survey.Run
	axis chart.Axis // points without a place on it are left out
	*chart.Series
}

// metrics are the values that can be drawn.
var metrics = []struct {
	name string
	loss bool
	of   func(survey.Point) float32
}{
	{"val_acc", false, func(p survey.Point) float32 { return p.ValAcc }},
	{"val_loss", true, func(p survey.Point) float32 { return p.ValLoss }},
	{"acc", false, func(p survey.Point) float32 { return p.Acc }},
	{"loss", true, func(p survey.Point) float32 { return p.Loss }},
}

// smoothings are the weights of the moving average to choose from.
var smoothings = []float64{0, 0.3, 0.6, 0.8, 0.9, 0.95}

var axisNames = [chart.Axes]string{"epoch", "images", "time"}

// maxCurves is how many runs are drawn at once: more can't be told apart.
const maxCurves = 24

// maxRows is how many epochs of a run a curve tells apart.
const maxRows = 2000

func (c *curves) smooth(d int) { c.weight = max(0, min(c.weight+d, len(smoothings)-1)) }

func (m *Model) nextMetric() { m.curves.metric = (m.curves.metric + 1) % len(metrics) }

// nextAxis changes the x axis. The times of epochs are read where they are not
// known yet.
func (m *Model) nextAxis() {
	m.curves.axis, m.curves.hasCursor = (m.curves.axis+1)%chart.Axes, false
	m.say(style.Dim, "The x axis is "+axisNames[m.curves.axis]+".")
}

// moveCursor moves the cursor over the curves by about a column, or by an epoch
// where those are wider; or the settings by a run.
func (m *Model) moveCursor(d int) {
	if m.pane == paneSettings {
		m.setting.first += d
		return
	}
	c := m.curves
	if !c.hasCursor {
		c.hasCursor = true
		c.cursor = c.x1
		if d > 0 {
			c.cursor = c.x0
		}
		return
	}
	step := (c.x1 - c.x0) / 60
	if c.axis == chart.ByEpoch {
		step = max(1, math.Round(step))
	}
	c.cursor = max(c.x0, min(c.cursor+float64(d)*step, c.x1))
}

// drawn are the runs whose curves are drawn.
func (m *Model) drawn() []*row {
	rows := m.list.meant()
	return rows[:min(len(rows), maxCurves)]
}

// settleCurves finds out over what the curves go, and holds the cursor to it.
func (m *Model) settleCurves() {
	c := m.curves
	m.wantTimes()
	c.x0, c.x1 = math.Inf(1), math.Inf(-1)
	for _, r := range m.drawn() {
		if s := c.of(r.Run); s.Len() > 0 {
			c.x0, c.x1 = min(c.x0, s.At[c.axis][0]), max(c.x1, s.Last(c.axis))
		}
	}
	if c.axis != chart.ByEpoch {
		c.x0 = min(c.x0, 0)
	}
	if math.IsInf(c.x0, 0) {
		c.x0, c.x1 = 0, 1
	}
	if c.x1 <= c.x0 {
		c.x1 = c.x0 + 1
	}
	c.cursor = max(c.x0, min(c.cursor, c.x1))
}

// timesPause is how long the times of a run's epochs are waited for before they are
// asked for again: a watcher that has much to do lets a question pass.
const timesPause = 10 * time.Second

// wantTimes asks for the times of the epochs of the runs that are drawn by time.
func (m *Model) wantTimes() {
	if m.curves.axis != chart.ByTime || m.pane == paneNone {
		return
	}
	for _, r := range m.drawn() {
		if r.wantsTimes() && m.now.Sub(r.asked) >= timesPause {
			r.asked = m.now
			m.watcher.Time(r.Folder)
		}
	}
}

// wantsTimes reports whether the times of a run's epochs are not known yet.
func (r *row) wantsTimes() bool { return !r.Timed && len(r.Points) > 0 }

// of returns a run's series.
func (c *curves) of(r *survey.Run) *chart.Series {
	if c.series == nil || len(c.series) > 4*maxCurves {
		c.series = make(map[string]*series)
	}
	s := c.series[r.Folder]
	if s == nil || s.of != r || s.axis != c.axis {
		s = &series{r, c.axis, chart.NewSeries(maxRows, len(metrics))}
		for _, p := range r.Points {
			if math.IsNaN(p.Seconds) && c.axis == chart.ByTime || math.IsNaN(p.Images) && c.axis == chart.ByStep {
				continue
			}
			values := make([]chart.Sample, len(metrics))
			for i, v := range metrics {
				values[i] = chart.One(float64(v.of(p)))
			}
			s.Add(1, chart.Moment{float64(p.Epoch), p.Images, p.Seconds}, values...)
		}
		c.series[r.Folder] = s
	}
	return s.Series
}

// labels names runs by what sets them apart.
func labels(rows []*row) []string {
	names, settings := make([]string, len(rows)), make([]*config.Config, len(rows))
	for i, r := range rows {
		names[i] = r.Name
		if r.hasSettings() {
			settings[i] = &r.Config
		}
	}
	if len(rows) == 1 {
		return names
	}
	return runs.LabelsBy(names, settings)
}

// drawCurves draws the curves of the marked runs over each other, or that of the
// chosen run.
func (m *Model) drawCurves(a canvas.Area) {
	rows := m.drawn()
	c := m.curves
	metric := metrics[c.metric]
	ch := chart.Chart{
		Title: metric.name, Axis: c.axis, XName: axisNames[c.axis], Raw: smoothings[c.weight] > 0, Log: c.log && metric.loss,
		Cursor: math.NaN(), Floor: 0, Ceil: math.NaN(), Empty: m.emptyWords(rows),
	}
	if !metric.loss {
		ch.Ceil = 1
	}
	if c.hasCursor {
		ch.Cursor = c.cursor
	}
	names := labels(rows)
	for i, r := range rows {
		s := c.of(r.Run)
		if s.Len() == 0 {
			continue
		}
		n := max(r.mark-1, 0)
		values := &s.Values[c.metric]
		ch.Lines = append(ch.Lines, chart.Line{
			Name: names[i], Style: style.Run(n), RawStyle: style.RunRaw(n), Stroke: style.RunStroke(n),
			Polyline: chart.Polyline{Xs: s.At[c.axis], Smooth: values.Smooth(smoothings[c.weight]), Raw: values},
		})
	}
	ch.X0, ch.X1 = c.x0, c.x1
	legend := m.legend(rows, names)
	h := min(len(legend), max(0, (a.H-8)/2))
	for i := range ch.Lines { // the legend has them
		ch.Lines[i].Name = ""
	}
	ch.Draw(a.Sub(0, 0, a.W, a.H-h), m.glyphs)
	m.drawLegend(a.Sub(2, a.H-h, a.W-4, h), legend, a.H-h-4)
}

// emptyWords says why there is no curve.
func (m *Model) emptyWords(rows []*row) string {
	switch {
	case len(rows) == 0:
		return "No run is chosen."
	case m.curves.axis == chart.ByTime && slices.ContainsFunc(rows, (*row).wantsTimes):
		return "Reading the times" + m.glyphs.Dots
	}
	return "Curves begin with the first epoch."
}

// A legendLine is a run in the legend.
type legendLine struct {
	row   *row
	name  string
	value float64
	at    float64 // place on the axis
}

// legend is a line a run: how it is drawn, what sets it apart, and its value at
// the cursor or the newest.
func (m *Model) legend(rows []*row, names []string) []legendLine {
	c := m.curves
	lines := make([]legendLine, len(rows))
	for i, r := range rows {
		lines[i] = legendLine{r, names[i], math.NaN(), math.NaN()}
		s := c.of(r.Run)
		place := math.Inf(1)
		if c.hasCursor {
			place = c.cursor
		}
		if k := s.Nearest(c.axis, place); k >= 0 {
			lines[i].value, lines[i].at = float64(s.Values[c.metric].Mean[k]), s.At[chart.ByEpoch][k]
		}
	}
	return lines
}

// drawLegend draws it, under a plot of so many rows.
func (m *Model) drawLegend(a canvas.Area, lines []legendLine, plotRows int) {
	for y, l := range lines[:min(len(lines), a.H)] {
		if y == a.H-1 && len(lines) > a.H {
			a.Text(0, y, style.Dim, fmt.Sprintf("and %d more", len(lines)-y))
			return
		}
		n := max(l.row.mark-1, 0)
		x := a.Spans(0, y, style.Run(n).Text(chart.Stroke(style.RunStroke(n), plotRows, m.glyphs)), style.Plain.Text(" "))
		value := "     -"
		if !math.IsNaN(l.value) {
			value = format.Fixed4(l.value)
		}
		at := "      "
		if !math.IsNaN(l.at) {
			at = fmt.Sprintf(" @ %.0f", l.at)
		}
		a.Text(x, y, style.Plain, canvas.Elide(l.name, a.W-x-14, m.glyphs))
		a.Right(a.W-7, y, style.Run(n), value)
		a.Text(a.W-7, y, style.Dim, at)
	}
}
