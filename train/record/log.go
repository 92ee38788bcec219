package record

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Log writes events.jsonl from a goroutine of its own. The training
// goroutine only puts events into a queue, as an [event.Bus] does for its readers, so
// that a slow, full or stuck disk holds nothing up. What cannot be written is
// kept and tried again.
type Log struct {
	disk rundir.Disk
	path string
	lock *rundir.Lock

	mu    sync.Mutex
	queue event.Queue
	ended bool
	force bool // somebody waits in flush: hold no steps back
	// queued and written count the events put in and those on disk.
	queued, written int
	trouble         error
	// What is written again if somebody cuts the record, see Mend; what is to be
	// told of that; and what was lost.
	first *event.RunStarted
	kept  []event.Event
	note  string
	lost  error

	wake  chan struct{} // holds one token when there is something to do; never closed
	moved chan struct{} // holds one token when written or trouble has changed; never closed
	done  chan struct{} // closed by the goroutine when it ends
}

var errTooSlow = errors.New("the disk is too slow")

const (
	// stepLines is the time between two step lines: live readers get every
	// step through the bus, the record needs no more than this.
	stepLines = time.Second
	// logRetry is the time between two tries to write. At the end there are so many,
	// sooner one after another.
	logRetry  = time.Second
	lastTries = 3
	lastPause = 200 * time.Millisecond
	// logLimit bounds the lines kept in memory while the disk takes none. Steps
	// are merged long before; beyond it those of steps and pictures are dropped,
	// which is told, and which readers see as a gap in the numbers. The others are
	// few, and the log holds their events in any case, see kept.
	logLimit = 64 << 20
)

// OpenLog makes events.jsonl ready to be appended to, and returns the highest
// event number in it. A last line that a killed process left half-written is
// cut off. lock is the folder's, or nil: what it does not hold any more is not
// written.
func OpenLog(d rundir.Disk, folder string, lock *rundir.Lock) (*Log, uint64, error) {
	path := filepath.Join(folder, rundir.EventsFile)
	seq, err := mendLog(path)
	if err != nil {
		return nil, 0, fmt.Errorf("event log: %w", err)
	}
	l := &Log{
		disk:  d,
		path:  path,
		lock:  lock,
		wake:  make(chan struct{}, 1),
		moved: make(chan struct{}, 1),
		done:  make(chan struct{}),
	}
	go l.run()
	return l, seq, nil
}

// Keep says what the record must not lose: how it begins, and the epochs before
// this log was opened. What is put by Put is kept from then on.
func (l *Log) Keep(first *event.RunStarted, past []*event.EpochDone) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = first
	for _, e := range past {
		l.kept = append(l.kept, e)
	}
}

// Put adds an event. It does not wait.
func (l *Log) Put(e event.Event) {
	l.mu.Lock()
	l.queue.Push(e)
	l.queued++
	if l.first != nil && kept(e) {
		l.kept = append(l.kept, e)
	}
	l.mu.Unlock()
	signal(l.wake)
}

// Note is what has become of the record since the last call; "" as a rule.
func (l *Log) Note() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	note := l.note
	l.note = ""
	return note
}

// Lost is what the record, after Close, lacks of the run, or nil.
func (l *Log) Lost() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trouble != nil || l.written < l.queued {
		return fmt.Errorf("the end of %s could not be written: %w", l.path, cmp.Or(l.trouble, errTooSlow))
	}
	return l.lost
}

// mend puts the record back after somebody has deleted or cut it.
func (l *Log) mend(w *logWriter) error {
	gone, cut := w.witness.fate(w.path)
	what, note, lost := "cut", "", error(nil)
	if gone {
		what = "deleted or replaced"
	}
	switch {
	case cut:
		n, err := l.rewrite(w)
		if err != nil {
			return fmt.Errorf("%s was %s under the run: %w", w.path, what, err)
		}
		lost = fmt.Errorf("%s was %s under the run: its epochs are written again, but not the steps and the pictures that it told of; weights and checkpoints are whole", w.path, what)
		note = fmt.Sprintf("%v (%d events are back)", lost, n)
	case gone:
		if err := w.witness.restore(w.disk, w.path); err != nil {
			return fmt.Errorf("%s was %s under the run: %w", w.path, what, err)
		}
		note = fmt.Sprintf("%s was %s under the run: it is put back, whole", w.path, what)
	default:
		return nil
	}
	w.close() // the next write opens what is there now
	w.witness.close()
	l.tell(note, lost)
	return nil
}

