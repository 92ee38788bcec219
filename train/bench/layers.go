package bench

import (
	"slices"
	"time"

	"cifartui/nn"
)

// medianProfile runs a step n times, or for some seconds, and gives each
// operation's median time.
func medianProfile(n int, step func() error, profile func() []nn.OpTime) ([]nn.OpTime, error) {
	var ops []nn.OpTime
	times := [][]time.Duration{}
	for start := time.Now(); len(times) < n && time.Since(start) < 3*time.Second; {
		if err := step(); err != nil {
			return nil, err
		}
		ops = slices.Clone(profile())
		times = append(times, nil)
		for _, o := range ops {
			times[len(times)-1] = append(times[len(times)-1], o.Duration)
		}
	}
	for i := range ops {
		column := make([]time.Duration, 0, n)
		for _, row := range times {
			if i < len(row) {
				column = append(column, row[i])
			}
		}
		slices.Sort(column)
		ops[i].Duration = column[len(column)/2]
	}
	return ops, nil
}

// layerTimes gives each operation's time for an image, in the order they run,
// and its rate where the layer's arithmetic is known.
func layerTimes(ops []nn.OpTime, spec nn.Spec, batch int) []Layer {
	flops := map[string]int64{}
	for _, l := range spec.Layers() {
		flops[l.Name] = l.FLOPs
	}
	var list []Layer
	for _, o := range ops {
		l := Layer{Layer: o.Layer, Pass: string(o.Pass), Role: o.Role,
			Microseconds: float64(o.Duration.Nanoseconds()) / 1e3 / float64(batch)}
		if slices.Contains([]string{"forward", "filter", "data"}, o.Role) && l.Microseconds > 0 {
			l.GFLOPS = float64(flops[o.Layer]) / l.Microseconds / 1e3
		}
		list = append(list, l)
	}
	return list
}
