package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/muesli/cancelreader"
)

// Questions asks the terminal for its background colour (OSC 11) and then what it
// is, which every terminal answers: after that no answer is outstanding.
const Questions = "\x1b]11;?\x1b\\" + "\x1b[c"

// answerWait is how long after the questions an answer is still waited for, so
// that it does not come when the program has gone.
const answerWait = 2 * time.Second

// A Reader reads the keys of a terminal, one with each call of Read. It has the
// terminal in raw mode from Start to End. Bubble Tea takes it for a reader that is
// no terminal, and leaves the modes alone.
type Reader struct {
	// Background is called with each answer that tells the background's colour.
	// It may block.
	Background func(dark bool)
	// Lost is called once when the terminal is gone.
	Lost func()

	file     *os.File
	modes    *term.State   // before the program
	patience time.Duration // with an answer: answerWait

	mu       sync.Mutex
	more     *sync.Cond
	keys     [][]byte
	ended    bool
	asked    time.Time     // when the questions were asked; zero: no answer is outstanding
	answered chan struct{} // closed when none is any more

	taken   bool // the terminal is in raw mode and read; of whoever begins and halts
	reading cancelreader.CancelReader
	pump    chan struct{} // closed when the goroutine that reads has ended
}

// NewReader returns a reader of the keys of in, or of standard input when in is
// nil. It is nil where there is no terminal to read from.
func NewReader(in io.Reader) *Reader {
	if in == nil {
		in = os.Stdin
	}
	f, ok := in.(*os.File)
	if !ok || runtime.GOOS == "windows" || !term.IsTerminal(f.Fd()) {
		return nil
	}
	r := &Reader{file: f, patience: answerWait}
	r.more = sync.NewCond(&r.mu)
	return r
}

// Start takes the terminal. Background and Lost are set before.
func (r *Reader) Start() (err error) {
	if r.modes, err = term.GetState(r.file.Fd()); err != nil {
		return fmt.Errorf("terminal: its modes: %w", err)
	}
	return r.begin()
}

// begin takes the terminal: raw mode, and a goroutine that reads.
func (r *Reader) begin() error {
	if _, err := term.MakeRaw(r.file.Fd()); err != nil {
		return fmt.Errorf("terminal: raw mode: %w", err)
	}
	in, err := cancelreader.NewReader(r.file)
	if err != nil {
		return errors.Join(fmt.Errorf("terminal: %w", err), r.restore())
	}
	r.taken, r.reading, r.pump = true, in, make(chan struct{})
	go r.run(in, r.pump)
	return nil
}

// halt gives the terminal back, with the modes that it had.
func (r *Reader) halt() {
	if !r.taken {
		return
	}
	r.taken = false
	if r.reading.Cancel() {
		<-r.pump
	}
	_ = r.reading.Close() // nothing is left to lose
	_ = r.restore()       // a terminal that is gone has no modes
}

func (r *Reader) restore() error {
	if inBackground(r.file) { // the terminal is another's there, and who touches its modes is stopped
		return nil
	}
	if err := term.Restore(r.file.Fd(), r.modes); err != nil {
		return fmt.Errorf("terminal: restore its modes: %w", err)
	}
	return nil
}

// Asked tells that the questions are being asked.
func (r *Reader) Asked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked, r.answered = time.Now(), make(chan struct{})
}

// End waits a moment for an answer that is outstanding, which else would land in
// what reads the terminal next, and gives the terminal back.
func (r *Reader) End() {
	r.mu.Lock()
	left := r.patience - time.Since(r.asked)
	outstanding, answered := !r.asked.IsZero(), r.answered
	r.ended = true
	r.more.Broadcast()
	r.mu.Unlock()
	if outstanding && left > 0 {
		select {
		case <-answered:
		case <-time.After(left):
		}
	}
	r.halt()
}

// Read implements [io.Reader]: it brings one key, or a paste.
func (r *Reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.keys) == 0 && !r.ended {
		r.more.Wait()
	}
	if r.ended {
		return 0, io.EOF
	}
	n := copy(p, r.keys[0])
	if r.keys[0] = r.keys[0][n:]; len(r.keys[0]) == 0 {
		r.keys = r.keys[1:]
	}
	return n, nil
}

// run reads the terminal until it is cancelled or the terminal is gone.
func (r *Reader) run(in io.Reader, done chan struct{}) {
	defer close(done)
	pieces, ended := make(chan []byte), make(chan error, 1)
	go func() {
		for {
			buf := make([]byte, 4096)
			n, err := in.Read(buf)
			if n > 0 {
				pieces <- buf[:n]
			}
			if err == nil && n == 0 {
				err = io.EOF
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	var d decoder
	late := time.NewTimer(time.Hour)
	defer late.Stop()
	for {
		late.Stop()
		if wait := d.wait(); wait > 0 {
			late.Reset(wait)
		}
		select {
		case p := <-pieces:
			d.patient = r.awaits()
			r.take(d.feed(p))
		case <-late.C:
			r.take(d.expire())
		case err := <-ended:
			r.take(d.expire())
			if !errors.Is(err, cancelreader.ErrCanceled) && r.Lost != nil {
				// Bubble Tea takes an end of input for nothing special and would
				// leave the screen standing on a terminal that is gone.
				r.Lost()
			}
			return
		}
	}
}

// awaits reports whether an answer is outstanding.
func (r *Reader) awaits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.asked.IsZero() && time.Since(r.asked) < r.patience
}

// take passes keys on and answers to whom they are for.
func (r *Reader) take(ts []token) {
	for _, t := range ts {
		switch t.kind {
		case key:
			r.mu.Lock()
			r.keys = append(r.keys, t.text)
			r.more.Signal()
			r.mu.Unlock()
		case osc:
			if colour, ok := bytes.CutPrefix(t.text, []byte("11;")); ok && r.Background != nil {
				if dark, ok := darkColour(string(colour)); ok {
					go r.Background(dark)
				}
			}
		case attributes:
			r.mu.Lock()
			if !r.asked.IsZero() {
				r.asked = time.Time{}
				close(r.answered)
			}
			r.mu.Unlock()
		}
	}
}
