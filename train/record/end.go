package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// Glance is [Read] in a hurry, for a list of many runs: it reads the table of
// epochs and the end of the record. The run has its state, how it ended, its
// newest event's number and time, and the epochs with no more than the table
// tells of them. It is what could be read also when there is an error, which is
// the record's.
func Glance(folder string) (*Run, error) {
	run, _, err := glance(folder)
	return run, err
}

// glance is Glance, with the place in the record behind the last whole line that
// the run tells of.
func glance(folder string) (run *Run, at int64, err error) {
	tail, newest, at, err := readEnd(folder)
	rows, terr := readCSV(filepath.Join(folder, rundir.HistoryFile))
	done, untold := doneBy(tail)
	if done >= 0 { // the others were taken back, by a resume that could not write the table anew
		rows = slices.DeleteFunc(rows, func(r csvRecord) bool { return r.epoch > done })
	}
	listed := 0
	if n := len(rows); n > 0 {
		listed = rows[n-1].epoch
	}
	if at > 0 && (terr != nil || listed < untold) {
		// No table, or not all of it: somebody deleted or cut it, a resume could not
		// open it, or it is not a record of this program's.
		if run, rerr := Read(folder); rerr == nil {
			return run, at, err
		}
	}
	run = &Run{Name: rundir.Name(folder)}
	for _, e := range tail {
		Place(e, run.Name, folder)
	}
	if len(tail) > 0 {
		if s, ok := tail[0].(*event.RunStarted); ok { // the table is as of after it
			run.Apply(s)
			tail = tail[1:]
		}
	}
	epochs := make([]event.EpochDone, len(rows))
	for i, r := range rows {
		epochs[i] = event.EpochDone{Epoch: r.epoch, Acc: event.Float(r.acc), Loss: event.Float(r.loss),
			ValAcc: event.Float(r.valAcc), ValLoss: event.Float(r.valLoss), PatienceLeft: -1}
		run.Apply(&epochs[i])
	}
	for _, e := range tail {
		if o, ok := e.(*event.EpochDone); ok {
			if run.State == "" {
				run.State = event.StateRunning // what says so is further back
			}
			if o.Epoch <= run.EpochsDone() { // the table has it, and knows less of it
				if i := slices.IndexFunc(run.Epochs, func(k *event.EpochDone) bool { return k.Epoch == o.Epoch }); i >= 0 {
					run.Epochs[i] = o
				}
				continue
			}
		}
		run.Apply(e)
	}
	run.Seq, run.Time = newest.Seq, newest.Time
	return run, at, err
}

// doneBy is how many epochs were done by what a record's end tells, and how many of
// them it does not tell of itself; -1 and 0 if it tells nothing of that.
func doneBy(tail []event.Event) (done, untold int) {
	done = -1
	for _, e := range tail {
		switch e := e.(type) {
		case *event.RunStarted:
			done = max(0, e.ResumedEpoch-1)
		case *event.EpochDone:
			done, untold = e.Epoch, e.Epoch-1
			continue
		case *event.StepDone:
			if e.Epoch-1 <= done {
				continue
			}
			done = e.Epoch - 1
		case *event.RunEnded:
			if e.Epoch > 0 {
				done = e.Epoch
			}
		default:
			continue
		}
		untold = max(0, done)
	}
	return done, untold
}

// Enough of a record's end to hold its last state, and what is tried when it
// does not: an Evaluated with all its images is long.
const (
	endSize    = 32 << 10
	endSizeMax = 2 << 20
)

// ends holds memory for the ends of records: a list reads thousands of them.
var ends = sync.Pool{New: func() any { b := make([]byte, endSize); return &b }}

// readEnd reads what the end of a run folder's record tells (see lastEvents),
// and the place in the record behind its last whole line.
func readEnd(folder string) (events []event.Event, newest event.Header, at int64, err error) {
	f, err := rundir.Open(filepath.Join(folder, rundir.EventsFile))
	if err != nil {
		return nil, newest, 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, newest, 0, err
	}
	size := st.Size()
	buf := ends.Get().(*[]byte)
	defer ends.Put(buf)
	for length := int64(endSize); ; length *= 8 {
		from := max(0, size-length)
		tail := (*buf)[:min(size-from, int64(len(*buf)))]
		if int64(len(tail)) < size-from {
			tail = make([]byte, size-from)
		}
		if _, err := f.ReadAt(tail, from); err != nil && err != io.EOF {
			return nil, newest, size, err
		}
		at = from + int64(bytes.LastIndexByte(tail, '\n')+1)
		if from > 0 { // the first line is cut
			tail = tail[bytes.IndexByte(tail, '\n')+1:]
		}
		events, newest := lastEvents(tail)
		switch {
		case newest.Event != "", size == 0:
			return events, newest, at, nil
		case from == 0:
			return nil, newest, at, fmt.Errorf("%s: no event in it can be read", rundir.EventsFile)
		case length >= endSizeMax:
			return nil, newest, at, fmt.Errorf("%s: no event can be read in its last %d bytes", rundir.EventsFile, len(tail))
		}
	}
}

// lastEvents goes back through whole lines until it knows how the run ended or,
// where it has not, its last epoch and its state. It returns the events that say
// so, and the newest step and plan if those come after them, oldest first, and the
// head of the newest event of any kind, whose kind is "" when no line was an event.
// A RunStarted ends the search: what was before is another process's, and partly
// taken back.
func lastEvents(lines []byte) (events []event.Event, newest event.Header) {
	lines = lines[:bytes.LastIndexByte(lines, '\n')+1]
	var epoch, state, step, plan, over bool
	for len(lines) > 0 && !over && !(epoch && state) {
		start := bytes.LastIndexByte(lines[:len(lines)-1], '\n') + 1
		line := lines[start : len(lines)-1]
		lines = lines[:start]
		var seen *bool
		kind := kindOfLine(line)
		if kind != "" && newest.Event == "" {
			newest = headOfLine(line)
		}
		switch kind {
		case "":
			continue
		case event.KindEpoch:
			seen = &epoch
		case event.KindStep:
			seen = &step
		case event.KindPlanned:
			seen = &plan
		case event.KindStateChanged:
			seen = &state
		case event.KindRunEnded, event.KindRunStarted:
			seen = &over
		default:
			continue
		}
		if *seen {
			continue // a newer one said more
		}
		e, err := event.Decode(line)
		if err != nil {
			continue
		}
		*seen = true
		events = append(events, e)
	}
	slices.Reverse(events)
	return events, newest
}

// headOfLine reads the head of an event from its line; the kind is "" when it
// cannot.
func headOfLine(line []byte) event.Header {
	var h event.Header
	if json.Unmarshal(line, &h) != nil {
		return event.Header{}
	}
	return h
}

// kindOfLine reads the kind of an event from its line without decoding the
// rest; "" when it is none.
func kindOfLine(line []byte) event.Kind {
	if rest, ok := bytes.CutPrefix(line, []byte(`{"event":"`)); ok {
		if kind, _, ok := bytes.Cut(rest, []byte(`"`)); ok && bytes.HasSuffix(line, []byte("}")) {
			return event.Kind(kind)
		}
		return ""
	}
	return headOfLine(line).Event
}
