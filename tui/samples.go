package tui

import (
	"fmt"
	"time"

	"cifartui/train"

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

func (m *Model) drawSamples(a area) {
	e, r := m.samples.shown, m.current()
	if r == nil {
		m.drawNothing(a, "samples")
		return
	}
	if e == nil || m.samples.of != r {
		in := a.box(frame, m.glyphs)
		a.text(2, 0, heading, " samples ")
		for i, l := range wrap("Images that the network gets wrong come after the first epoch.", in.w-4) {
			in.centre(in.h/2+i, dim, l)
		}
		return
	}
	matrix := newConfusion(e, r.started.Classes)
	part := m.samples.part
	if part == imagesAndMatrix && (a.h < matrixHeight+smallTile.h || a.w < matrix.least()) {
		part = imagesOnly
	}
	switch part {
	case matrixOnly:
		m.drawMatrix(a, matrix)
	case imagesOnly:
		m.drawImages(a, e, r)
	default:
		h := a.h - matrixHeight
		m.drawImages(a.sub(0, 0, a.w, h), e, r)
		m.drawMatrix(a.sub(0, h, a.w, matrixHeight), matrix)
	}
}

// drawImages draws as many of the images as fit, worst first.
func (m *Model) drawImages(a area, e *train.Evaluated, r *run) {
	a.text(1, 0, heading, "worst mistakes")
	a.right(a.w-1, 0, dim, fmt.Sprintf("of epoch %d", e.Epoch))
	a = a.sub(1, 1, a.w-2, a.h-1)
	t := smallTile
	large, small := a.fitTiles(largeTile), a.fitTiles(smallTile)
	if large >= 3 || large >= 1 && small < 6 {
		t = largeTile
	}
	if a.h < t.h {
		t.h = a.h // a low window: the caption goes first
	}
	cols := max(1, (a.w+tileGap)/(t.w+tileGap))
	rows := max(1, (a.h+1)/t.h)
	total := (len(e.Samples) + cols - 1) / cols
	m.samples.top = max(0, min(m.samples.top, total-rows))
	for i := m.samples.top * cols; i < len(e.Samples) && i < (m.samples.top+rows)*cols; i++ {
		k := i - m.samples.top*cols
		box := a.sub(k%cols*(t.w+tileGap), k/cols*t.h, t.w, t.h)
		m.drawSample(box, t, e.Samples[i], r)
	}
}

func (a area) fitTiles(t tile) int {
	return (a.w + tileGap) / (t.w + tileGap) * ((a.h + 1) / t.h)
}

// drawSample draws an image and under it what it is and what was said.
func (m *Model) drawSample(a area, t tile, s train.Sample, r *run) {
	px := s.Pixels
	if px == nil {
		px = r.pixels[s.Index]
	}
	h := pictureSide / t.side / 2
	drawPicture(a.sub(0, 0, t.w, min(h, a.h-1)), px, t.side, m.palette, m.glyphs)
	said := class(r.started.Classes, s.Predicted)
	y := min(h, a.h-1)
	sure := fmt.Sprintf(" %.0f%%", 100*s.Confidence)
	is := class(r.started.Classes, s.Label)
	switch {
	case s.Label == s.Predicted:
		a.spans(0, y, span{valid, elide(said, t.w-len(sure), m.glyphs)}, span{dim, sure})
	case t.side == 1:
		a.spans(0, y, span{wrong3, said}, span{dim, sure + ", is "}, span{valid, is})
	default:
		a.spans(0, y, span{wrong3, elide(said, t.w-len(sure), m.glyphs)}, span{dim, sure})
		a.spans(0, y+1, span{dim, "is "}, span{valid, is})
	}
}

// class names class i.
func class(names []string, i int) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("class %d", i)
}
