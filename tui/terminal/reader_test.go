//go:build unix

package terminal

import (
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/creack/pty"
)

// open opens a terminal and a reader of it.
func open(t *testing.T, prepare func(*Reader)) (master *os.File, r *Reader) {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo terminal: ", err)
	}
	t.Cleanup(func() { master.Close(); tty.Close() })
	if r = NewReader(tty); r == nil {
		t.Fatal("a terminal was taken for none")
	}
	if prepare != nil {
		prepare(r)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	return master, r
}

// keys reads n keys.
func keys(t *testing.T, r *Reader, n int) (got []string) {
	t.Helper()
	within(t, "reading keys", func() {
		buf := make([]byte, 256)
		for range n {
			m, err := r.Read(buf)
			if err != nil {
				t.Error(err)
			}
			got = append(got, string(buf[:m]))
		}
	})
	return got
}

// The terminal's answers must never become keys, in whatever pieces, however late
// and among whatever else they come.
func TestAnswersOfTheTerminalAreNoKeys(t *testing.T) {
	answers := make(chan bool, 4)
	master, r := open(t, func(r *Reader) { r.Background = func(dark bool) { answers <- dark } })
	defer r.End()
	for _, c := range []struct {
		sent string
		keys []string
		dark bool
	}{
		{"\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\x", []string{"x"}, true},
		{"q\x1b]11;rgb:ffff/ffff/eeee\x07x", []string{"q", "x"}, false},
		{"\x1b[A\x1b]11;rgb:00/00/00\x1b\\\x1b[B", []string{"\x1b[A", "\x1b[B"}, true},
	} {
		for _, slow := range []bool{false, true} {
			if slow {
				// An escape never comes alone: on a busy machine the rest may come
				// when the wait that tells it from the key is over.
				go func() {
					for rest := c.sent; rest != ""; {
						n := 1 + len(rest) - len(strings.TrimPrefix(rest, "\x1b"))
						_, _ = io.WriteString(master, rest[:n])
						rest = rest[n:]
						time.Sleep(5 * time.Millisecond)
					}
				}()
			} else {
				_, _ = io.WriteString(master, c.sent)
			}
			if got := keys(t, r, len(c.keys)); !reflect.DeepEqual(got, c.keys) {
				t.Errorf("%q, slow %v: read keys %q, want %q", c.sent, slow, got, c.keys)
			}
			within(t, "the answer", func() {
				if dark := <-answers; dark != c.dark {
					t.Errorf("%q: dark is %v", c.sent, dark)
				}
			})
		}
	}
}

func TestEscapeAloneIsAKey(t *testing.T) {
	master, r := open(t, nil)
	defer r.End()
	_, _ = io.WriteString(master, "\x1b")
	if got := keys(t, r, 1); got[0] != "\x1b" {
		t.Errorf("read %q", got)
	}
}

func TestReaderRestoresTheModesAndEndsItsRead(t *testing.T) {
	var before *term.State
	_, r := open(t, func(r *Reader) { before, _ = term.GetState(r.file.Fd()) })
	ended := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 8))
		ended <- err
	}()
	within(t, "the end", func() {
		r.End()
		if err := <-ended; err != io.EOF {
			t.Errorf("a read under way ended with %v", err)
		}
	})
	if after, err := term.GetState(r.file.Fd()); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("modes %+v, were %+v (%v)", after, before, err)
	}
}

// An answer that is outstanding when the program ends does not land in what reads
// the terminal next.
func TestALateAnswerIsTakenAtTheEnd(t *testing.T) {
	master, r := open(t, func(r *Reader) { r.patience = time.Hour })
	r.Asked()
	go func() {
		_, _ = r.Read(make([]byte, 1)) // until the end has begun
		_, _ = io.WriteString(master, "\x1b]11;rgb:0/0/0\x1b\\\x1b[?62c")
	}()
	within(t, "the end", r.End)
	if !r.asked.IsZero() {
		t.Error("the answer was not waited for")
	}
	_, _ = io.WriteString(master, "next\r")
	line := make([]byte, 64)
	within(t, "the next line", func() {
		n, err := r.file.Read(line)
		if got := string(line[:n]); err != nil || got != "next\n" {
			t.Errorf("the next to read gets %q, %v", got, err)
		}
	})
}

func TestALostTerminalIsTold(t *testing.T) {
	lost := make(chan struct{})
	master, r := open(t, func(r *Reader) { r.Lost = func() { close(lost) } })
	master.Close()
	within(t, "being told", func() { <-lost })
	within(t, "the end", r.End)
}
