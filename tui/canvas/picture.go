package canvas

import (
	"math"

	"cifartui/tui/style"
)

// SideOf returns the height and width in pixels of a picture, three planes of
// bytes: red, green, blue; 0 for what is none.
func SideOf(px []byte) int {
	side := int(math.Sqrt(float64(len(px) / 3)))
	if 3*side*side != len(px) {
		return 0
	}
	return side
}

// dotAt returns the mean colour of the pixels of a picture under the dot at x,
// y, if the picture of side by side pixels is shown by dots by dots.
func dotAt(px []byte, side, x, y, dots int) (r, g, b uint8) {
	var sum [3]int
	n := 0
	for py := y * side / dots; py < max((y+1)*side/dots, y*side/dots+1); py++ {
		for at := x * side / dots; at < max((x+1)*side/dots, x*side/dots+1); at++ {
			for c := range sum {
				sum[c] += int(px[(c*side+py)*side+at])
			}
			n++
		}
	}
	return uint8(sum[0] / n), uint8(sum[1] / n), uint8(sum[2] / n)
}

// Picture draws a picture, see [SideOf], at the area's corner as dots by dots,
// two of them a cell: dots columns and half as many rows. Where there are no
// colours for it, letters stand for brightness.
func (a Area) Picture(px []byte, dots int, p *style.Palette, g *style.Glyphs) {
	side := SideOf(px)
	if side == 0 {
		a.Sub(0, 0, dots, dots/2).Fill(style.Dim, '.')
		return
	}
	for y := range dots / 2 {
		for x := range dots {
			r1, g1, b1 := dotAt(px, side, x, 2*y, dots)
			r2, g2, b2 := dotAt(px, side, x, 2*y+1, dots)
			c := a.At(x, y)
			switch {
			case p.Pictures() && g.Unicode:
				*c = Cell{Rune: '▀', FG: style.RGB(r1, g1, b1), BG: style.RGB(r2, g2, b2)}
			case p.Pictures():
				mid := func(a, b uint8) uint8 { return uint8((int(a) + int(b)) / 2) }
				*c = Cell{Rune: ' ', BG: style.RGB(mid(r1, r2), mid(g1, g2), mid(b1, b2))}
			default:
				luma := 2*(int(r1)+int(r2)) + 7*(int(g1)+int(g2)) + (int(b1) + int(b2))
				i := luma * (len(g.Ramp) - 1) / (20 * 255)
				if !p.Dark {
					i = len(g.Ramp) - 1 - i
				}
				*c = Cell{Rune: rune(g.Ramp[i])}
			}
		}
	}
}
