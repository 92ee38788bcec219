package bench

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/shirou/gopsutil/v4/cpu"
)

// Report is what "bench --json" prints.
type Report struct {
	Version string `json:"version"`
	Kernels string `json:"kernels"`
	Threads int    `json:"threads"`
	CPU     string `json:"cpu"`
	// PeakGFLOPS is the processor's multiply-add peak with these kernels and
	// threads, measured in turn with the rounds; nil for a device, which has no
	// threads.
	PeakGFLOPS *Spread  `json:"peak_gflops"`
	Results    []Result `json:"results"`
}

// Result is one mode at one batch size.
type Result struct {
	Mode            string `json:"mode"` // train or infer
	Batch           int    `json:"batch"`
	Rounds          int    `json:"rounds"`
	Steps           int    `json:"steps"` // in a round
	ImagesPerSecond Spread `json:"images_per_second"`
	Milliseconds    Spread `json:"ms_per_step"`
	// GFLOPS counts the work as direct convolution would do it.
	GFLOPS float64 `json:"gflops"`
	Layers []Layer `json:"layers,omitempty"`
}

// Layer is the time of one layer in one pass, from a step run on the side
// with a clock around every operation.
type Layer struct {
	Layer        string  `json:"layer"` // "" for the whole network
	Pass         string  `json:"pass"`  // forward, backward, weights, ...
	Role         string  `json:"role"`  // what of it: filter, data, pool, ...
	Microseconds float64 `json:"us_per_image"`
	GFLOPS       float64 `json:"gflops,omitempty"`
}

// Spread is a figure over the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spread(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return Spread{}
	}
	return Spread{Median: (v[(len(v)-1)/2] + v[len(v)/2]) / 2, Min: v[0], Max: v[len(v)-1]}
}

// Print writes the report as text, the layers' times where they were measured.
func (r *Report) Print(w io.Writer) error {
	if r.PeakGFLOPS == nil { // of a device
		fmt.Fprintf(w, "cifartui %s, %s kernels\n\n", r.Version, r.Kernels)
	} else {
		threads := "1 thread"
		if r.Threads != 1 {
			threads = fmt.Sprintf("%d threads", r.Threads)
		}
		fmt.Fprintf(w, "cifartui %s, %s kernels, %s, %s\n", r.Version, r.Kernels, threads, r.CPU)
		fmt.Fprintf(w, "multiply-add peak %.0f GFLOP/s (%.0f to %.0f)\n\n", r.PeakGFLOPS.Median, r.PeakGFLOPS.Min, r.PeakGFLOPS.Max)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "mode\tbatch\timages/s\tmin\tmax\tms/step\tGFLOP/s\tn\t")
	for _, x := range r.Results {
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.0f\t%d\t\n", x.Mode, x.Batch,
			x.ImagesPerSecond.Median, x.ImagesPerSecond.Min, x.ImagesPerSecond.Max, x.Milliseconds.Median, x.GFLOPS, x.Rounds)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range r.Results {
		if err := x.printLayers(w); err != nil {
			return err
		}
	}
	return nil
}

func (x Result) printLayers(w io.Writer) error {
	if len(x.Layers) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s, batch %d, microseconds an image:\n", x.Mode, x.Batch)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "layer\tpass\trole\tµs\tGFLOP/s\t")
	for _, l := range x.Layers {
		rate := ""
		if l.GFLOPS > 0 {
			rate = fmt.Sprintf("%.0f", l.GFLOPS)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%s\t\n", l.Layer, l.Pass, l.Role, l.Microseconds, rate)
	}
	return t.Flush()
}

// cpuName is the processor's name where the system tells it.
func cpuName() string {
	if list, err := cpu.Info(); err == nil && len(list) > 0 && list[0].ModelName != "" {
		return strings.Join(strings.Fields(list[0].ModelName), " ")
	}
	return runtime.GOARCH
}
