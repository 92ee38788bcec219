package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"cifartui/nn/kernel"
	"cifartui/train/bench"
)

func benchCommand() *cobra.Command {
	var o bench.Options
	var mode, kernels, device string
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
			if err := useKernels(kernels); err != nil {
				return err
			}
			b, err := openDevice(device, o.Threads, nil, notes(cmd.ErrOrStderr()))
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
	f.IntVar(&o.Threads, "threads", 0, "processor threads (0: all that this process may use)")
	f.IntVar(&o.Rounds, "rounds", 7, "rounds")
	f.StringVar(&mode, "mode", "train", "train, infer or both")
	f.StringVar(&device, "device", deviceCPU, "what to measure: cpu, cuda, or cuda:`N` for the N-th GPU")
	f.StringVar(&kernels, "kernels", "", "avx512, avx2, neon or generic (default: the fastest here)")
	f.BoolVar(&o.Layers, "layers", true, "print the time of each layer and pass")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// checkBench refuses what cannot be, naming the flag.
func checkBench(o *bench.Options, mode string) error {
	if err := oneOf("mode", mode, bench.Train, bench.Infer, "both"); err != nil {
		return err
	}
	o.Modes = []string{mode}
	if mode == "both" {
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
	if o.Threads < 0 || o.Threads > 1024 {
		return usage("--threads: %d is not between 0 and 1024", o.Threads)
	}
	return nil
}

// useKernels chooses the processor kernels by name; "" keeps the fastest.
func useKernels(name string) error {
	if name == "" {
		return nil
	}
	if err := kernel.Use(name); err != nil {
		return usage("--kernels: %w", err)
	}
	return nil
}
