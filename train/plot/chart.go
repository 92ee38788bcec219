package plot

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"cifartui/train/event"
)

// Sizes of what is drawn.
const (
	margin    = 10 * vg.Length(1)
	titleSize = 12 * vg.Length(1)
	nameSize  = 10.5 * vg.Length(1)
	tickSize  = 9 * vg.Length(1)
	lineWidth = 1.6 * vg.Length(1)
	rawWidth  = 0.8 * vg.Length(1)
	hairWidth = 0.6 * vg.Length(1)
	dotRadius = 2.6 * vg.Length(1)
)

// The colours have a relative luminance (WCAG 2) from 0.12 to 0.30, which is
// 3:1 or more both on white and on #0d1117. A test holds this.
var (
	ink        = color.NRGBA{0x76, 0x7c, 0x83, 0xff}
	trainColor = color.NRGBA{0x1f, 0x77, 0xb4, 0xff}
	valColor   = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	runColors  = []color.NRGBA{
		trainColor,
		valColor,
		{0x1b, 0x9e, 0x77, 0xff}, // green
		{0x94, 0x67, 0xbd, 0xff}, // purple
		{0xc7, 0x56, 0x9a, 0xff}, // pink
		{0x8c, 0x6d, 0x31, 0xff}, // brown
		{0x0e, 0x8f, 0xa8, 0xff}, // cyan
		{0xd6, 0x27, 0x28, 0xff}, // red
	}
	dashes = [][]vg.Length{nil, {7, 3}, {2, 2}, {8, 3, 2, 3}}
)

// The alphas of the grid and of the raw values below a smoothed line.
const (
	gridAlpha = 0x44
	rawAlpha  = 0x66
)

func textStyle(size vg.Length) text.Style {
	return text.Style{
		Color:   ink,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Size: size},
		Handler: plot.DefaultTextHandler,
	}
}

// A look is what the charts of one picture have in common.
type look struct {
	x      Axis
	weight float64 // of smoothing
	// onWhite is set when the canvas can't draw see-through colours as they are
	// meant (vgpdf takes them for darker ones): they are mixed with white then.
	onWhite bool
}

// veil makes a colour see-through.
func (l look) veil(c color.NRGBA, alpha uint8) color.NRGBA {
	if !l.onWhite {
		c.A = alpha
		return c
	}
	mix := func(v uint8) uint8 { return uint8((int(v)*int(alpha) + 0xff*(0xff-int(alpha))) / 0xff) }
	return color.NRGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}

// newChart makes a chart in the package's look.
func (l look) newChart(name string, percent bool) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Title.Text = name
	p.Title.TextStyle = textStyle(nameSize)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YTop
	p.Title.Padding = margin / 2
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Width = ink, hairWidth
		axis.Tick.Color, axis.Tick.Width = ink, hairWidth
		axis.Tick.Label.Color, axis.Tick.Label.Font = ink, textStyle(tickSize).Font
		axis.Label.TextStyle.Color, axis.Label.TextStyle.Font = ink, textStyle(tickSize).Font
		axis.Padding = 0
	}
	p.X.Label.Text = l.x.label()
	p.X.Label.Padding = margin / 3
	p.Y.Tick.Marker = ticks{percent: percent, upright: true}
	p.X.Tick.Marker = ticks{whole: l.x == ByEpoch || l.x == ""}
	g := plotter.NewGrid()
	g.Horizontal.Color, g.Horizontal.Width, g.Horizontal.Dashes = l.veil(ink, gridAlpha), hairWidth, nil
	g.Vertical.Color = nil
	p.Add(g)
	return p
}

// ticks are at multiples of 1, 2 or 5 times a power of ten, about five to an
// axis. percent shows a share as such; whole keeps to whole numbers; upright is
// for the y axis.
type ticks struct{ percent, whole, upright bool }

// maxTicks is more ticks than any axis has.
const maxTicks = 20

// Ticks implements [plot.Ticker].
func (t ticks) Ticks(low, high float64) []plot.Tick {
	scale := 1.0
	if t.percent {
		scale = 100
	}
	low, high = low*scale, high*scale
	if !(high > low) || math.IsInf(high-low, 0) {
		return nil
	}
	const about = 5
	power := math.Pow(10, math.Floor(math.Log10((high-low)/about)))
	step := 10 * power
	for _, m := range []float64{5, 2, 1} {
		if (high-low)/(m*power) <= 1.5*about {
			step = m * power
		}
	}
	if t.whole {
		step = max(step, 1)
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	var out []plot.Tick
	if t.upright { // a label at the very top would push the chart's name up
		high -= (high - low) / 100
	}
	first := math.Ceil(low / step)
	for n := range maxTicks {
		i := first + float64(n) // far from 0 i+1 can be i: counting with it would not end
		if i*step > high {
			break
		}
		label := strconv.FormatFloat(i*step, 'f', decimals, 64)
		if t.percent {
			label += "%"
		}
		out = append(out, plot.Tick{Value: i * step / scale, Label: label})
	}
	return out
}

// A curve is one line of a chart: ys at xs.
type curve struct {
	xs, ys []float64
	style  draw.LineStyle
}

// add draws a curve. Values that are not finite are gaps, and a value between
// two gaps is a dot. The gaps are part of the x axis.
func (c curve) add(p *plot.Plot) {
	for _, x := range c.xs {
		p.X.Min, p.X.Max = min(p.X.Min, x), max(p.X.Max, x)
	}
	var part plotter.XYs
	end := func() {
		switch {
		case len(part) == 1:
			p.Add(dot(part[0], c.style.Color))
		case len(part) > 1:
			p.Add(&plotter.Line{XYs: part, LineStyle: c.style})
		}
		part = nil
	}
	for i, y := range c.ys {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			end()
			continue
		}
		part = append(part, plotter.XY{X: c.xs[i], Y: y})
	}
	end()
}

