package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
			d, err := cifar.Open(cmd.Context(), cifar.Options{Data: data, Seed: 1, Progress: meter.Show})
			meter.End()
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
	if cache == "" {
		return "", errors.New("there is no cache, as neither HOME nor XDG_CACHE_HOME is set: set one, or name the data with --data DIR")
	}
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
	train, test := d.Train.Counts(len(d.Classes)), d.Test.Counts(len(d.Classes))
	fmt.Fprintf(w, "%-12s %7s %7s\n", "class", "train", "test")
	for i, name := range d.Classes {
		fmt.Fprintf(w, "%-12s %7d %7d\n", name, train[i], test[i])
	}
	mean, std := d.Train.Moments()
	fmt.Fprintf(w, "\nmean of the training pixels, red green blue: %.4f %.4f %.4f\ndeviation:                                   %.4f %.4f %.4f\n",
		mean[0], mean[1], mean[2], std[0], std[1], std[2])
}

// newProgressLine shows the progress of the data on standard error.
func newProgressLine(w io.Writer) *cifar.ProgressLine {
	return cifar.NewProgressLine(w, isTerminal(w))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
