package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/rundir"
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
	runsFlag(cmd.Flags(), &dir)
	return cmd
}

func wait(ctx context.Context, dir, which string) error {
	folder, err := findMember(dir, which)
	if err != nil { // "-", or nothing at all
		return waitProcess(ctx, dir, which)
	}
	members, submitted, err := submittedRuns(folder)
	if err != nil {
		return err
	}
	if !submitted {
		return waitProcess(ctx, dir, which)
	}
	ended, err := waitSubmitted(ctx, members)
	if err != nil {
		return err
	}
	return worst(control.Target{Folder: filepath.Dir(members[0])}, ended)
}

// waitProcess waits for the end of the process that trains a run or a comparison.
func waitProcess(ctx context.Context, dir, which string) error {
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
	case target.Run != "":
		defer client.Close()
		ended[target.Run], err = control.WaitRun(ctx, client, target.Run, func(ctx context.Context) (control.Status, error) {
			return statusOf(ctx, client, target.Run)
		})
		if err != nil {
			return err
		}
	default:
		defer client.Close()
		if ended, err = control.Wait(ctx, client); err != nil {
			return err
		}
	}
	return worst(target, ended)
}

// statusOf asks how one run of a process stands.
func statusOf(ctx context.Context, client *control.Client, run string) (control.Status, error) {
	reply, err := client.Do(ctx, control.Request{Cmd: control.VerbStatus, Run: run})
	if err != nil {
		return control.Status{}, err
	}
	if len(reply.Status) != 1 {
		return control.Status{}, fmt.Errorf("run %s: the process tells of %d runs", run, len(reply.Status))
	}
	return reply.Status[0], nil
}

// worst is the error of the run that came off worst, of those that the target
// means; nil if all came to their end or were stopped on request.
func worst(target control.Target, ended map[string]*event.RunEnded) (worst error) {
	rank, again := 0, "cifartui --resume "
	if _, submitted, err := submittedRuns(target.Folder); err == nil && submitted {
		again = "cifartui submit --resume "
	}
	again += rundir.Quote(target.Folder)
	for _, name := range slices.Sorted(maps.Keys(ended)) {
		if target.Run != "" && name != target.Run {
			continue
		}
		if r, err := ending(name, again, ended[name]); r > rank {
			rank, worst = r, err
		}
	}
	return worst
}

// ending is how bad a run's end is, 0 for a good one, and the error that tells it.
// again is the command that goes on with it.
func ending(name, again string, e *event.RunEnded) (rank int, err error) {
	switch {
	case e == nil || e.Outcome == event.OutcomeDetached:
		return 2, fmt.Errorf("run %s was interrupted: go on with %q", name, again)
	case e.Outcome == event.OutcomeDiverged:
		return 4, &exitError{exitDiverged, fmt.Errorf("run %s: %s", name, e.Error)}
	case e.Outcome == event.OutcomeFailed:
		return 3, fmt.Errorf("run %s failed: %s", name, e.Error)
	case e.Signal != "":
		return 1, &exitError{exitStopped, fmt.Errorf("run %s was stopped by %s before its end: go on with %q", name, e.Signal, again)}
	}
	return 0, nil
}
