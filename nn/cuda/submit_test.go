package cuda

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
	"cifartui/nn/cuda/internal/standin"
)

// first trains a new network for a step on a backend.
func first(t *testing.T, on nn.Backend) nn.Result {
	t.Helper()
	g := train(t, on, small, 2, "sgd", nn.SolverOptions{})
	x, labels := batchOf(small, 2, 1)
	if err := g.step.Submit(x, labels, 1); err != nil {
		t.Fatal(err)
	}
	r, err := g.step.Result()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A run that ends with steps under way, by an error, leaves none of them to the
// run that has the GPU next.
func TestStepsOfAClosedRunAreNobodysResults(t *testing.T) {
	t.Parallel()
	b := open(t, standin.New(8, 0))
	g := train(t, b, small, 2, "sgd", nn.SolverOptions{})
	x, labels := batchOf(small, 2, 2)
	for range 2 {
		if err := g.step.Submit(x, labels, 1); err != nil {
			t.Fatal(err)
		}
	}
	g.step.Close()
	if n := len(b.queue.pending); n != 0 {
		t.Fatalf("%d steps of a closed run are waited for", n)
	}
	if got, want := first(t, b), first(t, open(t, standin.New(8, 0))); got != want {
		t.Errorf("the next run has %+v, want %+v", got, want)
	}
}

// A step that the driver does not launch is one that the GPU does not count:
// the next one must not be mistaken for it.
func TestStepThatIsNotLaunchedIsNotCounted(t *testing.T) {
	t.Parallel()
	d := standin.New(8, 0)
	b := open(t, d)
	g := train(t, b, small, 2, "sgd", nn.SolverOptions{})
	x, labels := batchOf(small, 2, 2)
	d.Fail = func(call string) error {
		if call == "LaunchGraph" {
			return &driver.Error{Call: "cuGraphLaunch", Code: driver.OutOfMemory, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
		}
		return nil
	}
	var full *nn.MemoryError
	if err := g.step.Submit(x, labels, 1); !errors.As(err, &full) {
		t.Fatalf("%v, want a GPU whose memory is full", err)
	}
	d.Fail = nil
	if got, want := first(t, b), first(t, open(t, standin.New(8, 0))); got != want {
		t.Errorf("the next run has %+v, want %+v", got, want)
	}
}

// A call that fails while a graph is captured, on the chain or on the branch, leaves
// neither a graph nor a stream that notes what it should do.
func TestCaptureThatFailsIsEnded(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for _, c := range []struct {
		call string
		nth  int
	}{{"Capture", 1}, {"Launch", 1}, {"Launch", 9}, {"Launch", 12}, {"Record", 1}, {"Follow", 1}, {"Follow", 2}, {"EndCapture", 1}} {
		d := hopper(map[string]bool{})
		b := open(t, d)
		g := train(t, b, branching, 2, "sgd", nn.SolverOptions{})
		x, labels := batchOf(branching, 2, 2)
		left, capturing := c.nth, false
		d.Fail = func(call string) error {
			capturing = capturing || call == "Capture"
			if capturing && call == c.call {
				if left--; left == 0 {
					return refused
				}
			}
			return nil
		}
		if err := g.step.Submit(x, labels, 1); !errors.Is(err, refused) {
			t.Errorf("%+v: %v, want a call that was refused", c, err)
		}
		if d.Graphs != 0 {
			t.Errorf("%+v: %d graphs are left", c, d.Graphs)
		}
		d.Fail = notRun
		if err := g.step.Submit(x, labels, 1); err == nil || d.Graphs != 1 {
			t.Errorf("%+v: the next step has %d graphs (%v), want its own: is the stream left in a capture?", c, d.Graphs, err)
		}
		g.step.Close()
		if d.Graphs != 0 {
			t.Errorf("%+v: %d graphs of a closed run are left", c, d.Graphs)
		}
	}
}

// From a loss on that float32 can't hold, the kernels change nothing: the host
// must not go on as if they did.
func TestLossBeyondFloat32IsNotFinite(t *testing.T) {
	b := open(t, standin.New(8, 0))
	made, err := b.NewLoss(2, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	l := made.(*loss)
	for i, c := range []struct {
		sum    float64
		finite uint32
		want   float64
	}{{3, 1, 3}, {1e39, 0, math.Inf(1)}, {math.Inf(1), 0, math.Inf(1)}} {
		v := l.ring.Bytes[i*outcomeBytes:]
		binary.LittleEndian.PutUint64(v, math.Float64bits(c.sum))
		binary.LittleEndian.PutUint32(v[16:], c.finite)
		binary.LittleEndian.PutUint64(v[24:], uint64(i+1))
		b.queue.pending = append(b.queue.pending, pending{sequence: uint64(i + 1), slot: uint32(i), loss: l})
		if sum, _, err := b.Finished(); err != nil || sum != c.want {
			t.Errorf("a sum of %v, finite %d: %v, %v, want %v", c.sum, c.finite, sum, err, c.want)
		}
	}
}
