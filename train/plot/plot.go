// Package plot draws the curves of runs as a picture: PNG, SVG or PDF.
//
// One run gives the article's two charts, accuracy and loss, training and
// validation on one axis, with the best epochs marked. Several runs give its
// comparison: validation above, training below, the values faint and a smoothed
// line over them.
//
// The background is transparent and everything on it of middling lightness, at
// least 3:1 against white paper and against a dark page: one file serves both.
// Lines differ by their dashes as well as by colour. Text is ASCII, as the PDF's
// fonts have no more.
package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"
	"gonum.org/v1/plot/vg/vgsvg"

	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// Axis says what runs along the x axis.
type Axis string

// The x axes.
const (
	ByEpoch  Axis = "epoch"
	ByImages Axis = "images" // training images seen
	ByTime   Axis = "time"   // each run's own training time, pauses left out
)

// Axes lists the x axes, the default first.
func Axes() []Axis { return []Axis{ByEpoch, ByImages, ByTime} }

// Formats lists the formats, which are also the file extensions.
func Formats() []string { return []string{"png", "svg", "pdf"} }

// Options are the choices in a picture. The zero value is the usual picture.
type Options struct {
	// X is the x axis; "" is ByEpoch.
	X Axis
	// Smooth is the weight of the past in the smoothed lines, from 0 to under 1;
	// nil is none for one run, and for several [DefaultSmooth] once one of them
	// has ten epochs.
	Smooth *float64
	// Width and Height are the size in inches; 0 is what suits the picture.
	Width, Height float64
}

// DefaultSmooth is TensorBoard's default.
const DefaultSmooth = 0.6

// pixelsAnInch is the resolution of a PNG: sharp on a dense screen.
const pixelsAnInch = 192

// A Run is one run's line and its name in the legend.
type Run struct {
	Label   string
	History *record.Run
}

// Save draws runs into a file, in the format that its extension names. The file
// is replaced whole or not at all.
func Save(path string, runs []Run, o Options) error {
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	if !slices.Contains(Formats(), format) {
		return fmt.Errorf("plot: %s: want a name that ends in .%s", path, strings.Join(Formats(), ", ."))
	}
	var b bytes.Buffer
	if err := write(&b, format, runs, o); err != nil {
		return err
	}
	_, err := rundir.WriteAtomic(rundir.OS{}, path, func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
	})
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return nil
}

// write draws runs in one of the [Formats].
func write(w io.Writer, format string, runs []Run, o Options) error {
	if o.X != "" && !slices.Contains(Axes(), o.X) {
		return fmt.Errorf("plot: x axis %q: want epoch, images or time", o.X)
	}
	if o.Smooth != nil && (*o.Smooth < 0 || *o.Smooth >= 1) {
		return fmt.Errorf("plot: smoothing %g: want from 0 to under 1", *o.Smooth)
	}
	var drawn []Run
	for _, r := range runs {
		if len(r.History.Epochs) > 0 {
			drawn = append(drawn, r)
		}
	}
	if len(drawn) == 0 {
		return fmt.Errorf("plot: no run here has finished an epoch yet")
	}
	l := look{x: o.X, weight: o.smoothing(drawn), onWhite: format == "pdf"}
	pic := comparePicture(drawn, l)
	size := vg.Point{X: 10 * vg.Inch, Y: 7.4 * vg.Inch}
	if len(drawn) == 1 {
		pic = runPicture(drawn[0], l)
		size.Y = 4.2 * vg.Inch
	}
	if o.Width > 0 {
		size.X = vg.Length(o.Width) * vg.Inch
	}
	if o.Height > 0 {
		size.Y = vg.Length(o.Height) * vg.Inch
	}
	canvas, err := newCanvas(format, size)
	if err != nil {
		return err
	}
	pic.draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	out := b.Bytes()
	if format == "svg" {
		// The same widths, for machines without the first font.
		out = bytes.ReplaceAll(out, []byte("font-family:Liberation Sans;"),
			[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	}
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return nil
}

func (o Options) smoothing(runs []Run) float64 {
	if o.Smooth != nil {
		return *o.Smooth
	}
	if len(runs) > 1 && slices.ContainsFunc(runs, func(r Run) bool { return len(r.History.Epochs) >= 10 }) {
		return DefaultSmooth
	}
	return 0
}

func newCanvas(format string, size vg.Point) (vg.CanvasWriterTo, error) {
	switch format {
	case "png":
		return vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(size.X, size.Y),
			vgimg.UseDPI(pixelsAnInch), vgimg.UseBackgroundColor(color.Transparent))}, nil
	case "svg":
		return vgsvg.New(size.X, size.Y), nil
	case "pdf":
		return vgpdf.New(size.X, size.Y), nil
	}
	return nil, fmt.Errorf("plot: format %q: want one of %s", format, strings.Join(Formats(), ", "))
}

// A picture is a title, a legend that holds for all charts, and the charts in
// rows.
type picture struct {
	title  string
	legend []entry
	charts [][]*plot.Plot
}

// An entry is a line of the legend: what stands for a curve, and its name.
type entry struct {
	style draw.LineStyle
	name  string
}

