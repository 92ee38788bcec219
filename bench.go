package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"cifartui/train/bench"
)

func benchCommand() *cobra.Command {
	var o bench.Options
	var on computeFlags
	var mode string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine's images a second, layer by layer",
		Long: `Bench measures whole training steps (images prepared, forward, backward, loss,
optimizer, accuracy) and inference on made-up images, in rounds that take the
batch sizes in turn, and prints the median and the spread. GFLOP/s are counted
as direct convolution would need them, so they may exceed the machine's peak,
which is measured in the same rounds.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkBench(&o, mode); err != nil {
				return err
			}
			if err := on.check(); err != nil {
				return err
			}
			b, err := on.open(nil, notes(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			defer b.Close()
			o.Backend, o.Version = b, programVersion()
			o.Round = func(n int) { fmt.Fprintf(cmd.ErrOrStderr(), "round %d of %d\n", n, o.Rounds) }
			report, err := bench.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), report)
			}
			return report.Print(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.IntSliceVar(&o.Batches, "batches", []int{64, 512}, "batch sizes")
	f.IntVar(&o.Rounds, "rounds", 7, "rounds")
	f.StringVar(&mode, "mode", "train", "train, infer or both")
	on.add(f, deviceCPU)
	f.BoolVar(&o.Layers, "layers", true, "print the time of each layer and pass")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// The values of --mode.
const bothModes = "both"

var benchModes = []string{bench.Train, bench.Infer, bothModes}

// checkBench refuses what cannot be, naming the flag.
func checkBench(o *bench.Options, mode string) error {
	if err := oneOf("mode", mode, benchModes...); err != nil {
		return err
	}
	if o.Modes = []string{mode}; mode == bothModes {
		o.Modes = []string{bench.Train, bench.Infer}
	}
	for _, b := range o.Batches {
		if b < 1 || b > 4096 {
			return usage("--batches: %d is not between 1 and 4096", b)
		}
	}
	if o.Rounds < 1 || o.Rounds > 10_000 {
		return usage("--rounds: %d is not between 1 and 10000", o.Rounds)
	}
	return nil
}
