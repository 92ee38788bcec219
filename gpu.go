package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cifartui/nn/cuda"
	"cifartui/nn/cuda/driver"
)

// gpuCommand is what a person asks about GPUs.
func gpuCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gpu",
		Short: "List the GPUs, check their kernels, measure them",
		Long: `Gpu lists the NVIDIA GPUs here, whether training can use them, and which kernels
were chosen on them. Nothing is needed but the driver.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return listGPUs(cmd.OutOrStdout()) },
	}
	cmd.AddCommand(gpuCheckCommand(), gpuBenchCommand())
	return cmd
}

// deviceFlag adds --device to a command for GPUs only.
func deviceFlag(cmd *cobra.Command, device *string) {
	cmd.Flags().StringVar(device, "device", deviceCUDA, "cuda, or cuda:`N` for the N-th GPU")
}

// gpuIndex is deviceIndex for such a command.
func gpuIndex(device string) (int, error) {
	if device == deviceCPU {
		return 0, usage("--device: cpu is no GPU: take cuda, or cuda:N for the N-th")
	}
	return deviceIndex(device)
}

// listGPUs prints a table of the GPUs and what is known of them.
func listGPUs(w io.Writer) error {
	d, err := loadDriver()
	if err != nil {
		return err
	}
	list, err := d.Devices()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "driver: CUDA %d.%d\n", d.Version()/1000, d.Version()%1000/10)
	if len(list) == 0 {
		_, err := cuda.Find(d, -1) // says so
		return err
	}
	for _, v := range list {
		fmt.Fprintf(w, "\ncuda:%d  %s  compute capability %d.%d  %s\n", v.Index, v.Name, v.Major, v.Minor, v.BusID)
		fmt.Fprintf(w, "  %d multiprocessors at %d MHz, %d MiB at %.0f GB/s, L2 cache %d MiB\n",
			v.SMs, v.ClockKHz/1000, v.Memory>>20, cuda.Bandwidth(v)/1e9, v.L2>>20)
		if err := cuda.Supported(v); err != nil {
			fmt.Fprintf(w, "  can't be used: %v\n", err)
			continue
		}
		if err := describeGPU(w, v); err != nil {
			fmt.Fprintf(w, "  can't be used: %v\n", err)
		}
	}
	return nil
}

// describeGPU prints what opening a GPU shows.
func describeGPU(w io.Writer, v driver.Device) error {
	start := time.Now()
	b, err := openUnchecked(v.Index)
	if err != nil {
		return err
	}
	defer b.Close()
	free, total, err := b.Memory()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "  %d of %d MiB free; ready after %s\n", free>>20, total>>20, time.Since(start).Round(time.Millisecond))
	choices := b.Choices()
	if len(choices) == 0 {
		fmt.Fprintln(w, "  kernels: none chosen yet; they are timed when a network is first trained")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  pass and shape\tkernel\tµs\tothers")
	for _, shape := range slices.Sorted(maps.Keys(choices)) {
		c := choices[shape]
		others := ""
		for _, name := range slices.Sorted(maps.Keys(c.Microseconds)) {
			if name != c.Kernel {
				others += fmt.Sprintf("%s %.1f  ", name, c.Microseconds[name])
			}
		}
		fmt.Fprintf(t, "  %s\t%s\t%.1f\t%s\n", shape, c.Kernel, c.Microseconds[c.Kernel], others)
	}
	return t.Flush()
}

func gpuCheckCommand() *cobra.Command {
	var device string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Run every kernel beside the processor's and compare",
		Long: `Check runs every kernel of the GPU on small random inputs, odd sizes among them,
beside the processor's, and prints how far they differ. It fails if one differs
by more than rounding. Every training on a GPU begins with it.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			index, err := gpuIndex(device)
			if err != nil {
				return err
			}
			b, err := openUnchecked(index)
			if err != nil {
				return err
			}
			defer b.Close()
			start := time.Now()
			list, checkErr := b.Check()
			took := time.Since(start)
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), list)
			} else {
				err = printChecks(cmd.OutOrStdout(), b.Device().Name, list, took)
			}
			if checkErr != nil {
				return checkErr
			}
			if err != nil {
				return err
			}
			return cuda.Wrong(list)
		},
	}
	deviceFlag(cmd, &device)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printChecks prints a line a check.
func printChecks(w io.Writer, name string, list []cuda.Check, took time.Duration) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tkernel\tshape\tdifference\tlimit\tms")
	wrong := 0
	for _, c := range list {
		mark := "ok"
		if !c.OK() {
			mark = "WRONG"
			wrong++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2g\t%.2g\t%.1f\n", mark, c.Kernel, c.Shape, c.Worst, c.Limit, c.Took.Seconds()*1e3)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s: %d checks, %d wrong, in %s\n", name, len(list), wrong, took.Round(time.Millisecond))
	return err
}

func gpuBenchCommand() *cobra.Command {
	var device string
	var batches []int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Time every operation of a step beside the least it could take",
		Long: `Bench times every operation of a training step by itself and prints beside it
the least time that the GPU's arithmetic and memory allow, computed from its
data sheet. A step of training is not their sum: it runs those from "dropout
forward" to "dropout backward", all but "dense filter", as one kernel. On Hopper
that spreads the last pool's gradient as well, and the data gradients spread the
others' or, at small batches, run beside the filters'. "cifartui bench --device
cuda" times whole steps.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			index, err := gpuIndex(device)
			if err != nil {
				return err
			}
			for _, n := range batches {
				if n < 1 || n > 8192 {
					return usage("--batches: %d is not between 1 and 8192", n)
				}
			}
			b, err := openGPU(index)
			if err != nil {
				return err
			}
			defer b.Close()
			for _, n := range batches {
				list, err := b.Bench(n)
				if err != nil {
					return fmt.Errorf("batch %d: %w", n, err)
				}
				if asJSON {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"gpu": b.Device().Name, "batch": n, "kernels": list})
				} else {
					err = printTimings(cmd.OutOrStdout(), b.Device().Name, n, list)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	deviceFlag(cmd, &device)
	cmd.Flags().IntSliceVar(&batches, "batches", []int{64, 512}, "batch sizes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, a line a batch size")
	return cmd
}

// printTimings prints a line an operation, and their sum.
func printTimings(w io.Writer, name string, batch int, list []cuda.Timing) error {
	fmt.Fprintf(w, "%s, batch %d\n", name, batch)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "operation\tkernel\tµs\tlimit µs\tof the limit\t")
	var sum, limit float64
	for _, x := range list {
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%.1f\t%.0f%%\t\n", x.Operation, x.Kernel, x.Microseconds, x.Limit, 100*x.Limit/x.Microseconds)
		sum, limit = sum+x.Microseconds, limit+x.Limit
	}
	fmt.Fprintf(t, "all\t\t%.1f\t%.1f\t%.0f%%\t\n", sum, limit, 100*limit/sum)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, `each by itself: a step of training runs some of them as one ("cifartui bench --device cuda" times whole steps)`)
	return err
}
