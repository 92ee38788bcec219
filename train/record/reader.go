package record

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Reader reads a run's events.jsonl. It is a [event.Source] for one goroutine.
// Lines that it cannot read are left out and counted.
//
// The events are of the run of the folder that the record is found in: their run
// is called as that is, and a RunStarted tells that folder, whatever it was called
// and wherever it was when they were written.
type Reader struct {
	path   string
	file   *os.File
	info   os.FileInfo // see rundir.Identity
	name   string      // of the run
	folder string

	buf   []byte // a part of the file
	at    int64  // in the file: where buf starts
	start int    // in buf: where the next line starts

	decoder Decoder
	pixels  map[int][]byte // of each image seen, see event.Sample.Pixels
	skipped int
}

const (
	readChunk = 256 << 10
	// maxLine is far over the longest line, an Evaluated with its pixels.
	maxLine = 8 << 20
)

// Open opens the record of a run, given its folder or the path of an
// events.jsonl. Next returns io.EOF at the end of the file. A half-written last
// line is left out.
func Open(path string) (*Reader, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("event log: %w", err)
	}
	if st.IsDir() {
		path = filepath.Join(path, rundir.EventsFile)
	}
	f, err := rundir.Open(path)
	if err != nil {
		return nil, fmt.Errorf("event log: %w", err)
	}
	if st, err = f.Stat(); err != nil {
		return nil, errors.Join(fmt.Errorf("event log: %w", err), f.Close())
	}
	folder := filepath.Dir(path)
	return &Reader{path: path, file: f, info: rundir.Identity(st, path), name: rundir.Name(folder), folder: folder, pixels: make(map[int][]byte)}, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

// Replaced reports whether what is at the record's path is not what was read: it
// was cut, or another file has its place, as after it was mended. To read on is to
// open it again. Where files have no identity it is never known: else one who reads
// along would open it again without end.
func (r *Reader) Replaced() bool {
	if r.info == nil {
		return false
	}
	there, err := os.Stat(r.path)
	if err != nil {
		return false // not there yet, or looked at again
	}
	return !os.SameFile(there, r.info) || there.Size() < r.at+int64(r.start)
}

// Skipped counts the lines that could not be read: damaged ones, and kinds of a
// newer version.
func (r *Reader) Skipped() int { return r.skipped }

// Next implements [event.Source]. It returns fewer than max events only at the
// end of the file, by which a screen knows that it has caught up.
func (r *Reader) Next(ctx context.Context, max int) ([]event.Event, error) {
	var events []event.Event
	for {
		events = r.parse(events, max)
		if len(events) == max {
			return events, nil
		}
		more, err := r.fill()
		if err == nil && !more {
			err = io.EOF
		} else if err != nil {
			err = fmt.Errorf("event log: %w", err)
		} else {
			err = ctx.Err()
		}
		if err != nil && len(events) > 0 {
			return events, nil // the error comes again with the next call
		}
		if err != nil {
			return nil, err
		}
	}
}

// parse adds events from the lines in the buffer, up to max in all.
func (r *Reader) parse(events []event.Event, max int) []event.Event {
	for len(events) < max {
		end := bytes.IndexByte(r.buf[r.start:], '\n')
		if end < 0 {
			break
		}
		line := r.buf[r.start : r.start+end]
		r.start += end + 1
		e := r.line(line)
		if e == nil {
			continue
		}
		if events == nil {
			events = make([]event.Event, 0, min(max, 1+(len(r.buf)-r.start)/256))
		}
		events = append(events, e)
	}
	return events
}

// line reads one line; nil when it cannot.
func (r *Reader) line(line []byte) event.Event {
	e, err := r.decoder.Decode(line)
	if err != nil {
		if len(bytes.TrimSpace(line)) > 0 {
			r.skipped++
		}
		return nil
	}
	Place(e, r.name, r.folder)
	if e, ok := e.(*event.Evaluated); ok {
		for i := range e.Samples {
			s := &e.Samples[i]
			if len(s.Pixels) > 0 {
				r.pixels[s.Index] = s.Pixels
			} else {
				s.Pixels = r.pixels[s.Index]
			}
		}
	}
	return e
}

// Place says in an event that was read which run it is of, and where that is.
func Place(e event.Event, name, folder string) {
	e.Head().Run = name
	if started, ok := e.(*event.RunStarted); ok {
		started.Folder = folder
	}
}

// Origin is the folder that a record tells it was begun in.
func Origin(folder string) (string, error) {
	f, err := rundir.Open(filepath.Join(folder, rundir.EventsFile))
	if err != nil {
		return "", fmt.Errorf("event log: %w", err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, maxLine)).ReadBytes('\n')
	if err != nil {
		return "", fmt.Errorf("event log: %w", err)
	}
	e, err := event.Decode(line)
	if err != nil {
		return "", err
	}
	started, ok := e.(*event.RunStarted)
	if !ok {
		return "", fmt.Errorf("event log: it begins with %s", e.Head().Event)
	}
	return started.Folder, nil
}

// fill reads on, and reports whether there is anything new to parse. It reads a
// half line at the end of the file again the next time, because a resume may
// have cut it off and written something else there.
func (r *Reader) fill() (bool, error) {
	half := len(r.buf) - r.start
	r.at += int64(r.start)
	if half > maxLine { // no line of ours: go on behind it
		r.skipped++
		r.at += int64(half)
		half = 0
	}
	size := max(readChunk, 2*half)
	if cap(r.buf) < size {
		r.buf = make([]byte, size)
	}
	n, err := r.file.ReadAt(r.buf[:size], r.at)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	r.buf, r.start = r.buf[:n], 0
	return n == size || bytes.IndexByte(r.buf, '\n') >= 0, nil
}
