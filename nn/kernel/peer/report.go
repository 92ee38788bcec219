package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// report prints the table: at each work the nearest of the others first.
func report(out io.Writer, o options, done []*comparison) error {
	if len(done) > 0 {
		fmt.Fprintf(out, "cifartui (%s kernels) and others, %d threads, %d rounds in turn: images a second, median (min to max)\n",
			done[0].kernels, o.threads, o.rounds)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "mode\tbatch\tcifartui\tthe other\tlayout\timages/s\tratio")
	for _, c := range done {
		slices.SortStableFunc(c.others, func(a, b *entrant) int { return cmp.Compare(median(c.ratios(a)), median(c.ratios(b))) })
		for _, e := range c.others {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n",
				c.mode, c.batch, spread(c.ours, 0), e.Version, e.Layout, spread(e.speeds, 0), spread(c.ratios(e), 2))
		}
	}
	return w.Flush()
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// spread is "median (min to max)".
func spread(values []float64, digits int) string {
	if len(values) == 0 {
		return "none"
	}
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, median(values), digits, slices.Min(values), digits, slices.Max(values))
}
