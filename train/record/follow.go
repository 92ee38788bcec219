package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// A Follower keeps a [Run] up to date as its record grows, for who follows many
// of them: a look at one that has not grown is one call of the system, and of one
// that has only what was added is read. Like [Glance], of which it is the
// continuation, it knows a run by its epochs, its newest step, its state and its
// end, and leaves the rest of the record unread. It is for one goroutine.
type Follower struct {
	folder string
	run    *Run
	at     int64       // in the record: behind the last whole line that was read
	file   fs.FileInfo // of the record at the last look; nil: there was none
	whole  bool        // the epochs are the record's own, not the table's
	steps  stepParser
	buf    []byte
}

// News is what a look at a record has found.
type News struct {
	// Changed is set when the run has changed at all.
	Changed bool
	// Started is set when the run was opened, or opened again, in it.
	Started bool
	// Rewritten is set when what was known before has changed, and not only grown.
	Rewritten bool
}

// maxGrowth is how many bytes are read at once of a record that has grown. One
// that has grown by more is looked at as if it were new.
const maxGrowth = 4 << 20

// Follow begins as [Glance] does. There is a follower also when there is an
// error, which is the record's.
func Follow(folder string) (*Follower, error) {
	f := &Follower{folder: folder}
	return f, f.glance()
}

// FollowWhole begins with all that the record tells of epochs: of each of them
// also the time and the batches, which the table of epochs lacks.
func FollowWhole(folder string) (*Follower, error) {
	f := &Follower{folder: folder, whole: true, run: nameless(folder)}
	_, err := f.Look()
	return f, err
}

func nameless(folder string) *Run { return &Run{Name: rundir.Name(folder)} }

// Run is what is known of the run. It changes with the next look.
func (f *Follower) Run() *Run { return f.run }

// Whole reports whether each epoch is known with its time and its batches.
func (f *Follower) Whole() bool { return f.whole }

// Size is the length of the record in bytes at the last look.
func (f *Follower) Size() int64 {
	if f.file == nil {
		return 0
	}
	return f.file.Size()
}

func (f *Follower) path() string { return filepath.Join(f.folder, rundir.EventsFile) }

func (f *Follower) glance() error {
	st, serr := os.Stat(f.path())
	if serr != nil {
		st = nil
	}
	run, at, err := glance(f.folder)
	f.run, f.at, f.file, f.whole = run, at, st, false
	return err
}

// Look learns what was added to the record since the last look. A half-written
// last line waits for its end. After an error what is known stays, and the next
// look tries again.
func (f *Follower) Look() (News, error) {
	st, err := os.Stat(f.path())
	if err != nil {
		if f.file == nil && errors.Is(err, fs.ErrNotExist) {
			return News{}, err
		}
		return News{}, fmt.Errorf("event log: %w", err)
	}
	before := f.file
	if before != nil && os.SameFile(before, st) && st.Size() == before.Size() && st.ModTime().Equal(before.ModTime()) {
		return News{}, nil
	}
	f.file = st
	replaced := before != nil && !os.SameFile(before, st) || st.Size() < f.at
	switch {
	case replaced && f.whole:
		f.run, f.at = nameless(f.folder), 0
	case replaced, !f.whole && (before == nil || st.Size()-f.at > maxGrowth):
		err := f.glance()
		return News{Changed: true, Started: true, Rewritten: true}, err
	}
	news, err := f.read(st.Size())
	if err != nil {
		f.file = nil // look again
		return news, fmt.Errorf("event log: %w", err)
	}
	if replaced {
		news = News{Changed: true, Started: true, Rewritten: true}
	}
	return news, nil
}

// read takes the whole lines between what was read and size.
func (f *Follower) read(size int64) (news News, err error) {
	if !f.file.Mode().IsRegular() {
		return news, fmt.Errorf("%s: not a file", f.path())
	}
	r, err := os.Open(f.path())
	if err != nil {
		return news, err
	}
	defer r.Close()
	length := int64(32 << 10)
	for f.at < size {
		length = min(length, maxLine, size-f.at)
		if int64(len(f.buf)) < length {
			f.buf = make([]byte, length)
		}
		n, err := r.ReadAt(f.buf[:length], f.at)
		if err != nil && err != io.EOF {
			return news, err
		}
		end := bytes.LastIndexByte(f.buf[:n], '\n') + 1
		switch {
		case end > 0:
			f.take(f.buf[:end], &news)
			f.at += int64(end)
		case int64(n) < length, f.at+int64(n) >= size:
			return news, nil // a line that is being written
		case length >= maxLine: // no line of ours: go on behind it
			f.at += int64(n)
		}
		length = max(length, 64<<10) * 2
	}
	if cap(f.buf) > 1<<20 { // a record read whole: the next looks need little
		f.buf = nil
	}
	return news, nil
}

// take applies the events of whole lines. Of the steps between two other events
// only the last one counts.
func (f *Follower) take(lines []byte, news *News) {
	var step []byte
	flush := func() {
		if step == nil {
			return
		}
		if s := f.steps.parse(step); s != nil {
			news.Changed = !f.run.Apply(s).Known || news.Changed
		} else if e, err := event.Decode(step); err == nil {
			news.Changed = !f.run.Apply(e).Known || news.Changed
		}
		step = nil
	}
	for line := range bytes.Lines(lines) {
		line = line[:len(line)-1]
		switch kindOfLine(line) {
		case event.KindStep:
			step = line
			continue
		case event.KindEpoch, event.KindRunStarted, event.KindStateChanged, event.KindPlanned, event.KindLearnRate, event.KindRunEnded:
		default:
			continue
		}
		flush()
		if e, err := event.Decode(line); err == nil {
			Place(e, f.run.Name, f.folder)
			f.apply(e, news)
		}
	}
	flush()
}

func (f *Follower) apply(e event.Event, news *News) {
	if e, ok := e.(*event.EpochDone); ok && f.replace(e) {
		news.Changed, news.Rewritten = true, true
		return
	}
	c := f.run.Apply(e)
	if c.Known {
		return
	}
	news.Changed = true
	if c.Began || c.Resumed {
		news.Started = true
	}
	news.Rewritten = news.Rewritten || c.Began || c.Resumed || c.GivenBack
}

// replace puts an epoch in the place of the one that the table of epochs told of:
// that may be ahead of the record, in a folder that is being copied.
func (f *Follower) replace(e *event.EpochDone) bool {
	i, found := slices.BinarySearchFunc(f.run.Epochs, e.Epoch, func(o *event.EpochDone, n int) int { return o.Epoch - n })
	if !found || f.run.Epochs[i].Seq > 0 {
		return false
	}
	f.run.Epochs[i] = e
	f.run.Seq, f.run.Time = max(f.run.Seq, e.Seq), e.Time
	return true
}
