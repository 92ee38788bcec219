package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// head is what a line of events.jsonl is sorted by.
type head struct {
	Event event.Kind `json:"event"`
	Seq   uint64     `json:"seq"`
}

// parseHead reads the head of a line. Lines of this program begin with event
// and seq and are read without a look at the rest; any other order is JSON too.
// ok is false where the line is no whole object or has no number: such a line
// (torn by a kill, damaged on disk) is passed over.
func parseHead(line []byte) (h head, ok bool) {
	if len(line) < 2 || line[len(line)-1] != '}' {
		return h, false
	}
	if rest, found := bytes.CutPrefix(line, []byte(`{"event":"`)); found {
		kind, rest, found := bytes.Cut(rest, []byte(`","seq":`))
		if found && !bytes.ContainsAny(kind, `"\`) {
			seq, digits := uint64(0), 0
			for digits < len(rest) && digits < 18 && '0' <= rest[digits] && rest[digits] <= '9' {
				seq = seq*10 + uint64(rest[digits]-'0')
				digits++
			}
			if digits > 0 && rest[digits] == ',' && seq > 0 {
				return head{Event: event.Kind(kind), Seq: seq}, true
			}
		}
	}
	if json.Unmarshal(line, &h) != nil || h.Seq == 0 {
		return head{}, false
	}
	return h, true
}

// readAhead is how much of a file is read at once.
const readAhead = 64 << 10

// tail reads the whole lines of a file that another process appends to. It is
// used by one goroutine.
type tail struct {
	path string
	file *os.File    // nil until the file exists
	info fs.FileInfo // of it, see rundir.Identity
	// offset is where the next line starts; buf holds what is read from there,
	// somewhere in memory.
	offset int64
	buf    []byte
	memory []byte
	// dry is set when the last line in buf was half a line.
	dry bool
	// run is the name of the log's run, which is its folder's; begun is set once a
	// reader has gone to where it reads on.
	run   string
	mark  []byte // as a line tells it
	begun bool
}

func newTail(path string) *tail {
	run := rundir.Name(filepath.Dir(path))
	name, _ := json.Marshal(run) // text always has a JSON form
	return &tail{path: path, run: run, mark: append([]byte(`"run":`), name...)}
}

// event decodes a line of the log, as [record.Reader] does.
func (t *tail) event(line []byte) (event.Event, error) {
	e, err := event.Decode(line)
	if err == nil {
		record.Place(e, t.run, filepath.Dir(t.path))
	}
	return e, err
}

// placed is a line of the log with the name of its run, whatever that was called
// when the line was written.
func (t *tail) placed(line []byte) []byte {
	const beginning = 200 // far over what stands before the name
	if bytes.Contains(line[:min(len(line), beginning)], t.mark) {
		return line
	}
	e, err := t.event(line)
	if err != nil {
		return line // of a later version
	}
	other, err := json.Marshal(e)
	if err != nil {
		return line
	}
	return other
}

// allTails returns the tails of a folder's event logs: those it is given, and
// new ones for logs that have come up since.
func allTails(folder string, have []*tail) []*tail {
	for _, path := range eventLogs(folder) {
		if !slices.ContainsFunc(have, func(t *tail) bool { return t.path == path }) {
			have = append(have, newTail(path))
		}
	}
	return have
}

// next returns the next line, its newline left out, valid until the next call.
// io.EOF says that there is no whole line now; a later call may find one.
func (t *tail) next() ([]byte, error) {
	if err := t.open(); err != nil {
		return nil, err
	}
	// Half a line is read again from its start: a process that was killed in the
	// middle of it may have been followed by one that cut it off.
	if t.dry {
		t.dry, t.buf = false, t.buf[:0]
	}
	searched := 0
	for {
		if i := bytes.IndexByte(t.buf[searched:], '\n'); i >= 0 {
			line := t.buf[:searched+i]
			t.buf = t.buf[searched+i+1:]
			t.offset += int64(len(line)) + 1
			return line, nil
		}
		searched = len(t.buf)
		if searched > MaxMessage {
			return nil, fmt.Errorf("%s: a line of more than %d bytes at byte %d", t.path, MaxMessage, t.offset)
		}
		if cap(t.buf)-len(t.buf) < readAhead/2 {
			if len(t.memory) < len(t.buf)+readAhead {
				memory := make([]byte, 2*(len(t.buf)+readAhead))
				copy(memory, t.buf)
				t.memory = memory
			} else {
				copy(t.memory, t.buf)
			}
			t.buf = t.memory[:len(t.buf)]
		}
		n, err := t.file.ReadAt(t.buf[len(t.buf):cap(t.buf)], t.offset+int64(len(t.buf)))
		t.buf = t.buf[:len(t.buf)+n]
		if n == 0 {
			t.dry = true
			if err == nil {
				err = io.EOF
			}
			return nil, err
		}
	}
}

// seek moves to the first line numbered above seq, or to one before it. Numbers
// grow over the file, so that few lines are read to find it.
func (t *tail) seek(seq uint64) error {
	t.offset, t.buf, t.dry = 0, t.buf[:0], false
	if seq == 0 {
		return nil
	}
	if err := t.open(); err == io.EOF {
		return nil
	} else if err != nil {
		return err
	}
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	// Every line that starts before low is numbered seq or lower; some line that
	// starts at high or before it is numbered above seq, or high is the end.
	low, high := int64(0), info.Size()
	for high-low > readAhead {
		middle := low + (high-low)/2
		start, line, err := t.lineAfter(middle, high)
		if err != nil {
			return err
		}
		if line.Seq == 0 || line.Seq > seq {
			high = middle
		} else {
			low = start
		}
	}
	t.offset, t.buf, t.dry = low, t.buf[:0], false
	return nil
}

// lineAfter returns the first good line that starts after byte from and before
// byte to, and where it starts; a zero head if there is none.
func (t *tail) lineAfter(from, to int64) (int64, head, error) {
	t.offset, t.buf, t.dry = from, t.buf[:0], false
	for first := true; ; first = false {
		start := t.offset
		if start >= to {
			return 0, head{}, nil
		}
		line, err := t.next()
		if err == io.EOF {
			return 0, head{}, nil
		}
		if err != nil {
			return 0, head{}, err
		}
		if first {
			continue // the rest of a line that starts before
		}
		if h, ok := parseHead(line); ok {
			return start, h, nil
		}
	}
}

// last returns the last event of the file, as far as it is among the last lines;
// nil if it is not.
func (t *tail) last() event.Event {
	if t.open() != nil {
		return nil
	}
	info, err := t.file.Stat()
	if err != nil {
		return nil
	}
	t.offset, t.buf, t.dry = max(0, info.Size()-readAhead), t.buf[:0], false
	var last []byte
	for {
		line, err := t.next()
		if err != nil {
			break
		}
		last = append(last[:0], line...)
	}
	e, err := event.Decode(last)
	if err != nil {
		return nil
	}
	return e
}

// open opens the file, if it is there by now; io.EOF says that it is not.
func (t *tail) open() error {
	if t.file != nil {
		return nil
	}
	f, err := os.Open(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return io.EOF
	case err != nil:
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	t.file, t.info = f, rundir.Identity(st, t.path)
	return nil
}

// anew is called at the end of what there is. It goes to the beginning of the file at
// the path, and reports that, if it is not the one that was read: that was cut, or
// another has its place, as after it was mended or restored.
func (t *tail) anew() bool {
	if t.file == nil || t.info == nil {
		return false
	}
	there, err := os.Stat(t.path)
	if err != nil || os.SameFile(there, t.info) && there.Size() >= t.offset {
		return false // not there yet, or the same
	}
	t.close()
	t.offset, t.buf, t.dry, t.begun = 0, nil, false, false
	return true
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}
