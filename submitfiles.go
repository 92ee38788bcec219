package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"cifartui/train/config"
	"cifartui/train/slurm"
)

// An argument is a flag of the command line with its value.
type argument struct{ flag, value string }

// notPassed are flags that a task is given otherwise, or that mean nothing to it.
var notPassed = []string{
	"config", "recipe", "sweep", "order", "parallel", "resume", "resume-or-start", "checkpoint", "runs", "name",
	"no-tui", "detach", "theme", "bell", "threads", "child", "asked", "batch",
}

// arguments are the flags with which the train command trains one run with these
// settings: all that differs from what the recipe gives.
func (s *settings) arguments() ([]argument, error) {
	base := defaultSettings()
	var err error
	if base.Config, err = config.OfRecipe(cmp.Or(s.Recipe, base.Recipe)); err != nil {
		return nil, err
	}
	bare, set := pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	base.flags(bare)
	s.flags(set)
	list := []argument{{"recipe", cmp.Or(s.Recipe, base.Recipe)}, {"batch", fmt.Sprint(s.Batch)}}
	set.VisitAll(func(f *pflag.Flag) {
		if slices.Contains(notPassed, f.Name) || f.Value.String() == bare.Lookup(f.Name).Value.String() {
			return
		}
		value := f.Value.String()
		if v, ok := f.Value.(pflag.SliceValue); ok {
			value = strings.Join(v.GetSlice(), ",")
		}
		list = append(list, argument{f.Name, value})
	})
	return list, nil
}

// takeApart tells of the arguments of several runs those that all have, and what
// each has beside them.
func takeApart(all [][]argument) (common []argument, own [][]argument) {
	own = make([][]argument, len(all))
	everywhere := func(a argument) bool {
		return !slices.ContainsFunc(all, func(list []argument) bool { return !slices.Contains(list, a) })
	}
	for i, list := range all {
		for _, a := range list {
			switch {
			case !everywhere(a):
				own[i] = append(own[i], a)
			case i == 0:
				common = append(common, a)
			}
		}
	}
	return common, own
}

// wordsOf are arguments as words of a command line.
func wordsOf(list []argument) (words []string) {
	for _, a := range list {
		words = append(words, "--"+a.flag+"="+a.value)
	}
	return words
}

// copyProgram copies a program, whole or not at all.
func copyProgram(from, to string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy this program: %w", err)
		}
	}()
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}

// writable reports, by trying, whether a folder can be made in the nearest
// folder that is there.
func writable(folder string) error {
	at := folder
	for {
		if _, err := os.Stat(at); err == nil || !errors.Is(err, fs.ErrNotExist) || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	probe, err := os.MkdirTemp(at, ".cifartui-")
	if err != nil {
		return fmt.Errorf("runs folder: %w", err)
	}
	return os.Remove(probe)
}

// warnLocal says that a folder lies where other machines hardly see it.
func warnLocal(w io.Writer, folder string) {
	if kind := slurm.LocalFileSystem(folder); kind != "" {
		fmt.Fprintf(w, "cifartui: %s is on a file system of this machine (%s): the nodes must see the same folder\n", folder, kind)
	}
}

// sortedNumbers sorts numbers as such.
func sortedNumbers(list []string) []string {
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return list
}
