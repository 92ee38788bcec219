// Package terminal stands between Bubble Tea and the terminal.
//
// A [Writer] never waits for a terminal that does not read. A [Reader] puts keys
// together from the bytes that come, in whatever pieces (decode.go), and takes out
// the terminal's answers. Both give the terminal back while the process is stopped
// (suspend_unix.go). What the environment tells of colours is in colours.go.
package terminal

import (
	"errors"
	"runtime"
)

// ErrGone is the error of a terminal that is gone.
var ErrGone = errors.New("the terminal is gone")

// WhyNot says why a terminal can't show a screen, by its environment; "" means
// that it can.
func WhyNot(env func(string) string) string {
	switch t := env("TERM"); {
	case runtime.GOOS == "windows":
		return ""
	case t == "":
		return "TERM is not set, so that nothing is known of this terminal"
	case t == "dumb":
		return "TERM is dumb: this terminal can't place text"
	}
	return ""
}
