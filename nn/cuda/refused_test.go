package cuda

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
	"cifartui/nn/cuda/internal/standin"
)

// refuse has the nth call from now on fail, or with lost all from that one on. It
// returns the name of the call, "" as long as there were not so many. What is not
// given back by a call that says so is lost: those are not refused. Of those for each
// kernel, which are many, one in eight counts.
func refuse(d *standin.Driver, nth int, err error, lost bool) *string {
	refused, kernels := new(string), 0
	d.Fail = func(call string) error {
		counts := true
		switch {
		case call == "Launch" || call == "Function":
			counts = kernels%8 == 0
			kernels++
		case strings.HasPrefix(call, "Free"):
			counts = false
		}
		if counts {
			nth--
		}
		if counts && nth == 0 {
			*refused = call
			return err
		}
		if lost && *refused != "" {
			return err
		}
		return nil
	}
	return refused
}

var (
	errFull = &driver.Error{Call: "cuCall", Code: driver.OutOfMemory, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
	errLost = &driver.Error{Call: "cuCall", Code: driver.ECC, Name: "CUDA_ERROR_ECC_UNCORRECTABLE"}
)

// Whichever call of the driver is refused while a GPU is opened, nothing stays open.
func TestOpeningThatIsRefusedACallLeavesNothing(t *testing.T) {
	t.Parallel()
	d := hopper(map[string]bool{})
	for nth := 1; ; nth++ {
		refused := refuse(d, nth, errFull, false)
		b, err := Open(d, d.GPU)
		if *refused != "" && err == nil {
			t.Errorf("%s is refused, call %d, and nobody says so", *refused, nth)
		}
		d.Fail = nil
		if err == nil {
			b.Close()
		}
		if d.Contexts != 0 || d.Streams != 0 || d.Events != 0 || d.Modules != 0 {
			t.Errorf("%q is refused: %d contexts, %d streams, %d events, %d modules are left", *refused, d.Contexts, d.Streams, d.Events, d.Modules)
		}
		if *refused == "" {
			if nth < 20 {
				t.Errorf("opening has %d calls", nth-1)
			}
			return
		}
	}
}

// nobodys are the blocks of memory that nothing on the backend knows of, but for some.
func nobodys(b *Backend, but map[driver.Pointer]bool) (list []driver.Pointer) {
	known := []driver.Pointer{b.current, b.queue.counter, b.staging.p, b.partial.p, b.besides.p, b.counters.p, b.maps.block}
	for _, t := range b.updates.known {
		known = append(known, t.at)
	}
	for _, w := range b.updates.work {
		known = append(known, w.u[0], w.u[1], w.a, w.b, w.scale)
	}
	for _, c := range b.copies {
		known = append(known, c)
	}
	for p := range b.sizes {
		if !but[p] && !slices.Contains(known, p) {
			list = append(list, p)
		}
	}
	return list
}

// Whichever call of the driver is refused while a step is made and trained, the error
// says what it is, of a full memory or of a lost GPU. If the GPU goes on, nothing is
// left of the step, and the next one learns as if it were the first.
func TestStepThatIsRefusedACall(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out training on the interpreter once for each call")
	}
	t.Parallel()
	d := standin.New(8, 0)
	b := open(t, d)
	tiny := nn.Spec{Size: 8, Filters: []int{32}, Classes: 10, Dropout: 0.5}
	net, err := nn.New(b, tiny, 1)
	if err != nil {
		t.Fatal(err)
	}
	solver, err := nn.NewSolver(b, "sgd", nn.SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	initial, err := net.Weights()
	if err != nil {
		t.Fatal(err)
	}
	x, labels := batchOf(tiny, 2, 2)
	learn := func() (nn.Result, error) {
		step, err := net.NewStep(2, solver)
		if err != nil {
			return nn.Result{}, err
		}
		defer func() {
			d.Fail = nil
			step.Close()
		}()
		// What was put is done now: later the stand-in takes its time for each.
		if err := errors.Join(b.Sync(), step.Submit(x, labels, 1)); err != nil {
			return nn.Result{}, err
		}
		return step.Result()
	}
	want, err := learn() // from now on the solver has its memory
	if err != nil {
		t.Fatal(err)
	}
	before := map[driver.Pointer]bool{}
	for p := range b.sizes {
		before[p] = true
	}
	for _, lost := range []bool{false, true} { // what a lost GPU leaves is lost with it
		calls := map[string]bool{}
		for nth := 1; ; nth++ {
			if err := net.SetWeights(initial); err != nil {
				t.Fatal(err)
			}
			refusal := errFull
			if lost {
				refusal = errLost
			}
			refused := refuse(d, nth, refusal, lost)
			got, err := learn()
			d.Fail = nil
			what := fmt.Sprintf("%s is refused, call %d", *refused, nth)
			if *refused == "" {
				if err != nil || got != want {
					t.Errorf("%+v, %v, want %+v", got, err, want)
				}
				break
			}
			calls[*refused] = true
			if lost {
				if e := new(LostError); !errors.As(err, &e) {
					t.Errorf("%s, and all others: %v, want a lost GPU", what, err)
				}
				b.err = nil
				continue
			}
			if e := new(nn.MemoryError); !errors.As(err, &e) {
				t.Errorf("%s: %v, want a full memory", what, err)
			}
			for _, p := range nobodys(b, before) {
				t.Errorf("%s: %d bytes at %#x are left", what, b.sizes[p], p)
			}
			if b.err != nil || d.Graphs != 0 || d.Events != 1 {
				t.Errorf("%s: %v, %d graphs, %d events are left", what, b.err, d.Graphs, d.Events)
				b.err = nil
			}
			if err := net.SetWeights(initial); err != nil {
				t.Fatal(err)
			}
			if got, err := learn(); err != nil || got != want {
				t.Errorf("%s: then %+v, %v, want %+v", what, got, err, want)
			}
		}
		for _, call := range []string{"Alloc", "Zero", "AllocHost", "Upload", "Launch", "Capture", "EndCapture", "LaunchGraph"} {
			if !calls[call] {
				t.Errorf("%s was not refused once", call)
			}
		}
	}
}

// The same for what is called beside steps.
func TestWhatIsRefusedACallLeavesNothing(t *testing.T) {
	t.Parallel()
	d := standin.New(8, 0)
	b := open(t, d)
	weights, err := nn.NewBuffer(b, 3, 3, 64, 64)
	if err != nil {
		t.Fatal(err)
	}
	before := map[driver.Pointer]bool{}
	for p := range b.sizes {
		before[p] = true
	}
	set := nn.Data{Pixels: make([]byte, 2*3*side*side), Labels: make([]byte, 2), Table: new([3][256]float32)}
	for what, do := range map[string]func() error{
		"time": func() error {
			_, err := b.time(func() { b.launch("to_f32", 1, 1, 0, b.args().Pointer(0).Pointer(0).U32(0)) })
			return err
		},
		"images": func() error {
			held, err := b.Hold(set)
			if err != nil {
				return err
			}
			defer held.Close()
			if err := held.Order(1, []int{1, 0}); err != nil {
				return err
			}
			return b.Sync()
		},
		"copy of weights": func() error {
			c := b.weights(weights)
			if have := b.copies[at(weights)]; have != c || (c == 0) != (b.err != nil) {
				t.Errorf("a copy of weights at %#x, known at %#x: %v", c, have, b.err)
			}
			err := b.Sync()
			b.Free(nn.Memory{Addr: uintptr(b.copies[at(weights)])})
			delete(b.copies, at(weights))
			return err
		},
	} {
		for nth := 1; ; nth++ {
			refused := refuse(d, nth, errFull, false)
			err := do()
			d.Fail = nil
			if *refused == "" {
				if err != nil || nth < 3 {
					t.Errorf("%s, of %d calls: %v", what, nth-1, err)
				}
				break
			}
			if e := new(nn.MemoryError); !errors.As(err, &e) && b.err == nil {
				t.Errorf("%s: %s is refused, call %d: %v", what, *refused, nth, err)
			}
			b.err = nil // of what was given back
			for _, p := range nobodys(b, before) {
				t.Errorf("%s: %s is refused, call %d: %d bytes are left", what, *refused, nth, b.sizes[p])
			}
			if d.Events != 1 {
				t.Errorf("%s: %s is refused, call %d: %d events, want that of the backend", what, *refused, nth, d.Events)
			}
		}
	}
}
