package evaluate

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"

	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"

	"cifartui/cifar"
	"cifartui/train/score"
)

// MaxSheet is the most mistakes that a contact sheet shows.
const MaxSheet = 2000

// Measures of a contact sheet in pixels.
const (
	sheetPicture = 128
	sheetLine    = 16 // of text
	sheetLines   = 3  // under a picture
	sheetGap     = 14
	sheetText    = 12 // size of the font
)

// Colours of a contact sheet.
var (
	sheetPaper = color.White
	sheetDim   = color.Gray{0x70}
	sheetWrong = color.RGBA{0xb0, 0x20, 0x10, 0xff}
	sheetRight = color.RGBA{0x10, 0x70, 0x30, 0xff}
)

// Sheet writes a PNG of the worst mistakes of a set, at most n: each image with
// the class that was said, its own, and the probability of both. title is a line
// above them.
func Sheet(w io.Writer, title string, s *cifar.Set, classes []string, j *Judged, n int) error {
	list := score.Worst(j.Prob, s.Labels, len(classes), min(n, MaxSheet))
	d, err := newSheet(len(list))
	if err != nil {
		return fmt.Errorf("contact sheet: %w", err)
	}
	d.text(sheetGap, sheetGap, sheetDim, title, d.page.Rect.Dx()-2*sheetGap)
	if len(list) == 0 {
		d.text(sheetGap, sheetGap+2*sheetLine, sheetRight, "no mistakes", d.page.Rect.Dx()-2*sheetGap)
	}
	for i, m := range list {
		x := sheetGap + i%d.cols*(sheetPicture+sheetGap)
		y := 2*sheetGap + sheetLine + i/d.cols*(sheetPicture+sheetLines*sheetLine+sheetGap)
		draw.NearestNeighbor.Scale(d.page, image.Rect(x, y, x+sheetPicture, y+sheetPicture), planes{s.Image(m.Index), s.Size}, image.Rect(0, 0, s.Size, s.Size), draw.Src, nil)
		y += sheetPicture
		d.labelled(x, y, sheetWrong, "said ", d.name(classes, m.Said), m.Prob)
		d.labelled(x, y+sheetLine, sheetRight, "is ", d.name(classes, m.Label), m.True)
		d.text(x, y+2*sheetLine, sheetDim, fmt.Sprintf("image %d", m.Index), sheetPicture)
	}
	if err := png.Encode(w, d.page); err != nil {
		return fmt.Errorf("contact sheet: %w", err)
	}
	return nil
}

// sheet is a page being drawn.
type sheet struct {
	page *image.RGBA
	cols int
	font *sfnt.Font
	face font.Face
}

// newSheet is a page with room for so many pictures, about as wide as high.
func newSheet(pictures int) (*sheet, error) {
	f, err := opentype.Parse(liberationsansregular.TTF)
	if err != nil {
		return nil, err
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: sheetText, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}
	const w, h = sheetPicture + sheetGap, sheetPicture + sheetLines*sheetLine + sheetGap
	cols := max(3, int(math.Ceil(math.Sqrt(float64(pictures)*h/w)))) // the title wants some room
	rows := max(1, (pictures+cols-1)/cols)
	page := image.NewRGBA(image.Rect(0, 0, sheetGap+cols*w, 2*sheetGap+sheetLine+rows*h))
	draw.Draw(page, page.Rect, image.NewUniform(sheetPaper), image.Point{}, draw.Src)
	return &sheet{page: page, cols: cols, font: f, face: face}, nil
}

// labelled writes a word, a class and its probability; the class is cut where it
// is too long.
func (d *sheet) labelled(x, y int, c color.Color, word, class string, prob float64) {
	sure := fmt.Sprintf(" %.1f%%", 100*prob)
	d.text(x, y, c, word+class, sheetPicture-d.width(sure))
	d.text(x+sheetPicture-d.width(sure), y, sheetDim, sure, sheetPicture)
}

// text writes a line whose top left corner is at x, y, cut to a width.
func (d *sheet) text(x, y int, c color.Color, s string, width int) {
	for runes := []rune(s); d.width(s) > width && len(runes) > 0; {
		runes = runes[:len(runes)-1]
		s = string(runes) + "…"
	}
	w := font.Drawer{Dst: d.page, Src: image.NewUniform(c), Face: d.face, Dot: fixed.P(x, y+sheetText)}
	w.DrawString(s)
}

func (d *sheet) width(s string) int { return font.MeasureString(d.face, s).Ceil() }

// name is a class's name or, where the font lacks letters of it, its number.
func (d *sheet) name(classes []string, i int) string {
	var buf sfnt.Buffer
	for _, r := range classes[i] {
		if g, err := d.font.GlyphIndex(&buf, r); err != nil || g == 0 {
			return fmt.Sprintf("class %d", i)
		}
	}
	return classes[i]
}

// planes is an image in planes of bytes.
type planes struct {
	pixels []byte
	size   int
}

func (p planes) ColorModel() color.Model { return color.RGBAModel }
func (p planes) Bounds() image.Rectangle { return image.Rect(0, 0, p.size, p.size) }
func (p planes) At(x, y int) color.Color {
	i, n := y*p.size+x, p.size*p.size
	return color.RGBA{p.pixels[i], p.pixels[n+i], p.pixels[2*n+i], 0xff}
}
