package chart

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cifartui/tui/canvas"
	"cifartui/tui/style"
)

func chartOf(values []float64, log, raw bool) Chart {
	s := NewSeries(1<<16, 1)
	for i, v := range values {
		s.Add(1, Moment{ByEpoch: float64(i + 1)}, One(v))
	}
	v := &s.Values[0]
	return Chart{
		Title: "t", Axis: ByEpoch, X0: 0, X1: math.Max(1, float64(len(values))), Log: log, Raw: raw, XName: "epoch",
		Cursor: math.NaN(), Floor: math.NaN(), Ceil: math.NaN(), Empty: "nothing",
		Lines: []Line{{"a", Polyline{s.At[ByEpoch], v.Smooth(0), v}, style.Training, style.TrainingRaw, 0}},
	}
}

var colourCode = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func drawn(ch Chart, w, h int, g *style.Glyphs) string {
	c := canvas.New(w, h)
	ch.Draw(c.All(), g)
	return colourCode.ReplaceAllString(c.Encode(style.NewPalette(3, true), &style.Unicode), "")
}

// A spike in one of 100,000 values, drawn 60 columns wide, must be seen.
func TestChartShowsASpikeAmongManyPoints(t *testing.T) {
	values := make([]float64, 100_000)
	for i := range values {
		values[i] = 1
	}
	values[61_234] = 9
	for _, g := range []*style.Glyphs{&style.Unicode, &style.ASCII} {
		lines := strings.Split(drawn(chartOf(values, false, true), 70, 20, g), "\n")
		top := []rune(lines[2])[8:69]
		if strings.TrimSpace(string(top)) == "" {
			t.Errorf("unicode %v: no mark of the spike:\n%s", g.Unicode, strings.Join(lines, "\n"))
		}
	}
}

func TestChartsStandAnyValues(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, values := range map[string][]float64{
		"none": {}, "one": {1}, "two": {1, 2}, "flat": {3, 3, 3, 3}, "zero": {0, 0, 0},
		"gaps": {1, nan, 2, nan, nan, 3}, "alone": {nan, 1, nan}, "only gaps": {nan, nan},
		"infinite": {1, inf, 2, -inf, 3}, "huge": {1e300, -1e300, 1}, "tiny": {1e-300, 2e-300},
		"negative": {-1, -2, -3}, "wide": {1e-12, 1e12}, "largest": {math.MaxFloat64, -math.MaxFloat64},
	} {
		for _, log := range []bool{false, true} {
			for _, size := range [][2]int{{12, 4}, {13, 5}, {20, 7}, {60, 20}, {200, 60}} {
				for _, g := range []*style.Glyphs{&style.Unicode, &style.ASCII} {
					ch := chartOf(values, log, true)
					ch.Cursor = 1
					if got := drawn(ch, size[0], size[1], g); strings.Count(got, "\n") != size[1]-1 {
						t.Errorf("%s at %v: %d lines", name, size, strings.Count(got, "\n")+1)
					}
				}
			}
		}
	}
}

func TestGapsAreGapsAndMarked(t *testing.T) {
	values := make([]float64, 50)
	for i := range values {
		values[i] = 1
		if i >= 20 && i < 30 {
			values[i] = math.NaN()
		}
	}
	got := drawn(chartOf(values, false, false), 60, 12, &style.Unicode)
	if !strings.Contains(got, "×") || !strings.Contains(got, "not finite") {
		t.Errorf("nothing tells of the values that are not finite:\n%s", got)
	}
	for _, line := range strings.Split(got, "\n") {
		if i := strings.Index(line, "──"); i > 0 && strings.Contains(line, "┤") {
			if n := strings.Count(line, "─"); n > 45 {
				t.Errorf("the line runs over the gap: %s", line)
			}
		}
	}
}

