package main

import (
	"io"

	"github.com/spf13/cobra"

	"cifartui/train/record"
	"cifartui/train/runs"
)

func compareCommand() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare RUN...",
		Short: "Compare runs in a table: speed, best accuracy, time to 80, 85, 88%",
		Long: `Compare reads any runs, or the runs of a comparison, and prints a table and what
its numbers say about speed, convergence and the best accuracy.`,
		Args: oneOrMoreRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := histories(dir, args)
			if err != nil {
				return err
			}
			return writeTable(cmd.OutOrStdout(), list, asJSON)
		},
	}
	runsFlag(cmd.Flags(), &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func writeTable(w io.Writer, list []*record.Run, asJSON bool) error {
	table := runs.NewTable(list)
	if asJSON {
		return writeJSON(w, table)
	}
	_, err := table.WriteTo(w)
	return err
}

// histories reads the runs that a person named, those of a comparison included.
func histories(dir string, names []string) ([]*record.Run, error) {
	var folders []string
	for _, name := range names {
		folder, err := runs.Find(dir, name)
		if err != nil {
			return nil, err
		}
		folders = append(folders, folder)
	}
	return runs.Read(folders...)
}
