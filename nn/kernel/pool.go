package kernel

// MaxPoolBackward spreads dp, the gradient at a 2x2 max pool's output, to the
// pool's full-resolution input: dy, an Image of geometry img, gets it at the
// positions that arg recorded (see Conv.Forward) and 0 elsewhere. dp is
// Image{img.N, img.H/2, img.W/2, img.C}; the first rows images are computed.
func MaxPoolBackward(w *Workers, dy []float32, img Image, dp []float32, arg []uint8, rows int) {
	p := Image{img.N, img.H / 2, img.W / 2, img.C}
	checkLen("MaxPoolBackward", "dy", len(dy), img.Len())
	checkLen("MaxPoolBackward", "dp", len(dp), p.Len())
	checkLen("MaxPoolBackward", "arg", len(arg), p.N*p.H*p.W*p.C)
	check("MaxPoolBackward", 0 <= rows && rows <= img.N, "rows is not within 0 and the images of the batch")
	t := &w.scratch.pool
	*t = poolBackwardTask{dy, dp, arg, img, p}
	w.Do(rows, t)
}

type poolBackwardTask struct {
	dy, dp     []float32
	arg        []uint8
	img, small Image
}

func (t *poolBackwardTask) Run(_, n int) {
	for y := 0; y < t.img.H; y++ {
		i := t.img.At(n, y, 0)
		clear(t.dy[i:][:t.img.W*t.img.C])
	}
	for y := 0; y < t.small.H; y++ {
		for x := 0; x < t.small.W; x++ {
			a := t.arg[((n*t.small.H+y)*t.small.W+x)*t.small.C:][:t.small.C]
			g := t.dp[t.small.At(n, y, x):][:len(a)]
			for c, k := range a {
				if k < 4 {
					t.dy[t.img.At(n, 2*y+int(k/2), 2*x+int(k%2))+c] = g[c]
				}
			}
		}
	}
}
