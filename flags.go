package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cifartui/train/config"
)

// strictFlags makes the flags of a command and of those below it read numbers as
// people write them.
func strictFlags(cmd *cobra.Command) {
	wrap := func(f *pflag.Flag) {
		switch f.Value.Type() {
		case "int", "int64", "uint64":
			f.Value = wholeValue{f.Value}
		case "float64":
			f.Value = numberValue{f.Value}
		case "intSlice":
			f.Value = wholesValue{f.Value}
		}
	}
	cmd.Flags().VisitAll(wrap)
	cmd.PersistentFlags().VisitAll(wrap)
	for _, c := range cmd.Commands() {
		strictFlags(c)
	}
}

type wholeValue struct{ pflag.Value }

func (v wholeValue) Set(text string) error {
	if !config.IsWhole(text) {
		return fmt.Errorf("%q is no whole number such as 20", text)
	}
	return v.Value.Set(text)
}

// wholesValue is whole numbers with commas between them.
type wholesValue struct{ pflag.Value }

func (v wholesValue) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		if !config.IsWhole(part) {
			return fmt.Errorf("%q is no whole number: want some with commas between, as 64,512", part)
		}
	}
	return v.Value.Set(text)
}

type numberValue struct{ pflag.Value }

func (v numberValue) Set(text string) error {
	if _, err := config.ParseNumber(text); err != nil {
		return err
	}
	return v.Value.Set(text)
}

// expandHomes puts the home folder in place of ~ at the start of an argument or
// of a flag's value, where a shell has left it: between quotes and after "=".
func expandHomes(args []string) []string {
	expanded := make([]string, len(args))
	for i, arg := range args {
		flag, value, ok := strings.Cut(arg, "=")
		if ok && strings.HasPrefix(flag, "--") {
			expanded[i] = flag + "=" + expandHome(value)
		} else {
			expanded[i] = expandHome(arg)
		}
	}
	return expanded
}

// expandHome puts the home folder in place of a leading ~, where there is one.
func expandHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || rest != "" && !os.IsPathSeparator(rest[0]) {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return home + rest // not cleaned: it may be a command, with an address in it
}

// joinBooleans makes one word of a switch and the value that follows it, as in
// "--shuffle false" and "--augment flip,rotate", which the flags library takes
// for a switch and a command.
// Only where nothing but flags is expected: another command's argument may be
// called so.
func joinBooleans(root *cobra.Command, args []string) []string {
	cmd, _, _ := root.Find(args) // an unknown command is told later
	if cmd != root && !slices.Contains([]string{"train", "submit", "summary"}, cmd.Name()) {
		return args
	}
	var joined []string
	for _, arg := range args {
		if n := len(joined); n > 0 {
			name, dashes := strings.CutPrefix(joined[n-1], "--")
			if f := cmd.Flags().Lookup(name); dashes && f != nil && isValueOf(f, arg, cmd) {
				joined[n-1] += "=" + arg
				continue
			}
		}
		joined = append(joined, arg)
	}
	return joined
}

// isValueOf reports whether a word behind a flag that can stand alone is its
// value, and not the next flag or the command.
func isValueOf(f *pflag.Flag, word string, cmd *cobra.Command) bool {
	switch f.Value.Type() {
	case "bool":
		return word == "true" || word == "false"
	case new(config.Augment).Type():
		return !strings.HasPrefix(word, "-") && word != cmd.Name()
	}
	return false
}

// oneOf refuses a flag's value that is not among the allowed ones.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return usage("--%s: %q is none of %s", flag, value, strings.Join(allowed, ", "))
}

// textsOf are names as texts.
func textsOf[S ~string](names []S) []string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return texts
}

// inWords lists names for a person.
func inWords[S ~string](names []S) string { return strings.Join(textsOf(names), ", ") }
