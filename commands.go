package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cifartui/train/config"
)

// otherCommands are all but train.
func otherCommands() []*cobra.Command {
	return []*cobra.Command{
		watchCommand(), attachCommand(), openCommand(), ctlCommand(), waitCommand(),
		submitCommand(), cancelCommand(),
		runsCommand(), compareCommand(), plotCommand(),
		evalCommand(), predictCommand(), exportCommand(), averageCommand(),
		dataCommand(), summaryCommand(), benchCommand(), gpuCommand(),
	}
}

// runsFlag adds --runs.
func runsFlag(f *pflag.FlagSet, dir *string) {
	f.StringVar(dir, "runs", config.Default().Runs, "`folder` that holds the run folders")
}

// oneOrMoreRuns wants the name of a run as an argument, or of several.
func oneOrMoreRuns(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(`%s: name a run: its folder, its name, or last; "cifartui runs" lists them`, cmd.CommandPath())
	}
	return nil
}

// atMostOneRun wants no argument, or the name of a run.
func atMostOneRun(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("%s: one run at a time, not %d", cmd.CommandPath(), len(args))
	}
	return nil
}

// oneRun wants the name of a run as the only argument.
func oneRun(cmd *cobra.Command, args []string) error {
	if err := atMostOneRun(cmd, args); err != nil {
		return err
	}
	return oneOrMoreRuns(cmd, args)
}

// atMostOne wants no argument, or one that says what.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage("%s takes one argument, %s: not %q as well", cmd.CommandPath(), what, args[1])
		}
		return nil
	}
}

// writeJSON writes an answer that programs read, so that people can, too.
func writeJSON(w io.Writer, answer any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(answer)
}
