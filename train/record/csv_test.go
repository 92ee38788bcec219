package record

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/event"
	"cifartui/train/event/eventtest"
	"cifartui/train/rundir"
)

// The right column is what Python 3.11 prints for repr of the left one.
func TestNumbersInCSVArePythons(t *testing.T) {
	for v, want := range map[float64]string{
		0:                   "0.0",
		1:                   "1.0",
		-2.5:                "-2.5",
		0.30000000000000004: "0.30000000000000004",
		0.0001:              "0.0001",
		0.00001:             "1e-05",
		0.000012345:         "1.2345e-05",
		1234567:             "1234567.0",
		1e15:                "1000000000000000.0",
		1e16:                "1e+16",
		1.5e300:             "1.5e+300",
		5e-324:              "5e-324",
		math.Inf(1):         "inf",
		math.Inf(-1):        "-inf",
		0.8947:              "0.8947",
	} {
		if got := pythonFloat(v); got != want {
			t.Errorf("%g is written %s, want %s", v, got, want)
		}
	}
	if got := pythonFloat(math.NaN()); got != "nan" {
		t.Errorf("NaN is written %s", got)
	}
}

func epochEvent(epoch int) *event.EpochDone {
	return &event.EpochDone{Header: event.Header{Run: "r"}, Epoch: epoch, Total: int64(10 * epoch), LR: 1,
		Acc: event.Float(epoch) / 10, Loss: event.Float(1 / float64(epoch)), ValAcc: 0.5, ValLoss: 1e-5}
}

func csvOf(t *testing.T, started *event.RunStarted, events ...event.Event) string {
	t.Helper()
	s, err := OpenCSV(started)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := s.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	// Not closed first: the rows must stand there after a SIGKILL.
	b, err := os.ReadFile(filepath.Join(started.Folder, rundir.HistoryFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCSVIsKerasCSVLoggers(t *testing.T) {
	got := csvOf(t, &event.RunStarted{Folder: t.TempDir()}, &event.StepDone{}, epochEvent(1), &event.Warning{}, epochEvent(2))
	want := "epoch,acc,loss,lr,val_acc,val_loss\r\n" +
		"0,0.1,1.0,1.0,0.5,1e-05\r\n" +
		"1,0.2,0.5,1.0,0.5,1e-05\r\n"
	if got != want {
		t.Errorf("history.csv:\n%s\nwant\n%s", got, want)
	}
}

// The process died after its checkpoint in epoch 3 and before it wrote that
// row, or long after: the rows are those of an undisturbed run.
func TestCSVAfterAKill(t *testing.T) {
	whole := csvOf(t, &event.RunStarted{Folder: t.TempDir()}, epochEvent(1), epochEvent(2), epochEvent(3), epochEvent(4))
	lines := strings.SplitAfter(whole, "\n")
	for name, left := range map[string]string{
		"row missing":   strings.Join(lines[:3], ""),
		"row torn":      strings.Join(lines[:3], "") + lines[3][:7],
		"rows too many": whole + "4,0.5,0.2,1.0,0.5,1e-05\r\n",
		"file empty":    "",
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, rundir.HistoryFile), []byte(left), 0o666); err != nil {
				t.Fatal(err)
			}
			resumed := &event.RunStarted{Header: event.Header{Run: "r"}, Folder: folder, Resumed: true, ResumedEpoch: 4, ResumedTotal: 30}
			eventtest.Write(t, folder, &event.RunStarted{Header: event.Header{Run: "r"}},
				epochEvent(1), epochEvent(2), epochEvent(3), epochEvent(4), epochEvent(5), resumed)
			if got := csvOf(t, resumed, epochEvent(4)); got != whole {
				t.Errorf("history.csv:\n%s\nwant\n%s", got, whole)
			}
		})
	}
}

func TestReadCSVLeavesOutATornRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), rundir.HistoryFile)
	text := csvHeader + csvRow(epochEvent(1)) + csvRow(&event.EpochDone{Epoch: 2, Loss: event.Float(math.NaN())})
	if err := os.WriteFile(path, []byte(text+"2,0.3,0."), 0o666); err != nil {
		t.Fatal(err)
	}
	rows, err := readCSV(path)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if r := rows[0]; r != (csvRecord{epoch: 1, acc: 0.1, loss: 1, valAcc: 0.5, valLoss: 1e-5}) {
		t.Errorf("first row %+v", r)
	}
	if r := rows[1]; !math.IsNaN(r.loss) {
		t.Errorf("second row %+v", r)
	}
	if err := os.WriteFile(path, []byte("a,b\n1,2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := readCSV(path); err == nil {
		t.Error("a foreign table gave no error")
	}
}

func FuzzHistoryTable(f *testing.F) {
	f.Add([]byte(csvHeader + "0,0.1,2.3,1.0,0.2,nan\r\n1,"))
	f.Add([]byte(csvHeader + ",,,,,\r\n"))
	path := filepath.Join(f.TempDir(), rundir.HistoryFile)
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		rows, err := readCSV(path)
		if err != nil && len(rows) > 0 {
			t.Errorf("%d rows and %v", len(rows), err)
		}
	})
}
