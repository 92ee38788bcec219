package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cifartui/train/event"
	"cifartui/train/event/eventtest"
	"cifartui/train/rundir"
)

// patience is how long a log may take to write what it was given: far over what it
// takes, as the disk may be busy.
const patience = 4 * time.Minute

// equal compares events; NaN equals NaN.
func equal(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y) && reflect.TypeOf(a) == reflect.TypeOf(b)
}

// folderA is the folder of a run called a, as the events of these tests are.
func folderA(t testing.TB) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "a")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

func writeLog(t testing.TB, folder string, events []event.Event) {
	t.Helper()
	l, _, err := OpenLog(rundir.OS{}, folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		l.Put(e)
	}
	l.Close(patience)
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
}

func readAll(t testing.TB, path string) []event.Event {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []event.Event
	for {
		events, err := r.Next(context.Background(), 3)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, events...)
	}
}

func TestEveryEventComesBackFromTheRecord(t *testing.T) {
	folder := folderA(t)
	want := eventtest.All()
	want[0].(*event.RunStarted).Folder = folder
	writeLog(t, folder, want)
	got := readAll(t, folder)
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i := range want {
		if !equal(want[i], got[i]) {
			t.Errorf("event %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

// A record that is found in another folder than it was written in is of the run
// of that folder.
func TestRecordIsOfTheFolderItIsFoundIn(t *testing.T) {
	folder := folderA(t)
	writeLog(t, folder, eventtest.All())
	moved := filepath.Join(t.TempDir(), "b")
	if err := os.Rename(folder, moved); err != nil {
		t.Fatal(err)
	}
	for _, e := range readAll(t, moved) {
		if e.Head().Run != "b" {
			t.Errorf("%s is of %s", e.Head().Event, e.Head().Run)
		}
		if s, ok := e.(*event.RunStarted); ok && s.Folder != moved {
			t.Errorf("its folder is %s, want %s", s.Folder, moved)
		}
	}
	if origin, err := Origin(moved); err != nil || origin == moved {
		t.Errorf("it was begun in %s, %v", origin, err)
	}
	t.Chdir(moved)
	run, err := Read(".")
	if err != nil || run.Name != "b" {
		t.Errorf("read from inside it is called %q, %v", run.Name, err)
	}
}

func TestPixelsAreWrittenOnceAndFilledIn(t *testing.T) {
	folder := folderA(t)
	pixels := bytes.Repeat([]byte{7}, 3072)
	var want []event.Event
	for i := range 5 {
		want = append(want, &event.Evaluated{Header: event.Header{Event: event.KindEvaluated, Seq: uint64(i + 1), Run: "a"}, Samples: []event.Sample{{Index: 9, Pixels: pixels}, {Index: i, Pixels: pixels[:100]}}})
	}
	writeLog(t, folder, want)
	for i, e := range readAll(t, folder) {
		if !equal(want[i], e) {
			t.Errorf("event %d differs", i)
		}
	}
	b, err := os.ReadFile(filepath.Join(folder, rundir.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 7000 {
		t.Errorf("%d bytes: the image of 4,096 was written more than once", len(b))
	}
	if !bytes.Equal(want[1].(*event.Evaluated).Samples[0].Pixels, pixels) {
		t.Error("the writer changed the event that all readers share")
	}
}

func TestStepLinesAreFewerThanSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		l, _, err := OpenLog(rundir.OS{}, folder, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 500 {
			l.Put(eventtest.Step("a", int64(i+1)))
			time.Sleep(10 * time.Millisecond)
		}
		l.Flush(patience)
		events := readAll(t, folder)
		sum := 0
		for _, e := range events {
			sum += e.(*event.StepDone).Count
		}
		if sum != 500 {
			t.Errorf("after flush the record has %d steps, want 500", sum)
		}
		if len(events) > 6 { // one a second, and what is flushed
			t.Errorf("%d lines for 500 steps", len(events))
		}
		l.Close(patience)
	})
}

func TestHalfALineIsLeftOutAndCutOffAtTheResume(t *testing.T) {
	folder := folderA(t)
	path := filepath.Join(folder, rundir.EventsFile)
	events := eventtest.All()
	writeLog(t, folder, events[:4])
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, half := range []string{"{", `{"event":"step","seq":99,"time":"2026`, strings.Repeat("x", 3000)} {
		if err := os.WriteFile(path, append(bytes.Clone(whole), half...), 0o644); err != nil {
			t.Fatal(err)
		}
		if n := len(readAll(t, path)); n != 4 {
			t.Errorf("%d events before the mending, want 4", n)
		}
		l, seq, err := OpenLog(rundir.OS{}, folder, nil)
		if err != nil || seq != 4 {
			t.Fatalf("last number %d, %v; want 4", seq, err)
		}
		l.Put(events[4])
		l.Close(patience)
		got := readAll(t, folder)
		if len(got) != 5 || !equal(got[4], events[4]) {
			t.Errorf("%d events after the mending, want 5", len(got))
		}
	}
}

func TestDamagedLinesAreSkippedAndCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), rundir.EventsFile)
	line, err := json.Marshal(eventtest.All()[7])
	if err != nil {
		t.Fatal(err)
	}
	text := "garbage\n" + string(line) + "\n{\"event\":\"from_the_future\"}\n\n" + strings.Repeat("y", maxLine+5*readChunk) + "\n" + string(line) + "\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for {
		events, err := r.Next(context.Background(), 10)
		if err != nil {
			break
		}
		n += len(events)
	}
	if n != 2 || r.Skipped() < 3 {
		t.Errorf("%d events and %d skipped, want 2 and the damaged ones", n, r.Skipped())
	}
}

