package canvas

import "testing"

// A picture of any size is shown as the mean colours of what lies under each
// dot, and every pixel counts.
func TestPicturesOfAnySizeAreShown(t *testing.T) {
	for _, side := range []int{32, 48, 64, 96} {
		px := make([]byte, 3*side*side)
		for y := range side {
			for x := range side {
				px[y*side+x] = byte(255 * x / (side - 1))                        // red grows to the right
				px[side*side+y*side+x] = byte(255 * y / (side - 1))              // green downwards
				px[2*side*side+y*side+x] = byte(200 * ((x ^ y) & 1 & (96 / 32))) // blue: a pattern of single pixels
			}
		}
		if SideOf(px) != side {
			t.Fatalf("a picture of %d pixels has %d", side, SideOf(px))
		}
		for _, dots := range []int{32, 16} {
			for y := range dots {
				for x := range dots {
					r, g, _ := dotAt(px, side, x, y, dots)
					// Half a dot and a pixel off at most.
					for _, c := range []struct{ got, at int }{{int(r), x}, {int(g), y}} {
						if want := 255 * (2*c.at + 1) / (2 * dots); c.got < want-255/dots || c.got > want+255/dots {
							t.Errorf("%d pixels, %d dots, at %d,%d: %d, want about %d", side, dots, x, y, c.got, want)
						}
					}
				}
			}
		}
	}
	for _, n := range []int{1, 3*32*32 + 1, 3 * 32 * 31} {
		if side := SideOf(make([]byte, n)); side != 0 {
			t.Errorf("%d bytes are a picture of %d pixels", n, side)
		}
	}
}
