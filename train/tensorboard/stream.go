package tensorboard

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"cifartui/train/event"
	"cifartui/train/record"
)

const filePrefix = "events.out.tfevents."

// A stream is one event file that is being written.
type stream struct {
	*record.Appender
	// from is the step up to which older files in the folder stand: what is
	// offered up to there is written already.
	from int64
}

// openStream makes the next event file of a run in dir. On a resume it begins
// where the older files end, or behind the last of the steps that the resume
// keeps when they reach beyond.
func openStream(dir string, started *event.RunStarted, kept int64) (*stream, error) {
	var from int64
	if started.Resumed {
		last, err := lastStep(dir)
		if err != nil {
			return nil, err
		}
		from = max(0, min(last, kept))
	}
	s, err := createStream(dir, started.Time)
	if err != nil {
		return nil, err
	}
	s.from = from
	// The first file has one too: TensorBoard ignores the first that it meets.
	s.add(startEvent(started.Time, from+1))
	return s, s.Flush()
}

// makeDir makes the folder of a run's files, or one in that, but not the run's: one
// that was moved is not to be made anew.
func makeDir(dir string) error {
	if parent := filepath.Dir(dir); filepath.Base(parent) == folder {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// createStream makes an event file whose name sorts after those in dir, since
// TensorBoard reads a folder's files in that order.
func createStream(dir string, t time.Time) (*stream, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	host = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:`, r) {
			return '_'
		}
		return r
	}, host)
	names, err := eventFiles(dir)
	if err != nil {
		return nil, err
	}
	second := t.Unix()
	if len(names) > 0 {
		newest, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(names[len(names)-1]), filePrefix), ".")
		last, err := strconv.ParseInt(newest, 10, 64)
		if err == nil { // else a name of another program's
			second = max(second, last+1)
		}
	}
	name := fmt.Sprintf("%s%010d.%s.%d", filePrefix, second, host, os.Getpid())
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	s := &stream{Appender: record.NewAppender(f, 0)}
	s.add(versionEvent(t))
	return s, nil
}

// eventFiles lists the event files in dir, oldest first.
func eventFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filePrefix) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(names)
	return names, nil
}

// lastStep returns the step that the event files in dir reach, torn ends and
// restarts taken into account.
func lastStep(dir string) (int64, error) {
	names, err := eventFiles(dir)
	if err != nil {
		return 0, err
	}
	var last int64
	for _, name := range names {
		if err := scanSteps(name, &last); err != nil {
			return 0, err
		}
	}
	return last, nil
}

func scanSteps(name string, last *int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	var data []byte
	for {
		data, err = readRecord(r, data[:0])
		if err != nil {
			return nil // the end, or a tear: nothing after it counts
		}
		switch step, kind := stepOf(data); kind {
		case eventSummary:
			*last = max(*last, step)
		case eventSessionLog:
			*last = min(*last, step-1)
		}
	}
}

// stepOf returns an Event's step and the field of its oneof that is set.
func stepOf(data []byte) (step int64, kind protowire.Number) {
	for len(data) > 0 {
		field, wire, n := protowire.ConsumeTag(data)
		if n < 0 {
			return 0, 0
		}
		data = data[n:]
		if field == eventStep && wire == protowire.VarintType {
			v, n := protowire.ConsumeVarint(data)
			if n < 0 || v > math.MaxInt64 {
				return 0, 0
			}
			step, data = int64(v), data[n:]
			continue
		}
		if field > eventStep {
			kind = field
		}
		if n = protowire.ConsumeFieldValue(field, wire, data); n < 0 {
			return 0, 0
		}
		data = data[n:]
	}
	return step, kind
}

// scalars writes the values of one step, unless older files have that step.
func (s *stream) scalars(t time.Time, step int64, values ...scalar) error {
	if step > s.from {
		s.add(scalarEvent(t, step, values...))
	}
	return s.Flush()
}

// add queues an event; Flush writes it.
func (s *stream) add(event []byte) { s.Add(appendRecord(nil, event)) }
