package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// reader reads the events of a live run: the past from the files, then what
// comes, by the socket or, without one, from the files as they grow. What is
// told twice on the way is left out.
type reader struct {
	folder string
	files  bool
	pid    int // of the process that trains
	stage  stage
	err    error // the end, once reached

	logs []*openLog
	conn *conn
	// gather is how long fromSocket takes lines that come one right after another.
	gather time.Duration
	// decoder reads the lines that come by it.
	decoder record.Decoder
	runs    map[string]*readRun
	lost    time.Time // when the process was found to be out of reach; zero: it is not
	dead    bool      // it was, or another was in its place, before the last look at the files
	other   bool      // another was
}

// stage is what a reader reads at present.
type stage int

const (
	readPast stage = iota // the files up to their end
	readLive              // the socket
	readRest              // the files once more, as the process is gone
)

type openLog struct {
	path string
	*record.Reader
}

// again opens a log anew.
func (l *openLog) again() error {
	r, err := record.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) { // about to be put back
		return io.EOF
	}
	if err != nil {
		return err
	}
	err = l.Close()
	l.Reader = r
	return err
}

// readRun is what a reader knows of one run.
type readRun struct {
	seq    uint64
	total  int64
	ended  bool
	goesOn bool            // it has ended to be gone on with at once
	pixels map[int][]byte  // of the images shown, as the record tells them once
	epochs map[uint64]bool // by number, those that were told
}

func newReader(folder string, pid int, files bool) reader {
	return reader{folder: folder, pid: pid, files: files, gather: gatherTime, runs: make(map[string]*readRun)}
}

func (r *reader) close() {
	for _, l := range r.logs {
		l.Close()
	}
	r.logs = nil
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}

func (r *reader) next(ctx context.Context, max int) ([]event.Event, error) {
	for r.err == nil {
		var events []event.Event
		var err error
		if r.stage == readLive {
			events, err = r.fromSocket(ctx, max)
		} else {
			events, err = r.fromFiles(ctx, max)
		}
		events, gone := r.fresh(events)
		if gone {
			r.close()
			r.err = &GoneError{r.folder}
		}
		if len(events) > 0 {
			r.lost, r.dead, r.other = time.Time{}, false, false
			return events, nil
		}
		if gone {
			break
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			continue
		}
		if err = r.goOn(ctx, err); ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			r.close()
			r.err = err
		}
	}
	return nil, r.err
}

