package kernel

import (
	"slices"
	"testing"
	"time"
)

func TestUseChoosesAmongNames(t *testing.T) {
	defer mustUse(t, Name())
	names := Names()
	if names[len(names)-1] != "generic" {
		t.Errorf("Names() = %v, want generic last", names)
	}
	if Name() != names[0] {
		t.Errorf("at start the kernels are %q, want the best, %q", Name(), names[0])
	}
	for _, n := range names {
		if err := Use(n); err != nil || Name() != n {
			t.Errorf("Use(%q) = %v, Name() = %q", n, err, Name())
		}
	}
	if slices.Contains(names, "fast") || Use("fast") == nil {
		t.Error("kernels that do not exist were chosen")
	}
	if Name() != names[len(names)-1] {
		t.Error("a Use that failed changed the kernels")
	}
}

// TestPeakCountsWhatItRuns: a peak that no processor of today has would mean
// that the loop does less than it counts.
func TestPeakCountsWhatItRuns(t *testing.T) {
	w := NewWorkers(1)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		// 6 GHz, two units, 16 lanes, 2 operations.
		const limit = 6 * 2 * 16 * 2
		if g := PeakGFLOPS(w, 5*time.Millisecond); !(g > 0 && g < limit) {
			t.Errorf("%.1f GFLOP/s, want more than 0 and less than %d", g, limit)
		} else {
			t.Logf("%.1f GFLOP/s", g)
		}
	})
}
