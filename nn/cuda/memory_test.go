package cuda

import (
	"testing"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
	"cifartui/nn/cuda/internal/standin"
)

// What asks for memory several times and is refused one of them keeps none: another
// run may have the GPU next.
func TestMemoryThatIsRefusedIsGivenBack(t *testing.T) {
	t.Parallel()
	d := standin.New(8, 0)
	b := open(t, d)
	net, err := nn.New(b, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	solver, err := nn.NewSolver(b, "sgd", nn.SolverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	table := new([3][256]float32)
	for _, c := range []struct {
		what string
		// take takes memory and gives all of it back, or returns why it did not get it.
		take func() error
	}{
		{"step", func() error {
			s, err := net.NewStep(2, solver)
			if err == nil {
				s.Close()
			}
			return err
		}},
		{"evaluation", func() error {
			e, err := net.NewEval(2)
			if err == nil {
				e.Close()
			}
			return err
		}},
		{"loss", func() error {
			l, err := b.NewLoss(2, 10, 0)
			if err == nil {
				l.Close()
			}
			return err
		}},
		{"images", func() error {
			h, err := b.Hold(nn.Data{Pixels: make([]byte, 3*side*side), Labels: make([]byte, 1), Table: table})
			if err == nil {
				h.Close()
			}
			return err
		}},
		{"Muon", func() error {
			var x [3]*nn.Buffer
			var err error
			for i := range x {
				if x[i], err = nn.NewBuffer(b, 3, 3, 32, 32); err != nil {
					break
				}
			}
			if err == nil {
				b.Muon(x[0], x[1], x[2], 0.02, 1, 0.9, 0)
				err = b.Sync()
			}
			for _, v := range x {
				if v != nil {
					b.Free(v.Memory)
				}
			}
			return err
		}},
	} {
		if err := c.take(); err != nil { // what is kept for the next one is there from now on
			t.Fatal(err)
		}
		before, _, err := b.Memory()
		if err != nil {
			t.Fatal(err)
		}
		for nth := 1; ; nth++ {
			left := nth
			d.Fail = func(call string) error {
				if call == "Alloc" || call == "AllocHost" {
					if left--; left == 0 {
						return &driver.Error{Call: "cuMemAlloc_v2", Code: driver.OutOfMemory, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
					}
				}
				return nil
			}
			err := c.take()
			d.Fail = nil
			if left > 0 { // all were given
				if err != nil || nth < 3 {
					t.Errorf("%s: %d blocks: %v", c.what, nth-1, err)
				}
				break
			}
			after, _, e := b.Memory()
			if e != nil {
				t.Fatal(e)
			}
			if err == nil || after != before {
				t.Errorf("%s: refused block %d (%v), it keeps %d bytes", c.what, nth, err, int(before)-int(after))
			}
			before = after
		}
	}
}
