package tui

import (
	"cifartui/tui/canvas"
	"cifartui/tui/style"
)

// The pictures' side in pixels.
const pictureSide = 32

// pixelAt returns the mean colour of the side-by-side block at x, y of a
// picture: three planes of 32x32 bytes.
func pixelAt(px []byte, x, y, side int) (r, g, b uint8) {
	var sum [3]int
	for dy := range side {
		for dx := range side {
			i := (y*side+dy)*pictureSide + x*side + dx
			for c := range sum {
				sum[c] += int(px[c*pictureSide*pictureSide+i])
			}
		}
	}
	n := side * side
	return uint8(sum[0] / n), uint8(sum[1] / n), uint8(sum[2] / n)
}

// drawPicture draws a picture at the area's corner, two pixels a cell, each the
// mean of a block of side by side. Where there are no colours for it, letters
// stand for brightness.
func drawPicture(a canvas.Area, px []byte, side int, p *style.Palette, g *style.Glyphs) {
	if len(px) != 3*pictureSide*pictureSide {
		a.Sub(0, 0, pictureSide/side, pictureSide/side/2).Fill(style.Dim, '.')
		return
	}
	for y := range pictureSide / side / 2 {
		for x := range pictureSide / side {
			r1, g1, b1 := pixelAt(px, x, 2*y, side)
			r2, g2, b2 := pixelAt(px, x, 2*y+1, side)
			c := a.At(x, y)
			switch {
			case p.Pictures() && g.Unicode:
				*c = canvas.Cell{Rune: '▀', FG: style.RGB(r1, g1, b1), BG: style.RGB(r2, g2, b2)}
			case p.Pictures():
				mid := func(a, b uint8) uint8 { return uint8((int(a) + int(b)) / 2) }
				*c = canvas.Cell{Rune: ' ', BG: style.RGB(mid(r1, r2), mid(g1, g2), mid(b1, b2))}
			default:
				luma := 2*(int(r1)+int(r2)) + 7*(int(g1)+int(g2)) + (int(b1) + int(b2))
				i := luma * (len(g.Ramp) - 1) / (20 * 255)
				if !p.Dark {
					i = len(g.Ramp) - 1 - i
				}
				*c = canvas.Cell{Rune: rune(g.Ramp[i])}
			}
		}
	}
}
