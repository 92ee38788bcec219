package terminal

import (
	"bytes"
	"time"
	"unicode/utf8"
)

// A decoder puts together what a terminal sends: keys, pasted text and answers to
// questions, in whatever pieces the bytes come. A piece of a sequence is never
// taken for letters, so that no answer is obeyed as keys.
//
// The forms are those of ECMA-48 and of xterm's "Control Sequences":
//
//	ESC [ ... final                   CSI: keys, answers, mouse
//	ESC O final                       SS3: keys
//	ESC ] ... BEL or ST               OSC: answers
//	ESC P, ESC X, ESC ^, ESC _ ... ST  other strings
type decoder struct {
	buf     []byte // what is not put together yet
	patient bool   // an answer is awaited: an escape is rather its beginning than a key
}

// A token is one thing that the terminal sent.
type token struct {
	kind kind
	text []byte
}

type kind int

const (
	dropped    kind = iota
	key             // a key or a paste, in the terminal's own bytes
	osc             // an answer: what stands between ESC ] and its end
	attributes      // the answer to the question what the terminal is, which all of them answer
)

// How long more of what has begun is waited for.
const (
	escapeWait  = 100 * time.Millisecond // a key, else the beginning of a sequence
	patientWait = 500 * time.Millisecond // the same, while an answer is awaited
	restWait    = 2 * time.Second        // the rest of a sequence
)

// mostKept bounds what is kept of one sequence.
const mostKept = 64 << 10

const (
	esc        = 0x1b
	ctrlC      = 0x03
	pasteStart = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// feed takes the next bytes and returns what is complete.
func (d *decoder) feed(p []byte) (ts []token) {
	d.buf = append(d.buf, p...)
	for len(d.buf) > 0 {
		n, k := d.first(d.buf)
		if n == 0 {
			d.bound()
			return ts
		}
		if k != dropped {
			ts = append(ts, token{k, content(k, d.buf[:n])})
		}
		d.buf = d.buf[n:]
	}
	d.buf = nil
	return ts
}

// content is the part of a sequence that is worth something.
func content(k kind, seq []byte) []byte {
	if k == osc {
		seq = bytes.TrimSuffix(bytes.TrimSuffix(seq[2:], []byte("\x1b\\")), []byte("\a"))
	}
	return bytes.Clone(seq)
}

// wait returns how long to wait for more before expire is called, 0 when nothing
// has begun.
func (d *decoder) wait() time.Duration {
	switch {
	case len(d.buf) == 0:
		return 0
	case len(bytes.Trim(d.buf, "\x1b")) > 0:
		return restWait
	case d.patient:
		return patientWait
	}
	return escapeWait
}

// expire ends the wait for the rest of what has begun: escapes alone are keys,
// all else is dropped.
func (d *decoder) expire() (ts []token) {
	if len(bytes.Trim(d.buf, "\x1b")) == 0 {
		for range d.buf {
			ts = append(ts, token{key, []byte{esc}})
		}
	}
	d.buf = nil
	return ts
}

// bound keeps a sequence that does not end from growing: its beginning tells what
// it is, and its last bytes may be part of its end.
func (d *decoder) bound() {
	if len(d.buf) > mostKept {
		tail := d.buf[len(d.buf)-len(pasteEnd):]
		d.buf = append(d.buf[:mostKept/2:mostKept/2], tail...)
	}
}

// first returns the length and the kind of the first thing in b; 0: it is not
// complete.
func (d *decoder) first(b []byte) (int, kind) {
	if b[0] != esc {
		return firstRune(b, 0)
	}
	if len(b) == 1 {
		return 0, dropped
	}
	switch b[1] {
	case esc:
		return d.twoEscapes(b)
	case ctrlC: // counts whatever came before
		return 1, key
	case '[':
		return firstCSI(b)
	case 'O':
		return firstSS3(b)
	case ']', 'P', 'X', '^', '_':
		return firstString(b)
	}
	return firstRune(b, 1) // with Alt
}

// twoEscapes tells a key with Alt from two presses of Escape.
func (d *decoder) twoEscapes(b []byte) (int, kind) {
	if len(b) == 2 {
		return 0, dropped
	}
	if b[2] != '[' && b[2] != 'O' {
		return 1, key
	}
	n, k := d.first(b[1:])
	if n == 0 {
		return 0, dropped
	}
	return n + 1, k
}

// firstRune takes one character after skip bytes.
func firstRune(b []byte, skip int) (int, kind) {
	if !utf8.FullRune(b[skip:]) {
		return 0, dropped
	}
	r, n := utf8.DecodeRune(b[skip:])
	if r == utf8.RuneError && n <= 1 || r >= 0x80 && r < 0xa0 {
		return skip + n, dropped
	}
	return skip + n, key
}

// firstCSI takes a sequence that begins with ESC [.
func firstCSI(b []byte) (int, kind) {
	switch {
	case len(b) == 2:
		return 0, dropped
	case bytes.HasPrefix(b, []byte(pasteStart)):
		if i := bytes.Index(b, []byte(pasteEnd)); i >= 0 {
			return i + len(pasteEnd), key
		}
		return 0, dropped
	case b[2] == 'M': // the mouse, as X10 tells of it: three bytes more
		return ifLong(b, 6, dropped)
	case b[2] == '[': // function keys of Linux' console
		return ifLong(b, 4, key)
	}
	for i := 2; i < len(b); i++ {
		switch c := b[i]; {
		case c >= 0x40 && c <= 0x7e:
			return i + 1, csiKind(b[:i+1])
		case c < 0x20 || c > 0x3f:
			return i, dropped // broken off
		}
	}
	return 0, dropped
}

// csiKind tells keys from answers.
func csiKind(seq []byte) kind {
	switch final := seq[len(seq)-1]; {
	case seq[2] == '?' && final == 'c':
		return attributes
	case seq[2] >= '<' && seq[2] <= '?': // private: answers and the mouse
		return dropped
	case final == 'I' || final == 'O', final == 'c', final == 'n', final == 't', final == 'y':
		return dropped // focus, reports
	}
	return key
}

// ifLong takes n bytes, where they are there.
func ifLong(b []byte, n int, k kind) (int, kind) {
	if len(b) < n {
		return 0, dropped
	}
	return n, k
}

// firstSS3 takes ESC O and a letter. Only those that are keys pass; of the others
// the letter would be left.
func firstSS3(b []byte) (int, kind) {
	if len(b) < 3 {
		return 0, dropped
	}
	if bytes.IndexByte([]byte("ABCDFHPQRS"), b[2]) >= 0 {
		return 3, key
	}
	if b[2] < 0x20 || b[2] > 0x7e {
		return 2, dropped
	}
	return 3, dropped
}

// firstString takes a string that ends with ST, one of ESC ] also with BEL.
func firstString(b []byte) (int, kind) {
	k := dropped
	if b[1] == ']' {
		if len(b) > 2 && (b[2] < '0' || b[2] > '9') {
			return 2, dropped // the key with Alt
		}
		k = osc
	}
	for i := 2; i < len(b); i++ {
		switch b[i] {
		case '\a':
			if k == osc {
				return i + 1, k
			}
		case 0x18, 0x1a: // called off
			return i + 1, dropped
		case esc:
			switch {
			case i+1 == len(b):
				return 0, dropped
			case b[i+1] == '\\':
				return i + 2, k
			}
			return i, dropped
		}
	}
	return 0, dropped
}