func TestTicksAreRoundAndInside(t *testing.T) {
	for _, c := range []struct{ lo, hi float64 }{{0, 1}, {0.3, 0.95}, {0, 2.4}, {0.401, 0.409}, {1000, 2000}, {0, 1e6}} {
		ticks := yTicks(c.lo, c.hi, 20, false)
		if len(ticks) < 3 || len(ticks) > 12 {
			t.Errorf("%v to %v: %d ticks", c.lo, c.hi, len(ticks))
		}
		for i, k := range ticks {
			if k.at < c.lo-1e-9 || k.at > c.hi+1e-9 || canvas.Width(k.label) != YLabelWidth {
				t.Errorf("%v to %v: tick %q at %v", c.lo, c.hi, k.label, k.at)
			}
			if i > 0 && k.label == ticks[i-1].label {
				t.Errorf("%v to %v: two ticks say %q", c.lo, c.hi, k.label)
			}
		}
	}
	for _, a := range []Axis{ByEpoch, ByStep, ByTime} {
		for _, hi := range []float64{0.5, 3, 47, 200, 1e4, 1e6, 3e7} {
			for _, w := range []int{8, 30, 90, 280} {
				if n := len(xTicks(a, 0, hi, w)); n > max(2, w/5) {
					t.Errorf("axis %d to %v, %d columns: %d ticks", a, hi, w, n)
				}
			}
		}
	}
}

// Each tick of a y axis says where it is, however large or small that is.
func TestYTicksSayWhereTheyAre(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		log    bool
	}{
		{0.93121, 0.93133, false}, {2.302581, 2.302587, false}, {10.0121, 10.0194, false}, {0.0041231, 0.0041239, false}, {1_000_001, 1_000_023, false},
		{0, 1.6e6, false}, {0, 2e5, false}, {0, 3e4, false}, {0, 4e-5, false}, {9.99, 10.02, false}, {0, 2.5e12, false},
		{0.30, 0.55, true}, {1.9, 2.3, true}, {2.11, 2.34, true}, {1e-4, 4e-4, true}, {2e-6, 3e-5, true}, {100, 900, true}, {500, 6e4, true}, {1e5, 9e6, true},
		{1e-9, 1e9, true}, {0.02, 3, true},
	} {
		ticks := yTicks(c.lo, c.hi, 20, c.log)
		if len(ticks) < 3 {
			t.Errorf("%v to %v: %d ticks", c.lo, c.hi, len(ticks))
		}
		for i, k := range ticks {
			said, err := strconv.ParseFloat(strings.TrimSpace(k.label), 64)
			apart := k.at / 10
			if i > 0 {
				apart = k.at - ticks[i-1].at
			}
			if err != nil || math.Abs(said-k.at) > apart/10 || len(k.label) != len(ticks[0].label) {
				t.Errorf("%v to %v: %v is %q", c.lo, c.hi, k.at, k.label)
			}
		}
	}
}

// Labels that need more columns are drawn whole, and the plot gives them.
func TestLabelsOfCloseTicksAreDrawnWhole(t *testing.T) {
	got := drawn(chartOf([]float64{2.302581, 2.302587, 2.302583}, false, false), 60, 20, &style.Unicode)
	if !strings.Contains(got, "│2.302582┤") {
		t.Errorf("no tick says 2.302582:\n%s", got)
	}
}

// A line that leaves the window through its edges is drawn where it goes, and not
// along the edge of the plot.
func TestZoomedChartsHaveRoomForLinesThroughTheirEdges(t *testing.T) {
	ch := chartOf([]float64{0, 0, 1, 10, 10}, false, true)
	l := &ch.Lines[0].Polyline
	for _, raw := range []bool{false, true} {
		if e := l.limits(2.5, 3.5, raw); e != (extent{0.5, 5.5}) {
			t.Errorf("raw %v: from %v to %v, want 0.5 to 5.5", raw, e.lo, e.hi)
		}
		if e := l.limits(3.25, 3.5, raw); e != (extent{3.25, 5.5}) {
			t.Errorf("raw %v, between two points: from %v to %v, want 3.25 to 5.5", raw, e.lo, e.hi)
		}
		if e := l.limits(1, 5, raw); e != (extent{0, 10}) {
			t.Errorf("raw %v, whole: from %v to %v, want 0 to 10", raw, e.lo, e.hi)
		}
	}
}

