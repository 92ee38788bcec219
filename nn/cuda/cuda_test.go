package cuda

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"cifartui/nn/cuda/internal/ptx"
	"cifartui/nn/cuda/internal/standin"
)

// open opens the stand-in.
func open(t testing.TB, d *standin.Driver) *Backend {
	t.Helper()
	list, err := Find(d, -1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenFirst(d, list)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Every kernel passes the self-check on the interpreter, which runs all of them.
func TestKernelsPassTheSelfCheck(t *testing.T) {
	t.Parallel()
	ran := map[string]bool{}
	d := standin.New(8, 0)
	d.Launched = func(kernel string, _ *ptx.Stats) { ran[kernel] = true }
	b := open(t, d)
	list, err := b.Check()
	for _, c := range list {
		t.Logf("%-5v %-24s %-50s %.2g of %.2g, %v", c.OK(), c.Kernel, c.Shape, c.Worst, c.Limit, c.Took)
		if !c.OK() {
			t.Errorf("%v", c)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range b.names {
		if !ran[name] {
			t.Errorf("%s was not run", name)
		}
	}
}

// "gpu check --json" is wanted most where a kernel is wrong, and then a difference
// need not be a number.
func TestDifferencesThatAreNoNumbersAreJSON(t *testing.T) {
	for worst, want := range map[float64]string{
		0.25: `"Worst":0.25`, math.NaN(): `"Worst":"NaN"`, math.Inf(1): `"Worst":"Infinity"`,
	} {
		text, err := json.Marshal([]Check{{Kernel: "spread", Shape: "2 rows", Worst: worst, Limit: 0.5}})
		if err != nil {
			t.Errorf("%v: %v", worst, err)
			continue
		}
		for _, part := range []string{want, `"Kernel":"spread"`, `"Shape":"2 rows"`, `"Limit":0.5`, `"Took":0`} {
			if strings.Count(string(text), part) != 1 {
				t.Errorf("%v: %s lacks %s", worst, text, part)
			}
		}
	}
}
