// Cifartui trains a VGG-style network on CIFAR-10 and lets a person watch and
// steer the training from a terminal, or writes clean logs where there is none.
//
// This package is the command line and nothing else. The way through it:
//
//	main.go          the program, its exit codes and the root command
//	settings.go      every setting of a training run
//	settingsfile.go  their layers: flags over a file over a recipe
//	train.go         the train command: from settings to a session that runs
//	again.go         --resume-or-start: a run that is resumed if it is there
//	session.go       training in this process, leg after leg; lists its files
//	signals*.go      what the process does on a signal
//	device.go        where is computed; gpulacks.go: what a GPU is not made for
//	commands.go      the other commands, and what those that name runs share
//	models.go        what those share that use trained networks
//	flags.go         how numbers, switches and home folders are read, for all commands
//	complete.go      what a shell completes
//	meant.go         which word was meant by a mistyped one
//	voice.go         what is told beside the log's lines, in words or as objects
//
// and one file for each other command. The work itself is in the packages
// cifar (the images), nn (the network), train (the loop) and tui (the screen).
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes.
const (
	exitOK          = 0   // finished, or stopped on request
	exitFailed      = 1   // something went wrong
	exitUsage       = 2   // wrong flags or arguments
	exitDiverged    = 3   // the loss is no longer finite
	exitStopped     = 4   // stopped by a signal before its end; it can be resumed
	exitInterrupted = 130 // interrupted twice
)

// exitError is an error that asks for an exit code of its own. With a nil err
// nothing is printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks an error of the person's flags or arguments.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code. Errors are printed
// to stderr, one line each.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(joinBooleans(root, expandHomes(args)))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	sayError(stderr, err, code)
	return code
}

// version is set by the release build; otherwise it comes from the module.
var version = ""

// programVersion is the release's version, or what the go command recorded.
func programVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "cifartui",
		Short: "Train a VGG-style network on CIFAR-10; watch and steer it from the terminal",
		Long: `Cifartui trains a VGG-style network on CIFAR-10 and lets you watch and steer the
training from a terminal: live accuracy and loss, pause, save, stop, a new
learning rate, several batch sizes side by side. Without a terminal, or with
--no-tui, it writes one line an epoch.

  cifartui --data demo               a small made-up data set, no network needed
  cifartui                           CIFAR-10: from the cache, else fetched
  cifartui --no-tui --epochs 20      headless
  cifartui --resume last             go on where the last run stopped
  cifartui --resume-or-start --name x   for schedulers: go on, or start

Every run has a folder of its own in ./runs with its settings, events, weights
and an exact checkpoint: a run that was stopped or killed goes on from there as
if nothing had happened.

Exit codes: 0 finished or stopped on request, 1 failed, 2 wrong usage, 3 the
loss is no longer finite, 4 stopped by a signal (SIGINT, SIGTERM) before its
end and saved, 130 interrupted twice. "cifartui wait" exits as the run did.`,
		Version:       programVersion(),
		Args:          noArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", helpWidth)))
	root.CompletionOptions.HiddenDefaultCmd = false

	train := trainCommand()
	// "cifartui" alone trains: the root takes the train command's flags and work.
	root.Flags().AddFlagSet(train.Flags())
	root.PreRunE, root.RunE = train.PreRunE, train.RunE
	root.AddCommand(train)
	root.AddCommand(otherCommands()...)
	strictFlags(root)
	complete(root)
	return root
}

// helpWidth is the columns of the terminal that help is written for.
const helpWidth = 80

// noArguments refuses arguments, and says so with what was meant in mind: a
// mistyped command arrives here as an argument.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return usage("%q is no command of %s%s", args[0], cmd.CommandPath(), meant("", args[0], names))
}

// flagError says what is wrong with a flag and, of one that there is not, which was
// meant: also with a single dash, which the flags library takes for letters.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage("%w", err)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	typed, _, _ := strings.Cut(cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()), "=")
	return usage("%w%s", err, meant("--", typed, names))
}
