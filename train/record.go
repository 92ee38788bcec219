package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// ReadRun reads the record of one run folder. The run has the folder's name,
// whatever it was called before somebody renamed or copied the folder.
func ReadRun(folder string) (*RunHistory, error) {
	r, err := ReadEvents(folder)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := &RunHistory{}
	for {
		events, err := r.Next(context.Background(), 4096)
		for _, e := range events {
			h.apply(e)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	h.Name = filepath.Base(filepath.Clean(folder))
	return h, nil
}

// RunFolders returns the run folders that a folder stands for: itself, or those
// of a comparison.
func RunFolders(folder string) ([]string, error) {
	if !IsComparison(folder) {
		return []string{folder}, nil
	}
	file, err := readComparison(folder)
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, name := range file.Runs {
		folders = append(folders, filepath.Join(folder, name))
	}
	return folders, nil
}

// ReadRuns reads the runs that folders stand for, comparisons included.
func ReadRuns(folders ...string) ([]*RunHistory, error) {
	var runs []*RunHistory
	for _, folder := range folders {
		list, err := RunFolders(folder)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			h, err := ReadRun(f)
			if err != nil {
				return nil, fmt.Errorf("run %s: %w", f, err)
			}
			runs = append(runs, h)
		}
	}
	return runs, nil
}

// FindFolder is [FindRun] for comparisons too: the folder of the run or the
// comparison that a person means by a path, by a name in runs, or by "last" for
// the one trained last. A run of a comparison is "comparison/run".
func FindFolder(runs, which string) (string, error) {
	for _, folder := range []string{filepath.Join(runs, which), which} {
		if which != "last" && IsComparison(folder) {
			return folder, nil
		}
	}
	if which != "last" {
		return FindRun(runs, which)
	}
	list, err := List(runs)
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(r RunInfo) bool { return r.Updated.IsZero() })
	if len(list) == 0 {
		return FindRun(runs, which) // says what to do
	}
	last := slices.MaxFunc(list, func(a, b RunInfo) int { return a.Updated.Compare(b.Updated) })
	if parent := filepath.Dir(last.Folder); IsComparison(parent) {
		return parent, nil
	}
	return last.Folder, nil
}

// resumed is a Source that tells the past first.
type resumed struct {
	records []pastRecord
	live    Source
}

type pastRecord struct {
	reader *EventReader
	end    uint64 // number of the last event of the past
}

// Resumed returns a source that tells what the folder of a run or a comparison
// holds so far, run by run, and then what live tells. It is made before the
// resumed run starts, so that live begins where the records end.
func Resumed(folder string, live Source) (Source, error) {
	folders, err := RunFolders(folder)
	if err != nil {
		return nil, err
	}
	s := &resumed{live: live}
	for _, f := range folders {
		r, err := ReadEvents(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has not begun
		}
		if err == nil {
			var end uint64
			if end, err = lastNumber(filepath.Join(f, EventsFile)); err == nil {
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
	f, err := os.Open(path)
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
		var h Header
		if json.Unmarshal(line, &h) == nil {
			last = max(last, h.Seq)
		}
	}
	return last, nil
}

// Next implements [Source].
func (s *resumed) Next(ctx context.Context, max int) ([]Event, error) {
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
