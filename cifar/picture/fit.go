package picture

import (
	"image"

	"golang.org/x/image/draw"
)

// fit crops the largest square of the middle of m, scales it to size x size,
// lays it on white and turns it upright. The result is three planes.
func fit(m image.Image, orientation, size int) []byte {
	to := image.NewRGBA(image.Rect(0, 0, size, size))
	draw.Draw(to, to.Bounds(), image.White, image.Point{}, draw.Src)
	square := middle(m.Bounds(), orientation)
	draw.CatmullRom.Scale(to, to.Bounds(), converted(m, square), square, draw.Over, nil)
	planes := make([]byte, 3*size*size)
	for y := range size {
		for x := range size {
			sx, sy := stored(orientation, x, y, size)
			px := to.Pix[to.PixOffset(sx, sy):]
			for c := range 3 {
				planes[(c*size+y)*size+x] = px[c]
			}
		}
	}
	return planes
}

// converted returns the part r of m in a form that is quick to scale: the filter
// looks at each pixel several times, and converts a JPEG's colours each time.
func converted(m image.Image, r image.Rectangle) image.Image {
	switch m.(type) {
	case *image.YCbCr, *image.CMYK:
		to := image.NewRGBA(r)
		draw.Draw(to, r, m, r.Min, draw.Src)
		return to
	}
	return m
}

// middle returns the largest square in the middle of b. Where it can't lie
// exactly in the middle it lies nearer to the top and the left of the upright
// picture, so that a turned file gives what the upright one gives.
func middle(b image.Rectangle, orientation int) image.Rectangle {
	side := min(b.Dx(), b.Dy())
	x, y := (b.Dx()-side)/2, (b.Dy()-side)/2
	lastX, lastY := stored(orientation, 0, 0, 2)
	if lastX != 0 {
		x = b.Dx() - side - x
	}
	if lastY != 0 {
		y = b.Dy() - side - y
	}
	at := b.Min.Add(image.Pt(x, y))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))}
}

// stored returns where the file has the pixel that lies at x, y of the upright
// square of n x n pixels. EXIF 2.32 describes the orientations, 1 to 8.
func stored(orientation, x, y, n int) (int, int) {
	last := n - 1
	switch orientation {
	case 2:
		return last - x, y
	case 3:
		return last - x, last - y
	case 4:
		return x, last - y
	case 5:
		return y, x
	case 6:
		return y, last - x
	case 7:
		return last - y, last - x
	case 8:
		return last - y, x
	}
	return x, y
}

// place lays m with its corner at a point of a screen that is transparent
// elsewhere.
func place(m image.Image, at image.Point, screen image.Rectangle) image.Image {
	to := image.NewRGBA(screen)
	b := m.Bounds()
	draw.Draw(to, b.Sub(b.Min).Add(at), m, b.Min, draw.Src)
	return to
}
