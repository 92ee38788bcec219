package checkpoint

import (
	"math"
	"testing"

	"cifartui/train/config"
)

func TestMonitor(t *testing.T) {
	c := config.Config{Monitor: "val_loss", Patience: 2, MinDelta: 0.1}
	var m Monitor
	for i, step := range []struct {
		value float64
		best  bool
		left  int
	}{
		{1, true, 2}, {0.95, true, 1}, {0.88, true, 2}, {math.NaN(), false, 1}, {0.88, false, 0},
	} {
		if best := m.Observe(c, i+1, step.value); best != step.best || m.Left(c) != step.left {
			t.Errorf("epoch %d, %v: best %v, left %d; want %v, %d", i+1, step.value, best, m.Left(c), step.best, step.left)
		}
	}
	if !m.Over(c) || m.BestEpoch != 3 {
		t.Errorf("over %v, best epoch %d", m.Over(c), m.BestEpoch)
	}
}