// tell leaves a note for whoever asks, and says what is lost, if anything is.
func (l *Log) tell(note string, lost error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.note != "" {
		note = l.note + "; " + note
	}
	l.note, l.lost = note, cmp.Or(l.lost, lost)
}

// rewrite writes again, from memory, what a record lacks, and returns how many
// events that were.
func (l *Log) rewrite(w *logWriter) (int, error) {
	// What is left of a line goes: the next one would be written behind it.
	if _, err := mendLog(w.path); err != nil {
		return 0, err
	}
	l.mu.Lock()
	first, events := l.first, slices.Clone(l.kept)
	l.mu.Unlock()
	// Those that were not written yet are about to be.
	events = slices.DeleteFunc(events, func(e event.Event) bool { return e.Head().Seq > w.written })
	n, err := Mend(w.disk, filepath.Dir(w.path), first, events)
	if err == nil {
		w.torn = 0
		clear(w.shown) // those to come bring their pixels again
	}
	return n, err
}

// Flush waits until what has been put is on disk, at most for a time.
func (l *Log) Flush(wait time.Duration) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	l.mu.Lock()
	target := l.queued
	l.force = true
	l.mu.Unlock()
	signal(l.wake)
	for {
		l.mu.Lock()
		reached := l.written >= target || l.trouble != nil
		l.mu.Unlock()
		if reached {
			return
		}
		select {
		case <-l.moved:
		case <-l.done:
			return
		case <-deadline.C:
			return
		}
	}
}

// Err is why the record cannot be written at present, or nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble
}

// Close writes what is left and ends the goroutine. It waits at most for a
// time: a stuck disk must not keep the process from ending.
func (l *Log) Close(wait time.Duration) {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	signal(l.wake)
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	select {
	case <-l.done:
	case <-deadline.C:
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a token is there already
	}
}

// run is the goroutine.
func (l *Log) run() {
	defer close(l.done)
	w := newLogWriter(l.disk, l.path)
	defer w.witness.close()
	defer w.close()
	tick := time.NewTimer(stepLines)
	defer tick.Stop()
	var lastStep time.Time
	taken, tries := 0, 0
	for {
		l.mu.Lock()
		ended, target := l.ended, l.queued
		// A step that stands alone in the queue waits for more to merge with.
		hold := !ended && !l.force && l.queue.OnlySteps() && time.Since(lastStep) < stepLines
		l.force = false
		var events []event.Event
		if !hold {
			events = l.queue.Take(l.queue.Len())
			taken = target
		}
		l.mu.Unlock()
		if slices.ContainsFunc(events, isStep) {
			lastStep = time.Now()
		}
		err := l.write(&w, events, ended)
		l.mu.Lock()
		if err == nil {
			l.written = taken
		}
		l.trouble = err
		l.mu.Unlock()
		signal(l.moved)
		if ended {
			if tries++; err == nil || tries == lastTries {
				return
			}
			time.Sleep(lastPause)
			continue
		}
		tick.Reset(logRetry)
		if err == nil && !hold {
			<-l.wake
			continue
		}
		// Held steps and failed writes are due again later, without being
		// woken; steps that come meanwhile are no reason to look earlier.
		for wait := true; wait; {
			select {
			case <-tick.C:
				wait = false
			case <-l.wake:
				l.mu.Lock()
				wait = !l.ended && !l.force && (err != nil || l.queue.OnlySteps())
				l.mu.Unlock()
			}
		}
	}
}

func isStep(e event.Event) bool {
	_, ok := e.(*event.StepDone)
	return ok
}

// write writes events and what could not be written before, and tells what has
// become of the record.
func (l *Log) write(w *logWriter, events []event.Event, sync bool) error {
	var err error
	if err = l.lock.Taken(filepath.Dir(l.path)); err == nil && len(events)+len(w.lines) > 0 {
		err = l.mend(w) // before the lines are made: which pictures they bring depends on it
	}
	before := w.dropped
	for _, e := range events {
		switch e.(type) {
		case *event.EpochDone, *event.RunEnded:
			sync = true
		}
		w.add(e)
	}
	if before == 0 && w.dropped > 0 {
		l.tell(fmt.Sprintf("%s takes nothing, and %d MB wait in memory: until it does, no more lines of steps and pictures are kept", l.path, w.limit>>20), nil)
	}
	if err == nil {
		err = w.write(sync)
	}
	if err == nil && w.dropped > 0 {
		lost := fmt.Errorf("%s lacks %d lines of steps and pictures, for which there was no room; epochs, weights and checkpoints are whole", l.path, w.dropped)
		l.tell(lost.Error(), lost)
		w.dropped = 0
	}
	return err
}

