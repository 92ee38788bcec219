package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/cifar"
	"cifartui/cifar/plain"
	"cifartui/train"
)

func dataCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Fetch CIFAR-10 or CIFAR-100, or tell what data there is",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(dataFetchCommand(), dataInfoCommand())
	return cmd
}

func dataFetchCommand() *cobra.Command {
	var o cifar.FetchOptions
	cmd := &cobra.Command{
		Use:   "fetch [cifar10|cifar100]",
		Short: "Fetch CIFAR-10 or CIFAR-100 into the cache",
		Long: `Fetch downloads CIFAR-10 (162 MiB) or CIFAR-100 (161 MiB) into the cache, checks
it and unpacks it. A transfer that breaks goes on where it stopped, also the
next time. If the archive, cifar-10-binary.tar.gz or cifar-100-binary.tar.gz,
lies in the cache already, it is unpacked.`,
		ValidArgs: []string{cifar.CIFAR10, cifar.CIFAR100},
		Args:      atMostOne("cifar10 or cifar100"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Data = args[0]
				if o.Data != cifar.CIFAR10 && o.Data != cifar.CIFAR100 {
					return usage("data fetch: %q is neither %s nor %s", o.Data, cifar.CIFAR10, cifar.CIFAR100)
				}
			}
			meter := newProgressLine(cmd.ErrOrStderr())
			o.Progress = meter.Show
			dir, err := cifar.Fetch(cmd.Context(), o)
			meter.End()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&o.URL, "data-url", "", "`address` of the archive (default: its authors', at www.cs.toronto.edu/~kriz)")
	return cmd
}

func dataInfoCommand() *cobra.Command {
	var data string
	var size int
	cmd := &cobra.Command{
		Use:   "info [DATA]",
		Short: "Tell what data there is, and check it",
		Long: `Info reads the data as a training run would and counts the images of each class.
DATA is what --data of a training run takes. It fetches nothing.`,
		Args: atMostOne("what --data takes"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				if cmd.Flags().Changed("data") {
					return usage("data info: name the data once: %q, or --data %s", args[0], data)
				}
				data = args[0]
			}
			if cifar.IsWord(data) && !cifar.IsDemo(data) {
				dir, err := cachedData(data)
				if err != nil {
					return err
				}
				data = dir
			}
			meter := newProgressLine(cmd.ErrOrStderr())
			d, err := cifar.Open(cmd.Context(), cifar.Options{Data: data, Size: size, Free: train.FreeMemory(), Seed: demoSeed, Progress: meter.Show})
			meter.End()
			if err != nil {
				return err
			}
			return printData(cmd.OutOrStdout(), d)
		},
	}
	cmd.Flags().StringVar(&data, "data", cifar.Auto, "auto (CIFAR-10 in the cache), cifar100, demo, or a `folder` or archive")
	cmd.Flags().IntVar(&size, "size", 0, "height and width that the pictures of a folder are fitted to: 32, 48, 64 or 96 (0: 32)")
	return cmd
}

// cachedData finds what auto or another word for published data would read
// without fetching.
func cachedData(word string) (string, error) {
	cache := cifar.CacheDir()
	if cache == "" {
		return "", errors.New("there is no cache, as neither HOME nor XDG_CACHE_HOME is set: set one, or name the data with --data DIR")
	}
	name, paths := cifar.Published(cache, word)
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("look into the cache: %w", err)
		}
	}
	fetch := "cifartui data fetch"
	if word == cifar.CIFAR100 {
		fetch += " " + word
	}
	return "", fmt.Errorf(`no %s in the cache %s: "%s" brings it there`, name, cache, fetch)
}

func printData(out io.Writer, d *cifar.Dataset) error {
	w := new(strings.Builder)
	fmt.Fprintf(w, "data    %s\nsource  %s\nsize    %d x %d\n", d.Name, plain.Line(d.Source), d.Train.Size, d.Train.Size)
	type part struct {
		name string
		set  *cifar.Set
	}
	parts := []part{{"train", d.Train}}
	if d.Val != nil {
		parts = append(parts, part{"val", d.Val})
	}
	if d.Test.Len() > 0 {
		parts = append(parts, part{"test", d.Test})
	}
	table := make([][]string, len(d.Classes)+1)
	table[0] = []string{"class"}
	for i, name := range d.Classes {
		table[i+1] = []string{name}
	}
	for _, p := range parts {
		fmt.Fprintf(w, "%-7s %d images\n", p.name, p.set.Len())
		table[0] = append(table[0], p.name)
		for i, n := range p.set.Counts(len(d.Classes)) {
			table[i+1] = append(table[i+1], strconv.Itoa(n))
		}
	}
	if len(parts) == 1 {
		fmt.Fprintln(w, "        a tenth of them to validate on, unless --val-split says how many")
	}
	fmt.Fprintf(w, "\n%s", plain.Columns(table, 0))
	mean, std := d.Train.Moments()
	fmt.Fprintf(w, "\nmean of the training pixels, red green blue: %.4f %.4f %.4f\ndeviation:                                   %.4f %.4f %.4f\n",
		mean[0], mean[1], mean[2], std[0], std[1], std[2])
	if len(d.Notes) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(d.Notes, "\n  "))
	}
	_, err := io.WriteString(out, w.String())
	return err
}

// newProgressLine shows the progress of the data on standard error.
func newProgressLine(w io.Writer) *cifar.ProgressLine {
	return cifar.NewProgressLine(w, terminalWidth(w))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
