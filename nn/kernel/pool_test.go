package kernel

import (
	"math/rand/v2"
	"testing"
)

func TestMaxPoolBackwardScatters(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, img := range []Image{{3, 4, 4, 16}, {2, 8, 6, 48}, {2, 5, 7, 5}, {1, 1, 1, 1}, {2, 2, 2, 24}} {
			p := Image{img.N, img.H / 2, img.W / 2, img.C}
			dy, checkDY := guarded(t, "dy", img.Len())
			dp, checkDP := guarded(t, "dp", p.Len())
			arg, checkArg := guardedBytes(t, "arg", p.N*p.H*p.W*p.C)
			rows := max(1, img.N-1)
			want := make([]float32, img.Len())
			for i := range arg {
				arg[i] = uint8(rng.IntN(5))
			}
			img.each(rows, func(i, _ int) { dy[i] = 7 })
			for n := range rows {
				for y := range p.H {
					for x := range p.W {
						for c := range p.C {
							v := float32(rng.NormFloat64())
							dp[p.At(n, y, x)+c] = v
							if k := int(arg[((n*p.H+y)*p.W+x)*p.C+c]); k < 4 {
								want[img.At(n, 2*y+k/2, 2*x+k%2)+c] = v
							}
						}
					}
				}
			}
			MaxPoolBackward(w, dy, img, dp, arg, rows)
			checkDY()
			checkDP()
			checkArg()
			for i, v := range want {
				if dy[i] != v {
					t.Fatalf("%+v: dy[%d] is %v, want %v", img, i, dy[i], v)
				}
			}
		}
	})
}
