// Command peer measures "cifartui bench" and PyTorch at the same work in turns,
// round by round, and prints how many times as fast the one is as the other.
//
//	go build -o cifartui . && go run ./nn/kernel/peer -cifartui ./cifartui
//
// Both programs run on the same machine, threads and batch sizes; in each round
// they take turns at going first, so that what else the machine does hits both
// alike. The ratio is the median of the rounds' ratios. PyTorch's step is
// train_step.py, in this folder: it needs Python with torch.
package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

//go:embed train_step.py
var script string

func main() {
	var o options
	flag.StringVar(&o.cifartui, "cifartui", "cifartui", "the program to measure")
	flag.StringVar(&o.python, "python", "python3", "a Python that has torch")
	flag.StringVar(&o.mode, "mode", "train", "train, infer or both")
	flag.StringVar(&o.kernels, "kernels", "", "cifartui's kernels: avx512, avx2, neon or generic (default: the fastest)")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of both")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds")
	batches := flag.String("batches", "64,512", "batch sizes")
	flag.Parse()
	err := o.parseBatches(*batches)
	if err == nil {
		err = run(o, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

type options struct {
	cifartui, python, mode, kernels string
	threads, rounds                 int
	batches                         []int
}

func (o *options) parseBatches(list string) error {
	for f := range strings.SplitSeq(list, ",") {
		b, err := strconv.Atoi(f)
		if err != nil || b < 1 {
			return fmt.Errorf("-batches: %q is not a size", f)
		}
		o.batches = append(o.batches, b)
	}
	return nil
}

// comparison holds the images a second of both programs, one of each a round.
type comparison struct {
	mode          string
	batch         int
	ours, theirs  []float64
	layout        string // of PyTorch's memory
	kernels, peer string // what was compared
}

func run(o options, out, progress io.Writer) error {
	modes := []string{o.mode}
	if o.mode == "both" {
		modes = []string{"train", "infer"}
	}
	var done []*comparison
	for _, mode := range modes {
		for _, batch := range o.batches {
			c := &comparison{mode: mode, batch: batch}
			if err := c.measure(o, progress); err != nil {
				return fmt.Errorf("%s at batch %d: %w", mode, batch, err)
			}
			done = append(done, c)
		}
	}
	return report(out, o, done)
}

// measure runs the rounds of one mode at one batch size.
func (c *comparison) measure(o options, progress io.Writer) error {
	torch, err := startTorch(o, c.mode, c.batch)
	if err != nil {
		return err
	}
	defer torch.close()
	for round := range o.rounds {
		turns := []func() error{
			func() error { return c.measureOurs(o) },
			func() error { return c.measureTheirs(torch) },
		}
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return err
			}
		}
		fmt.Fprintf(progress, "%s, batch %d, round %d of %d: %.0f and %.0f images/s\n",
			c.mode, c.batch, round+1, o.rounds, c.ours[round], c.theirs[round])
	}
	return nil
}

func (c *comparison) measureOurs(o options) error {
	args := []string{"bench", "--json", "--layers=false", "--rounds", "1", "--mode", c.mode,
		"--batches", strconv.Itoa(c.batch), "--threads", strconv.Itoa(o.threads)}
	if o.kernels != "" {
		args = append(args, "--kernels", o.kernels)
	}
	cmd := exec.Command(o.cifartui, args...)
	var trouble strings.Builder
	cmd.Stderr = &trouble
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, strings.TrimSpace(trouble.String()))
	}
	var r struct {
		Kernels string `json:"kernels"`
		Results []struct {
			ImagesPerSecond struct {
				Median float64 `json:"median"`
			} `json:"images_per_second"`
		} `json:"results"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("%s: reading its JSON: %w", cmd, err)
	}
	if len(r.Results) != 1 {
		return fmt.Errorf("%s: %d results, want 1", cmd, len(r.Results))
	}
	c.kernels = r.Kernels
	c.ours = append(c.ours, r.Results[0].ImagesPerSecond.Median)
	return nil
}

func (c *comparison) measureTheirs(t *torch) error {
	var r struct {
		Torch           string  `json:"torch"`
		Layout          string  `json:"layout"`
		ImagesPerSecond float64 `json:"images_per_second"`
	}
	if err := t.round(&r); err != nil {
		return err
	}
	c.peer, c.layout = r.Torch, r.Layout
	c.theirs = append(c.theirs, r.ImagesPerSecond)
	return nil
}

// torch is a running train_step.py. Between rounds it waits for a line.
type torch struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	trouble strings.Builder
}

func startTorch(o options, mode string, batch int) (*torch, error) {
	t := &torch{cmd: exec.Command(o.python, "-c", script, "--rounds", "0", "--mode", mode,
		"--batch", strconv.Itoa(batch), "--threads", strconv.Itoa(o.threads))}
	t.cmd.Stderr = &t.trouble
	var err error
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = bufio.NewScanner(out)
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting PyTorch: %w", err)
	}
	return t, nil
}

// round runs one round and decodes its line.
func (t *torch) round(result any) error {
	_, err := io.WriteString(t.in, "\n")
	if err == nil && !t.out.Scan() {
		err = errors.Join(io.ErrUnexpectedEOF, t.out.Err())
	}
	if err != nil {
		t.close()
		return fmt.Errorf("train_step.py ended: %w: %s", err, strings.TrimSpace(t.trouble.String()))
	}
	if err := json.Unmarshal(t.out.Bytes(), result); err != nil {
		return fmt.Errorf("train_step.py said %q: %w", t.out.Text(), err)
	}
	return nil
}

// close ends the script; a second close does nothing. How it ends has nothing to
// add to what round reports.
func (t *torch) close() {
	_ = t.in.Close()
	_ = t.cmd.Wait()
}

// report prints the table.
func report(out io.Writer, o options, done []*comparison) error {
	if len(done) > 0 {
		fmt.Fprintf(out, "cifartui (%s kernels) and PyTorch %s, %d threads, %d rounds in turn: images a second, median (min to max)\n",
			done[0].kernels, done[0].peer, o.threads, o.rounds)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "mode\tbatch\tcifartui\tPyTorch\tlayout\tratio\t")
	for _, c := range done {
		ratios := make([]float64, len(c.ours))
		for i := range ratios {
			ratios[i] = c.ours[i] / c.theirs[i]
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t\n",
			c.mode, c.batch, spread(c.ours, 0), spread(c.theirs, 0), c.layout, spread(ratios, 2))
	}
	return w.Flush()
}

// spread is "median (min to max)".
func spread(values []float64, digits int) string {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return "none"
	}
	median := (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, median, digits, v[0], digits, v[len(v)-1])
}
