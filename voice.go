package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"cifartui/cifar"
	"cifartui/cifar/plain"
	"cifartui/train/control"
	"cifartui/train/rundir"
)

// A voice tells what is no line of the log: sentences for a person or, with
// --log-format json, an object a line with "event" and what belongs to it, as the
// log's own lines are.
type voice struct {
	w    io.Writer
	json bool
}

// voice is how these settings want things told.
func (s *settings) voice(w io.Writer) voice { return voice{w, s.LogFormat == "json"} }

// note tells a person something in words.
func (v voice) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if v.json {
		v.object(struct {
			Event   string `json:"event"`
			Message string `json:"message"`
		}{"note", text})
		return
	}
	fmt.Fprintf(v.w, "cifartui: %s\n", plain.Lines(text))
}

// notes tells a person something beside the answer, a line each.
func notes(w io.Writer) func(format string, args ...any) {
	return voice{w: w}.note
}

// detached tells how to reach a run that has gone into the background, and to go on
// with one that is paused there.
func (v voice) detached(child control.Child, paused bool) {
	name := filepath.Base(child.Folder)
	if v.json {
		v.object(struct {
			Event  string `json:"event"`
			Run    string `json:"run"`
			Folder string `json:"folder"`
			PID    int    `json:"pid"`
			Paused bool   `json:"paused,omitempty"`
		}{"detached", name, child.Folder, child.PID, paused})
		return
	}
	typed := rundir.Argument(child.Folder)
	does := fmt.Sprintf("trains in the background (process %d):", child.PID)
	if paused {
		does = fmt.Sprintf("is paused in the background (process %d): \"cifartui ctl %s resume\" goes on with it,", child.PID, typed)
	}
	fmt.Fprintf(v.w, "%s %s \"cifartui attach %[3]s\" shows it, \"cifartui ctl %[3]s stop\" stops it.\n", name, does, typed)
}

// progress shows how far the data is.
func (v voice) progress() *cifar.ProgressLine {
	if !v.json {
		return newProgressLine(v.w)
	}
	return cifar.NewProgressLine(v.w, 0).Format(func(p cifar.Progress) string {
		b, err := json.Marshal(struct {
			Event string      `json:"event"`
			Stage cifar.Stage `json:"stage"`
			Done  int64       `json:"done"`
			Total int64       `json:"total,omitempty"`
			Note  string      `json:"note,omitempty"`
		}{"progress", p.Stage, p.Done, p.Total, p.Note})
		if err != nil {
			return "{}" // there is nothing in it that JSON has not
		}
		return string(b)
	})
}

// failed tells an error that ends the process, with the exit code.
func (v voice) failed(err error, code int) {
	v.object(struct {
		Event   string `json:"event"`
		Message string `json:"message"`
		Exit    int    `json:"exit"`
	}{"error", err.Error(), code})
}

func (v voice) object(o any) {
	if b, err := json.Marshal(o); err == nil { // our own types always have a form
		// There is nowhere else to tell that it cannot be written.
		_, _ = v.w.Write(append(b, '\n'))
	}
}

// objectError is an error to be told as an object.
type objectError struct{ err error }

func (e *objectError) Error() string { return e.err.Error() }
func (e *objectError) Unwrap() error { return e.err }

// inFormat is an error that is told as these settings want it.
func (s *settings) inFormat(err error) error {
	if err == nil || s.LogFormat != "json" {
		return err
	}
	return &objectError{err}
}

// sayError tells the error that ends the process, unless it is only an exit code.
func sayError(w io.Writer, err error, code int) {
	var exit *exitError
	var object *objectError
	switch {
	case errors.As(err, &exit) && exit.err == nil:
	case errors.As(err, &object):
		voice{w, true}.failed(err, code)
	default:
		fmt.Fprintf(w, "cifartui: %s\n", plain.Lines(err.Error()))
		if code == exitUsage {
			fmt.Fprintln(w, `"cifartui --help" lists the commands and flags.`)
		}
	}
}
