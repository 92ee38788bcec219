package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/cifar"
)

func dataCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Fetch CIFAR-10, or tell what is there",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(dataFetchCommand(), dataInfoCommand())
	return cmd
}

func dataFetchCommand() *cobra.Command {
	var o cifar.FetchOptions
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Fetch CIFAR-10 into the cache",
		Long: `Fetch downloads CIFAR-10 (162 MiB) into the cache, checks it and unpacks it. A
transfer that breaks goes on where it stopped, also the next time. If the
archive cifar-10-binary.tar.gz lies in the cache already, it is unpacked.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			meter := newProgressLine(cmd.ErrOrStderr())
			o.Progress = meter.show
			dir, err := cifar.Fetch(cmd.Context(), o)
			meter.end()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&o.URL, "data-url", cifar.DefaultURL, "`address` of the archive")
	return cmd
}

func dataInfoCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Tell what data there is, and check it",
		Long: `Info reads the data as a training run would and counts the images. It fetches
nothing.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data == cifar.Auto {
				dir, err := cachedData()
				if err != nil {
					return err
				}
				data = dir
			}
			meter := newProgressLine(cmd.ErrOrStderr())
			d, err := cifar.Open(cmd.Context(), cifar.Options{Data: data, Seed: 1, Progress: meter.show})
			meter.end()
			if err != nil {
				return err
			}
			printData(cmd.OutOrStdout(), d)
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", cifar.Auto, "auto (the cache), demo, or a `folder` or archive")
	return cmd
}

// cachedData finds what auto would read without fetching.
func cachedData() (string, error) {
	cache := cifar.CacheDir()
	for _, name := range []string{"cifar-10-batches-bin", "cifar-10-binary.tar.gz"} {
		path := filepath.Join(cache, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("look into the cache: %w", err)
		}
	}
	return "", fmt.Errorf(`no CIFAR-10 in the cache %s: "cifartui data fetch" brings it there`, cache)
}

func printData(w io.Writer, d *cifar.Dataset) {
	fmt.Fprintf(w, "data    %s\nsource  %s\ntrain   %d images\ntest    %d images\n\n", d.Name, d.Source, d.Train.Len(), d.Test.Len())
	train, test := d.Train.Counts(), d.Test.Counts()
	fmt.Fprintf(w, "%-12s %7s %7s\n", "class", "train", "test")
	for i, name := range d.Classes {
		fmt.Fprintf(w, "%-12s %7d %7d\n", name, train[i], test[i])
	}
	mean, std := d.Train.Moments()
	fmt.Fprintf(w, "\nmean of the training pixels, red green blue: %.4f %.4f %.4f\ndeviation:                                   %.4f %.4f %.4f\n",
		mean[0], mean[1], mean[2], std[0], std[1], std[2])
}

// progressLine shows the progress of opening data on standard error: one line
// that is written anew on a terminal, a line each tenth of the way elsewhere.
type progressLine struct {
	w        io.Writer
	terminal bool
	stage    cifar.Stage
	tenth    int64
	open     bool // a line without its end stands on the terminal
}

func newProgressLine(w io.Writer) *progressLine {
	return &progressLine{w: w, terminal: isTerminal(w), tenth: -1}
}

// stageWords says what a stage does.
var stageWords = map[cifar.Stage]string{
	cifar.StageWait:     "waiting for another process that is fetching CIFAR-10",
	cifar.StageDownload: "fetching CIFAR-10",
	cifar.StageVerify:   "checking",
	cifar.StageUnpack:   "unpacking",
	cifar.StageRead:     "reading the images",
	cifar.StageDraw:     "drawing the demo set",
	cifar.StageRetry:    "trying again",
}

func (p *progressLine) show(at cifar.Progress) {
	if at.Stage != p.stage {
		p.end()
		p.stage, p.tenth = at.Stage, -1
	}
	text := progressText(at)
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		p.open = true
		return
	}
	tenth := int64(0)
	if at.Total > 0 {
		tenth = at.Done * 10 / at.Total
	}
	// Short stages are silent in a log; the transfer is not.
	if tenth != p.tenth && (at.Stage == cifar.StageDownload || at.Stage == cifar.StageRetry || at.Stage == cifar.StageWait) {
		p.tenth = tenth
		fmt.Fprintln(p.w, text)
	}
}

// progressText is one line about a stage: what, how much, how far.
func progressText(at cifar.Progress) string {
	parts := []string{stageWords[at.Stage]}
	if at.Total > 0 {
		amount := fmt.Sprintf("%d of %d images", at.Done, at.Total)
		if at.Stage != cifar.StageDraw {
			amount = fmt.Sprintf("%.1f of %.1f MiB", mib(at.Done), mib(at.Total))
		}
		parts = append(parts, amount, fmt.Sprintf("%d%%", at.Done*100/at.Total))
	}
	if at.Note != "" {
		parts = append(parts, at.Note)
	}
	return strings.Join(parts, "  ")
}

func (p *progressLine) end() {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.open = false
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
