package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
	"cifartui/train/runs"
	"cifartui/tui"
)

// screenSettings are the settings of a screen on another process's run.
type screenSettings struct {
	runs, theme string
}

func (s *screenSettings) flags(cmd *cobra.Command) {
	runsFlag(cmd, &s.runs)
	cmd.Flags().StringVar(&s.theme, "theme", "auto", "colours: auto, dark, light or none")
}

func (s *screenSettings) check(cmd *cobra.Command) error {
	if err := oneOf("theme", s.theme, "auto", "dark", "light", "none"); err != nil {
		return err
	}
	if !isTerminal(cmd.InOrStdin()) || !isTerminal(cmd.OutOrStdout()) {
		return usage(`%s needs a terminal; "cifartui ctl RUN status" and "cifartui compare RUN" do without`, cmd.CommandPath())
	}
	return nil
}

func attachCommand() *cobra.Command {
	var s screenSettings
	cmd := &cobra.Command{
		Use:   "attach [RUN]",
		Short: "Show and steer a run that another process trains",
		Long: `Attach shows the screen of a run that trains in another terminal or in the
background. Leaving it leaves the run. Without RUN it is the live run of the
runs folder. ssh://user@box/RUN is a run on another machine, reached by ssh.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("attach: one run at a time, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			which := ""
			if len(args) == 1 {
				which = args[0]
			}
			if control.IsRemote(which) {
				flags := []string{"attach", "--theme", s.theme}
				if cmd.Flags().Changed("runs") {
					flags = append(flags, "--runs", s.runs)
				}
				remote, err := control.ParseRemote(which)
				if err != nil {
					return usage("%w", err)
				}
				return overSSH(cmd, remote.Command(true, flags...))
			}
			if err := s.check(cmd); err != nil {
				return err
			}
			return attach(cmd.Context(), s, which, cmd.OutOrStdout())
		},
	}
	s.flags(cmd)
	return cmd
}

func attach(ctx context.Context, s screenSettings, which string, out io.Writer) error {
	target, err := control.Find(s.runs, which)
	if err != nil {
		return err
	}
	client, err := control.Dial(ctx, target.Folder)
	if err != nil {
		return err
	}
	defer client.Close()
	o := tui.Options{
		Source: client, Mode: tui.Attached, Name: target.Name(), Theme: s.theme, Version: programVersion(),
		Checkpoints: checkpointFiles{},
	}
	if why := client.ReadOnly(); why != "" {
		o.ReadOnlyWhy = why
	} else {
		o.Control, o.CanDetach = client, false
	}
	return watch(ctx, o, out)
}

// watch shows a screen on a run that is not this process's.
func watch(ctx context.Context, o tui.Options, out io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, terminate)
	defer stop()
	result, err := tui.Run(ctx, o)
	switch {
	case errors.Is(err, tui.ErrTerminal):
		return nil
	case err != nil:
		return err
	case result.Action == tui.ResumeFrom:
		if filepath.Ext(result.File) == checkpoint.WeightsExt {
			fmt.Fprintf(out, "to train on from these weights: cifartui --config %s --init %s\n", filepath.Join(result.Folder, rundir.ConfigFile), result.File)
		} else {
			fmt.Fprintf(out, "to go on from it: cifartui --resume %s --checkpoint %s\n", result.Folder, filepath.Base(result.File))
		}
	}
	return nil
}

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
			folder, err := findRun(s.runs, args[0])
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

// overSSH runs a command of this program on another machine.
func overSSH(cmd *cobra.Command, argv []string) error {
	ssh := exec.CommandContext(cmd.Context(), argv[0], argv[1:]...)
	ssh.Stdin, ssh.Stdout, ssh.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	err := ssh.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &exitError{code: exit.ExitCode()} // it has said why
	}
	if err != nil {
		return fmt.Errorf("ssh: %w", err)
	}
	return nil
}

func ctlCommand() *cobra.Command {
	var dir, after string
	var wait, asJSON bool
	cmd := &cobra.Command{
		Use:   "ctl RUN status|pause|resume|save|stop|detach|lr [RATE]",
		Short: "Steer a live run from a script",
		Long: `Ctl asks a run that another process trains to do something between two batches:

  cifartui ctl last status --json
  cifartui ctl last pause --wait
  cifartui ctl last lr 0.1
  cifartui ctl last stop --after epoch

"last" is the run trained last, "-" the only live one. A run of a comparison is
named COMPARISON/RUN.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage("ctl: name a run and what it is to do: cifartui ctl RUN status|pause|resume|save|stop|detach|lr RATE")
			}
			if want := 2 + b2i(args[1] == "lr"); len(args) != want {
				return usage("ctl: %s takes %s", args[1], map[int]string{2: "no value", 3: "one value, the learning rate"}[want])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if control.IsRemote(args[0]) {
				remote, err := control.ParseRemote(args[0])
				if err != nil {
					return usage("%w", err)
				}
				again := []string{"ctl", "--after", after, "--wait=" + strconv.FormatBool(wait), "--json=" + strconv.FormatBool(asJSON)}
				if cmd.Flags().Changed("runs") {
					again = append(again, "--runs", dir)
				}
				again = append(append(again, "--", cmp.Or(remote.Run, "-")), args[1:]...)
				remote.Run = "" // it stands before the verb
				return overSSH(cmd, remote.Command(false, again...))
			}
			r := control.Request{ID: 1, Cmd: control.Verb(args[1]), Wait: wait, Why: "ctl"}
			switch r.Cmd {
			case control.VerbStatus:
				r.Wait, r.Why = false, ""
			case control.VerbStop:
				r.After = event.Boundary(after)
			case control.VerbLR:
				rate, err := strconv.ParseFloat(args[2], 64)
				if err != nil {
					return usage("ctl: learning rate %q is no number", args[2])
				}
				r.Rate = &rate
			case control.VerbEvents:
				return usage("ctl: %q is not for ctl", args[1])
			}
			if err := r.Validate(); err != nil {
				return usage("ctl: %w", err)
			}
			return ctl(cmd.Context(), dir, args[0], r, asJSON, cmd.OutOrStdout())
		},
	}
	runsFlag(cmd, &dir)
	f := cmd.Flags()
	f.StringVar(&after, "after", string(event.AfterBatch), "stop: after the batch or the epoch")
	f.BoolVar(&wait, "wait", false, "return when it has taken effect")
	f.BoolVar(&asJSON, "json", false, "status: print JSON")
	return cmd
}

