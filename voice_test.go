package main

import (
	"bytes"
	"errors"
	"testing"
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
