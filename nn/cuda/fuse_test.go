package cuda

import (
	"slices"
	"testing"

	"cifartui/nn"
	"cifartui/nn/cuda/internal/standin"
)

// namesOf are the kernels of launches.
func namesOf(list []launch) (names []string) {
	for _, l := range list {
		names = append(names, l.kernel.Name)
	}
	return names
}

// A recorded step must end in one kernel; that it gives the same bits is shown
// by TestStepsHaveTheSameBitsHoweverTheyAreRun, whose first run records nothing.
func TestARecordedStepEndsInOneKernel(t *testing.T) {
	t.Parallel()
	gpu := open(t, standin.New(8, 0))
	g := train(t, gpu, small, 4, "adam", nn.SolverOptions{})
	x, labels := batchOf(small, 4, 1)
	if err := g.step.Submit(x, labels, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := g.step.Result(); err != nil {
		t.Fatal(err)
	}
	tape := gpu.queue.known[0].tape
	fused := gpu.fuse(tape.launches, tape.loss)
	have := namesOf(fused)
	if !slices.Contains(have, "head_r1") || !slices.Contains(have, "dense_bwd_filter") {
		t.Errorf("a step is %v, want head_r1 and dense_bwd_filter in it", have)
	}
	for _, name := range []string{"dropout_fwd", "dense_fwd_r1", "loss_forward", "loss_backward", "dense_bwd_data", "dropout_bwd"} {
		if slices.Contains(have, name) {
			t.Errorf("%s is still there beside head: %v", name, have)
		}
	}
	// On this GPU the spread sums the bias's gradient, which head does not.
	if len(have) != len(tape.launches)-5 || !slices.Contains(have, "spread") {
		t.Errorf("%d of %d launches left: %v", len(have), len(tape.launches), have)
	}

	// Where it needn't, it goes as well, and head writes what it would.
	i := slices.Index(namesOf(tape.launches), "spread")
	old := tape.launches[i]
	clear(old.Args.Bytes()[old.Args.Offsets()[1]:][:8])
	fused = gpu.fuse(tape.launches, tape.loss)
	have = namesOf(fused)
	if len(have) != len(tape.launches)-6 {
		t.Errorf("%d of %d launches left: %v", len(have), len(tape.launches), have)
	}
	h := fused[slices.Index(have, "head_r1")]
	if h.pointer(0) != old.pointer(0) || h.pointer(5) != old.pointer(3) || h.word(16) != old.word(5) || h.word(17) != old.word(6) || h.word(18) != old.word(7) {
		t.Error("head does not write where the spread did")
	}
}

// What is not the end that head is made for is left alone.
func TestOtherEndsAreLeftAlone(t *testing.T) {
	t.Parallel()
	gpu := open(t, standin.New(8, 0))
	many := small
	many.Classes = headClasses + 1
	g := train(t, gpu, many, 2, "sgd", nn.SolverOptions{})
	x, labels := batchOf(many, 2, 1)
	if err := g.step.Submit(x, labels, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := g.step.Result(); err != nil {
		t.Fatal(err)
	}
	tape := gpu.queue.known[0].tape
	if have := gpu.fuse(tape.launches, tape.loss); len(have) != len(tape.launches) {
		t.Errorf("%v", namesOf(have))
	}
	// Cut short, it is no end either.
	for n := range tape.launches {
		if have := gpu.fuse(tape.launches[:n], tape.loss); len(have) != n {
			t.Errorf("of %d launches %v were made", n, namesOf(have))
		}
	}
}