// logWriter turns events into lines and writes them.
type logWriter struct {
	disk rundir.Disk
	path string
	file rundir.File
	// limit is logLimit, and dropped counts the lines that it has cost since the
	// disk has last taken all.
	limit, dropped int
	// lines are whole; torn bytes of the first are in the file already.
	lines []byte
	torn  int
	// shown are the images whose pixels are in the record already.
	shown   map[int]bool
	dirty   bool   // written but not synced
	owed    bool   // asked for a sync that has not succeeded yet
	written uint64 // number of the newest event that is whole in the file
	witness witness
}

func newLogWriter(d rundir.Disk, path string) logWriter {
	return logWriter{disk: d, path: path, limit: logLimit, shown: make(map[int]bool)}
}

// add appends an event's line to what is to be written.
func (w *logWriter) add(e event.Event) {
	line, err := json.Marshal(w.slim(e))
	if err != nil {
		return // no event that we make fails to marshal
	}
	if len(w.lines)+len(line) > w.limit && !kept(e) {
		w.dropped++
		clear(w.shown) // those to come bring again the pixels that this one may have had
		return
	}
	w.lines = append(append(w.lines, line...), '\n')
}

// slim leaves out pixels that the record already has. It copies what it
// changes, since all readers share the event.
func (w *logWriter) slim(e event.Event) event.Event {
	ev, ok := e.(*event.Evaluated)
	if !ok {
		return e
	}
	c := *ev
	c.Samples = make([]event.Sample, len(ev.Samples))
	for i, s := range ev.Samples {
		if w.shown[s.Index] {
			s.Pixels = nil
		}
		w.shown[s.Index] = true
		c.Samples[i] = s
	}
	return &c
}

// write writes the lines, as many bytes as the disk takes; the rest stays for
// the next time, and so does a sync that fails.
func (w *logWriter) write(sync bool) error {
	w.owed = w.owed || sync
	if len(w.lines) > 0 {
		if w.file == nil {
			f, err := w.disk.Append(w.path)
			if err != nil {
				return err
			}
			w.file = f
			if err := w.witness.open(w.path); err != nil {
				w.close()
				return err
			}
		}
		n, err := w.file.Write(w.lines[w.torn:])
		w.witness.size += int64(n)
		w.dirty = w.dirty || n > 0
		w.took(w.torn + n)
		if err != nil {
			w.close()
			return err
		}
	}
	if w.owed && w.dirty && w.file != nil {
		if err := w.file.Sync(); err != nil {
			return err
		}
		w.dirty = false
	}
	w.owed = false
	return nil
}

// took takes n bytes off the lines that are in the file, as far as these are
// whole: of one that is torn the file may lose its part again.
func (w *logWriter) took(n int) {
	whole := bytes.LastIndexByte(w.lines[:n], '\n') + 1
	if whole > 0 {
		last := w.lines[:whole-1]
		w.written = seqOfLine(last[bytes.LastIndexByte(last, '\n')+1:])
	}
	w.lines = w.lines[:copy(w.lines, w.lines[whole:])]
	w.torn = n - whole
}

func (w *logWriter) close() {
	if w.file != nil {
		// A failed close has no other remedy than the retry that write does
		// after its own errors.
		_ = w.file.Close()
		w.file = nil
	}
}

// mendLog cuts off a half-written last line and returns the highest event
// number among the last lines. It makes a missing file, so that whoever follows
// the run finds one from the start.
func mendLog(path string) (uint64, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	// An Evaluated line is the longest: 1 MB, where images have 96 pixels and 256
	// classes. The last whole line is in the tail unless the file is damaged.
	from := max(0, st.Size()-endSizeMax)
	tail := make([]byte, st.Size()-from)
	if _, err := f.ReadAt(tail, from); err != nil && err != io.EOF {
		return 0, err
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	if whole < len(tail) && (whole > 0 || from == 0) {
		if err := f.Truncate(from + int64(whole)); err != nil {
			return 0, err
		}
	}
	var seq uint64
	for line := range bytes.Lines(tail[:whole]) {
		var h event.Header
		if json.Unmarshal(line, &h) == nil { // a damaged line has no number
			seq = max(seq, h.Seq)
		}
	}
	return seq, nil
}
