package main

import (
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"cifartui/train/config"
	"cifartui/train/event"
)

// What the person told the process, and no file of the run keeps, goes with the run
// to the process in the background.
func TestHandOverTakesTheProcessSettingsAlong(t *testing.T) {
	p := plan{defaultSettings()}
	p.Resume, p.DataURL, p.Kernels, p.Metrics, p.OnEnd, p.Fallback = "runs/x", "http://box", "generic", ":9100", "true", true
	p.asked, p.left = []string{"a"}, []string{"b"}
	args := p.childArgs()
	keys := config.Keys()
	// Of a screen, of a start, or in the comparison's file.
	without := []string{"theme", "bell", "config", "detach", "checkpoint", "resume-or-start", "sweep", "order", "parallel"}
	trainCommand().Flags().VisitAll(func(f *pflag.Flag) {
		kept := slices.Contains(keys, strings.ReplaceAll(f.Name, "-", "_"))
		if !kept && !slices.Contains(without, f.Name) && !slices.Contains(args, "--"+f.Name) {
			t.Errorf("--%s is lost: %v", f.Name, args)
		}
	})
}

// askedRunner is a run of which something was asked that is not done.
type askedRunner struct{ idleRunner }

func (askedRunner) Asked() []event.Command {
	to := event.To{Run: "batch=64+lr=0.1", Why: "asked"}
	return []event.Command{event.Stop{To: to, After: event.AfterEpoch}, event.Pause{To: to}, event.SetLearnRate{To: to, Rate: 0.25}}
}

// What was asked of a run and is not done the process in the background gives it
// again.
func TestHandOverTakesAlongWhatWasAsked(t *testing.T) {
	after := plan{defaultSettings()}.goingOn(askedRunner{}, nil)
	given := defaultSettings()
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	given.flags(set)
	if err := set.Parse(after.childArgs()[1:]); err != nil {
		t.Fatal(err)
	}
	l := newLeg(newSession(io.Discard, io.Discard, false), plan{given})
	if want := (askedRunner{}).Asked(); !reflect.DeepEqual(l.early, want) {
		t.Errorf("it is given %+v, want %+v", l.early, want)
	}
}
