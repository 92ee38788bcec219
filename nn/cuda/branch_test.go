package cuda

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/nn/bittest"
	"cifartui/nn/cuda/internal/standin"
)

// notRun lets a step be recorded and not run.
func notRun(call string) error {
	if call == "LaunchGraph" {
		return errors.New("not run")
	}
	return nil
}

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
	d.Fail = notRun
	x, labels := batchOf(branching, 2, 1)
	if err := g.step.Submit(x, labels, 1); err == nil {
		t.Fatal("the step was not to run")
	}
	tape := gpu.queue.known[0].tape
	var lanes [3][]string
	for _, l := range tape.launches {
		name := l.kernel.Name
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

// Beside a branch no layer spreads the gradient of the pool before it, of the lowest
// trained layer neither, whose filter's gradient has all multiprocessors; in a row it
// does, but where the pool's own kernel is not Hopper's, whose places it goes by.
func TestWhichGradientsAreSpreadAhead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		frozen      []string
		sms, shared int
		want        bool
	}{
		{nil, 4, 227 << 10, false},
		{[]string{"conv1"}, 4, 227 << 10, false},
		{nil, 2, 227 << 10, true},
		{nil, 2, 224000, false}, // too little for the pool's
	} {
		d := hopper(map[string]bool{})
		d.GPU.SMs, d.GPU.SharedMemory = c.sms, c.shared
		gpu := open(t, d)
		s := branching
		s.Frozen = c.frozen
		g := train(t, gpu, s, 2, "sgd", nn.SolverOptions{})
		d.Fail = notRun
		x, labels := batchOf(s, 2, 1)
		if err := g.step.Submit(x, labels, 1); err == nil {
			t.Fatal("the step was not to run")
		}
		got := map[string]int{}
		for _, name := range namesOf(gpu.queue.known[0].tape.launches) {
			for _, p := range []string{"wgmma_spread_w8", "wgmma_bwd_w8", "spread"} {
				if strings.HasPrefix(name, p) {
					got[p]++
				}
			}
		}
		want := map[string]int{"wgmma_bwd_w8": 2, "spread": 2}
		if c.want {
			want = map[string]int{"wgmma_bwd_w8": 1, "wgmma_spread_w8": 1, "spread": 1}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %v, want %v", c, got, want)
		}
	}
}

// Only a batch that leaves a GPU of Hopper's kind idle has a branch.
func TestWhichBatchesHaveABranch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		major, images int
		want          bool
	}{{9, 2, true}, {9, 3, false}, {8, 1, false}} {
		b := open(t, standin.New(c.major, 0))
		if got := b.DefersFilters(c.images); got != c.want {
			t.Errorf("%d images on %d multiprocessors of capability %d: %v", c.images, b.Device().SMs, c.major, got)
		}
	}
}

// Kernels overlap where the driver knows how: those that follow one other and no
// more and, beside the branch, only Hopper's own.
func TestWhichKernelsOverlap(t *testing.T) {
	t.Parallel()
	for cuda, want := range map[int]string{
		12020: "",
		12030: "pack conv1 wgmma_pool_w16 wgmma_fwd_w8 wgmma_pool_w8 head wgmma_wgrad_w8 wgmma_bwd_w8 wgmma_bwd_w8 wgmma_bwd_w16",
	} {
		d := hopper(map[string]bool{})
		d.CUDA = cuda
		d.Fail = notRun
		g := train(t, open(t, d), branching, 2, "sgd", nn.SolverOptions{})
		x, labels := batchOf(branching, 2, 1)
		if err := g.step.Submit(x, labels, 1); err == nil {
			t.Fatal("the step was not to run")
		}
		var got []string
		for _, name := range d.Overlapping {
			parts := strings.Split(name, "_")
			if parts[0] == "wgmma" {
				got = append(got, strings.Join(parts[:3], "_"))
			} else {
				got = append(got, parts[0])
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("CUDA %d: %s overlap, want %s", cuda, d.Overlapping, want)
		}
	}
}

// The self-check runs what works beside another kernel on all multiprocessors, too,
// as larger batches have it.
func TestSelfCheckRunsBothShares(t *testing.T) {
	t.Parallel()
	c := &checker{b: open(t, hopper(map[string]bool{})), cpu: nn.NewCPU(1), random: rand.New(rand.NewPCG(1, 1))}
	defer c.cpu.Close()
	defer c.free()
	const all = ", on all multiprocessors"
	spec := nn.ConvSpec{Images: 2, H: 8, W: 8, In: 64, Out: 64}
	c.convolution(filterPass, "wgmma_wgrad_w8_r8s10", spec, 2)
	c.convolution(dataPass, "wgmma_bwd_w8_64x128s4t9", spec, 2)
	if c.err != nil {
		t.Fatal(c.err)
	}
	times := map[string]int{}
	for _, v := range c.list {
		if !v.OK() {
			t.Errorf("%v", v)
		}
		if strings.HasSuffix(v.Shape, all) {
			times[v.Kernel]++
		}
	}
	if times["wgmma_wgrad_w8_r8s10"] != 2 || times["wgmma_bwd_w8_64x128s4t9"] != 1 {
		t.Errorf("on all multiprocessors were checked %v of %v", times, c.list)
	}
}