// BenchmarkStepLines reads a record of 300,000 step lines, 100 MB.
func BenchmarkStepLines(b *testing.B) {
	path := filepath.Join(b.TempDir(), rundir.EventsFile)
	var lines bytes.Buffer
	const n, parts = 10000, 30
	for i := range n {
		s := eventtest.Step("model_20261123_1405", int64(i+1))
		s.Time = time.Date(2026, 11, 23, 14, 5, i%60, i*1e6%1e9, time.UTC)
		s.Loss, s.Acc, s.ImagesPerSecond, s.Elapsed = event.Float(math.Sqrt(float64(i+2))), event.Float(1/math.Sqrt(float64(i+3))), 100*math.Pi, float64(i)*math.E
		line, err := json.Marshal(s)
		if err != nil {
			b.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	if err := os.WriteFile(path, bytes.Repeat(lines.Bytes(), parts), 0o644); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if events := readAll(b, path); len(events) != n*parts {
			b.Fatalf("%d events, want %d", len(events), n*parts)
		}
	}
}

// unsynced is a disk whose files fail to sync as often as is left.
type unsynced struct {
	rundir.OS
	left *int
}

type unsyncedFile struct {
	rundir.File
	left *int
}

func (d unsynced) Append(path string) (rundir.File, error) {
	f, err := d.OS.Append(path)
	return unsyncedFile{f, d.left}, err
}

func (f unsyncedFile) Sync() error {
	if *f.left--; *f.left >= 0 {
		return errors.New("no sync")
	}
	return f.File.Sync()
}

// After a sync that fails nothing is well until one succeeds, whoever asks next.
func TestSyncThatFailsIsOwed(t *testing.T) {
	left := 2
	w := newLogWriter(unsynced{left: &left}, filepath.Join(t.TempDir(), rundir.EventsFile))
	defer w.witness.close()
	defer w.close()
	w.add(eventtest.Step("a", 1))
	for i, c := range []struct{ sync, fails bool }{{true, true}, {false, true}, {false, false}, {false, false}} {
		if err := w.write(c.sync); (err != nil) != c.fails {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if left != -1 {
		t.Errorf("synced %d times, want 3: a sync that has succeeded is not owed", 2-left)
	}
}

// Pictures that are lost with a record which is cut come again with the next
// evaluation that shows them.
func TestPicturesComeAgainAfterACut(t *testing.T) {
	folder := folderA(t)
	path := filepath.Join(folder, rundir.EventsFile)
	l, _, err := OpenLog(rundir.OS{}, folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	pixels := bytes.Repeat([]byte{7}, 3072)
	shows := func(seq uint64) {
		l.Put(&event.Evaluated{Header: event.Header{Event: event.KindEvaluated, Seq: seq, Run: "a"}, Samples: []event.Sample{{Index: 9, Pixels: pixels}}})
		l.Flush(patience)
	}
	begin := event.RunStarted{Header: event.Header{Event: event.KindRunStarted, Seq: 1, Run: "a"}}
	l.Keep(&begin, nil)
	l.Put(&begin)
	shows(2)
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	shows(3)
	l.Close(patience)
	events := readAll(t, folder)
	if last, ok := events[len(events)-1].(*event.Evaluated); !ok || !bytes.Equal(last.Samples[0].Pixels, pixels) {
		t.Errorf("after the cut the record has %d events, and no pictures", len(events))
	}
}

// What a cut leaves of a line spoils none that is written after it, also where
// nothing else is gone.
func TestACutWithinTheLastLineSpoilsNoOther(t *testing.T) {
	folder := folderA(t)
	path := filepath.Join(folder, rundir.EventsFile)
	l, _, err := OpenLog(rundir.OS{}, folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	begin := event.RunStarted{Header: event.Header{Event: event.KindRunStarted, Seq: 1, Run: "a"}}
	l.Keep(&begin, nil)
	l.Put(&begin)
	l.Put(eventtest.Step("a", 2))
	l.Flush(patience)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, st.Size()-10); err != nil {
		t.Fatal(err)
	}
	l.Put(&event.EpochDone{Header: event.Header{Event: event.KindEpoch, Seq: 3, Run: "a"}, Epoch: 1})
	l.Close(patience)
	events := readAll(t, folder)
	if len(events) != 2 || events[1].Head().Seq != 3 {
		t.Errorf("the record has %d events, want the start and the epoch", len(events))
	}
}

// tearing is a disk that is full while limit is over 0: of a write it takes so many
// bytes.
type tearing struct {
	rundir.OS
	limit *int
}

type tornFile struct {
	rundir.File
	limit *int
}

func (d tearing) Append(path string) (rundir.File, error) {
	f, err := d.OS.Append(path)
	return tornFile{f, d.limit}, err
}

func (f tornFile) Write(p []byte) (int, error) {
	if *f.limit == 0 {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:*f.limit])
	return n, errors.Join(err, errors.New("full"))
}

// Who empties the record on a disk that is full, and so has it hold a part of a
// line, loses no epoch: neither one that was written before that part nor its own.
func TestARecordEmptiedOnAFullDisk(t *testing.T) {
	folder := folderA(t)
	limit := 0
	l := &Log{first: &event.RunStarted{Header: event.Header{Event: event.KindRunStarted, Seq: 1, Run: "a"}}}
	w := newLogWriter(tearing{limit: &limit}, filepath.Join(folder, rundir.EventsFile))
	defer w.witness.close()
	defer w.close()
	put := func(e event.Event) {
		l.kept = append(l.kept, e)
		w.add(e)
	}
	put(l.first)
	if err := w.write(false); err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(3) {
		put(&event.EpochDone{Header: event.Header{Event: event.KindEpoch, Seq: 2 + seq, Run: "a"}, Epoch: int(1 + seq)})
	}
	limit = len(w.lines) / 2 // within the second of three lines
	if err := w.write(false); err == nil {
		t.Fatal("a full disk has taken all")
	}
	limit = 0
	if err := os.Truncate(w.path, 0); err != nil {
		t.Fatal(err)
	}
	if err := l.mend(&w); err != nil {
		t.Fatal(err)
	}
	if err := w.write(true); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for _, e := range readAll(t, folder) {
		got = append(got, e.Head().Seq)
	}
	if !slices.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("the record has events %v, want 1 to 4", got)
	}
}

// While a disk takes nothing for so long that lines are dropped, that is told once,
// and how many they were once it takes them; no epoch is among them, and pictures come
// again.
func TestWhatADiskThatIsFullForLongCostsIsTold(t *testing.T) {
	folder := folderA(t)
	pixels := bytes.Repeat([]byte{7}, 3072)
	seq := uint64(0)
	at := func() event.Header { seq++; return event.Header{Seq: seq, Run: "a"} }
	step := func() event.Event { return &event.StepDone{Header: at(), Total: int64(seq), Count: 1} }
	shown := func() event.Event {
		return &event.Evaluated{Header: at(), Samples: []event.Sample{{Index: 9, Pixels: pixels}}}
	}
	epoch := func() event.Event { return &event.EpochDone{Header: at(), Epoch: 1} }

	limit := 3
	l := &Log{path: filepath.Join(folder, rundir.EventsFile)}
	w := newLogWriter(tearing{limit: &limit}, l.path)
	defer w.witness.close()
	defer w.close()
	var notes []string
	write := func(events ...event.Event) error {
		for _, e := range events {
			e.Head().Event = event.KindOf(e)
		}
		err := l.write(&w, events, false)
		if n := l.Note(); n != "" {
			notes = append(notes, n)
		}
		return err
	}
	if err := write(step()); err == nil || len(notes) > 0 {
		t.Fatalf("a full disk: %v, %q", err, notes)
	}
	w.limit = len(w.lines)
	for range 3 {
		if err := write(step(), shown(), epoch()); err == nil {
			t.Fatal("a full disk has taken all")
		}
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "no more lines") {
		t.Errorf("told %q, want once that lines are dropped", notes)
	}
	limit, w.limit = 0, logLimit
	if err := write(); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 2 || !strings.Contains(notes[1], "lacks 6 lines") {
		t.Errorf("told %q, want that 6 lines are lacking", notes)
	}
	if err := l.Lost(); err == nil || !strings.Contains(err.Error(), "lacks 6 lines") {
		t.Errorf("lost: %v", err)
	}
	if err := write(shown(), step()); err != nil || len(notes) != 2 {
		t.Fatalf("written again: %v, %q", err, notes)
	}
	var got []uint64
	events := readAll(t, folder)
	for _, e := range events {
		got = append(got, e.Head().Seq)
	}
	if want := []uint64{1, 4, 7, 10, 11, 12}; !slices.Equal(got, want) {
		t.Fatalf("the record has events %v, want %v", got, want)
	}
	if e := events[4].(*event.Evaluated); !bytes.Equal(e.Samples[0].Pixels, pixels) {
		t.Error("the picture of a dropped line did not come again")
	}
}

// What cannot be written at the end is tried again, as it is before.
func TestTheEndIsTriedAgain(t *testing.T) {
	folder := folderA(t)
	left := 2
	l, _, err := OpenLog(unsynced{left: &left}, folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Put(&event.RunEnded{Header: event.Header{Event: event.KindRunEnded, Seq: 1, Run: "a"}})
	l.Close(patience)
	if err := l.Lost(); err != nil || left != -1 {
		t.Errorf("%v, synced %d times, want 3", err, 2-left)
	}
}

func FuzzStepLine(f *testing.F) {
	for _, e := range eventtest.All() {
		b, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, _ := json.Marshal(eventtest.Step("a", 5))
	f.Add(b)
	for _, change := range [][2]string{{`"a"`, `"\u0041"`}, {`:5`, `:05`}, {`"loss":5`, `"loss":0x5`}, {`"loss":5`, `"loss":1e999`}, {`"loss":5`, `"loss":"Infinity"`}, {`"0001-01-01T00:00:00Z"`, `"2024-02-30T00:00:00Z"`}, {`}}`, `}} `}, {`:1,`, `:1_0,`}} {
		f.Add([]byte(strings.Replace(string(b), change[0], change[1], 1)))
	}
	var p stepParser
	f.Fuzz(func(t *testing.T, line []byte) {
		fast := p.parse(line)
		if fast == nil {
			return
		}
		slow, err := event.Decode(line)
		if err != nil {
			t.Fatalf("%q: the fast parser took it, encoding/json says %v", line, err)
		}
		if !equal(fast, slow) {
			t.Fatalf("%q: %+v, encoding/json says %+v", line, fast, slow)
		}
	})
}

func FuzzMendedLogReads(f *testing.F) {
	f.Add([]byte("{}\n{"))
	f.Add([]byte(`{"event":"warning","seq":3,"time":"2026-01-01T00:00:00Z","run":"a","message":"m"}` + "\nhalf"))
	f.Fuzz(func(t *testing.T, content []byte) {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, rundir.EventsFile), content, 0o644); err != nil {
			t.Fatal(err)
		}
		before := readAll(t, folder)
		l, seq, err := OpenLog(rundir.OS{}, folder, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Put(&event.Warning{Header: event.Header{Event: event.KindWarning, Seq: seq + 1, Run: "a"}, Message: "new"})
		l.Close(patience)
		after := readAll(t, folder)
		if len(after) != len(before)+1 {
			t.Fatalf("%d events, then %d: want one more", len(before), len(after))
		}
		for i, e := range after[:len(before)] {
			if !equal(e, before[i]) {
				t.Fatalf("event %d changed", i)
			}
		}
	})
}

func TestStepParserTakesOurOwnLines(t *testing.T) {
	for _, e := range append(eventtest.All(), eventtest.Step("model_1", 7)) {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var p stepParser
		got := p.parse(line)
		if s, ok := e.(*event.StepDone); ok && (got == nil || !equal(got, s)) {
			t.Errorf("%s: read as %+v", line, got)
		} else if !ok && got != nil {
			t.Errorf("%s: taken for a step", line)
		}
	}
}

// A screen takes a batch that is not full for the end of what there is, and
// rests: a part of the file that holds fewer lines must not look like it.
func TestBatchesAreFullUpToTheEnd(t *testing.T) {
	const events, most = 30_000, 4096
	folder := t.TempDir()
	var b []byte
	for i := range events {
		b = fmt.Appendf(b, `{"event":"step","seq":%d,"time":"2026-11-23T14:05:00Z","run":"r","epoch":1,"step":%d,"steps":%d,"total":%d,"count":1,"loss":1,"min_loss":1,"max_loss":1,"acc":0.5,"lr":1,"images_per_second":64,"elapsed":%d,"phases":{"data":0,"forward":0,"backward":0,"optimizer":0}}`+"\n", i+1, i+1, events, i+1, i+1)
	}
	if len(b) < 10*readChunk {
		t.Fatalf("%d bytes are too few to tell", len(b))
	}
	if err := os.WriteFile(filepath.Join(folder, rundir.EventsFile), b, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	total := 0
	for {
		list, err := r.Next(context.Background(), most)
		total += len(list)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(list) < most && total < events {
			t.Fatalf("a batch of %d after %d events, want %d", len(list), total, most)
		}
	}
	if total != events || r.Skipped() != 0 {
		t.Errorf("%d events, %d skipped; want %d, 0", total, r.Skipped(), events)
	}
}
