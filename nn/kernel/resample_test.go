package kernel

import (
	"fmt"
	"math"
	"testing"
)

// TestResampleMatchesPyTorch: adaptive_avg_pool2d and its gradient, of images whose
// pixel (y, x) is max(0, (7 y + 3 x + x y) mod 16 - 3), from gradients 1, 2, 3, ...
// at the result; where the image is 0 its gradient is, too.
func TestResampleMatchesPyTorch(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	for _, s := range []struct {
		h, w, toH, toW int
		want, gradient []float64
	}{
		{3, 3, 4, 4,
			[]float64{0, 0, 1.5, 3, 2, 3, 5.75, 7.5, 7.5, 5.75, 6.25, 8.5, 11, 5.5, 2.5, 5},
			[]float64{0, 0, 11.25, 11, 8.5, 14.5, 27, 0, 32.25}},
		{2, 2, 4, 4,
			[]float64{0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 8, 8, 4, 4, 8, 8},
			[]float64{0, 0, 46, 54}},
		{5, 7, 4, 3,
			[]float64{4.5, 5.666667, 7.5, 6.666667, 5.166667, 6.166667, 4.333333, 4.833333, 4.833333, 4.333333, 4.333333, 6},
			[]float64{0, 0, 0.5, 0.3333333, 0.8333333, 0.5, 0, 0.8333333, 0.8333333, 2, 0, 2.666667, 1.5, 1.5, 1.833333, 0, 4, 2.166667, 0, 2.5, 2.5, 2.833333, 2.833333, 0, 3.166667, 6.666667, 0, 3.5, 1.666667, 0, 3.5, 0, 3.833333, 2, 2}},
		{4, 4, 4, 4,
			[]float64{0, 0, 3, 6, 4, 8, 12, 0, 11, 0, 5, 10, 2, 8, 0, 4},
			[]float64{0, 0, 3, 4, 5, 6, 7, 0, 9, 0, 11, 12, 13, 14, 0, 16}},
		{1, 2, 4, 4,
			[]float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
			[]float64{0, 0}},
	} {
		t.Run(fmt.Sprintf("%dx%d to %dx%d", s.h, s.w, s.toH, s.toW), func(t *testing.T) {
			const rows, channels = 3, 70 // more channels than are summed at once
			from, to := Image{rows + 1, s.h, s.w, channels}, Image{rows + 1, s.toH, s.toW, channels}
			src, dst := Alloc(from.Len()), Alloc(to.Len())
			ddst, dsrc := Alloc(to.Len()), Alloc(from.Len())
			for n := range rows {
				for y := range s.h {
					for x := range s.w {
						for c := range channels { // each image and channel a multiple
							src[from.At(n, y, x)+c] = float32((n + c + 1) * max(0, (7*y+3*x+x*y)%16-3))
						}
					}
				}
				for i := range s.toH * s.toW {
					for c := range channels {
						ddst[to.At(n, i/s.toW, i%s.toW)+c] = float32((n + c + 1) * (i + 1))
					}
				}
			}
			Resample(w, dst, to, src, from, rows)
			ResampleBackward(w, dsrc, from, ddst, to, src, rows)
			check := func(what string, img Image, got []float32, want []float64) {
				t.Helper()
				for n := range img.N {
					for y := -1; y <= img.H; y++ {
						for x := -1; x <= img.W; x++ {
							for c := range channels {
								v := 0.0
								if n < rows && y >= 0 && y < img.H && x >= 0 && x < img.W {
									v = float64(n+c+1) * want[y*img.W+x]
								}
								if g := float64(got[img.At(n, y, x)+c]); math.Abs(g-v) > 1e-5*(1+math.Abs(v)) {
									t.Fatalf("%s: image %d, pixel (%d, %d), channel %d is %v, want %v", what, n, y, x, c, g, v)
								}
							}
						}
					}
				}
			}
			check("result", to, dst, s.want)
			check("gradient", from, dsrc, s.gradient)
			ResampleBackward(w, src, from, ddst, to, src, rows)
			check("gradient in the place of the image", from, src, s.gradient)
		})
	}
	a := Image{1, 3, 3, 2}
	wantPanic(t, "other channels", func() { Resample(w, Alloc(99), Image{1, 4, 4, 1}, Alloc(99), a, 1) })
	wantPanic(t, "a short image", func() { Resample(w, Alloc(7), Image{1, 4, 4, 2}, Alloc(99), a, 1) })
	wantPanic(t, "a short mask", func() { ResampleBackward(w, Alloc(99), a, Alloc(99), Image{1, 4, 4, 2}, Alloc(7), 1) })
}
