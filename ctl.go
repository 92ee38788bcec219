package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/train/config"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// ctlOptions are the flags of the ctl command.
type ctlOptions struct {
	runs, after  string
	program      string // over ssh
	wait, asJSON bool
}

func ctlCommand() *cobra.Command {
	var o ctlOptions
	cmd := &cobra.Command{
		Use:   "ctl RUN " + ctlWords(),
		Short: "Steer a live run from a script",
		Long: `Ctl asks a run that another process trains to do something between two batches:

  cifartui ctl last status --json
  cifartui ctl last pause --wait
  cifartui ctl last lr 0.1
  cifartui ctl last stop --after epoch

"last" is the run trained last, "-" the only live one. A run of a comparison is
named COMPARISON/RUN.`,
		Args: ctlArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("after") && args[1] != string(control.VerbStop) {
				return usage("ctl: --after is for stop: %s is done after the batch under way", args[1])
			}
			if control.IsRemote(args[0]) {
				return o.overSSH(cmd, args)
			}
			r, err := o.request(args[1:])
			if err != nil {
				return err
			}
			return o.send(cmd.Context(), args[0], r, cmd.OutOrStdout())
		},
	}
	runsFlag(cmd.Flags(), &o.runs)
	f := cmd.Flags()
	remoteFlag(cmd, &o.program)
	f.StringVar(&o.after, "after", string(event.AfterBatch), "stop: after the batch or the epoch")
	f.BoolVar(&o.wait, "wait", false, "return when it has taken effect")
	f.BoolVar(&o.asJSON, "json", false, "status: print JSON")
	return cmd
}

// ctlArguments wants a run, what to do with it, and a rate where that needs one.
func ctlArguments(_ *cobra.Command, args []string) error {
	if len(args) < 2 {
		return usage("ctl: name a run and what it is to do: cifartui ctl RUN %s", ctlWords())
	}
	if !slices.Contains(ctlVerbs(), args[1]) {
		return usage("ctl: %q is none of %s%s", args[1], ctlWords(), meant("", args[1], ctlVerbs()))
	}
	if args[1] == string(control.VerbLR) {
		if len(args) != 3 {
			return usage("ctl: lr takes one value, the learning rate")
		}
	} else if len(args) != 2 {
		return usage("ctl: %s takes no value", args[1])
	}
	return nil
}

// ctlVerbs is what ctl can ask for.
func ctlVerbs() []string {
	return []string{"status", "pause", "resume", "save", "stop", "detach", "lr"}
}

// ctlWords is what stands behind the run, as help and errors have it.
func ctlWords() string { return strings.Join(ctlVerbs(), "|") + " RATE" }

// request is what the words after the run ask for.
func (o ctlOptions) request(words []string) (control.Request, error) {
	r := control.Request{ID: 1, Cmd: control.Verb(words[0]), Wait: o.wait, Why: "ctl"}
	switch r.Cmd {
	case control.VerbStatus:
		r.Wait, r.Why = false, ""
	case control.VerbStop:
		r.After = event.Boundary(o.after)
	case control.VerbLR:
		rate, err := config.ParseLearnRate(words[1])
		if err != nil {
			return r, usage("ctl: learning rate %s: %w", words[1], err)
		}
		r.Rate = &rate
	}
	if err := r.Validate(); err != nil {
		return r, usage("ctl: %w", err)
	}
	return r, nil
}

// overSSH gives the command to the program on the run's machine.
func (o ctlOptions) overSSH(cmd *cobra.Command, args []string) error {
	remote, err := control.ParseRemote(args[0])
	if err != nil {
		return usage("%w", err)
	}
	again := []string{"ctl", "--wait=" + strconv.FormatBool(o.wait), "--json=" + strconv.FormatBool(o.asJSON)}
	if cmd.Flags().Changed("after") {
		again = append(again, "--after", o.after)
	}
	if cmd.Flags().Changed("runs") {
		again = append(again, "--runs", o.runs)
	}
	again = append(append(again, "--", cmp.Or(remote.Run, "-")), args[1:]...)
	remote.Run = "" // it stands before the verb
	remote.Program = o.program
	return overSSH(cmd, remote, rundir.Quote(args[0])+" "+strings.Join(args[1:], " "), remote.Command(false, again...))
}

// send gives a command to what a person named: a run, or each live run of a comparison
// that was submitted.
func (o ctlOptions) send(ctx context.Context, which string, r control.Request, out io.Writer) error {
	target, err := control.Find(o.runs, which)
	if err != nil {
		return err
	}
	each, err := submittedTargets(target)
	if err != nil {
		return err
	}
	if len(each) > 0 && r.Cmd != control.VerbStatus {
		var wrong []error
		for _, t := range each {
			if err := o.sendTo(ctx, t, r, out); err != nil {
				wrong = append(wrong, fmt.Errorf("run %s: %w", t.Name(), err))
			}
		}
		return errors.Join(wrong...)
	}
	return o.sendTo(ctx, target, r, out)
}

// sendTo gives a command to the process that a target means.
func (o ctlOptions) sendTo(ctx context.Context, target control.Target, r control.Request, out io.Writer) error {
	r.Run = target.Run
	client, err := control.Dial(ctx, target.Folder)
	var notLive *control.NotLiveError
	if errors.As(err, &notLive) && r.Cmd == control.VerbStatus {
		list, serr := control.ReadStatus(target.Folder)
		if serr != nil {
			return serr
		}
		list = slices.DeleteFunc(list, func(s control.Status) bool { return r.Run != "" && s.Run != r.Run })
		return printStatus(out, list, o.asJSON)
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
		return printStatus(out, reply.Status, o.asJSON)
	}
	return nil
}

// printStatus prints how runs stand.
func printStatus(w io.Writer, list []control.Status, asJSON bool) error {
	if asJSON {
		return writeJSON(w, list)
	}
	for _, s := range list {
		if _, err := fmt.Fprintln(w, statusLine(s)); err != nil {
			return err
		}
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
