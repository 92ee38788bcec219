package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// resumed is a Source that tells the past first.
type resumed struct {
	records []pastRecord
	live    event.Source
}

type pastRecord struct {
	reader *Reader
	end    uint64 // number of the last event of the past
}

// Resumed returns a source that tells what the folder of a run or a comparison
// holds so far, run by run, and then what live tells. It is made before the
// resumed run starts, so that live begins where the records end.
func Resumed(folder string, live event.Source) (event.Source, error) {
	folders, err := config.RunFolders(folder)
	if err != nil && !errors.Is(err, config.ErrNoRuns) { // those are yet to begin
		return nil, err
	}
	s := &resumed{live: live}
	for _, f := range folders {
		r, err := Open(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has not begun
		}
		if err == nil {
			var end uint64
			if end, err = lastNumber(filepath.Join(f, rundir.EventsFile)); err == nil {
				s.records = append(s.records, pastRecord{r, end})
				continue
			}
			err = errors.Join(err, r.Close())
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
		}
		if err != nil && !over {
			return events, err
		}
		if over {
			s.records = s.records[1:]
			if err := p.reader.Close(); err != nil {
				return events, err
			}
		}
		if len(events) > 0 {
			return events, nil
		}
	}
	return s.live.Next(ctx, max)
}
