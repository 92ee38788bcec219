package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/cifar"
	"cifartui/nn/kernel"
	"cifartui/nn/onnx"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/evaluate"
	"cifartui/train/event"
	"cifartui/train/plot"
	"cifartui/train/rundir"
	"cifartui/train/runs"
	"cifartui/tui"
)

// flagWords are the words that flags of any command may have.
func flagWords() map[string][]string {
	return map[string][]string{
		"data":       {cifar.Auto, cifar.CIFAR100, cifar.DemoName},
		"preprocess": cifar.Preprocessings(),
		"optimizer":  config.Optimizers(),
		"schedule":   config.Schedules(),
		"monitor":    config.Monitors(),
		"order":      textsOf(config.Orders()),
		"theme":      tui.Themes(),
		"log-format": logFormats,
		"kernels":    kernel.Names(),
		"after":      {string(event.AfterBatch), string(event.AfterEpoch)},
		"mode":       benchModes,
		"x":          textsOf(plot.Axes()),
		"sweep":      keysOf(config.SweepKeys()),
		"recipe":     recipeNames(),
		"device":     {deviceAuto, deviceCPU, deviceCUDA},
		"fill":       config.Fills(),
		"flips":      config.FlipModes(),
		"sort":       runs.SortKeys(),
		"filter":     keysOf(runs.FilterKeys()),
		"input":      textsOf(onnx.Inputs()),
		"dtype":      textsOf(checkpoint.DTypes()),
		"split":      evaluate.Parts(),
		"tta":        {"flip"},
		"size":       sizeWords(),
		"parallel":   {"auto"},
		"scheduler":  {"slurm"},
		"augment":    append([]string{"true", "false"}, cifar.AugmentKinds()...),

		"initializer": config.Initializers(),
		"freeze":      {"conv", "fc", "dense"},
		"lr-scale":    {"conv=", "fc=", "dense="},
	}
}

// sizeWords are what --size takes.
func sizeWords() (words []string) {
	for _, size := range cifar.Sizes() {
		words = append(words, strconv.Itoa(size))
	}
	return words
}

// recipeNames are what --recipe takes.
func recipeNames() (names []string) {
	for _, r := range config.Recipes() {
		names = append(names, r.Name)
	}
	return names
}

// keysOf are the beginnings of sweeps and filters.
func keysOf(keys []string) (words []string) {
	for _, k := range keys {
		words = append(words, k+"=")
	}
	return words
}

// complete says, for a command and those below it, what a shell may complete:
// the words of flags, and the names of runs.
func complete(cmd *cobra.Command) {
	for name, words := range flagWords() {
		if f := cmd.Flags().Lookup(name); f != nil {
			// It fails for a flag that two commands share and that is known already.
			_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveDefault))
		}
	}
	if cmd.Flags().Lookup("resume") != nil {
		_ = cmd.RegisterFlagCompletionFunc("resume", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return runNames(cmd, typed), cobra.ShellCompDirectiveDefault
		})
	}
	if strings.Contains(cmd.Use, "RUN") && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = completeRuns
	}
	for _, c := range cmd.Commands() {
		complete(c)
	}
}

// completeRuns completes a command's arguments: the name of a run, of several
// where the command takes them, and what ctl is to do with it.
func completeRuns(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	switch {
	case cmd.Name() == "ctl" && len(args) == 1:
		return ctlVerbs(), cobra.ShellCompDirectiveNoFileComp
	case len(args) > 0 && !strings.Contains(cmd.Use, "RUN...") && !strings.Contains(cmd.Use, "RUN|FILE..."):
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return runNames(cmd, typed), cobra.ShellCompDirectiveDefault
}

// runNames are the runs and comparisons of the command's runs folder and, once a
// comparison is typed, its runs.
func runNames(cmd *cobra.Command, typed string) []string {
	dir := config.Default().Runs
	if f := cmd.Flag("runs"); f != nil {
		dir = f.Value.String()
	}
	under := ""
	if i := strings.LastIndexByte(typed, '/'); i >= 0 {
		under = typed[:i+1]
	}
	entries, err := os.ReadDir(filepath.Join(dir, under))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if folder := filepath.Join(dir, under, e.Name()); rundir.IsRun(folder) || rundir.IsComparison(folder) {
			names = append(names, under+e.Name())
		}
	}
	if len(names) > 0 && under == "" {
		names = append(names, runs.Last)
	}
	slices.Sort(names)
	return names
}
