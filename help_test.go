package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Help fits a terminal of the usual width, and lists what commands do on one line.
func TestHelpFitsATerminal(t *testing.T) {
	var look func(cmd *cobra.Command, path []string)
	look = func(cmd *cobra.Command, path []string) {
		if path == nil || path[0] != "completion" { // whose help is the library's
			code, out, errs := tool(t, append(slices.Clone(path), "--help")...)
			if code != exitOK || out == "" {
				t.Errorf("%v --help: exit code %d: %s", path, code, errs)
			}
			for line := range strings.Lines(out) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpWidth {
					t.Errorf("%v --help has a line of %d columns: %s", path, n, line)
				}
			}
		}
		for _, c := range cmd.Commands() {
			look(c, append(slices.Clone(path), c.Name()))
		}
	}
	look(rootCommand(), nil)
}
