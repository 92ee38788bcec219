package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"cifartui/train/config"
	"cifartui/train/record"
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
			o, records, err := replayed(folder)
			if err != nil {
				return err
			}
			defer records.Close()
			o.Theme = s.theme
			return showRun(cmd.Context(), o, folder, cmd.OutOrStdout())
		},
	}
	s.flags(cmd)
	return cmd
}

// replayed are the options of a screen on the record of a run or a comparison.
func replayed(folder string) (tui.Options, *record.Series, error) {
	folders, err := config.RunFolders(folder)
	if err != nil {
		return tui.Options{}, nil, err
	}
	records, err := record.OpenSeries(folders...)
	if err != nil {
		return tui.Options{}, nil, err
	}
	return tui.Options{
		Source: records, Mode: tui.Replay, Name: filepath.Base(folder), Version: programVersion(),
		Checkpoints: checkpointFiles{}, Images: new(validationImages),
		ReadOnlyWhy: "this run is read from its record",
	}, records, nil
}
