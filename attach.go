package main

import (
	"context"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"cifartui/train/config"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/rundir"
	"cifartui/tui"
)

// screenSettings are the settings of a screen on another process's run.
type screenSettings struct {
	runs, theme string
}

func (s *screenSettings) flags(cmd *cobra.Command) {
	runsFlag(cmd.Flags(), &s.runs)
	cmd.Flags().StringVar(&s.theme, "theme", "auto", "colours: auto, dark, light or none")
}

func (s *screenSettings) check(cmd *cobra.Command) error {
	if err := oneOf("theme", s.theme, tui.Themes()...); err != nil {
		return err
	}
	if why := whyNoScreen(cmd.InOrStdin(), cmd.OutOrStdout()); why != "" {
		return usage(`%s needs a terminal that can show a screen (%s); "cifartui ctl RUN status" and "cifartui compare RUN" do without`, cmd.CommandPath(), why)
	}
	return nil
}

func attachCommand() *cobra.Command {
	var s screenSettings
	var program string
	cmd := &cobra.Command{
		Use:   "attach [RUN]",
		Short: "Show and steer a run that another process trains",
		Long: `Attach shows the screen of a run that trains in another terminal or in the
background. Leaving it leaves the run. Without RUN it is the live run of the
runs folder. ssh://user@box/RUN is a run on another machine, reached by ssh.`,
		Args: atMostOneRun,
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
				remote.Program = program
				return overSSH(cmd, remote, rundir.Quote(which), remote.Command(true, flags...))
			}
			if err := s.check(cmd); err != nil {
				return err
			}
			return attach(cmd.Context(), s, which, cmd.OutOrStdout())
		},
	}
	s.flags(cmd)
	remoteFlag(cmd, &program)
	return cmd
}

func attach(ctx context.Context, s screenSettings, which string, out io.Writer) error {
	target, err := control.Find(s.runs, which)
	if err != nil {
		return err
	}
	o, client, err := attached(ctx, target)
	if err != nil {
		return err
	}
	defer client.Close()
	o.Theme, o.Source = s.theme, &calm{Source: o.Source}
	if err := showRun(ctx, o, target.Folder, out); err != nil {
		return err
	}
	if pid, live := rundir.Live(target.Folder); live {
		voice{w: out}.detached(control.Child{Folder: target.Folder, PID: pid}, isPaused(ctx, client))
	}
	return nil
}

// isPaused reports whether what a process has still to train is paused. One that
// cannot be asked is not known to be.
func isPaused(ctx context.Context, client *control.Client) bool {
	reply, err := client.Do(ctx, control.Request{Cmd: control.VerbStatus})
	left := slices.DeleteFunc(reply.Status, func(s control.Status) bool { return s.Outcome != "" })
	return err == nil && len(left) > 0 &&
		!slices.ContainsFunc(left, func(s control.Status) bool { return s.State != event.StatePaused })
}

// attached are the options of a screen on a live run.
func attached(ctx context.Context, target control.Target) (tui.Options, *control.Client, error) {
	client, err := control.Dial(ctx, target.Folder)
	if err != nil {
		return tui.Options{}, nil, err
	}
	o := tui.Options{
		Source: client, Mode: tui.Attached, Name: target.Name(), Version: programVersion(),
		Checkpoints: checkpointFiles{}, Images: new(validationImages), Remote: trainsElsewhere(target.Folder),
	}
	if why := client.ReadOnly(); why != "" {
		o.ReadOnlyWhy = why
	} else {
		o.Control, o.CanDetach = client, false
	}
	return o, client, nil
}

// calm is a source that leaves this process one processor once it has no more
// history to give: a screen needs no more, and the others are the run's.
type calm struct {
	event.Source
	live bool
}

// Next implements [event.Source].
func (c *calm) Next(ctx context.Context, max int) ([]event.Event, error) {
	events, err := c.Source.Next(ctx, max)
	if !c.live && len(events) < max {
		c.live = true
		runtime.GOMAXPROCS(1)
	}
	return events, err
}

// trainsElsewhere reports whether a run folder is one that another machine trains
// in, which shares it with this one: the same number is another process there.
func trainsElsewhere(folder string) bool {
	folders, err := config.RunFolders(folder)
	if err != nil {
		return false
	}
	here := config.Machine("", time.Now()).Host
	for _, f := range folders {
		_, about, err := config.ReadQuick(f)
		if err == nil && about.Host != "" && about.Host != here {
			return true
		}
	}
	return false
}

// showRun shows a screen on a run that is not this process's, with that over all
// the runs in its folder beside it.
func showRun(ctx context.Context, o tui.Options, folder string, out io.Writer) error {
	w := overAll(filepath.Dir(filepath.Clean(folder)))
	w.Screen, w.First, w.Folder = o, true, func() string { return folder }
	return showAll(ctx, w, out)
}