// fromFiles reads on in the files; io.EOF says that there is no more at present.
func (r *reader) fromFiles(ctx context.Context, max int) ([]event.Event, error) {
	for _, path := range eventLogs(r.folder) {
		if slices.ContainsFunc(r.logs, func(l *openLog) bool { return l.path == path }) {
			continue
		}
		er, err := record.Open(path)
		if err != nil {
			return nil, err
		}
		r.logs = append(r.logs, &openLog{path, er})
	}
	for _, l := range r.logs {
		events, err := l.Next(ctx, max)
		if errors.Is(err, io.EOF) && l.Replaced() { // what is known already is left out
			if err = l.again(); err == nil {
				events, err = l.Next(ctx, max)
			}
		}
		if len(events) > 0 {
			return events, nil
		}
		if !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return nil, io.EOF
}

// gatherTime is a moment for a screen, and enough for what an epoch tells many times
// over.
const gatherTime = 20 * time.Millisecond

// fromSocket waits for lines and decodes those that have come. A line with pictures
// is longer than what is read at once: who rests between two calls, as a screen does,
// would fall behind a run of short epochs, further and further, were it given an
// epoch a call.
func (r *reader) fromSocket(ctx context.Context, max int) ([]event.Event, error) {
	line, err := r.conn.line(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.gather)
	defer cancel()
	var events []event.Event
	// An error comes again with the next call.
	for ; err == nil; line, err = r.conn.line(ctx) {
		if !isEvent(line) {
			if err := badReply(line); err != nil {
				return events, err
			}
		} else if e, err := r.decoder.Decode(line); err == nil { // else of a later version
			if s, ok := e.(*event.RunStarted); ok {
				s.Folder = config.RunFolder(r.folder, s.Run) // as seen from here
			}
			events = append(events, e)
		}
		if len(events) >= max {
			break
		}
	}
	return events, nil
}

// goOn is called when there is nothing more to read at present. It finds where to
// read on, or waits a little and leaves the caller to look again; an error is
// the end.
func (r *reader) goOn(ctx context.Context, why error) error {
	var refused *ReplyError
	if errors.As(why, &refused) || (r.stage != readLive && !errors.Is(why, io.EOF)) {
		return why
	}
	if r.finished() {
		return io.EOF
	}
	pid, live := process(r.folder)
	handedOver := r.handedOver()
	// Killed, and resumed by someone: its numbers may begin below ours.
	other := func(pid int) bool { return pid != 0 && r.pid != 0 && pid != r.pid && !handedOver }
	if r.files && live {
		if own, alone := rundir.Live(r.folder); alone && other(own) { // else the runs of a comparison have a process each
			return r.taken()
		}
		r.lost, r.dead, r.other = time.Time{}, false, false
		return sleep(ctx, feedPoll)
	}
	if r.lost.IsZero() {
		r.lost = time.Now()
	}
	err := why
	if !r.files {
		var c *conn
		c, err = connect(ctx, r.folder)
		switch {
		case err == nil && other(c.hello.PID):
			c.Close()
			return r.taken()
		case err == nil:
			return r.follow(c)
		case errors.As(err, &refused):
			return err
		case live && other(pid):
			return r.taken()
		}
	}
	switch {
	case r.dead && !live && !handedOver:
		return &GoneError{r.folder} // and all that it left is read
	case time.Since(r.lost) > handOverLimit:
		return fmt.Errorf("the run's process cannot be reached any more: attach again: %w", err)
	}
	// What it writes meanwhile, or has written before its end, is in the files.
	r.dead = !live
	if r.stage == readLive {
		r.rest()
		return nil
	}
	return sleep(ctx, tryPause)
}

// taken is called when another process has the run than the one that is known: that
// is gone, or has handed the run over since the last look at the files.
func (r *reader) taken() error {
	if r.dead {
		return &GoneError{r.folder}
	}
	r.dead, r.other = true, true
	if r.stage == readLive {
		r.rest()
	}
	return nil
}

// rest leaves the socket for the files.
func (r *reader) rest() {
	r.conn.Close()
	r.conn, r.stage = nil, readRest
}

// follow asks for the events after those that are known.
func (r *reader) follow(c *conn) error {
	since := make(map[string]uint64)
	for run, known := range r.runs {
		since[run] = known.seq
	}
	// A request that can't be sent shows when the answer is read.
	_ = c.send(Request{ID: 1, Cmd: VerbEvents, Since: since})
	r.close()
	r.conn, r.pid, r.stage = c, c.hello.PID, readLive
	return nil
}

// finished reports whether every run known has ended for good.
func (r *reader) finished() bool {
	for _, run := range r.runs {
		if !run.ended || run.goesOn {
			return false
		}
	}
	return len(r.runs) > 0
}

// handedOver reports whether a run has ended for another process to go on with, or
// for the same one to do so on the processor, as its GPU is lost.
func (r *reader) handedOver() bool {
	for _, run := range r.runs {
		if run.goesOn {
			return true
		}
	}
	return false
}

// fresh takes in events, and returns those that were not told before. gone is set where
// those of another process begin that has taken the run over from one that is gone.
func (r *reader) fresh(events []event.Event) (list []event.Event, gone bool) {
	for _, e := range events {
		s, starts := e.(*event.RunStarted)
		if starts && r.other && s.PID != r.pid && !r.handedOver() {
			if run := r.runs[s.Run]; run != nil && s.Seq > run.seq { // else it is of the past, read once more
				return list, true
			}
		}
		if !r.known(e) {
			list = append(list, e)
		}
	}
	return list, false
}

// known takes in an event, and reports whether it was told before. A step that
// was told in part is cut down to the batches that were not.
func (r *reader) known(e event.Event) bool {
	h := e.Head()
	run, ok := r.runs[h.Run]
	if !ok {
		run = &readRun{pixels: make(map[int][]byte), epochs: make(map[uint64]bool)}
		r.runs[h.Run] = run
	}
	epoch, ok := e.(*event.EpochDone)
	if ok && !run.epochs[epoch.Seq] {
		run.epochs[epoch.Seq] = true
		run.seq = max(run.seq, epoch.Seq)
		return false // also one that the record had lost and has again
	}
	if h.Seq <= run.seq {
		return true
	}
	run.seq = h.Seq
	switch e := e.(type) {
	case *event.RunStarted:
		if run.goesOn {
			r.pid = e.PID // the one that it was handed over to
		}
		run.total, run.ended, run.goesOn = e.ResumedTotal, false, false
	case *event.StepDone:
		if fresh := e.Total - run.total; fresh > 0 && int64(e.Count) > fresh {
			e.Count = int(fresh)
		}
		run.total = e.Total
	case *event.Evaluated:
		for i := range e.Samples {
			s := &e.Samples[i]
			if len(s.Pixels) > 0 {
				run.pixels[s.Index] = s.Pixels
			} else {
				s.Pixels = run.pixels[s.Index]
			}
		}
	case *event.RunEnded:
		run.ended, run.goesOn = true, e.GoneOnWith()
	}
	return false
}
