package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/cifar"
	"cifartui/train"
	"cifartui/train/config"
	"cifartui/train/control"
	"cifartui/train/rundir"
	"cifartui/train/runs"
)

func trainCommand() *cobra.Command {
	s := defaultSettings()
	cmd := &cobra.Command{
		Use:   "train",
		Short: `Train and watch; "cifartui" alone does the same`,
		Long:  recipesText(),
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.resolve(cmd); err != nil {
				return s.inFormat(err)
			}
			return s.inFormat(trainRun(cmd.Context(), s, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
	s.flags(cmd.Flags())
	cmd.Flags().SortFlags = false // in the order of settings.go, by subject
	return cmd
}

// recipesText lists the recipes with their settings, for --help.
func recipesText() string {
	var b strings.Builder
	b.WriteString("Train and watch.\n\nA recipe is settings to begin with; every one can be given besides.\n")
	for _, r := range config.Recipes() {
		fmt.Fprintf(&b, "\n  --recipe %s: %s\n", r.Name, r.About)
		if r.Settings == "" {
			b.WriteString("      the defaults below\n")
		}
		line := "     "
		for setting := range strings.Lines(strings.TrimSpace(r.Settings)) {
			key, value, _ := strings.Cut(strings.TrimSpace(setting), ": ")
			word := fmt.Sprintf(" --%s %s", strings.ReplaceAll(key, "_", "-"), value)
			if len(line)+len(word) > 78 {
				b.WriteString(line + "\n")
				line = "     "
			}
			line += word
		}
		if r.Settings != "" {
			b.WriteString(line + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// trainRun trains as the settings say, from the first screen to the last line.
func trainRun(ctx context.Context, s settings, in io.Reader, out, errs io.Writer) error {
	if s.child {
		s.NoTUI = true
	}
	if err := useKernels(s.Kernels); err != nil {
		return err
	}
	if err := s.locate(); err != nil {
		return err
	}
	if s.done() {
		return sayDone(s, out)
	}
	if s.Detach {
		return startInBackground(ctx, s, out, errs)
	}
	if why := whyNoScreen(in, out); !s.NoTUI && why != "" {
		s.NoTUI = true
		s.voice(errs).note("%s: training without the screen (--no-tui)", why)
	}
	session := newSession(out, errs, s.LogFormat == "json")
	err := session.run(ctx, plan{s})
	if err != nil && s.child {
		// The one who started this process waits for its word. If that can't be
		// told, the error itself still reaches its output.
		if exitCode(err) == exitStopped {
			_ = session.ready.Stopped(session.signals.name())
		} else {
			_ = session.ready.Failed(err)
		}
	}
	return err
}

// locate makes the paths in the settings independent of the working folder, as
// a run may be resumed from another one, and finds the run to resume.
func (s *settings) locate() error {
	for _, path := range []*string{&s.Init, &s.Runs, &s.Resume} {
		*path = expandHome(*path) // of a settings file
	}
	var err error
	if s.Data, err = dataPath(s.Data); err != nil {
		return err
	}
	if s.Init != "" {
		if s.Init, err = filepath.Abs(s.Init); err != nil {
			return fmt.Errorf("working folder: %w", err)
		}
	}
	if s.Again {
		if err := s.again(); err != nil || s.Resume == "" {
			return err
		}
		return s.checkResume()
	}
	if s.Resume == "" {
		return nil
	}
	folder, err := runs.Find(s.Runs, s.Resume)
	if err != nil {
		return err
	}
	s.Resume = folder
	return s.checkResume()
}

// dataPath is the data that a person names, a path independent of the working folder.
func dataPath(data string) (string, error) {
	if data == "" || cifar.IsWord(data) {
		return data, nil
	}
	abs, err := filepath.Abs(expandHome(data))
	if err != nil {
		return "", fmt.Errorf("working folder: %w", err)
	}
	return abs, nil
}

// checkResume refuses what the person gave that a resume cannot obey.
func (s *settings) checkResume() error {
	if base := filepath.Base(s.Resume); s.Given["name"] && s.Name != "" && s.Name != base {
		return usage("--name is for a new run: %s keeps its name when it is resumed (to call it %s, rename its folder first)", base, s.Name)
	}
	if saved, err := (plan{*s}).resumedConfig(); err == nil { // else it is told when the run is opened
		if saved.Budget > 0 && s.Given["epochs"] && !s.Given["budget"] {
			return usage("--epochs: %s has a budget, which says how many: give another --budget, or --budget 0 and the epochs", s.Resume)
		}
		// Here, as the run is opened only when its threads have begun.
		if err := s.over(saved).Validate(); err != nil {
			return usage("%w", err)
		}
	}
	if !rundir.IsComparison(s.Resume) {
		return nil
	}
	if s.Checkpoint != "" {
		return usage("--checkpoint: %s is a comparison: name one run of it to --resume", s.Resume)
	}
	file, err := config.ReadComparison(s.Resume)
	if err != nil {
		return err
	}
	for _, sweep := range file.Sweeps {
		if s.Given[sweep.Key] {
			return usage("--%s: that is what the runs of %s differ in: leave it out, or start a new comparison", strings.ReplaceAll(sweep.Key, "_", "-"), s.Resume)
		}
	}
	return nil
}

// startInBackground starts this program again without a terminal, and says how
// to reach it.
func startInBackground(ctx context.Context, s settings, out, errs io.Writer) error {
	// Interrupted while it waits, it leaves no process behind.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, terminate)
	defer stop()
	meter := s.voice(errs).progress()
	defer meter.End()
	next := control.Background{Folder: s.Runs, New: true, Progress: func(what []byte) {
		var p cifar.Progress
		if json.Unmarshal(what, &p) == nil {
			meter.Show(p)
		}
	}}
	if s.Resume != "" {
		next.Folder, next.New = s.Resume, false
	}
	for _, arg := range joinBooleans(rootCommand(), os.Args[1:]) {
		if arg != "--detach" && arg != "--detach=true" {
			next.Args = append(next.Args, arg)
		}
	}
	// Flags are taken where they come last, whatever the file says.
	next.Args = append(next.Args, "--detach=false", "--no-tui", "--child")
	child, err := control.Spawn(ctx, next)
	meter.End()
	if err != nil {
		return err
	}
	s.voice(out).detached(child, false)
	return nil
}

// exitCode is the process's exit code for an error.
func exitCode(err error) int {
	var exit *exitError
	var stopped *control.StoppedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &stopped):
		return exitStopped
	}
	return exitFailed
}

// exitOf turns how training ended into the program's exit.
func exitOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, train.ErrDiverged):
		return &exitError{exitDiverged, err}
	}
	return err
}
