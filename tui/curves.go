package tui

import (
	"cmp"
	"math"

	"cifartui/tui/chart"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// curves is how the curves of runs are looked at: on which axis and which part of
// it, where the cursor stands, how they are smoothed. The Charts and the Compare
// view share it.
type curves struct {
	*common
	axis      chart.Axis
	win       chart.Window
	hasCursor bool
	cursor    float64 // place on the axis
	weight    int     // index into smoothings
	log       bool
	metric    metric

	compared bool // several runs share one axis, on which steps are counted in images
	asTable  bool // no curves are shown: up and down choose a run
	width    int  // of the area that charts are drawn in
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
	stepSmoothings = []float64{0, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995}
)

func newCurves(c *common) *curves { return &curves{common: c, weight: 1} }

// bindings are the keys of all charts.
func (c *curves) bindings() []keymap.Binding {
	bs := []keymap.Binding{
		{Action: "cursor_left", Keys: []string{"left", "h"}, Short: "inspect", Rank: 7, Pair: true, Long: "move the cursor: it reads out values", Do: func() tea.Cmd { return c.moveCursor(-1) }},
		{Action: "cursor_right", Keys: []string{"right", "l"}, Long: "move it right", Do: func() tea.Cmd { return c.moveCursor(1) }},
		{Action: "cursor_first", Keys: []string{"home", "g"}, Long: "to the beginning", Do: func() tea.Cmd { return c.cursorTo(false) }},
		{Action: "cursor_last", Keys: []string{"end", "G"}, Long: "to the end", Do: func() tea.Cmd { return c.cursorTo(true) }},
		{Action: "zoom_in", Keys: []string{"up", "k"}, Short: "zoom", Renamed: c.zoomWord, Rank: 10, Pair: true, Long: "zoom in at the cursor; in the table, the run above", Do: func() tea.Cmd { return c.zoom(0.5) }},
		{Action: "zoom_out", Keys: []string{"down", "j"}, Long: "zoom out; the run below", Do: func() tea.Cmd { return c.zoom(2) }},
		{Action: "pan_left", Keys: []string{"shift+left", ","}, Long: "move the window left", Do: func() tea.Cmd { return c.pan(-0.25) }},
		{Action: "pan_right", Keys: []string{"shift+right", "."}, Long: "move it right", Do: func() tea.Cmd { return c.pan(0.25) }},
		{Action: "fit", Keys: []string{"f"}, Long: "show all of it", Do: c.fit},
		{Action: "x_axis", Keys: []string{"t"}, Short: "axis", Rank: 8, Long: "x axis: epochs, steps or time", Do: c.nextAxis},
		{Action: "log_scale", Keys: []string{"y"}, Short: "log", Rank: 11, Long: "loss on a logarithmic scale", Do: c.toggleLog},
		{Action: "smooth_less", Keys: []string{"["}, Short: "smooth", Rank: 9, Pair: true, Long: "smooth less", Do: func() tea.Cmd { return c.changeSmoothing(-1) }},
		{Action: "smooth_more", Keys: []string{"]"}, Long: "smooth more", Do: func() tea.Cmd { return c.changeSmoothing(1) }},
		{Action: "metric", Keys: []string{"m"}, Short: "chart", Rank: 12, Long: "both charts, accuracy or loss", Do: c.nextMetric},
	}
	return keymap.Grouped("Charts", keymap.In(viewCharts, viewCompare), c.needRun(bs))
}

// compare says whether runs are compared. Cursor and window stay at the same
// moments: what are steps of one run are images of all.
func (c *curves) compare(compared bool) {
	r := c.current()
	if r == nil {
		c.compared = compared
		return
	}
	before := c.unit(r)
	c.compared = compared
	f := c.unit(r) / before
	c.cursor *= f
	c.win.Lo, c.win.Hi = c.win.Lo*f, c.win.Hi*f
}

// fewEpochs is below how many epochs in view training is drawn by step: an
// epoch can take minutes, and two points are no curve.
const fewEpochs = 3

// unit is what a run's places on the x axis are multiplied by: comparing runs
// of several batch sizes, images are counted instead of steps.
func (c *curves) unit(r *run) float64 {
	if c.compared && c.axis == chart.ByStep {
		return cmp.Or(r.Started.ImagesAStep(), 1)
	}
	return 1
}

// places returns where the rows of a series lie on the x axis.
func (c *curves) places(r *run, s *chart.Series) []float64 {
	xs := s.At[c.axis]
	if u := c.unit(r); u != 1 {
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
func (c *curves) extent(r *run) (first, last float64, bySteps bool) {
	first, last, bySteps = c.extentOf(r)
	if c.compared {
		for _, o := range c.all {
			if !o.hidden {
				f, l, _ := c.extentOf(o)
				first, last = math.Min(first, f), math.Max(last, l)
			}
		}
	}
	return first, last, bySteps
}

func (c *curves) extentOf(r *run) (first, last float64, bySteps bool) {
	a, u := c.axis, c.unit(r)
	if a != chart.ByEpoch || r.epochs.Len() < fewEpochs {
		return 0, u * math.Max(r.steps.Last(a), r.epochs.Last(a)), true
	}
	return r.epochs.At[a][0], r.epochs.Last(a), false
}

// span returns the part of the x axis that is shown of a run, and whether its
// training curve is drawn by step.
func (c *curves) span(r *run) (lo, hi float64, bySteps bool) {
	first, last, bySteps := c.extent(r)
	lo, hi = c.win.Span(first, last)
	if c.win.Zoomed && c.axis == chart.ByEpoch && hi-lo < fewEpochs-1 {
		bySteps = true
	}
	return lo, hi, bySteps && r.steps.Len() > 0 || r.epochs.Len() == 0
}

// axisName is the x axis in a word.
func (c *curves) axisName() string {
	if c.compared && c.axis == chart.ByStep {
		return "images"
	}
	return axisNames[c.axis]
}

var axisNames = [chart.Axes]string{"epoch", "step", "time"}

// moveCursor moves the cursor by a row of the data, or by a column of the
// screen where there are more rows than columns.
func (c *curves) moveCursor(d int) tea.Cmd {
	r := c.current()
	if r == nil {
		return nil
	}
	lo, hi, bySteps := c.span(r)
	s, u := r.epochs, c.unit(r)
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
	column := (hi - lo) / float64(max(c.plotColumns(), 1))
	i := s.Nearest(c.axis, c.cursor/u)
	next := s.Nearest(c.axis, s.At[c.axis][i]+float64(d)*column/u)
	if next == i {
		next = min(max(i+d, 0), s.Len()-1)
	}
	c.cursor = u * s.At[c.axis][next]
	c.showCursor(r)
	return nil
}

// plotColumns is about how many columns a chart's plot has.
func (c *curves) plotColumns() int {
	w := c.width
	if w >= 2*sideBySide && c.metric == bothMetrics {
		w /= 2
	}
	return w - chart.YLabelWidth - 4
}

// showCursor pans so that the cursor is in the window.
func (c *curves) showCursor(r *run) {
	first, last, _ := c.extent(r)
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
func (c *curves) cursorTo(last bool) tea.Cmd {
	r := c.current()
	if r == nil {
		return nil
	}
	c.hasCursor = false
	if last {
		return c.moveCursor(-1)
	}
	return c.moveCursor(1)
}

// zoomWord is what zoom does now.
func (c *curves) zoomWord() string {
	if c.compared && c.asTable {
		return "move"
	}
	return "zoom"
}

// zoom shows more or less about the cursor, or the newest data without one.
func (c *curves) zoom(factor float64) tea.Cmd {
	r := c.current()
	switch {
	case r == nil:
		return nil
	case c.compared && c.asTable && factor < 1:
		c.move(-1)
		return nil
	case c.compared && c.asTable:
		c.move(1)
		return nil
	}
	first, last, _ := c.extent(r)
	_, at := c.win.Span(first, last)
	if c.hasCursor {
		at = c.cursor
	}
	c.win = c.win.Zoom(first, last, at, factor)
	return nil
}

func (c *curves) pan(share float64) tea.Cmd {
	if r := c.current(); r != nil {
		first, last, _ := c.extent(r)
		c.win = c.win.Pan(first, last, share)
	}
	return nil
}

func (c *curves) fit() tea.Cmd {
	c.win = chart.Window{}
	return nil
}

// nextAxis changes the x axis. Cursor and window stay at the same moments.
func (c *curves) nextAxis() tea.Cmd {
	to := (c.axis + 1) % chart.Axes
	if r := c.current(); r != nil {
		s := r.steps
		if s.Len() == 0 {
			s = r.epochs
		}
		first, last, _ := c.extent(r)
		lo, hi := c.win.Span(first, last)
		from, before := c.axis, c.unit(r)
		c.axis = to
		after := c.unit(r)
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
	c.say(style.Dim, "The x axis is "+c.axisName()+".")
	return nil
}

func (c *curves) toggleLog() tea.Cmd {
	c.log = !c.log
	return nil
}

func (c *curves) nextMetric() tea.Cmd {
	c.metric = (c.metric + 1) % metrics
	return nil
}

func (c *curves) changeSmoothing(d int) tea.Cmd {
	c.weight = min(max(c.weight+d, 0), len(smoothings)-1)
	return nil
}

// back takes away what lies over the plain charts, one thing at a time.
func (c *curves) back() tea.Cmd {
	switch {
	case c.hasCursor:
		c.hasCursor = false
	case c.win.Zoomed:
		c.win = chart.Window{}
	}
	return nil
}
