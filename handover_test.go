package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// What the person told the process, and no file of the run keeps, goes with the run
// to the process in the background.
func TestHandOverTakesTheProcessSettingsAlong(t *testing.T) {
	p := plan{defaultSettings()}
	p.Resume, p.DataURL, p.Kernels, p.Metrics, p.OnEnd, p.Fallback = "runs/x", "http://box", "generic", ":9100", "true", true
	p.paused, p.left = []string{"a"}, []string{"b"}
	args := p.childArgs()
	keys := configKeys()
	// Of a screen, of a start, or in the comparison's file.
	without := []string{"theme", "bell", "config", "detach", "checkpoint", "resume-or-start", "sweep", "order", "parallel"}
	trainCommand().Flags().VisitAll(func(f *pflag.Flag) {
		kept := slices.Contains(keys, strings.ReplaceAll(f.Name, "-", "_"))
		if !kept && !slices.Contains(without, f.Name) && !slices.Contains(args, "--"+f.Name) {
			t.Errorf("--%s is lost: %v", f.Name, args)
		}
	})
}
