package cifar

import (
	"context"
	"fmt"
)

// Demo draws the demo set. The same seed gives the same bytes on every machine.
func Demo(seed uint64) *Dataset {
	ds, _ := drawDemo(context.Background(), seed, newMeter(nil)) // it fails only with its context
	return ds
}

func drawDemo(ctx context.Context, seed uint64, m *meter) (*Dataset, error) {
	ds := &Dataset{Name: "demo", Demo: true, Source: fmt.Sprintf("drawn from seed %d", seed), Train: newSet(4000), Test: newSet(1000), Classes: ClassNames()}
	for k, s := range []*Set{ds.Train, ds.Test} {
		for i := range s.Len() {
			s.Labels[i] = byte(i % Classes)
			r := newRNG(seed, forDemo, uint64(k), uint64(i))
			for j := range s.Image(i) {
				s.Image(i)[j] = byte(int(s.Labels[i])*20 + r.below(60))
			}
		}
	}
	return ds, ctx.Err()
}
