package tui

import (
	"fmt"
	"time"

	"cifartui/train"
	"cifartui/tui/canvas"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// samplesState is the Samples view.
type samplesState struct {
	part sampleParts
	top  int // first row of images, or of the matrix, shown
	// shown is what the view shows of the run: the newest evaluation, taken up
	// at most every samplesPause, as pictures are many bytes.
	shown *train.Evaluated
	of    *run
	since time.Time
}

// sampleParts are which parts of the view are shown.
type sampleParts int

const (
	imagesAndMatrix sampleParts = iota
	imagesOnly
	matrixOnly
	sampleKinds
)

// samplesPause is how often pictures change where epochs are short.
const samplesPause = 10 * time.Second

// takeUpSamples shows the newest evaluation when it is time.
func (m *Model) takeUpSamples() {
	s, r := &m.samples, m.current()
	if r == nil || s.of == r && s.shown == r.eval {
		return
	}
	if s.of == r && s.shown != nil && r.ended == nil && m.view == viewSamples && m.now.Sub(s.since) < samplesPause {
		return
	}
	s.of, s.shown, s.since = r, r.eval, m.now
}

func (m *Model) nextSamples() tea.Cmd {
	m.samples.part = (m.samples.part + 1) % sampleKinds
	m.samples.top = 0
	return nil
}

// Sizes of the view's parts.
const (
	matrixHeight = 14 // frame, titles, ten classes, totals
	captionLines = 2
	tileGap      = 2
)

// A tile is the size of an image and its caption.
type tile struct{ side, w, h int }

var (
	largeTile = tile{1, pictureSide, pictureSide/2 + captionLines}
	smallTile = tile{2, pictureSide / 2, pictureSide/4 + captionLines}
)

func (m *Model) drawSamples(a canvas.Area) {
	e, r := m.samples.shown, m.current()
	if r == nil {
		m.drawNothing(a, "samples")
		return
	}
	if e == nil || m.samples.of != r {
		in := a.Box(style.Frame, m.glyphs)
		a.Text(2, 0, style.Heading, " samples ")
		for i, l := range canvas.Wrap("Images that the network gets wrong come after the first epoch.", in.W-4) {
			in.Centre(in.H/2+i, style.Dim, l)
		}
		return
	}
	matrix := newConfusion(e, r.started.Classes)
	part := m.samples.part
	if part == imagesAndMatrix && (a.H < matrixHeight+smallTile.h || a.W < matrix.least()) {
		part = imagesOnly
	}
	switch part {
	case matrixOnly:
		m.drawMatrix(a, matrix)
	case imagesOnly:
		m.drawImages(a, e, r)
	default:
		h := a.H - matrixHeight
		m.drawImages(a.Sub(0, 0, a.W, h), e, r)
		m.drawMatrix(a.Sub(0, h, a.W, matrixHeight), matrix)
	}
}

// drawImages draws as many of the images as fit, worst first.
func (m *Model) drawImages(a canvas.Area, e *train.Evaluated, r *run) {
	a.Text(1, 0, style.Heading, "worst mistakes")
	a.Right(a.W-1, 0, style.Dim, fmt.Sprintf("of epoch %d", e.Epoch))
	a = a.Sub(1, 1, a.W-2, a.H-1)
	t := smallTile
	large, small := fitTiles(a, largeTile), fitTiles(a, smallTile)
	if large >= 3 || large >= 1 && small < 6 {
		t = largeTile
	}
	if a.H < t.h {
		t.h = a.H // a low window: the caption goes first
	}
	cols := max(1, (a.W+tileGap)/(t.w+tileGap))
	rows := max(1, (a.H+1)/t.h)
	total := (len(e.Samples) + cols - 1) / cols
	m.samples.top = max(0, min(m.samples.top, total-rows))
	for i := m.samples.top * cols; i < len(e.Samples) && i < (m.samples.top+rows)*cols; i++ {
		k := i - m.samples.top*cols
		box := a.Sub(k%cols*(t.w+tileGap), k/cols*t.h, t.w, t.h)
		m.drawSample(box, t, e.Samples[i], r)
	}
}

func fitTiles(a canvas.Area, t tile) int {
	return (a.W + tileGap) / (t.w + tileGap) * ((a.H + 1) / t.h)
}

// drawSample draws an image and under it what it is and what was said.
func (m *Model) drawSample(a canvas.Area, t tile, s train.Sample, r *run) {
	px := s.Pixels
	if px == nil {
		px = r.pixels[s.Index]
	}
	h := pictureSide / t.side / 2
	drawPicture(a.Sub(0, 0, t.w, min(h, a.H-1)), px, t.side, m.palette, m.glyphs)
	said := class(r.started.Classes, s.Predicted)
	y := min(h, a.H-1)
	sure := fmt.Sprintf(" %.0f%%", 100*s.Confidence)
	is := class(r.started.Classes, s.Label)
	switch {
	case s.Label == s.Predicted:
		a.Spans(0, y, style.Validation.Text(canvas.Elide(said, t.w-len(sure), m.glyphs)), style.Dim.Text(sure))
	case t.side == 1:
		a.Spans(0, y, style.Wrong3.Text(said), style.Dim.Text(sure+", is "), style.Validation.Text(is))
	default:
		a.Spans(0, y, style.Wrong3.Text(canvas.Elide(said, t.w-len(sure), m.glyphs)), style.Dim.Text(sure))
		a.Spans(0, y+1, style.Dim.Text("is "), style.Validation.Text(is))
	}
}

// class names class i.
func class(names []string, i int) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("class %d", i)
}
