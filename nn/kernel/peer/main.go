// Command peer measures "cifartui bench" and what people would use instead at
// the same work in turns, round by round, and prints how many times as fast the
// one is as the others.
//
//	go build -o cifartui . && go run ./nn/kernel/peer -cifartui ./cifartui
//
// All programs run on the same machine, threads and batch sizes; in each round
// they take turns, the order turning from round to round, so that what else the
// machine does hits all alike. A ratio is the median of the rounds' ratios.
//
// The others are current PyTorch (torch_step.py: eager, compiled, bfloat16) and
// the article's script on current Keras (keras_step.py: on TensorFlow, on JAX),
// from PyPI, in virtual environments that are made on first use: they take some
// gigabytes. -python names a Python that has what -peers asks for instead.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

func main() {
	var o options
	flag.StringVar(&o.cifartui, "cifartui", "cifartui", "the program to measure")
	flag.StringVar(&o.python, "python", "", "a Python that has all packages (default: virtual environments of our own)")
	flag.StringVar(&o.venvs, "venvs", defaultVenvs(), "folder of the virtual environments")
	flag.StringVar(&o.mode, "mode", "train", "train, infer or both")
	flag.StringVar(&o.kernels, "kernels", "", "cifartui's kernels: avx512, avx2, neon or generic (default: the fastest)")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of all")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds")
	flag.Float64Var(&o.seconds, "seconds", 3, "length of the others' rounds")
	batches := flag.String("batches", "64,512", "batch sizes")
	list := flag.String("peers", strings.Join(peerNames(), ","), "the others")
	flag.Parse()
	err := o.parseBatches(*batches)
	if err == nil {
		o.peers, err = choosePeers(*list)
	}
	if err == nil {
		err = run(o, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// defaultVenvs is a folder in the user's cache.
func defaultVenvs() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "cifartui-peers")
}

type options struct {
	cifartui, python, venvs, mode, kernels string
	threads, rounds                        int
	seconds                                float64
	batches                                []int
	peers                                  []peer
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

func run(o options, out, progress io.Writer) error {
	modes := []string{o.mode}
	if o.mode == "both" {
		modes = []string{"train", "infer"}
	}
	pythons := make([]string, len(o.peers))
	for i, p := range o.peers {
		var err error
		if pythons[i], err = pythonFor(p, o, progress); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	var done []*comparison
	for _, mode := range modes {
		for _, batch := range o.batches {
			c := &comparison{mode: mode, batch: batch}
			if err := c.measure(o, pythons, progress); err != nil {
				return fmt.Errorf("%s at batch %d: %w", mode, batch, err)
			}
			done = append(done, c)
		}
	}
	return report(out, o, done)
}

// comparison holds the images a second of all programs at one kind of work, one
// of each a round.
type comparison struct {
	mode    string
	batch   int
	kernels string
	ours    []float64
	others  []*entrant
}

// entrant is a peer in a comparison.
type entrant struct {
	peer
	running *running
	round
	speeds []float64
}

// measure runs the rounds of one mode at one batch size. A peer that fails or
// skips is left out, aloud.
func (c *comparison) measure(o options, pythons []string, progress io.Writer) error {
	var turns []func() error
	turns = append(turns, func() error { return c.measureOurs(o) })
	for i, p := range o.peers {
		r, err := p.start(pythons[i], c.mode, c.batch, o)
		if err != nil {
			return err
		}
		defer r.close()
		e := &entrant{peer: p, running: r}
		first, err := r.round() // gets ready, and warm
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if e.round = first; e.Skipped != "" {
			fmt.Fprintf(progress, "%s is left out: %s\n", p.name, e.Skipped)
			continue
		}
		c.others = append(c.others, e)
		turns = append(turns, e.measure)
	}
	for round := range o.rounds {
		for i := range turns {
			if err := turns[(round+i)%len(turns)](); err != nil {
				return err
			}
		}
		fmt.Fprintf(progress, "%s, batch %d, round %d of %d: %.0f images/s", c.mode, c.batch, round+1, o.rounds, c.ours[round])
		for _, e := range c.others {
			fmt.Fprintf(progress, ", %s %.0f", e.name, e.speeds[round])
		}
		fmt.Fprintln(progress)
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

func (e *entrant) measure() error {
	r, err := e.running.round()
	if err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	e.round = r
	e.speeds = append(e.speeds, r.ImagesPerSecond)
	return nil
}

// ratios are ours over e's, round by round.
func (c *comparison) ratios(e *entrant) []float64 {
	r := make([]float64, len(c.ours))
	for i := range r {
		r[i] = c.ours[i] / e.speeds[i]
	}
	return r
}