func ctl(ctx context.Context, dir, which string, r control.Request, asJSON bool, out io.Writer) error {
	if which == "-" {
		which = ""
	}
	target, err := control.Find(dir, which)
	if err != nil {
		return err
	}
	r.Run = target.Run
	client, err := control.Dial(ctx, target.Folder)
	var notLive *control.NotLiveError
	if errors.As(err, &notLive) && r.Cmd == control.VerbStatus {
		list, serr := control.ReadStatus(target.Folder)
		if serr != nil {
			return serr
		}
		return printStatus(out, list, asJSON)
	}
	if err != nil {
		return err
	}
	defer client.Close()
	reply, err := client.Do(ctx, r)
	if err != nil {
		return err
	}
	if r.Cmd == control.VerbStatus {
		return printStatus(out, reply.Status, asJSON)
	}
	return nil
}

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

// printStatus prints how runs stand.
func printStatus(w io.Writer, list []control.Status, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	for _, s := range list {
		fmt.Fprintln(w, statusLine(s))
	}
	return nil
}

// statusLine is a run's status in one line.
func statusLine(s control.Status) string {
	name := s.Run
	if s.Demo {
		name += " (DEMO)"
	}
	state := string(s.State)
	if s.Outcome != "" {
		state = strings.ReplaceAll(string(s.Outcome), "_", " ")
	}
	line := fmt.Sprintf("%s  %s  epoch %d/%d  step %d/%d  lr %g  %.0f images/s", name, state, s.Epoch, s.Epochs, s.Step, s.Steps, s.LR, s.ImagesPerSecond)
	if s.BestValAcc != nil && s.BestValAccEpoch > 0 {
		line += fmt.Sprintf("  best val_acc %.4f @ %d", float64(*s.BestValAcc), s.BestValAccEpoch)
	}
	if s.Error != "" {
		line += "  " + s.Error
	}
	return line
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
