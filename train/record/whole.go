package record

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// The record is the one witness of a run, and a file that anybody can delete or
// cut. What a live run's process still holds of a deleted one is put back whole.
// Of one that was cut, the epochs and all but steps and pictures are written again:
// from memory in a live run, from the checkpoint's history at a resume.

// Mend puts back what a record lacks of some events, which have their numbers, in
// the place that these give them, and returns how many it lacked. A record that
// has lost its beginning gets first for one; its number is 1. Nobody else may be
// writing the folder.
func Mend(d rundir.Disk, folder string, first *event.RunStarted, events []event.Event) (int, error) {
	path := filepath.Join(folder, rundir.EventsFile)
	missing, err := lacking(path, events)
	if err != nil || len(missing) == 0 {
		return 0, err
	}
	lines, err := numberedLines(path)
	if err != nil {
		return 0, fmt.Errorf("event log: %w", err)
	}
	for _, e := range missing {
		line, err := json.Marshal(e)
		if err != nil {
			return 0, fmt.Errorf("event log: %w", err)
		}
		lines = append(lines, numberedLine{e.Head().Seq, line})
	}
	slices.SortStableFunc(lines, func(a, b numberedLine) int { return cmp.Compare(a.seq, b.seq) })
	if first != nil && kindOfLine(lines[0].line) != event.KindRunStarted {
		begin := *first
		begin.Event, begin.Seq = event.KindRunStarted, 1
		begin.Run, begin.Time = cmp.Or(begin.Run, rundir.Name(folder)), missing[0].Head().Time
		line, err := json.Marshal(&begin)
		if err != nil {
			return 0, fmt.Errorf("event log: %w", err)
		}
		lines = slices.Insert(lines, 0, numberedLine{1, line})
	}
	_, err = rundir.WriteAtomic(d, path, func(w io.Writer) error {
		b := bufio.NewWriter(w)
		for _, l := range lines {
			b.Write(l.line) // the error is Flush's
			b.WriteByte('\n')
		}
		return b.Flush()
	})
	if err != nil {
		return 0, fmt.Errorf("event log: %w", err)
	}
	return len(missing), nil
}

// lacking are those of the events whose lines a record does not have. All events
// but steps are looked at.
func lacking(path string, events []event.Event) ([]event.Event, error) {
	have := map[uint64]bool{}
	step := []byte(`{"event":"` + string(event.KindStep) + `"`)
	err := eachLine(path, func(line []byte) {
		if !bytes.HasPrefix(line, step) {
			have[seqOfLine(line)] = true
		}
	})
	if err != nil {
		return nil, fmt.Errorf("event log: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(events), func(e event.Event) bool { return e.Head().Seq == 0 || have[e.Head().Seq] }), nil
}

type numberedLine struct {
	seq  uint64
	line []byte
}

// numberedLines reads the lines of a record. One that is damaged keeps its place.
func numberedLines(path string) (lines []numberedLine, err error) {
	last := uint64(0)
	err = eachLine(path, func(line []byte) {
		if seq := seqOfLine(line); seq > 0 {
			last = seq
		}
		lines = append(lines, numberedLine{last, bytes.Clone(line)})
	})
	return lines, err
}

// seqOfLine reads the number of an event from its line, as a rule without a look
// at the rest; 0 when it cannot.
func seqOfLine(line []byte) (seq uint64) {
	if before, rest, ok := bytes.Cut(line[:min(len(line), 64)], []byte(`","seq":`)); ok && bytes.HasPrefix(before, []byte(`{"event":"`)) && bytes.HasSuffix(line, []byte("}")) {
		if digits, _, ok := bytes.Cut(rest, []byte(",")); ok {
			if seq, err := strconv.ParseUint(string(digits), 10, 64); err == nil {
				return seq
			}
		}
	}
	return headOfLine(line).Seq
}

// eachLine reads the whole lines of a file; none if it is not there. What it gives
// to do is valid during the call.
func eachLine(path string, do func(line []byte)) error {
	f, err := rundir.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, readChunk), maxLine)
	lines.Split(func(data []byte, _ bool) (int, []byte, error) {
		if end := bytes.IndexByte(data, '\n'); end >= 0 {
			return end + 1, data[:end], nil
		}
		return 0, nil, nil // a half line at the end is none
	})
	for lines.Scan() {
		do(lines.Bytes())
	}
	return lines.Err()
}

// kept reports whether a log keeps an event in memory to write it again.
func kept(e event.Event) bool {
	switch e.(type) {
	case *event.StepDone, *event.Evaluated:
		return false
	}
	return true
}

// witness is what a log's writer knows of the file that it has written.
type witness struct {
	read *os.File    // the same file, for what is in it after it was deleted
	info os.FileInfo // see rundir.Identity
	size int64       // that it must have at least
}

// open learns of the file at a path, which its writer has just opened.
func (w *witness) open(path string) error {
	w.close()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.read, w.info, w.size = f, rundir.Identity(st, path), st.Size()
	return nil
}

func (w *witness) close() {
	if w.read != nil {
		_ = w.read.Close() // nothing was written to it
		w.read = nil
	}
}

// fate says what has become of the file at a path: whether it is gone from there,
// and whether it lacks something of what was written. One that is gone may do so
// too, if it was emptied before, or deleted by another machine of a network.
func (w *witness) fate(path string) (gone, cut bool) {
	if w.read == nil || w.info == nil {
		return false, false
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		gone = true
	case err != nil:
		return false, false // writing tells what is wrong
	default:
		gone = !os.SameFile(st, w.info)
	}
	if gone {
		if st, err = w.read.Stat(); err != nil {
			return true, true
		}
	}
	return gone, st.Size() < w.size
}

// restore puts a deleted file back.
func (w *witness) restore(d rundir.Disk, path string) error {
	_, err := rundir.WriteAtomic(d, path, func(to io.Writer) error {
		n, err := io.Copy(to, io.NewSectionReader(w.read, 0, w.size))
		if err == nil && n < w.size {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	return err
}
