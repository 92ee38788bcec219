package record

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// csvHeader and csvRow give history.csv the form of Keras' CSVLogger: the
// dialect "excel" of Python's csv (commas, lines that end in CR LF), the epoch
// counted from 0, the other columns in alphabetical order under the names of
// Keras 2.0, numbers as Python's repr writes them.
const csvHeader = "epoch,acc,loss,lr,val_acc,val_loss\r\n"

func csvRow(e *event.EpochDone) string {
	return strings.Join([]string{
		strconv.Itoa(e.Epoch - 1),
		pythonFloat(float64(e.Acc)),
		pythonFloat(float64(e.Loss)),
		pythonFloat(e.LR),
		pythonFloat(float64(e.ValAcc)),
		pythonFloat(float64(e.ValLoss)),
	}, ",") + "\r\n"
}

// pythonFloat formats a number as repr(float) does in Python 3: the shortest
// digits that read back, with an exponent below 1e-4 and from 1e16 on, and a
// point in every whole number.
func pythonFloat(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	case a != 0 && (a < 1e-4 || a >= 1e16):
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// csvSink writes history.csv.
type csvSink struct{ rows *Appender }

// OpenCSV makes a run's history.csv, with the rows that still count after a
// resume; those come from the record of events, since a killed process may not
// have lived to write its last row. It is an [OpenSink].
func OpenCSV(started *event.RunStarted) (Sink, error) {
	path := filepath.Join(started.Folder, rundir.HistoryFile)
	s, err := openCSV(path, started)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func openCSV(path string, started *event.RunStarted) (*csvSink, error) {
	rows := csvHeader
	if started.Resumed {
		run := Run{Name: started.Run}
		if err := past(started, func(e event.Event) { run.Apply(e) }); err != nil {
			return nil, err
		}
		run.Apply(started)
		for _, e := range run.Epochs {
			rows += csvRow(e)
		}
	}
	size, err := rundir.WriteAtomic(rundir.OS{}, path, func(w io.Writer) error {
		_, err := io.WriteString(w, rows)
		return err
	})
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return &csvSink{rows: NewAppender(f, size)}, nil
}

// Write implements [Sink].
func (s *csvSink) Write(e event.Event) error {
	if e, ok := e.(*event.EpochDone); ok {
		s.rows.Add([]byte(csvRow(e)))
	}
	if err := s.rows.Flush(); err != nil {
		return fmt.Errorf("%s: %w", rundir.HistoryFile, err)
	}
	return nil
}

// Close implements [Sink].
func (s *csvSink) Close() error {
	if err := s.rows.Close(); err != nil {
		return fmt.Errorf("%s: %w", rundir.HistoryFile, err)
	}
	return nil
}

// A csvRecord is a row of history.csv.
type csvRecord struct {
	epoch                      int // from 1
	acc, loss, valAcc, valLoss float64
}

// maxCSV bounds what is read into memory: a row is under 100 bytes.
const maxCSV = 1 << 28

var errNoHistory = errors.New("not a table of epochs as this program writes it")

// readCSV reads history.csv. A torn last row is left out.
func readCSV(path string) ([]csvRecord, error) {
	b, err := rundir.ReadFile(path, maxCSV)
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(string(b), csvHeader)
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, errNoHistory)
	}
	records := make([]csvRecord, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		line, whole := strings.CutSuffix(line, "\r\n")
		r, ok := parseCSV(line)
		if !whole || !ok {
			break
		}
		records = append(records, r)
	}
	return records, nil
}

// parseCSV reads a row.
func parseCSV(line string) (r csvRecord, ok bool) {
	first, rest, more := strings.Cut(line, ",")
	epoch, err := strconv.Atoi(first)
	r.epoch = epoch + 1
	var rate float64
	for _, v := range [...]*float64{&r.acc, &r.loss, &rate, &r.valAcc, &r.valLoss} {
		if err != nil || !more {
			return r, false
		}
		var cell string
		cell, rest, more = strings.Cut(rest, ",")
		*v, err = strconv.ParseFloat(cell, 64)
	}
	return r, err == nil && !more
}
