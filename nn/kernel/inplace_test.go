package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A graph's plan gives the gradient at a layer's input the input's memory.
func TestDataGradientMayTakeThePlaceOfItsMask(t *testing.T) {
	w := NewWorkers(3)
	defer w.Close()
	for _, s := range []ConvSpec{
		{Images: 2, H: 32, W: 32, In: 64, Out: 32},
		{Images: 3, H: 8, W: 8, In: 96, Out: 32, Pool: true},
		{Images: 3, H: 6, W: 10, In: 20, Out: 7, Pool: true},
		{Images: 2, H: 5, W: 3, In: 17, Out: 5},
	} {
		eachKernel(t, func(t *testing.T) {
			l := newLayer(t, s, s.Images, rand.New(rand.NewPCG(1, 1)))
			c := NewConv(w, s)
			c.SetWeights(l.weights)
			c.Forward(l.y, l.arg, l.x, l.bias, l.rows)
			dp := Alloc(l.small.Len())
			copy(dp, l.dy)
			run := func(dx []float32) {
				if s.Pool {
					c.BackwardDataPooled(dx, dp, l.arg, l.x, l.rows)
				} else {
					c.BackwardData(dx, l.dy, l.x, l.rows)
				}
			}
			run(l.dx)
			run(l.x)
			for i, v := range l.dx {
				if math.Float32bits(v) != math.Float32bits(l.x[i]) {
					t.Fatalf("%+v: element %d is %v in the mask's place, %v elsewhere", s, i, l.x[i], v)
				}
			}
			l.check(t)
		})
	}
}
