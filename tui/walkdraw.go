package tui

import (
	"cmp"
	"fmt"
	"slices"

	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// Measures of the walk's parts.
const (
	leastSaid  = 22 // width of the bars' column
	walkTitle  = 2  // lines above a picture
	exampleRow = 8  // height of the examples, half their width, at least
)

// draw draws the image that is looked at: the picture, what was said of it, and
// what augmentation makes of it.
func (w *walk) draw(a canvas.Area, names []string) {
	image := w.image()
	switch {
	case w.problem != "" && w.gallery == nil:
		w.drawWords(a, "images", w.problem)
		return
	case w.gallery == nil:
		w.drawWords(a, "images", "Reading the images ...")
		return
	case image < 0:
		w.drawWords(a, "images", "There are no "+w.filter.words(names)+".")
		return
	}
	a.Line(0, 1, []canvas.Part{
		canvas.Ranked(0, style.Plain.Text(" "), style.Heading.Text(fmt.Sprintf("image %d", image)), style.Dim.Text(fmt.Sprintf("  %s of %s", format.Count(int64(w.at+1)), format.Count(int64(len(w.list)))))),
		canvas.Ranked(1, style.Dim.Text(" "+w.filter.words(names))),
	}, []canvas.Part{canvas.Ranked(2, style.Dim.Text(fmt.Sprintf("of epoch %d ", w.gallery.Epoch)))})
	below := 0
	if w.augments && a.H >= walkTitle+smallTile.side*4+exampleRow+1 {
		below = exampleRow + 1
	}
	body := a.Sub(1, walkTitle, a.W-2, a.H-walkTitle-below)
	dots := pictureDots(body.W, body.H)
	body.Sub(0, 0, dots, dots/2).Picture(w.gallery.Image(image), dots, w.palette, w.glyphs)
	w.drawSaid(body.Sub(dots+2, 0, body.W-dots-2, body.H), image, names)
	switch {
	case below > 0:
		w.drawExamples(a.Sub(1, a.H-below, a.W-2, below))
	case w.augments:
		a.Text(1, a.H-1, style.Dim, canvas.Elide("no room for what augmentation makes of it", a.W-2, w.glyphs))
	}
}

// pictureDots is how large a picture is drawn where so much room must be left for
// the bars beside it.
func pictureDots(w, h int) int {
	for _, dots := range []int{2 * pictureSide, pictureSide, pictureSide / 2} {
		if dots <= w-leastSaid-2 && dots/2 <= h {
			return dots
		}
	}
	return max(2, min(pictureSide/2, (w-leastSaid-2)/2*2, h*2))
}

// drawSaid draws the classes as bars, the most probable first, with the image's
// own always among them.
func (w *walk) drawSaid(a canvas.Area, image int, names []string) {
	g, own, said := w.gallery, int(w.gallery.Labels[image]), w.gallery.Said(image)
	if own == said {
		a.Text(0, 0, style.Validation, canvas.Elide("is "+class(names, own)+", as was said", a.W, w.glyphs))
	} else {
		x := a.Text(0, 0, style.Validation, canvas.Elide("is "+class(names, own), a.W/2, w.glyphs))
		a.Text(x, 0, style.Wrong3, canvas.Elide(", said "+class(names, said), a.W-x, w.glyphs))
	}
	order := make([]int, g.Classes)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(g.Of(image, j), g.Of(image, i)) })
	rows := max(1, min(len(order), a.H-walkTitle))
	if i := slices.Index(order, own); i >= rows {
		order[rows-1] = own
	}
	name := 0
	for _, c := range order[:rows] {
		name = max(name, canvas.Width(class(names, c)))
	}
	const percent = 7
	name = min(name, max(4, (a.W-percent)/2))
	bar := min(40, a.W-name-1-percent)
	for y, c := range order[:rows] {
		s := style.Plain
		switch c {
		case own:
			s = style.Validation
		case said:
			s = style.Wrong3
		}
		row := a.Sub(0, y+walkTitle, a.W, 1)
		row.Text(0, 0, s, canvas.Elide(class(names, c), name, w.glyphs))
		if bar > 2 {
			row.Bar(name+1, 0, bar, g.Of(image, c), w.glyphs)
		}
		row.Right(name+1+max(bar, 0)+percent, 0, s, fmt.Sprintf("%.2f%%", 100*g.Of(image, c)))
	}
}

// drawExamples draws what augmentation makes of the image, side by side.
func (w *walk) drawExamples(a canvas.Area) {
	a.Text(0, 0, style.Dim, canvas.Elide("what augmentation makes of it, epoch after epoch", a.W, w.glyphs))
	for i, px := range w.examples {
		x := i * (2*exampleRow + 1)
		if x+2*exampleRow > a.W {
			break
		}
		a.Sub(x, 1, 2*exampleRow, exampleRow).Picture(px, 2*exampleRow, w.palette, w.glyphs)
	}
}
