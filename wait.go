package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/runs"
)

func waitCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "wait RUN",
		Short: "Wait for a run's end; exit as it does",
		Args:  oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			return wait(cmd.Context(), dir, args[0])
		},
	}
	runsFlag(cmd, &dir)
	return cmd
}

func wait(ctx context.Context, dir, which string) error {
	target, err := control.Find(dir, which)
	if err != nil {
		return err
	}
	client, err := control.Dial(ctx, target.Folder)
	var notLive *control.NotLiveError
	ended := map[string]*event.RunEnded{}
	switch {
	case errors.As(err, &notLive): // it has ended already
		list, rerr := runs.Read(target.Folder)
		if rerr != nil {
			return rerr
		}
		for _, r := range list {
			ended[r.Name] = r.Ended
		}
	case err != nil:
		return err
	default:
		defer client.Close()
		if ended, err = control.Wait(ctx, client); err != nil {
			return err
		}
	}
	worst := error(nil)
	for name, e := range ended {
		if target.Run != "" && name != target.Run {
			continue
		}
		switch {
		case e == nil || e.Outcome == event.OutcomeDetached:
			worst = fmt.Errorf("run %s was interrupted: go on with \"cifartui --resume %s\"", name, target.Folder)
		case e.Outcome == event.OutcomeDiverged:
			return &exitError{exitDiverged, fmt.Errorf("run %s: %s", name, e.Error)}
		case e.Outcome == event.OutcomeFailed:
			worst = fmt.Errorf("run %s failed: %s", name, e.Error)
		}
	}
	return worst
}
