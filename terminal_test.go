package main

import (
	"bytes"
	"io"
	"testing"
)

// A holdWriter holds lines while a screen is up and loses none.
func TestLinesWaitForTheScreen(t *testing.T) {
	var b bytes.Buffer
	w := &holdWriter{w: &b}
	io.WriteString(w, "one\n")
	w.hold()
	io.WriteString(w, "two\n")
	if b.String() != "one\n" {
		t.Errorf("written while held: %q", b.String())
	}
	w.release()
	io.WriteString(w, "three\n")
	if b.String() != "one\ntwo\nthree\n" {
		t.Errorf("after release: %q", b.String())
	}
}
