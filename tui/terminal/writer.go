package terminal

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"
)

// A Writer stands between Bubble Tea and the terminal. Bubble Tea writes
// while it holds the lock that every update needs, so a terminal that stops
// reading (Ctrl+S, a dead link) would stop the whole program. Here a goroutine
// does the writing; while it is stuck, frames are thrown away, and once the
// terminal reads again the whole screen is painted anew.
type Writer struct {
	Repaint func() // asks for the whole screen; may block
	Lost    func() // called once when the terminal is gone

	out     io.Writer
	mu      sync.Mutex
	more    *sync.Cond
	queue   []byte // not yet written; a frame or two
	writing bool   // some of it is on its way
	dropped bool   // something was thrown away since the last repaint
	held    bool   // the terminal is not ours: everything is thrown away
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
	if w.failure != nil || full || w.held {
		w.dropped = true
		return len(p), nil
	}
	w.queue = append(w.queue, p...)
	w.more.Broadcast()
	return len(p), nil
}

// hold writes the codes that give the terminal back, waits a moment until they
// are there, and throws away what comes after them.
func (w *Writer) hold(codes string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held {
		return
	}
	w.queue, w.held = append(w.queue, codes...), true
	w.more.Broadcast()
	late := false
	timer := time.AfterFunc(farewell, func() {
		w.mu.Lock()
		late = true
		w.mu.Unlock()
		w.more.Broadcast()
	})
	defer timer.Stop()
	for (len(w.queue) > 0 || w.writing) && !late && w.failure == nil {
		w.more.Wait()
	}
}

// release writes the codes that take the terminal, and paints the screen anew.
func (w *Writer) release(codes string) {
	w.mu.Lock()
	w.queue, w.held, w.dropped = append(w.queue, codes...), false, true
	w.more.Broadcast()
	w.mu.Unlock()
}

// drain writes what is in the queue, until End.
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
		buf, w.queue, w.writing = w.queue, buf[:0], true
		w.mu.Unlock()

		if _, err := w.out.Write(buf); err != nil {
			w.Fail(errors.Join(ErrGone, err))
			return
		}

		w.mu.Lock()
		again := w.dropped && !w.closed && !w.held
		w.dropped, w.writing = w.dropped && w.held, false
		w.more.Broadcast()
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
	w.more.Broadcast()
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
	w.more.Broadcast()
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(farewell):
	}
}

// Fd lets Bubble Tea see the terminal behind the writer, for its size.
func (w *Writer) Fd() uintptr {
	if f, ok := w.out.(term.File); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

// Read is never called; Bubble Tea wants a file.
func (w *Writer) Read([]byte) (int, error) { return 0, io.EOF }

// Close does nothing: the terminal is not the writer's to close. See End.
func (w *Writer) Close() error { return nil }
