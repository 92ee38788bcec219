package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// resumed is a Source that tells the past first.
type resumed struct {
	records []*pastRecord          // to be told
	told    map[string]*pastRecord // by run, until live tells of it
	live    event.Source
}

// pastRecord is the record of a run as it was before a resume.
type pastRecord struct {
	folder string
	reader *Reader         // nil: there was none
	end    uint64          // number of the last event of the past
	epochs map[uint64]bool // by number, those that were told
}

// Resumed returns a source that tells what the folder of a run or a comparison
// holds so far, run by run, and then what live tells. It is made before the
// resumed run starts, so that live begins where the records end; what the resume
// gives back of one, of its end and of the epochs in its middle, is told before the
// first event of its run.
func Resumed(folder string, live event.Source) (event.Source, error) {
	folders, err := config.RunFolders(folder)
	if err != nil && !errors.Is(err, config.ErrNoRuns) { // those are yet to begin
		return nil, err
	}
	s := &resumed{told: make(map[string]*pastRecord), live: live}
	for _, f := range folders {
		p := &pastRecord{folder: f, epochs: make(map[uint64]bool)}
		p.reader, err = Open(f)
		if errors.Is(err, fs.ErrNotExist) { // it has not begun, or its record was deleted
			s.told[rundir.Name(f)] = p
			continue
		}
		if err == nil {
			if p.end, err = lastNumber(filepath.Join(f, rundir.EventsFile)); err == nil {
				s.records = append(s.records, p)
				continue
			}
			err = errors.Join(err, p.reader.Close())
		}
		for _, p := range s.records {
			err = errors.Join(err, p.reader.Close())
		}
		return nil, err
	}
	return s, nil
}

// lastNumber is the highest event number at the end of a record.
func lastNumber(path string) (uint64, error) {
	f, err := rundir.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	tail := make([]byte, min(st.Size(), endSizeMax))
	if _, err := f.ReadAt(tail, st.Size()-int64(len(tail))); err != nil && err != io.EOF {
		return 0, err
	}
	var last uint64
	for line := range bytes.Lines(tail) {
		var h event.Header
		if json.Unmarshal(line, &h) == nil {
			last = max(last, h.Seq)
		}
	}
	return last, nil
}

// Next implements [event.Source].
func (s *resumed) Next(ctx context.Context, max int) ([]event.Event, error) {
	for len(s.records) > 0 {
		p := s.records[0]
		events, err := p.reader.Next(ctx, max)
		over := errors.Is(err, io.EOF)
		for i, e := range events {
			if e.Head().Seq > p.end {
				events, over = events[:i], true
				break
			}
			if e, ok := e.(*event.EpochDone); ok {
				p.epochs[e.Seq] = true
			}
		}
		if err != nil && !over {
			return events, err
		}
		if over {
			s.records, s.told[p.reader.name] = s.records[1:], p
		}
		if len(events) > 0 {
			return events, nil
		}
	}
	live, err := s.live.Next(ctx, max)
	if len(s.told) == 0 {
		return live, err
	}
	var events []event.Event
	for _, e := range live {
		if h := e.Head(); s.told[h.Run] != nil {
			p := s.told[h.Run]
			delete(s.told, h.Run)
			back, err := p.givenBack(h.Seq)
			if err != nil {
				return nil, err
			}
			events = append(events, back...)
		}
		events = append(events, e)
	}
	return events, err
}

// givenBack returns what a resume, whose events begin with a number, has given back
// to the record, and lets go of it.
func (p *pastRecord) givenBack(begin uint64) (events []event.Event, err error) {
	if p.reader != nil {
		replaced := p.reader.Replaced()
		if err := p.reader.Close(); err != nil || !replaced {
			return nil, err
		}
	}
	again, err := Open(p.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing is given back to it
	}
	if err != nil {
		return nil, err
	}
	for {
		more, err := again.Next(context.Background(), 1024)
		for _, e := range more {
			seq := e.Head().Seq
			_, epoch := e.(*event.EpochDone)
			if seq < begin && (seq > p.end || epoch && !p.epochs[seq]) {
				events = append(events, e)
			}
		}
		if errors.Is(err, io.EOF) {
			return events, again.Close()
		}
		if err != nil {
			return nil, errors.Join(err, again.Close())
		}
	}
}

// CallOff ends the runs of a run's or a comparison's folder that were handed over to
// a process which a signal has ended before it went on with them: until then their
// records say that they are gone on with. It takes their locks for as long.
func CallOff(folder, signal string) error {
	folders, err := config.RunFolders(folder)
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	if !slices.Contains(folders, folder) {
		folders = append([]string{folder}, folders...) // a comparison has a lock of its own
	}
	for _, f := range folders {
		lock, err := rundir.LockFolder(f)
		if lock != nil {
			defer lock.Release()
		}
		if err != nil && !errors.Is(err, rundir.ErrNoLocks) {
			return err
		}
		if !rundir.IsRun(f) {
			continue
		}
		if err := callOff(f, signal); err != nil {
			return err
		}
	}
	return nil
}

func callOff(folder, signal string) error {
	known, _, _, err := readEnd(folder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(known) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	last, ok := known[len(known)-1].(*event.RunEnded)
	if !ok || !last.GoneOnWith() {
		return nil
	}
	l, seq, err := OpenLog(rundir.OS{}, folder, nil)
	if err != nil {
		return err
	}
	end := *last
	end.Seq, end.Time = seq+1, time.Now()
	end.Outcome, end.Signal, end.Error, end.GoesOn = event.OutcomeStopped, signal, "", false
	l.Put(&end)
	l.Close(callOffLimit)
	return l.Lost()
}

// callOffLimit is how long a disk may take for the end of a run that is called off.
const callOffLimit = 5 * time.Second
