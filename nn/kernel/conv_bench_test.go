package kernel

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// networkLayers are the convolutions of the network, without the number of
// images.
var networkLayers = []ConvSpec{
	{H: 32, W: 32, In: 3, Out: 64},
	{H: 32, W: 32, In: 64, Out: 64, Pool: true},
	{H: 16, W: 16, In: 64, Out: 128},
	{H: 16, W: 16, In: 128, Out: 128, Pool: true},
	{H: 8, W: 8, In: 128, Out: 256},
	{H: 8, W: 8, In: 256, Out: 256, Pool: true},
}

// BenchmarkConv times each layer and pass with the best kernels, or those that
// CIFARTUI_KERNELS names, on CIFARTUI_THREADS threads and a batch of
// CIFARTUI_BATCH. GFLOP/s are counted as a direct convolution's.
func BenchmarkConv(b *testing.B) {
	setting := func(name string, n int) int {
		if v, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return v
		}
		return n
	}
	if name := os.Getenv("CIFARTUI_KERNELS"); name != "" {
		was := Name()
		mustUse(b, name)
		defer mustUse(b, was)
	}
	images := setting("CIFARTUI_BATCH", 64)
	w := NewWorkers(setting("CIFARTUI_THREADS", runtime.GOMAXPROCS(0)))
	defer w.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	for i, s := range networkLayers {
		s.Images = images
		l := newLayer(b, s, images, rng)
		c := NewConv(w, s)
		c.SetWeights(l.weights)
		c.Forward(l.y, l.arg, l.x, l.bias, images)
		dp := l.y
		pass := func(name string, f func()) {
			b.Run(fmt.Sprintf("conv%d/%s", i+1, name), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				seconds := b.Elapsed().Seconds() / float64(b.N*images)
				b.ReportMetric(seconds*1e6, "µs/image")
				b.ReportMetric(2*9*float64(s.H*s.W*s.In*s.Out)/seconds*1e-9, "GFLOP/s")
				b.ReportMetric(0, "ns/op")
			})
		}
		pass("weights", func() { c.SetWeights(l.weights) })
		pass("forward", func() { c.Forward(l.y, l.arg, l.x, l.bias, images) })
		if s.Pool {
			if s.In != 3 {
				pass("data", func() { c.BackwardDataPooled(l.dx, dp, l.arg, l.x, images) })
			}
			pass("filter", func() { c.BackwardFilterPooled(l.dw, l.db, l.x, dp, l.arg, images) })
		} else {
			if s.In != 3 {
				pass("data", func() { c.BackwardData(l.dx, l.dy, l.x, images) })
			}
			pass("filter", func() { c.BackwardFilter(l.dw, l.db, l.x, l.dy, images) })
		}
	}
}