// draw draws the picture, the charts with axes that line up.
func (p picture) draw(dc draw.Canvas) {
	style := textStyle(titleSize)
	style.XAlign, style.YAlign = draw.XCenter, draw.YTop
	dc = draw.Crop(dc, margin, -margin, margin, -margin)
	dc.FillText(style, vg.Point{X: dc.Center().X, Y: dc.Max.Y}, fitting(style, p.title, dc.Size().X))
	dc = draw.Crop(dc, 0, 0, 0, -1.6*titleSize)
	dc = drawLegend(dc, p.legend)
	tiles := draw.Tiles{Rows: len(p.charts), Cols: len(p.charts[0]), PadX: 2 * margin, PadY: 2 * margin}
	for _, row := range p.charts {
		for _, c := range row {
			room := dc.Size().X/vg.Length(tiles.Cols) - 4*margin // without the labels of the y axis
			c.Title.Text = fitting(c.Title.TextStyle, c.Title.Text, room)
		}
	}
	for i, row := range plot.Align(p.charts, tiles, dc) {
		for j, c := range row {
			p.charts[i][j].Draw(c)
		}
	}
}

// drawLegend draws the entries side by side, in as many centred rows as they
// need, and returns the canvas below them.
func drawLegend(dc draw.Canvas, entries []entry) draw.Canvas {
	const thumb, gap = 22 * vg.Length(1), 5 * vg.Length(1)
	style := textStyle(tickSize)
	style.YAlign = draw.YCenter
	beside := thumb + 5*gap // what an entry takes beside its name
	entries = slices.Clone(entries)
	for i, e := range entries {
		entries[i].name = fitting(style, e.name, dc.Size().X-beside)
	}
	width := func(e entry) vg.Length { return beside + style.Width(e.name) }
	for len(entries) > 0 {
		n, row := 0, vg.Length(0)
		for n < len(entries) && (n == 0 || row+width(entries[n]) <= dc.Size().X) {
			row += width(entries[n])
			n++
		}
		x, y := dc.Center().X-row/2+2*gap, dc.Max.Y-0.8*tickSize
		for _, e := range entries[:n] {
			dc.StrokeLine2(e.style, x, y, x+thumb, y)
			dc.FillText(style, vg.Point{X: x + thumb + gap, Y: y}, e.name)
			x += width(e)
		}
		entries = entries[n:]
		dc = draw.Crop(dc, 0, 0, 0, -1.6*tickSize)
	}
	return draw.Crop(dc, 0, 0, 0, -margin/2)
}

func runTitle(r Run) string {
	title := r.Label
	if s := r.History.Started; s != nil {
		title += fmt.Sprintf(": %s, batch %d, %s", dataName(s), s.Config.Batch, s.Config.Optimizer)
	}
	return title
}

// comparisonTitle names the data, which a picture of accuracies must.
func comparisonTitle(runs []Run) string {
	var names []string
	for _, r := range runs {
		if s := r.History.Started; s != nil && !slices.Contains(names, dataName(s)) {
			names = append(names, dataName(s))
		}
	}
	return fmt.Sprintf("%d runs: %s", len(runs), strings.Join(names, ", "))
}

// fitting is a text in the letters that [plain] leaves, its end cut where it is
// wider than width.
func fitting(style text.Style, s string, width vg.Length) string {
	s = plain(s)
	if style.Width(s) <= width {
		return s
	}
	const mark = "..."
	n := sort.Search(len(s), func(n int) bool { return style.Width(s[:n+1]+mark) > width })
	return s[:n] + mark
}

// plain replaces what the PDF's fonts lack.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

func dataName(s *event.RunStarted) string {
	if s.Demo {
		return "demo set"
	}
	return s.Dataset
}

// x returns an epoch's place on the axis.
func (a Axis) x(s *event.RunStarted, e *event.EpochDone) float64 {
	switch a {
	case ByImages:
		images := float64(e.Total) * float64(e.Batch)
		switch {
		case s == nil || s.TrainImages == 0:
		case e.Total > 0 && s.StepsPerEpoch > 0: // also of a last epoch that a budget ends sooner
			images = float64(e.Total) * s.ImagesAStep()
		default:
			images = float64(e.Epoch) * float64(s.TrainImages)
		}
		return images / 1e6
	case ByTime:
		return e.Elapsed / 60
	}
	return float64(e.Epoch)
}

func (a Axis) label() string {
	switch a {
	case ByImages:
		return "training images seen, millions"
	case ByTime:
		return "training time, minutes"
	}
	return "epoch"
}

// smooth is TensorBoard's smoothing: an exponential moving average that weighs
// the past by weight, divided by the sum of its weights so that it does not
// start from 0. Values that are not finite are left out of it and stay.
func smooth(values []float64, weight float64) []float64 {
	out := make([]float64, len(values))
	var mean, sum float64
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			out[i] = v
			continue
		}
		mean = weight*mean + (1-weight)*v
		sum = weight*sum + (1 - weight)
		out[i] = mean / sum
	}
	return out
}