// However far one zooms in, each tick says where it is.
func TestTicksOfAZoomedAxisDiffer(t *testing.T) {
	for _, a := range []Axis{ByEpoch, ByStep, ByTime} {
		for _, lo := range []float64{0, 12_340, 123_456, 1_234_567, 45_678_901} {
			for _, wide := range []float64{10, 50, 300, 2000, 39_000, 400_000} {
				said := map[string]float64{}
				for _, k := range xTicks(a, lo, lo+wide, 80) {
					if before, twice := said[k.label]; twice {
						t.Errorf("axis %d, %v to %v: %v and %v are both %q", a, lo, lo+wide, before, k.at, k.label)
					}
					said[k.label] = k.at
				}
			}
		}
	}
	for want, got := range map[string]string{
		"1.205M": xLabel(ByStep, 1_205_000, 5000), "12.345k": xLabel(ByStep, 12_345, 5), "20k": xLabel(ByStep, 20_000, 2000), "2.5M": xLabel(ByStep, 2_500_000, 500_000),
		"15m": xLabel(ByTime, 900, 300), "1h": xLabel(ByTime, 3600, 900), "1h02m15s": xLabel(ByTime, 3735, 15), "1h02m": xLabel(ByTime, 3720, 10), "4d04h30m": xLabel(ByTime, 100*3600+1800, 900),
	} {
		if got != want {
			t.Errorf("labelled %q, want %q", got, want)
		}
	}
}

func TestZoomAndPanStayWhereDataIs(t *testing.T) {
	w := Window{}
	for range 5 {
		w = w.Zoom(0, 100, 50, 0.5)
	}
	lo, hi := w.Span(0, 100)
	if lo != 50-100.0/64 || hi != 50+100.0/64 {
		t.Errorf("shows %v to %v", lo, hi)
	}
	for range 500 {
		w = w.Pan(0, 100, -0.25)
	}
	if lo, _ := w.Span(0, 100); lo != 0 {
		t.Errorf("panned left to %v", lo)
	}
	for range 500 {
		w = w.Pan(0, 100, 0.25)
	}
	if _, hi := w.Span(0, 120); hi != 120 || !w.follow {
		t.Errorf("at the right end it does not follow new data: shows up to %v", hi)
	}
	for range 100 {
		w = w.Zoom(0, 100, 100, 0.5)
	}
	if lo, hi := w.Span(0, 100); hi <= lo {
		t.Errorf("zoomed to nothing: %v to %v", lo, hi)
	}
	for range 100 {
		w = w.Zoom(0, 100, 100, 2)
	}
	if w.Zoomed {
		t.Error("zooming out does not come to an end")
	}
}

// In a plot of few rows lines that differ by a quarter of a row are told apart,
// where the terminal has braille; the dashes are there without colours.
func TestFewRowsAreDrawnFinely(t *testing.T) {
	four := func(g *style.Glyphs, strokes bool) string {
		ch := chartOf(nil, false, false)
		ch.X1 = 100
		ch.Lines = nil
		for k := range 4 {
			s := NewSeries(200, 1)
			for i := range 100 {
				s.Add(1, Moment{ByEpoch: float64(i + 1)}, One(float64(i)/25+float64(k)/4))
			}
			v := &s.Values[0]
			l := Line{Name: "a", Polyline: Polyline{Xs: s.At[ByEpoch], Smooth: v.Smooth(0), Raw: v}, Style: style.Run(k)}
			if strokes {
				l.Stroke = k
			}
			ch.Lines = append(ch.Lines, l)
		}
		return drawn(ch, 60, 9, g)
	}
	got := four(&style.Unicode, false)
	dots := 0
	for _, r := range got {
		for b := r; r > 0x2800 && r <= 0x28ff && b > 0x2800; b &= b - 1 {
			dots++
		}
	}
	if dots < 3*100 {
		t.Errorf("%d dots are no four lines:\n%s", dots, got)
	}
	if got == four(&style.Unicode, true) {
		t.Error("without colours the lines are the same")
	}
	for _, r := range four(&style.ASCII, true) {
		if r > '~' {
			t.Fatalf("an ASCII terminal gets %q", r)
		}
	}
}
