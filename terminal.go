package main

import (
	"bytes"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"cifartui/tui"
)

// isTerminal reports whether v is a file that is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth is the number of columns of a terminal; 0 for what is none.
func terminalWidth(v any) int {
	if !isTerminal(v) {
		return 0
	}
	width, _, err := term.GetSize(int(v.(*os.File).Fd()))
	if err != nil || width < 1 {
		return 80
	}
	return width
}

// whyNoScreen says why there is no screen here, "" where there can be one.
func whyNoScreen(in, out any) string {
	if !isTerminal(in) || !isTerminal(out) {
		return "no terminal here"
	}
	return tui.WhyNot(os.Getenv)
}

// holdWriter is an output of the process: what is written while a screen is up is
// held until the screen is gone.
type holdWriter struct {
	w io.Writer

	mu   sync.Mutex
	held *bytes.Buffer // nil: nothing is held
}

// maxHeld bounds what is held.
const maxHeld = 64 << 10

// Write implements [io.Writer].
func (h *holdWriter) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		return h.w.Write(b)
	}
	if h.held.Len()+len(b) <= maxHeld {
		h.held.Write(b)
	}
	return len(b), nil
}

func (h *holdWriter) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = new(bytes.Buffer)
}

// release writes what was held, and goes on writing at once.
func (h *holdWriter) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held != nil {
		// Standard error has nowhere to report its own failure.
		_, _ = h.w.Write(h.held.Bytes())
		h.held = nil
	}
}

// ring rings the bell of a terminal at once, also under a screen, which that does
// not disturb.
func (h *holdWriter) ring() {
	h.mu.Lock()
	w := h.w
	h.mu.Unlock() // a terminal that is stopped takes its time
	if isTerminal(w) {
		_, _ = io.WriteString(w, "\a") // one that is gone rings no more
	}
}

// silence drops everything from now on: the terminal is gone.
func (h *holdWriter) silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.w, h.held = io.Discard, nil
}
