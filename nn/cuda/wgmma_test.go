package cuda

import (
	"math"
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/nn/bittest"
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

// On Hopper, a network of layers that its own kernels fit, but for the last ones on
// images of 16 pixels, learns as on the processor: short batches and several steps
// under way among it.
func TestTrainingOnHopperFollowsTheProcessor(t *testing.T) {
	const batch, steps, size = 4, 3, 16
	s := nn.Spec{Size: 32, Filters: []int{64, 128, 64}, Classes: 10, Dropout: 0.25}
	images := s
	images.Size = size
	ran := map[string]bool{}
	gpu := open(t, hopper(ran))
	cpu := nn.NewCPU(2)
	defer cpu.Close()
	o := nn.SolverOptions{LR: 0.5}
	g, h := trainAt(t, gpu, s, size, batch, "adadelta", o), trainAt(t, cpu, s, size, batch, "adadelta", o)
	for i := range steps {
		x, labels := batchOf(images, batch-i%3, uint64(i))
		if err := g.step.Submit(x, labels, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range steps {
		x, labels := batchOf(images, batch-i%3, uint64(i))
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

// Where other processes' kernels may run beside, none runs whose blocks wait for each
// other, as those of two such kernels could do forever. The others learn the same.
func TestWhereProcessesShareMultiprocessorsNoBlockWaitsForAnother(t *testing.T) {
	t.Parallel()
	var loss [2]float64
	for i, mps := range []bool{false, true} {
		ran := map[string]bool{}
		d := hopper(ran)
		d.GPU.MPS = mps
		g := train(t, open(t, d), branching, 2, "sgd", nn.SolverOptions{LR: 0.1})
		for seed := range uint64(2) {
			x, labels := batchOf(branching, 2, seed)
			if err := g.step.Submit(x, labels, seed); err != nil {
				t.Fatal(err)
			}
			r, err := g.step.Result()
			if err != nil {
				t.Fatal(err)
			}
			loss[i] += r.Loss
		}
		waits, others := false, 0
		for name := range ran {
			waits = waits || strings.HasPrefix(name, "wgmma_wgrad")
			others++
		}
		if waits == mps || others < 4 {
			t.Errorf("with MPS %v ran %v", mps, ran)
		}
	}
	if d := math.Abs(loss[1] - loss[0]); !(d < 0.01*loss[0]) {
		t.Errorf("losses %v", loss)
	}
}

// The gradient that a layer's kernel spreads over the pool before, as it does in a
// recorded step, has the bits of the two kernels that are launched one by one.
func TestTheSpreadGradientHasTheSameBits(t *testing.T) {
	t.Parallel()
	const batch, steps, size = 5, 3, 16 // too many images for a branch on two multiprocessors
	s := nn.Spec{Size: 32, Filters: []int{64, 128, 64}, Classes: 10, Dropout: 0.25}
	images := s
	images.Size = size
	run := func(submit bool) (saved, map[string]bool) {
		ran := map[string]bool{}
		d := hopper(ran)
		d.GPU.SMs = 2
		g := trainAt(t, open(t, d), s, size, batch, "adam", nn.SolverOptions{})
		clear(ran) // the self-check's
		for i := range steps {
			x, labels := batchOf(images, batch-i%3, uint64(i))
			if !submit {
				if _, err := g.step.Run(x, labels, uint64(i)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := g.step.Submit(x, labels, uint64(i)); err != nil {
				t.Fatal(err)
			}
			if _, err := g.step.Result(); err != nil {
				t.Fatal(err)
			}
		}
		return g.save(t), ran
	}
	want, without := run(false)
	have, with := run(true)
	bittest.Values(t, "spread by the layer behind the pool", have, want)
	const kernel = "wgmma_spread_w8_64x128s4t9"
	if without[kernel] || !with[kernel] {
		t.Errorf("launched one by one %v ran, as a recorded step %v: want %s in it alone", without, with, kernel)
	}
}
