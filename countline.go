package main

import (
	"fmt"
	"io"
	"time"

	"cifartui/cifar/plain"
)

// countLine shows how far work has come that counts: one line written anew on a
// terminal, a line now and then elsewhere. Work that is done at once shows none.
type countLine struct {
	w     io.Writer
	of    string // what is counted
	width int    // columns of the terminal; 0: it is none
	began time.Time
	last  time.Time
	open  bool // a line without its end stands on the terminal
}

func newCountLine(w io.Writer, of string) *countLine {
	return &countLine{w: w, of: of, width: terminalWidth(w), began: time.Now()}
}

// show tells how far it has come.
func (c *countLine) show(what string, done, total int) {
	pause, now := 10*time.Second, time.Now()
	if c.width > 0 {
		pause = 200 * time.Millisecond
	}
	if now.Sub(c.began) < pause || now.Sub(c.last) < pause {
		return
	}
	c.last = now
	line := plain.Line(fmt.Sprintf("%d%%  %s  %d of %d %s", done*100/max(1, total), what, done, total, c.of))
	if c.width > 0 {
		fmt.Fprintf(c.w, "\r\x1b[K%s", plain.Cut(line, c.width-1)) // what is wider cannot be written anew
		c.open = true
		return
	}
	fmt.Fprintln(c.w, line)
}

// end takes the line away.
func (c *countLine) end() {
	if c.open {
		fmt.Fprint(c.w, "\r\x1b[K")
		c.open = false
	}
}
