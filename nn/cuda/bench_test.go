package cuda

import (
	"encoding/json"
	"testing"

	"cifartui/nn"
	"cifartui/nn/cuda/internal/standin"
)

// Operations are timed one by one, and so take no more memory than one of them needs:
// what a GPU trains, it can measure.
func TestBenchTakesTheMemoryOfALayerAtATime(t *testing.T) {
	t.Parallel()
	d := standin.New(8, 0)
	d.Dry = true
	b := open(t, d)
	used := func() uint64 {
		free, total, err := b.Memory()
		if err != nil {
			t.Fatal(err)
		}
		return total - free
	}
	for _, batch := range []int{3, 32} {
		before, during := used(), uint64(0)
		d.Fail = func(call string) error {
			if call == "Await" { // in the middle of a timing
				during = used()
			}
			return nil
		}
		list, err := b.Bench(batch)
		d.Fail = nil
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 6*3-1+3+7+1 {
			t.Errorf("%d operations", len(list))
		}
		if _, err := json.Marshal(list); err != nil {
			t.Error(err)
		}
		for _, x := range list {
			if !(x.Microseconds > 0) || !(x.Limit > 0) {
				t.Errorf("%+v", x)
			}
		}
		if len(b.copies) != 0 {
			t.Errorf("%d copies of weights are left", len(b.copies))
		}
		// At last it updates parameters, with two numbers of state each, in the memory
		// that is kept, of sums in parts and of tables.
		kept, updates := used()-before, uint64(4*4*nn.VGG(0).Params())
		if have := during - before - kept; have > updates+4<<10 || have < updates {
			t.Errorf("batch %d: %d KiB are taken while parameters are updated, want %d", batch, have>>10, updates>>10)
		}
	}
}
