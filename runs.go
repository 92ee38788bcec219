package main

import (
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"cifartui/train"
)

func runsCommand() *cobra.Command {
	var runs, sortBy string
	var filters []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs; remove or prune them",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := train.List(runs)
			if err != nil {
				return err
			}
			if list, err = train.FilterRuns(list, filters); err != nil {
				return usage("--filter: %w", err)
			}
			if err := train.SortRuns(list, sortBy); err != nil {
				return usage("--sort: %w", err)
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(list)
			}
			return train.WriteRuns(cmd.OutOrStdout(), list, time.Now())
		},
	}
	cmd.PersistentFlags().StringVar(&runs, "runs", train.Default().Runs, "`folder` that holds the run folders")
	f := cmd.Flags()
	f.StringArrayVar(&filters, "filter", nil, "keep runs with `key=value` (name, state, live, data, batch, optimizer, problem); may be given again")
	f.StringVar(&sortBy, "sort", "created", "name, state, data, batch, epoch, best, created or updated; -best is in reverse")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
