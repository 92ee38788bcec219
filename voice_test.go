package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"cifartui/train/control"
	"cifartui/train/event"
)

// Errors and notes quote what files and servers say, which may be made to steer the
// terminal.
func TestTextThatSteersATerminalIsReplaced(t *testing.T) {
	var out bytes.Buffer
	sayError(&out, errors.New("tensor \x1b[2J\u009b1m\r:\n\tone too many"), exitFailed)
	notes(&out)("its name is %s, größer", "\x07x")
	want := "cifartui: tensor \ufffd[2J\ufffd1m\ufffd:\n\tone too many\ncifartui: its name is \ufffdx, größer\n"
	if out.String() != want {
		t.Errorf("said %q, want %q", &out, want)
	}
}

// What is paused in the background does not train there: it is told how to go on.
func TestARunLeftPausedIsSaidToBe(t *testing.T) {
	child := control.Child{Folder: "runs/x", PID: 7}
	for paused, want := range map[bool]string{
		false: "x trains in the background (process 7): \"cifartui attach x\" shows it, \"cifartui ctl x stop\" stops it.\n",
		true:  "x is paused in the background (process 7): \"cifartui ctl x resume\" goes on with it, \"cifartui attach x\" shows it, \"cifartui ctl x stop\" stops it.\n",
	} {
		var out, object bytes.Buffer
		voice{w: &out}.detached(child, paused)
		if out.String() != want {
			t.Errorf("said %q, want %q", &out, want)
		}
		voice{&object, true}.detached(child, paused)
		if strings.Contains(object.String(), `"paused":true`) != paused {
			t.Errorf("paused %v: %s", paused, &object)
		}
	}
}

// Runs are left paused when each of them is.
func TestRunsAreLeftPausedIfAllAre(t *testing.T) {
	pause := func(run string) event.Command { return event.Pause{To: event.To{Run: run}} }
	for _, c := range []struct {
		asked []event.Command
		want  bool
	}{
		{nil, false},
		{[]event.Command{pause("a")}, false},
		{[]event.Command{pause("a"), event.Stop{To: event.To{Run: "b"}}}, false},
		{[]event.Command{pause("a"), event.Stop{To: event.To{Run: "a"}}, pause("b")}, true},
	} {
		if got := allPaused(c.asked, []string{"a", "b"}); got != c.want {
			t.Errorf("%+v: %v", c.asked, got)
		}
	}
}
