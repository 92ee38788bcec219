package cuda

import (
	"math"
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/nn/cuda/internal/ptx"
	"cifartui/nn/cuda/internal/standin"
)

// hopper is a stand-in of a small GPU of Hopper's kind, that tells which wgmma
// kernels ran.
func hopper(ran map[string]bool) *standin.Driver {
	d := standin.New(9, 0)
	d.GPU.SharedMemory = 227 << 10
	d.Launched = func(kernel string, _ *ptx.Stats) {
		if strings.HasPrefix(kernel, "wgmma_") {
			ran[kernel] = true
		}
	}
	return d
}

// On Hopper, a network of layers that its own kernels fit learns as on the
// processor: short batches and several steps under way among it.
func TestTrainingOnHopperFollowsTheProcessor(t *testing.T) {
	const batch, steps = 4, 4
	s := nn.Spec{Size: 16, Filters: []int{64, 128}, Classes: 10, Dropout: 0.25}
	ran := map[string]bool{}
	gpu := open(t, hopper(ran))
	cpu := nn.NewCPU(2)
	defer cpu.Close()
	g, h := train(t, gpu, s, batch, "adadelta", nn.SolverOptions{LR: 0.5}), train(t, cpu, s, batch, "adadelta", nn.SolverOptions{LR: 0.5})
	for i := range steps {
		x, labels := batchOf(s, batch-i%3, uint64(i))
		if err := g.step.Submit(x, labels, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range steps {
		x, labels := batchOf(s, batch-i%3, uint64(i))
		want, err := h.step.Run(x, labels, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.step.Result()
		if err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(got.Loss - want.Loss); got.Rows != want.Rows || !(d < 0.02*want.Loss) {
			t.Errorf("step %d: %+v, the processor has %+v", i, got, want)
		}
	}
	for _, pass := range []string{"wgmma_pool_w16_", "wgmma_pool_w8_", "wgmma_fwd_w8_", "wgmma_bwd_w16_", "wgmma_bwd_w8_", "wgmma_wgrad_w16_", "wgmma_wgrad_w8_"} {
		found := false
		for name := range ran {
			found = found || strings.HasPrefix(name, pass)
		}
		if !found {
			t.Errorf("no %s kernel ran", pass)
		}
	}
}
