package cuda

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"cifartui/nn"
	"cifartui/nn/bittest"
	"cifartui/nn/cuda/internal/standin"
)

// Steps on smaller images, then on whole ones and on smaller ones again, with the
// same parameters and solver, follow the processor's; submitted or run, with
// several graphs or none, they have the same bits. What a step has taken of the
// GPU's memory is given back with it.
func TestTrainingOnSmallerImagesFollowsTheProcessor(t *testing.T) {
	for _, sizes := range [][]int{
		{16, 32, 8, 8}, // features of 2x2, 4x4 and 1x1
		{24, 24},       // and of 3x3
	} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			t.Parallel()
			followOn(t, sizes)
		})
	}
}

// followOn takes a step on images of each size.
func followOn(t *testing.T, sizes []int) {
	const batch = 2
	s := nn.Spec{Size: 32, Filters: []int{32, 32, 64}, Classes: 10, Dropout: 0.25, Smoothing: 0.1}
	run := func(on nn.Backend, submit bool) (losses []float64, end saved) {
		net, err := nn.New(on, s, 1)
		if err != nil {
			t.Fatal(err)
		}
		x := &training{net: net}
		if x.solver, err = nn.NewSolver(on, "sgd", nn.SolverOptions{LR: 0.02, Momentum: 0.9}); err != nil {
			t.Fatal(err)
		}
		for i, size := range sizes {
			if i == 0 || size != sizes[i-1] {
				if x.step != nil {
					x.step.Close()
				}
				if x.step, err = net.NewStepAt(size, batch, x.solver); err != nil {
					t.Fatal(err)
				}
			}
			images := s
			images.Size = size
			pixels, labels := batchOf(images, batch-i%2, uint64(i))
			var r nn.Result
			if submit {
				if err = x.step.Submit(pixels, labels, uint64(i)); err == nil {
					r, err = x.step.Result()
				}
			} else {
				r, err = x.step.Run(pixels, labels, uint64(i))
			}
			if err != nil {
				t.Fatal(err)
			}
			losses = append(losses, r.Loss)
		}
		x.step.Close()
		return losses, x.save(t)
	}
	cpu := nn.NewCPU(2)
	defer cpu.Close()
	want, _ := run(cpu, false)
	gpu := open(t, standin.New(8, 0))
	got, end := run(gpu, true)
	for i, l := range want {
		t.Logf("on %d pixels: %.4f, the processor has %.4f", sizes[i], got[i], l)
		if !(math.Abs(got[i]-l) <= 0.02*l) {
			t.Errorf("step %d, on %d pixels: loss %v, the processor has %v", i, sizes[i], got[i], l)
		}
	}
	if n := len(gpu.queue.known); n != 0 {
		t.Errorf("%d graphs of steps that are closed", n)
	}
	again, one := run(open(t, standin.New(8, 0)), false)
	if !slices.Equal(again, got) {
		t.Errorf("losses run one by one %v, submitted %v", again, got)
	}
	bittest.Values(t, "run one by one", one, end)
}

// On smaller images, too, one kernel takes the place of the network's end.
func TestAStepOnSmallerImagesEndsInOneKernel(t *testing.T) {
	gpu := open(t, standin.New(8, 0))
	net, err := nn.New(gpu, nn.Spec{Size: 16, Filters: []int{32}, Classes: 10, Dropout: 0.5}, 1)
	if err != nil {
		t.Fatal(err)
	}
	sv, err := nn.NewSolver(gpu, "sgd", nn.SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	step, err := net.NewStepAt(8, 2, sv)
	if err != nil {
		t.Fatal(err)
	}
	defer step.Close()
	x, labels := batchOf(nn.Spec{Size: 8, Classes: 10}, 2, 1)
	if err := step.Submit(x, labels, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := step.Result(); err != nil {
		t.Fatal(err)
	}
	tape := gpu.queue.known[0].tape
	have := namesOf(gpu.fuse(tape.launches, tape.loss))
	for _, name := range []string{"resample", "head_r1", "resample_bwd", "spread"} {
		if !slices.Contains(have, name) {
			t.Errorf("%s is not in a step of %v", name, have)
		}
	}
	if slices.Contains(have, "dropout_fwd") {
		t.Errorf("head is beside what it replaces: %v", have)
	}
}

func TestSizesThatTheKernelsAreNotMadeFor(t *testing.T) {
	b := open(t, standin.New(8, 0))
	for size, want := range map[int]bool{4: false, 8: true, 12: false, 16: true, 24: true, 32: true, 64: false} {
		if err := b.CheckSize(size); (err == nil) != want {
			t.Errorf("images of %d pixels: %v", size, err)
		}
	}
}
