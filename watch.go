package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"

	"cifartui/train/checkpoint"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/rundir"
	"cifartui/train/slurm"
	"cifartui/tui"
	"cifartui/tui/watch"
)

func watchCommand() *cobra.Command {
	var s screenSettings
	cmd := &cobra.Command{
		Use:   "watch [FOLDER...]",
		Short: "Show all runs on one screen; steer and compare them",
		Long: `Watch lists every run in some folders, those of comparisons included: its state,
epoch, best val_acc, speed, the curve of val_acc, age and machine. Runs that
begin, grow, end or vanish are noticed, also those that other machines train in
a folder that is shared.

  enter opens a run's own screen, backspace comes back
  space marks runs: their curves are drawn over each other, their settings side
    by side
  p s x pause, save and stop the marked runs;  D deletes,  P prunes them
  / shows only some:  batch=64 lr>0.1  running  best>90%  age<2d  vgg  !failed

A FOLDER holds run folders, or is a comparison's; without one it is that of
--runs.`,
		Args: func(_ *cobra.Command, folders []string) error {
			for _, f := range folders {
				if st, err := os.Stat(f); err != nil || !st.IsDir() {
					return usage("watch: %s is no folder", f)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, folders []string) error {
			if err := s.check(cmd); err != nil {
				return err
			}
			if len(folders) == 0 {
				folders = []string{s.runs}
			}
			w := overAll(folders...)
			w.Screen.Theme = s.theme
			return showAll(cmd.Context(), w, cmd.OutOrStdout())
		},
	}
	s.flags(cmd)
	return cmd
}

// overAll are the options of the screen over all runs in some folders.
func overAll(folders ...string) watch.Options {
	return watch.Options{Folders: folders, Open: openFromList, Send: sendFromList, Jobs: slurm.Jobs}
}

// showAll shows the screen over all runs, or the run's before it.
func showAll(ctx context.Context, w watch.Options, out io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, terminate)
	defer stop()
	result, err := watch.Run(ctx, w)
	switch {
	case errors.Is(err, tui.ErrTerminal):
		return nil
	case err != nil:
		return err
	case result.Action == tui.ResumeFrom:
		if filepath.Ext(result.File) == checkpoint.WeightsExt {
			fmt.Fprintf(out, "to train on from these weights: cifartui --config %s --init %s\n", rundir.Quote(filepath.Join(result.Folder, rundir.ConfigFile)), rundir.Quote(result.File))
		} else {
			fmt.Fprintf(out, "to go on from it: cifartui --resume %s --checkpoint %s\n", rundir.Quote(result.Folder), rundir.Quote(filepath.Base(result.File)))
		}
	}
	return nil
}

// openFromList makes ready a run's own screen: attached to a live one, else from
// its record.
func openFromList(ctx context.Context, folder string) (tui.Options, io.Closer, error) {
	target, err := control.Find(filepath.Dir(folder), folder)
	if err != nil {
		return tui.Options{}, nil, err
	}
	o, client, err := attached(ctx, target)
	var ended *control.NotLiveError
	switch {
	case errors.As(err, &ended):
		o, records, err := replayed(folder)
		return o, records, err
	case err != nil:
		return tui.Options{}, nil, err
	}
	if target.Run != "" { // of all that the process trains, this one
		o.Source = &only{Source: o.Source, run: target.Run}
	}
	return o, client, nil
}

// only is a source that tells of one run.
type only struct {
	event.Source
	run  string
	rest []event.Event // of it, still to be told
}

// Next implements [event.Source]. As of a record it gives fewer than max only where
// no more can be had at once.
func (o *only) Next(ctx context.Context, max int) ([]event.Event, error) {
	for more := true; more && len(o.rest) < max; {
		all, err := o.Source.Next(ctx, max)
		for _, e := range all {
			if e.Head().Run == o.run {
				o.rest = append(o.rest, e)
			}
		}
		if err != nil && len(o.rest) == 0 {
			return nil, err
		}
		// An error comes again with the next call. A full batch is history.
		more = err == nil && (len(o.rest) == 0 || len(all) == max)
	}
	n := min(max, len(o.rest))
	events := o.rest[:n:n]
	o.rest = o.rest[n:]
	return events, nil
}

// sendFromList asks a live run for something.
func sendFromList(ctx context.Context, folder string, c event.Command) error {
	target, err := control.Find(filepath.Dir(folder), folder)
	if err != nil {
		return err
	}
	client, err := control.Dial(ctx, target.Folder)
	if err != nil {
		return err
	}
	defer client.Close()
	r, err := control.RequestFor(c)
	if err != nil {
		return err
	}
	r.Run = target.Run
	_, err = client.Do(ctx, r)
	return err
}
