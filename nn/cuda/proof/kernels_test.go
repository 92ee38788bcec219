package proof

import (
	"testing"

	"cifartui/nn/cuda/ptx"
)

// checks are all there are, of every kernel.
func checks() []check {
	list := convChecks()
	list = append(list, firstChecks()...)
	list = append(list, poolChecks()...)
	list = append(list, denseChecks()...)
	list = append(list, headChecks()...)
	list = append(list, inputChecks()...)
	list = append(list, resampleChecks()...)
	list = append(list, optimChecks()...)
	list = append(list, muonChecks()...)
	return append(list, wgmmaChecks()...)
}

func TestKernelsComputeWhatTheyShould(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range checks() {
		seen[c.kernel] = true
		t.Run(c.kernel+"/"+c.what, func(t *testing.T) {
			t.Parallel()
			d := newDevice(nil)
			if err := c.run(d); err != nil {
				t.Fatal(err)
			}
			for name, s := range d.stats {
				t.Logf("%s: %s", name, s)
			}
		})
	}
	for _, k := range ptx.Kernels {
		if !seen[k.Name] {
			t.Errorf("kernel %s has no check", k.Name)
		}
	}
}
