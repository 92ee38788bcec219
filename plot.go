package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/train/plot"
	"cifartui/train/runs"
)

// A plot's sides in inches: a smaller one has no room for its charts beside their
// labels, and a PNG of a larger one takes gigabytes.
const minInches, maxInches = 2, 100

func plotCommand() *cobra.Command {
	var dir, out, x string
	var smooth float64
	var o plot.Options
	cmd := &cobra.Command{
		Use:   "plot RUN... -o FILE",
		Short: "Draw accuracy and loss curves into a PNG, SVG or PDF file",
		Args:  oneOrMoreRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			for flag, inches := range map[string]float64{"width": o.Width, "height": o.Height} {
				if inches != 0 && !(inches >= minInches && inches <= maxInches) {
					return usage("--%s: %g is not 0 (what suits) or between %d and %d inches", flag, inches, minInches, maxInches)
				}
			}
			if err := oneOf("x", x, textsOf(plot.Axes())...); err != nil {
				return err
			}
			if !(smooth >= 0 && smooth < 1) {
				return usage("--smooth: %g is not from 0 to under 1", smooth)
			}
			if err := canWrite(out); err != nil {
				return err
			}
			list, err := histories(dir, args)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("smooth") {
				o.Smooth = &smooth
			}
			o.X = plot.Axis(x)
			labels := runs.Labels(list)
			drawn := make([]plot.Run, len(list))
			for i, r := range list {
				drawn[i] = plot.Run{Label: labels[i], History: r}
			}
			if err := plot.Save(out, drawn, o); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), out)
			return nil
		},
	}
	runsFlag(cmd.Flags(), &dir)
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "curves.png", "`file` to write: ."+strings.Join(plot.Formats(), ", ."))
	f.StringVar(&x, "x", string(plot.ByEpoch), "x axis: epoch, images or time")
	f.Float64Var(&smooth, "smooth", plot.DefaultSmooth, "weight of the past in the smoothed lines, from 0 to under 1")
	f.Float64Var(&o.Width, "width", 0, "width in inches (0: what suits)")
	f.Float64Var(&o.Height, "height", 0, "height in inches (0: what suits)")
	return cmd
}
