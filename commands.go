package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/train/config"
	"cifartui/train/plot"
	"cifartui/train/record"
	"cifartui/train/runs"
)

// otherCommands are all but train.
func otherCommands() []*cobra.Command {
	return []*cobra.Command{
		watchCommand(), attachCommand(), openCommand(), ctlCommand(), waitCommand(),
		submitCommand(), cancelCommand(),
		runsCommand(), compareCommand(), plotCommand(),
		evalCommand(), predictCommand(), exportCommand(), averageCommand(),
		dataCommand(), summaryCommand(), benchCommand(), gpuCommand(),
	}
}

// runsFlag adds --runs.
func runsFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "runs", config.Default().Runs, "`folder` that holds the run folders")
}

// oneOrMore and oneRun check the number of arguments, in words.
func oneOrMore(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(`%s: name a run: its folder, its name, or last; "cifartui runs" lists them`, cmd.CommandPath())
	}
	return nil
}

// atMostOne checks that there is one argument, what, or none.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage("%s takes one argument, %s: not %q as well", cmd.CommandPath(), what, args[1])
		}
		return nil
	}
}

func oneRun(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("%s: one run at a time, not %d", cmd.CommandPath(), len(args))
	}
	return oneOrMore(cmd, args)
}

// histories reads the runs that a person named, those of a comparison included.
func histories(dir string, names []string) ([]*record.Run, error) {
	var folders []string
	for _, name := range names {
		folder, err := runs.Find(dir, name)
		if err != nil {
			return nil, err
		}
		folders = append(folders, folder)
	}
	return runs.Read(folders...)
}

func compareCommand() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare RUN...",
		Short: "Compare runs in a table: speed, best accuracy, time to 80%, 85%, 88%",
		Long: `Compare reads any runs, or the runs of a comparison, and prints a table and what
its numbers say about speed, convergence and the best accuracy.`,
		Args: oneOrMore,
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := histories(dir, args)
			if err != nil {
				return err
			}
			return writeTable(cmd.OutOrStdout(), list, asJSON)
		},
	}
	runsFlag(cmd, &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func writeTable(w io.Writer, list []*record.Run, asJSON bool) error {
	table := runs.NewTable(list)
	if asJSON {
		return writeJSON(w, table)
	}
	_, err := table.WriteTo(w)
	return err
}

// maxInches bounds a plot: a PNG of it has 100 million pixels.
const maxInches = 100

func plotCommand() *cobra.Command {
	var dir, out, x string
	var smooth float64
	var o plot.Options
	cmd := &cobra.Command{
		Use:   "plot RUN... -o FILE",
		Short: "Draw accuracy and loss curves into a PNG, SVG or PDF file",
		Args:  oneOrMore,
		RunE: func(cmd *cobra.Command, args []string) error {
			for flag, inches := range map[string]float64{"width": o.Width, "height": o.Height} {
				if !(inches >= 0 && inches <= maxInches) {
					return usage("--%s: %g is not between 0 (what suits) and %d inches", flag, inches, maxInches)
				}
			}
			if err := oneOf("x", x, string(plot.ByEpoch), string(plot.ByImages), string(plot.ByTime)); err != nil {
				return err
			}
			if !(smooth >= 0 && smooth < 1) {
				return usage("--smooth: %g is not from 0 to under 1", smooth)
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
	runsFlag(cmd, &dir)
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "curves.png", "`file` to write: ."+strings.Join(plot.Formats(), ", ."))
	f.StringVar(&x, "x", string(plot.ByEpoch), "x axis: epoch, images or time")
	f.Float64Var(&smooth, "smooth", plot.DefaultSmooth, "weight of the past in the smoothed lines, from 0 to under 1")
	f.Float64Var(&o.Width, "width", 0, "width in inches (0: what suits)")
	f.Float64Var(&o.Height, "height", 0, "height in inches (0: what suits)")
	return cmd
}