func dot(at plotter.XY, c color.Color) *plotter.Scatter {
	return &plotter.Scatter{
		XYs:        plotter.XYs{at},
		GlyphStyle: draw.GlyphStyle{Color: c, Radius: dotRadius, Shape: draw.CircleGlyph{}},
	}
}

// fit gives a chart its ranges: from the first epoch to the last, and all finite
// values with a little room above and below.
func fit(p *plot.Plot) {
	if p.X.Min >= p.X.Max {
		p.X.Min, p.X.Max = p.X.Min-0.5, p.X.Max+0.5
	}
	if math.IsInf(p.Y.Min, 0) || math.IsInf(p.Y.Max, 0) { // nothing finite to draw
		p.Y.Min, p.Y.Max = 0, 1
	}
	room := 0.04 * (p.Y.Max - p.Y.Min)
	if room == 0 {
		room = 0.05 * max(math.Abs(p.Y.Max), 0.1)
	}
	p.Y.Min, p.Y.Max = max(0, p.Y.Min-room), p.Y.Max+room
}

// A measure is one value of an epoch.
type measure func(*event.EpochDone) float64

func acc(e *event.EpochDone) float64     { return float64(e.Acc) }
func loss(e *event.EpochDone) float64    { return float64(e.Loss) }
func valAcc(e *event.EpochDone) float64  { return float64(e.ValAcc) }
func valLoss(e *event.EpochDone) float64 { return float64(e.ValLoss) }

func newCurve(r Run, x Axis, m measure, style draw.LineStyle) curve {
	c := curve{style: style}
	for _, e := range r.History.Epochs {
		c.xs = append(c.xs, x.x(r.History.Started, e))
		c.ys = append(c.ys, m(e))
	}
	return c
}

// addSmoothed draws a curve: as it is with weight 0, else faint and a smoothed
// line over it.
func (l look) addSmoothed(p *plot.Plot, c curve) {
	if l.weight > 0 {
		raw := c
		raw.style = draw.LineStyle{Color: l.veil(c.style.Color.(color.NRGBA), rawAlpha), Width: rawWidth}
		raw.add(p)
		c.ys = smooth(c.ys, l.weight)
	}
	c.add(p)
}

// runPicture draws one run: accuracy and loss.
func runPicture(r Run, l look) picture {
	training := draw.LineStyle{Color: trainColor, Width: lineWidth}
	validation := draw.LineStyle{Color: valColor, Width: lineWidth, Dashes: []vg.Length{4, 2}}
	chart := func(name string, percent bool, onTrain, onVal measure, best *event.EpochDone, words string) *plot.Plot {
		if best != nil {
			value := onVal(best)
			if percent {
				value *= 100
			}
			name += fmt.Sprintf(words, value, best.Epoch)
		}
		p := l.newChart(name, percent)
		l.addSmoothed(p, newCurve(r, l.x, onTrain, training))
		l.addSmoothed(p, newCurve(r, l.x, onVal, validation))
		if best != nil {
			p.Add(dot(plotter.XY{X: l.x.x(r.History.Started, best), Y: onVal(best)}, valColor))
		}
		fit(p)
		return p
	}
	return picture{
		title:  runTitle(r),
		legend: []entry{{training, "training"}, {validation, "validation"}},
		charts: [][]*plot.Plot{{
			chart("accuracy", true, acc, valAcc, extreme(r, valAcc, 1), ": best val_acc %.2f%% at epoch %d"),
			chart("loss", false, loss, valLoss, extreme(r, valLoss, -1), ": lowest val_loss %.4f at epoch %d"),
		}},
	}
}

// extreme is the first epoch with the greatest finite value times sign.
func extreme(r Run, m measure, sign float64) *event.EpochDone {
	var best *event.EpochDone
	for _, e := range r.History.Epochs {
		v := m(e)
		if !math.IsNaN(v) && !math.IsInf(v, 0) && (best == nil || sign*v > sign*m(best)) {
			best = e
		}
	}
	return best
}

// comparePicture draws several runs: validation above, training below.
func comparePicture(runs []Run, l look) picture {
	pic := picture{title: comparisonTitle(runs)}
	for i, r := range runs {
		style := draw.LineStyle{Color: runColors[i%len(runColors)], Width: lineWidth, Dashes: dashes[(i+i/len(runColors))%len(dashes)]}
		pic.legend = append(pic.legend, entry{style, r.Label})
	}
	chart := func(name string, percent bool, m measure) *plot.Plot {
		p := l.newChart(name, percent)
		for i, r := range runs {
			l.addSmoothed(p, newCurve(r, l.x, m, pic.legend[i].style))
		}
		fit(p)
		return p
	}
	pic.charts = [][]*plot.Plot{
		{chart("validation accuracy", true, valAcc), chart("validation loss", false, valLoss)},
		{chart("training accuracy", true, acc), chart("training loss", false, loss)},
	}
	return pic
}
