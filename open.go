package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"cifartui/train/config"
	"cifartui/train/record"
	"cifartui/train/rundir"
	"cifartui/train/runs"
	"cifartui/tui"
)

func openCommand() *cobra.Command {
	var s screenSettings
	cmd := &cobra.Command{
		Use:   "open RUN",
		Short: "Show a run that has ended, from its record alone",
		Args:  oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.check(cmd); err != nil {
				return err
			}
			folder, err := runs.Find(s.runs, args[0])
			if err != nil {
				return err
			}
			folders, err := config.RunFolders(folder)
			if err != nil {
				return err
			}
			records, err := record.OpenSeries(folders...)
			if err != nil {
				return err
			}
			defer records.Close()
			return watch(cmd.Context(), tui.Options{
				Source: located{records, memberFolder(folder, rundir.IsComparison(folder))}, Mode: tui.Replay, Name: filepath.Base(folder), Theme: s.theme, Version: programVersion(),
				Checkpoints: checkpointFiles{},
				ReadOnlyWhy: "this run is read from its record",
			}, cmd.OutOrStdout())
		},
	}
	s.flags(cmd)
	return cmd
}
