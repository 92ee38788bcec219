package cifar

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"cifartui/cifar/plain"
)

// What says what is done, in words: "fetching CIFAR-10".
func (p Progress) What() string {
	data := cmp.Or(p.Data, published.name)
	switch p.Stage {
	case StageWait:
		return "waiting for another process that is fetching " + data
	case StageDownload:
		return "fetching " + data
	case StageVerify:
		return "checking"
	case StageUnpack:
		return "unpacking"
	case StageRead:
		return "reading the images"
	case StagePictures:
		return "reading the pictures"
	case StageDraw:
		return "drawing the demo set"
	case StageRetry:
		return "trying again"
	}
	return string(p.Stage)
}

// Counts is what Done and Total count; "" for bytes.
func (p Progress) Counts() string {
	switch p.Stage {
	case StagePictures:
		return "pictures"
	case StageDraw:
		return "images"
	}
	return ""
}

// String is one line about a stage: what, how much, how far.
func (p Progress) String() string {
	parts := []string{p.What()}
	if p.Total > 0 {
		const mib = 1 << 20
		amount := fmt.Sprintf("%.1f of %.1f MiB", float64(p.Done)/mib, float64(p.Total)/mib)
		if of := p.Counts(); of != "" {
			amount = fmt.Sprintf("%d of %d %s", p.Done, p.Total, of)
		}
		parts = append(parts, amount, fmt.Sprintf("%d%%", p.Done*100/p.Total))
	}
	if p.Note != "" {
		parts = append(parts, p.Note)
	}
	return strings.Join(parts, "  ")
}

// A ProgressLine writes progress for a person: one line that is written anew on
// a terminal, a line each tenth of the way elsewhere. Each new try is a line that
// stays, on both.
type ProgressLine struct {
	w      io.Writer
	width  int // columns of the terminal; 0: it is none
	stage  Stage
	tenth  int64
	open   bool // a line without its end stands on the terminal
	format func(Progress) string
}

// NewProgressLine writes to w, a terminal of so many columns; 0: it is none.
func NewProgressLine(w io.Writer, width int) *ProgressLine {
	return &ProgressLine{w: w, width: width, tenth: -1, format: Progress.String}
}

// Format has each line made by a function of the caller's.
func (l *ProgressLine) Format(format func(Progress) string) *ProgressLine {
	l.format = format
	return l
}

// Show is a function for [Options] and [FetchOptions].
func (l *ProgressLine) Show(p Progress) {
	if p.Stage != l.stage {
		l.End()
		l.stage, l.tenth = p.Stage, -1
	}
	if l.width > 0 && p.Stage != StageRetry { // which says at its end what went wrong
		fmt.Fprintf(l.w, "\r\x1b[K%s", plain.Cut(l.format(p), l.width-1)) // what is wider cannot be written anew
		l.open = true
		return
	}
	tenth := int64(0)
	if p.Total > 0 {
		tenth = p.Done * 10 / p.Total
	}
	switch {
	case p.Stage == StageRetry: // each says what has gone wrong this time
	case !p.long():
		return // short stages are silent in a log
	case tenth == l.tenth:
		return
	}
	l.tenth = tenth
	fmt.Fprintln(l.w, l.format(p))
}

// long reports whether a stage may take so long that a log tells of it.
func (p Progress) long() bool {
	switch p.Stage {
	case StageDownload, StagePictures, StageWait:
		return true
	case StageDraw:
		return p.Total > demoTrain+demoTest
	}
	return false
}

// End takes the line off a terminal.
func (l *ProgressLine) End() {
	if l.open {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.open = false
	}
}
