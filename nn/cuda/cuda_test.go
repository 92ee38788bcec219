package cuda

import (
	"testing"

	"cifartui/nn/cuda/internal/standin"
)

// open opens the stand-in.
func open(t testing.TB, d *standin.Driver) *Backend {
	t.Helper()
	device, err := Find(d, -1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(d, device)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Every kernel passes the self-check on the interpreter.
func TestKernelsPassTheSelfCheck(t *testing.T) {
	list, err := open(t, standin.New(8, 0)).Check()
	for _, c := range list {
		t.Logf("%-5v %-24s %-50s %.2g of %.2g, %v", c.OK(), c.Kernel, c.Shape, c.Worst, c.Limit, c.Took)
		if !c.OK() {
			t.Errorf("%v", c)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
