package cuda

import (
	"math"
	"testing"
)

// Where a group of parameters has a learning rate of its own, it is the same factor
// at every rate of a schedule, so that the steps' tables are, and whatever was
// before, so that a run that is resumed has the same bits.
func TestRateOfAGroupIsTheSameFactorThroughoutASchedule(t *testing.T) {
	for _, ratio := range []float64{2.5, 0.25, 1.0 / 3, 0.7, 10} {
		seen := map[float32]bool{}
		for step := range 1000 {
			rate := 0.02 * (1 - math.Cos(float64(step+1)/300))
			var b Backend
			b.updates.groups = []group{{rule: rule{kernel: "sgd"}}}
			b.want.lr = float32(rate)
			seen[b.rate(float32(rate*ratio))] = true
		}
		for factor := range seen {
			if len(seen) != 1 || math.Abs(float64(factor)-ratio) > 1e-5*ratio {
				t.Errorf("a rate %v times the first's has the factors %v", ratio, seen)
				break
			}
		}
	}
}
