package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"cifartui/train/config"
	"cifartui/train/event"
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
			folders, err := config.RunFolders(folder)
			if err != nil {
				return err
			}
			replay := &replay{}
			for _, f := range folders {
				events, err := record.Open(f)
				if err != nil {
					return err
				}
				defer events.Close()
				replay.logs = append(replay.logs, events)
			}
			return watch(cmd.Context(), tui.Options{
				Source: replay, Mode: tui.Replay, Name: filepath.Base(folder), Theme: s.theme, Version: programVersion(),
				Checkpoints: checkpointFiles{},
				ReadOnlyWhy: "this run is read from its record",
			}, cmd.OutOrStdout())
		},
	}
	s.flags(cmd)
	return cmd
}

// replay reads the records of several runs, one after the other.
type replay struct{ logs []*record.Reader }

// Next implements [event.Source].
func (r *replay) Next(ctx context.Context, max int) ([]event.Event, error) {
	for len(r.logs) > 0 {
		events, err := r.logs[0].Next(ctx, max)
		if !errors.Is(err, io.EOF) {
			return events, err
		}
		r.logs = r.logs[1:]
		if len(events) > 0 {
			return events, nil
		}
	}
	return nil, io.EOF
}
