package cuda

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/nn/bittest"
	"cifartui/nn/cuda/internal/standin"
)

var errNotRun = errors.New("not run")

// branching is a network whose filters' gradients run beside the data's on hopper.
var branching = nn.Spec{Size: 16, Filters: []int{64, 64}, Classes: 10, Dropout: 0.25}

// The stand-in runs the branch as late as it may and as early, in turns: what reads
// or writes too soon for one of them has other bits than kernels launched in a row.
func TestBranchHasTheSameBitsInAnyOrder(t *testing.T) {
	t.Parallel()
	const batch, steps = 2, 2
	run := func(step func(*nn.Step, []float32, []uint8) error) saved {
		g := train(t, open(t, hopper(map[string]bool{})), branching, batch, "adam", nn.SolverOptions{})
		for i := range steps {
			x, labels := batchOf(branching, batch, uint64(i))
			if err := step(g.step, x, labels); err != nil {
				t.Fatal(err)
			}
		}
		return g.save(t)
	}
	want := run(func(s *nn.Step, x []float32, labels []uint8) error {
		_, err := s.Run(x, labels, 1)
		return err
	})
	got := run(func(s *nn.Step, x []float32, labels []uint8) error {
		if err := s.Submit(x, labels, 1); err != nil {
			return err
		}
		_, err := s.Result()
		return err
	})
	bittest.Values(t, "branched", got, want)
}

// The branch has the gradients of the filters, but for the first layer's, and each
// of its kernels leaves room for one of the chain.
func TestBranchLeavesRoomForTheChain(t *testing.T) {
	t.Parallel()
	d := hopper(map[string]bool{})
	gpu := open(t, d)
	g := train(t, gpu, branching, 2, "sgd", nn.SolverOptions{})
	d.Fail = func(call string) error {
		if call == "LaunchGraph" {
			return errNotRun
		}
		return nil
	}
	x, labels := batchOf(branching, 2, 1)
	if err := g.step.Submit(x, labels, 1); err == nil {
		t.Fatal("the step was not to run")
	}
	tape := gpu.queue.known[0].tape
	var lanes [3][]string
	for i, name := range gpu.namesOf(tape.launches) {
		l := tape.launches[i]
		lanes[l.lane] = append(lanes[l.lane], name)
		if strings.HasPrefix(name, "wgmma_wgrad") || strings.HasPrefix(name, "wgmma_bwd") {
			if blocks := int(l.Grid[0]); blocks > d.GPU.SMs/2 {
				t.Errorf("%s takes %d of %d multiprocessors", name, blocks, d.GPU.SMs)
			}
		}
	}
	if want := []string{"dense_bwd_filter", "wgmma_wgrad_w8_r8s10", "wgmma_wgrad_w8_r8s10", "wgmma_wgrad_w16_r4s9"}; !slices.Equal(lanes[branch], want) {
		t.Errorf("on the branch are %v, want %v", lanes[branch], want)
	}
	if want := []string{"sgd"}; !slices.Equal(lanes[joined], want) {
		t.Errorf("behind both are %v, want %v", lanes[joined], want)
	}
}

// Only a batch that leaves a GPU of Hopper's kind idle has a branch.
func TestWhichBatchesHaveABranch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		major, images int
		want          bool
	}{{9, 8, true}, {9, 9, false}, {8, 1, false}} {
		b := open(t, standin.New(c.major, 0))
		if got := b.DefersFilters(c.images); got != c.want {
			t.Errorf("%d images on %d multiprocessors of capability %d: %v", c.images, b.Device().SMs, c.major, got)
		}
	}
}

// Kernels overlap where the driver knows how.
func TestKernelsOverlapWithANewDriver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cuda int
		want bool
	}{{12020, false}, {12030, true}} {
		d := hopper(map[string]bool{})
		d.CUDA = c.cuda
		d.Fail = func(call string) error {
			if call == "LaunchGraph" {
				return errNotRun
			}
			return nil
		}
		g := train(t, open(t, d), branching, 2, "sgd", nn.SolverOptions{})
		x, labels := batchOf(branching, 2, 1)
		if err := g.step.Submit(x, labels, 1); err == nil {
			t.Fatal("the step was not to run")
		}
		if (d.Overlapping > 0) != c.want {
			t.Errorf("CUDA %d: %d kernels may overlap", c.cuda, d.Overlapping)
		}
	}
}
