package record

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// recordEnd is what the last lines of a record tell.
type End struct {
	Size  int64
	State event.State      // the last one told of
	Ended *event.RunEnded  // set when nothing has started since
	Epoch *event.EpochDone // the last one done
}

// Enough of a record's end to hold its last state, and what is tried when it
// does not: an Evaluated with all its images is long.
const (
	endSize    = 32 << 10
	endSizeMax = 2 << 20
)

// readEnd reads the end of a run folder's record.
func ReadEnd(folder string) (End, error) {
	f, err := os.Open(filepath.Join(folder, rundir.EventsFile))
	if err != nil {
		return End{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return End{}, err
	}
	end := End{Size: st.Size()}
	for size := int64(endSize); ; size *= 8 {
		from := max(0, end.Size-size)
		tail := make([]byte, end.Size-from)
		if _, err := f.ReadAt(tail, from); err != nil && err != io.EOF {
			return end, err
		}
		if from > 0 { // the first line is cut
			tail = tail[bytes.IndexByte(tail, '\n')+1:]
		}
		found := end.scan(tail)
		if found || from == 0 {
			if !found && end.Size > 0 {
				return end, fmt.Errorf("%s: no event in it can be read", rundir.EventsFile)
			}
			return end, nil
		}
		if size >= endSizeMax {
			return end, fmt.Errorf("%s: no event can be read in its last %d bytes", rundir.EventsFile, len(tail))
		}
	}
}

// scan goes back through whole lines until it knows how the run ended or, where
// it has not, its last epoch and its state, and reports whether any line was an
// event.
func (end *End) scan(lines []byte) bool {
	lines = lines[:bytes.LastIndexByte(lines, '\n')+1]
	found := false
	for len(lines) > 0 && (end.Epoch == nil || end.State == "") {
		start := bytes.LastIndexByte(lines[:len(lines)-1], '\n') + 1
		line := lines[start : len(lines)-1]
		lines = lines[:start]
		kind := kindOfLine(line)
		switch {
		case kind == "":
			continue
		case kind == event.KindEpoch && end.Epoch == nil, kind == event.KindStateChanged, kind == event.KindRunEnded, kind == event.KindRunStarted:
		default:
			found = true
			continue
		}
		e, err := event.Decode(line)
		if err != nil {
			continue
		}
		found = true
		switch e := e.(type) {
		case *event.EpochDone:
			end.Epoch = e
		case *event.StateChanged:
			end.State = cmp.Or(end.State, e.State)
		case *event.RunEnded:
			end.Ended = e
			return true
		case *event.RunStarted:
			// What was before is another process's, and partly taken back.
			end.State = cmp.Or(end.State, event.StateStarting)
			return true
		}
	}
	return found
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
	var h event.Header
	if json.Unmarshal(line, &h) != nil {
		return ""
	}
	return h.Event
}
