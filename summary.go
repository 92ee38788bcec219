package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cifartui/cifar"
	"cifartui/train"
	"cifartui/train/config"
)

// summaryFlags are the flags of training that say what the network is and what
// it learns from.
var summaryFlags = []string{"config", "recipe", "size", "filters", "dense", "dropout", "initializer", "freeze", "lr-scale", "preprocess", "augment", "batch"}

func summaryCommand() *cobra.Command {
	s := defaultSettings()
	classes := cifar.Classes
	cmd := &cobra.Command{
		Use:   "summary",
		Short: "Print the network's layers, parameters, memory and arithmetic",
		Long: `Summary prints the network as training with the same flags has it: its layers,
parameters, memory and arithmetic.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.resolve(cmd); err != nil {
				return err
			}
			if len(s.sweeps) > 0 {
				return usage("--batch: one batch size is wanted")
			}
			if classes < 2 || classes > cifar.MaxClasses {
				return usage("--classes: %d is not between 2 and %d", classes, cifar.MaxClasses)
			}
			return summarize(cmd.OutOrStdout(), s.Config, classes)
		},
	}
	all := pflag.NewFlagSet("train", pflag.ContinueOnError)
	s.flags(all)
	for _, name := range summaryFlags {
		cmd.Flags().AddFlag(all.Lookup(name))
	}
	cmd.Flags().Lookup("batch").Usage = "batch size that the memory is given for"
	cmd.Flags().IntVar(&classes, "classes", classes, "classes of the data")
	cmd.Flags().SortFlags = false
	return cmd
}

// summarize prints the network of a run with settings c, and what else decides
// how it begins and what it is shown.
func summarize(w io.Writer, c config.Config, classes int) error {
	spec, err := train.NetworkOf(c, cmp.Or(c.Size, cifar.Size), classes)
	if err != nil {
		return usage("%w", err)
	}
	if err := spec.Summary(w, c.Batch); err != nil {
		return err
	}
	var b strings.Builder
	if c.LRScale != "" {
		fmt.Fprintf(&b, "Learning rate: times %s\n", strings.ReplaceAll(c.LRScale, ",", ", "))
	}
	augmented := "not augmented"
	if c.Augment != (config.Augment{}) {
		augmented = "in training augmented by " + c.Augment.Kinds()
	}
	fmt.Fprintf(&b, "Images: %dx%d, preprocessed: %s, %s\n", spec.Size, spec.Size, c.Preprocess, augmented)
	_, err = io.WriteString(w, b.String())
	return err
}
