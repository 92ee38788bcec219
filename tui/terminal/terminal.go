// Package terminal stands between Bubble Tea and the terminal: a [Writer] that
// never waits for it, a [Reader] that takes its answers out of the keys, and
// what the environment tells of its colours.
package terminal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/muesli/termenv"
)

// ErrGone is the error of a terminal that is gone.
var ErrGone = errors.New("the terminal is gone")

// A Writer stands between Bubble Tea and the terminal. Bubble Tea writes
// while it holds the lock that every update needs, so a terminal that stops
// reading (Ctrl+S, a dead link) would stop the whole program. Here a goroutine
// does the writing; while it is stuck, frames are thrown away, and once the
// terminal reads again the whole screen is painted anew.
type Writer struct {
	out     io.Writer
	Repaint func() // asks for the whole screen; may block
	Lost    func() // called once when the terminal is gone

	mu      sync.Mutex
	more    *sync.Cond
	queue   []byte // not yet written; a frame or two
	dropped bool   // something was thrown away since the last repaint
	closed  bool
	failure error
	done    chan struct{} // closed when the goroutine has ended
}

const (
	// queueMost is how many bytes may wait to be written before frames are
	// thrown away. A frame always gets into an empty queue.
	queueMost = 64 << 10
	// shortCode is the longest of the codes that are never thrown away.
	shortCode = 16
	// farewell is how long the last bytes, which restore the terminal, may take.
	farewell = 300 * time.Millisecond
)

// NewWriter starts a writer to out. End stops it.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, done: make(chan struct{})}
	w.more = sync.NewCond(&w.mu)
	go w.drain()
	return w
}

// Write never blocks and never fails: Bubble Tea could do nothing about it.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Short codes, such as those that restore the terminal, always get through.
	full := len(w.queue) > 0 && len(w.queue)+len(p) > queueMost && len(p) > shortCode
	if w.failure != nil || full {
		w.dropped = true
		return len(p), nil
	}
	w.queue = append(w.queue, p...)
	w.more.Signal()
	return len(p), nil
}

func (w *Writer) drain() {
	defer close(w.done)
	var buf []byte
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.closed {
			w.more.Wait()
		}
		if len(w.queue) == 0 {
			w.mu.Unlock()
			return
		}
		buf, w.queue = w.queue, buf[:0]
		w.mu.Unlock()

		if _, err := w.out.Write(buf); err != nil {
			w.Fail(errors.Join(ErrGone, err))
			return
		}

		w.mu.Lock()
		again := w.dropped && !w.closed
		w.dropped = false
		w.mu.Unlock()
		if again && w.Repaint != nil {
			go w.Repaint()
		}
	}
}

// Fail notes that the terminal is gone, and why.
func (w *Writer) Fail(err error) {
	w.mu.Lock()
	first := w.failure == nil
	if first {
		w.failure = err
	}
	w.mu.Unlock()
	if first && w.Lost != nil {
		w.Lost()
	}
}

// Err returns why the terminal is gone, nil while it is there.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// End waits a moment for the last bytes to be written. A terminal that still
// does not read keeps the goroutine; it ends with the process or the terminal.
func (w *Writer) End() {
	w.mu.Lock()
	w.closed = true
	w.more.Signal()
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(farewell):
	}
}

// Fd, Read and Close let Bubble Tea see the terminal behind the writer.
func (w *Writer) Fd() uintptr {
	if f, ok := w.out.(term.File); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

func (w *Writer) Read([]byte) (int, error) { return 0, io.EOF }
func (w *Writer) Close() error             { return nil }

// AskBackground asks the terminal for its background colour (OSC 11).
const AskBackground = "\x1b]11;?\x1b\\"

// A Reader reads the terminal's keys and takes out its answers to
// askBackground, which else would be read as keys, however late they come. So
// nothing has to wait for an answer, and none is ever too late.
type Reader struct {
	*os.File
	Background func(dark bool) // called with each answer; may block
	Lost       func()          // called when the terminal is gone
}

// NewReader reads keys from in, or from standard input when in is nil. It
// returns nil where there is no terminal to read from.
func NewReader(in io.Reader) *Reader {
	if in == nil {
		in = os.Stdin
	}
	f, ok := in.(*os.File)
	if !ok || runtime.GOOS == "windows" || !term.IsTerminal(f.Fd()) {
		return nil
	}
	return &Reader{File: f}
}

var backgroundAnswer = regexp.MustCompile(`\x1b\]11;([^\x07\x1b]*)(\x07|\x1b\\)`)

// Read reads keys without the answers. It may return 0 bytes and no error.
func (k *Reader) Read(p []byte) (int, error) {
	n, err := k.File.Read(p)
	if err != nil || n == 0 {
		// Bubble Tea takes an end of input for nothing special and would leave
		// the screen standing on a terminal that is gone.
		if k.Lost != nil {
			k.Lost()
		}
		return n, err
	}
	if bytes.Contains(p[:n], []byte("\x1b]11;")) {
		n = copy(p, backgroundAnswer.ReplaceAllFunc(p[:n], func(b []byte) []byte {
			if dark, ok := darkColour(string(backgroundAnswer.FindSubmatch(b)[1])); ok && k.Background != nil {
				go k.Background(dark)
			}
			return nil
		}))
	}
	return n, nil
}

// darkColour reads a colour as terminals write it, rgb:RRRR/GGGG/BBBB with one
// to four digits each, and reports whether it is a dark one.
func darkColour(s string) (dark, ok bool) {
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(s, "rgba:"), "rgb:"), "/")
	if len(parts) < 3 || !strings.HasPrefix(s, "rgb") {
		return false, false
	}
	luma := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(parts[i], 16, 16)
		if err != nil || parts[i] == "" {
			return false, false
		}
		luma += weight * float64(v) / float64(uint64(1)<<(4*len(parts[i]))-1)
	}
	return luma < 0.5, true
}

// DarkByEnv reads COLORFGBG ("15;0", "0;default;15"), which some terminals set.
func DarkByEnv(env func(string) string) (dark, ok bool) {
	parts := strings.Split(env("COLORFGBG"), ";")
	bg, err := strconv.Atoi(parts[len(parts)-1])
	if len(parts) < 2 || err != nil {
		return false, false
	}
	return bg < 7 || bg == 8, true
}

// Colours returns which colours a terminal has, by its environment.
func Colours(env func(string) string, windows bool) termenv.Profile {
	term, colour := env("TERM"), env("COLORTERM")
	switch {
	case env("NO_COLOR") != "" || term == "dumb":
		return termenv.Ascii
	case colour == "truecolor" || colour == "24bit" || windows || env("WT_SESSION") != "":
		return termenv.TrueColor
	case has(term, "direct", "truecolor", "kitty", "ghostty", "alacritty", "foot", "wezterm"):
		return termenv.TrueColor // these tell of 24-bit colours by their name
	case has(term, "256color", "tmux", "screen"):
		return termenv.ANSI256
	}
	return termenv.ANSI
}

// has reports whether s holds one of parts.
func has(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
