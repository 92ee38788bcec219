package tui

import (
	"fmt"
	"time"

	"cifartui/train/event"
	"cifartui/tui/canvas"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// samplesView is the Samples view: images that the network gets wrong, the
// confusion matrix, and a walk through all images (walk.go).
type samplesView struct {
	page
	part sampleParts
	top  int // first row of images, or of the matrix, shown
	// evaluated is what the view shows of the run: the newest evaluation, taken up
	// at most every samplesPause, as pictures are many bytes.
	evaluated *event.Evaluated
	of        *run
	since     time.Time
	matrix    confusion // of what is shown
	cell      cell      // chosen in the matrix
	walk      walk
}

// sampleParts are which parts of the view are shown.
type sampleParts int

const (
	imagesAndMatrix sampleParts = iota
	imagesOnly
	matrixOnly
	sampleKinds
)

// samplesPause is how often pictures change where epochs are short, while the run is
// at work: of one that rests the newest are shown, as no later message would bring
// them.
const samplesPause = 10 * time.Second

func (v *samplesView) bindings() []keymap.Binding {
	return keymap.Grouped("Samples", keymap.In(viewSamples), append(v.needRun([]keymap.Binding{
		{Action: "matrix", Keys: []string{"m"}, Short: "matrix", Rank: 3, Long: "images, the confusion matrix or both", Do: v.nextPart},
		{Action: "look", Keys: []string{"enter"}, Short: "look", Renamed: v.lookWord, Rank: 2, Long: "walk through the images; and back", Do: v.look},
		{Action: "image_left", Keys: []string{"left", "h"}, Long: "the image before, a column left", Do: func() tea.Cmd { return v.sideways(-1) }},
		{Action: "image_right", Keys: []string{"right", "l"}, Long: "the next image, a column right", Do: func() tea.Cmd { return v.sideways(1) }},
	}), v.walk.bindings()...))
}

// nextPart shows the next part; from an image it goes to its place in the matrix.
func (v *samplesView) nextPart() tea.Cmd {
	if v.walk.on {
		if i := v.walk.image(); i >= 0 {
			v.cell = cell{int(v.walk.gallery.Labels[i]), v.walk.gallery.Said(i)}
		}
		v.walk.on, v.part = false, matrixOnly
		return nil
	}
	v.part = (v.part + 1) % sampleKinds
	v.top = 0
	return nil
}

// look begins to walk through the images, all or those of the matrix's cell, or
// leaves them.
func (v *samplesView) look() tea.Cmd {
	switch {
	case v.walk.on:
		v.back()
		return nil
	case v.evaluated != nil && v.shownPart() == matrixOnly:
		return v.walk.begin(imageFilter{class: v.cell.is, said: v.cell.said})
	}
	return v.walk.begin(everyImage)
}

// lookWord is what look does now.
func (v *samplesView) lookWord() string {
	if v.walk.on {
		return "back"
	}
	return "look"
}

// back leaves the walk, and reports whether there was one.
func (v *samplesView) back() bool {
	was := v.walk.on
	v.walk.on = false
	return was
}

// sideways goes to another image, or to another column of the matrix.
func (v *samplesView) sideways(d int) tea.Cmd {
	switch {
	case v.walk.on:
		v.walk.move(d)
	case v.shownPart() == matrixOnly:
		v.cell.said = max(-1, min(v.cell.said+d, len(v.matrix.counts)-1))
	}
	return nil
}

// scroll moves what is shown of the images, the cell of the matrix, or goes to
// another image.
func (v *samplesView) scroll(d int) {
	switch {
	case v.walk.on:
		v.walk.move(d)
	case v.shownPart() == matrixOnly:
		v.cell.is += min(d, 1<<20)
	default:
		v.top = max(0, v.top+min(d, 1<<20)) // settle holds it to what there is
	}
}

func (v *samplesView) receive(msg tea.Msg) tea.Cmd {
	v.walk.receive(msg)
	return nil
}

// settle shows the newest evaluation when it is time.
func (v *samplesView) settle() tea.Cmd {
	if r := v.current(); r != nil && v.due(r) {
		v.of, v.evaluated, v.since = r, r.Evaluated, v.now
		if r.Evaluated != nil {
			v.matrix = newConfusion(r.Evaluated, r.Started.Classes)
		}
	}
	if v.evaluated != nil {
		n := len(v.matrix.counts)
		v.cell.is, v.cell.said = max(0, min(v.cell.is, n-1)), min(v.cell.said, n-1)
		if v.shownPart() == matrixOnly { // the cell stays in sight
			rows := v.h - 3
			v.top = max(v.cell.is-rows+1, min(v.top, v.cell.is))
		}
		v.top = max(0, min(v.top, v.last()))
	}
	return v.walk.settle()
}

// due reports whether something newer is to be shown of r.
func (v *samplesView) due(r *run) bool {
	switch {
	case v.of == r && v.evaluated == r.Evaluated:
		return false
	case v.of == r && v.evaluated != nil && r.atWork() && v.shown == viewSamples:
		return v.now.Sub(v.since) >= samplesPause
	}
	return true
}

// Sizes of the view's parts.
const (
	pictureSide  = 32 // dots of a picture's side as it is shown at its largest: CIFAR's pixels
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

// shownPart is the part that there is room for.
func (v *samplesView) shownPart() sampleParts {
	if v.part == imagesAndMatrix && (v.h < matrixHeight+smallTile.h || v.w < v.matrix.least()) {
		return imagesOnly
	}
	return v.part
}

// last is the last row to scroll to.
func (v *samplesView) last() int {
	h := v.h
	switch v.shownPart() {
	case matrixOnly:
		return len(v.matrix.counts) - (v.h - 3) // the frame and the titles
	case imagesAndMatrix:
		h -= matrixHeight
	}
	g := gridFor(v.w, h)
	return (len(v.evaluated.Samples)+g.cols-1)/g.cols - g.rows
}

func (v *samplesView) draw(a canvas.Area) {
	r := v.current()
	switch {
	case r == nil:
		v.drawNothing(a, "samples")
		return
	case v.walk.on:
		v.walk.draw(a, r.Started.Classes)
		return
	case v.evaluated == nil:
		v.drawWords(a, "samples", "Images that the network gets wrong come after the first epoch.")
		return
	}
	switch v.shownPart() {
	case matrixOnly:
		v.drawMatrix(a, v.top, &v.cell)
	case imagesOnly:
		v.drawImages(a, r)
	default:
		h := a.H - matrixHeight
		v.drawImages(a.Sub(0, 0, a.W, h), r)
		v.drawMatrix(a.Sub(0, h, a.W, matrixHeight), 0, nil)
	}
}

// A grid is how images are laid out in an area.
type grid struct {
	tile
	cols, rows int
}

// gridFor lays images out in an area, large where some fit.
func gridFor(w, h int) grid {
	w, h = w-2, h-1 // margins, the title
	fit := func(t tile) int { return (w + tileGap) / (t.w + tileGap) * ((h + 1) / t.h) }
	t := smallTile
	if large, small := fit(largeTile), fit(smallTile); large >= 3 || large >= 1 && small < 6 {
		t = largeTile
	}
	if h < t.h {
		t.h = max(h, 1) // a low window: the caption goes first
	}
	return grid{t, max(1, (w+tileGap)/(t.w+tileGap)), max(1, (h+1)/t.h)}
}

// drawImages draws as many of the images as fit, worst first.
func (v *samplesView) drawImages(a canvas.Area, r *run) {
	a.Text(1, 0, style.Heading, "worst mistakes")
	a.Right(a.W-1, 0, style.Dim, fmt.Sprintf("of epoch %d", v.evaluated.Epoch))
	g := gridFor(a.W, a.H)
	a = a.Sub(1, 1, a.W-2, a.H-1)
	for i, s := range v.evaluated.Samples[min(v.top*g.cols, len(v.evaluated.Samples)):] {
		if i >= g.rows*g.cols {
			break
		}
		v.drawSample(a.Sub(i%g.cols*(g.w+tileGap), i/g.cols*g.h, g.w, g.h), g.tile, s, r)
	}
}

// drawSample draws an image and under it what it is and what was said.
func (v *samplesView) drawSample(a canvas.Area, t tile, s event.Sample, r *run) {
	px := s.Pixels
	if px == nil {
		px = r.pixels[s.Index]
	}
	h := pictureSide / t.side / 2
	a.Sub(0, 0, t.w, min(h, a.H-1)).Picture(px, pictureSide/t.side, v.palette, v.glyphs)
	said := class(r.Started.Classes, s.Predicted)
	y := min(h, a.H-1)
	sure := fmt.Sprintf(" %.0f%%", 100*s.Confidence)
	is := class(r.Started.Classes, s.Label)
	switch {
	case s.Label == s.Predicted:
		a.Spans(0, y, style.Validation.Text(canvas.Elide(said, t.w-len(sure), v.glyphs)), style.Dim.Text(sure))
	case t.side == 1 && canvas.Width(said+sure+", is "+is) <= t.w:
		a.Spans(0, y, style.Wrong3.Text(said), style.Dim.Text(sure+", is "), style.Validation.Text(is))
	default:
		a.Spans(0, y, style.Wrong3.Text(canvas.Elide(said, t.w-len(sure), v.glyphs)), style.Dim.Text(sure))
		a.Spans(0, y+1, style.Dim.Text("is "), style.Validation.Text(canvas.Elide(is, t.w-len("is "), v.glyphs)))
	}
}

// class names class i.
func class(names []string, i int) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("class %d", i)
}
