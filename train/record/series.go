package record

import (
	"context"
	"errors"
	"io"

	"cifartui/train/event"
)

// Series reads the records of several runs, one after the other, such as those
// of a comparison. It is an [event.Source] for one goroutine.
type Series struct {
	all  []*Reader
	left []*Reader // not read to their end
}

// OpenSeries opens the records of runs, given their folders.
func OpenSeries(folders ...string) (*Series, error) {
	s := new(Series)
	for _, f := range folders {
		r, err := Open(f)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.all = append(s.all, r)
	}
	s.left = s.all
	return s, nil
}

// Close closes the files.
func (s *Series) Close() error {
	var err error
	for _, r := range s.all {
		err = errors.Join(err, r.Close())
	}
	return err
}

// Next implements [event.Source].
func (s *Series) Next(ctx context.Context, max int) ([]event.Event, error) {
	for len(s.left) > 0 {
		events, err := s.left[0].Next(ctx, max)
		if !errors.Is(err, io.EOF) {
			return events, err
		}
		s.left = s.left[1:]
		if len(events) > 0 {
			return events, nil
		}
	}
	return nil, io.EOF
}
