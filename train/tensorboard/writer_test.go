package tensorboard

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
)

// ---- An independent reader, from the format's description alone. ----

// crc32c is the checksum bit by bit: reflected polynomial 0x82f63b78.
func crc32c(b []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range b {
		crc ^= uint32(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x82f63b78
			} else {
				crc >>= 1
			}
		}
	}
	return ^crc
}

func masked(b []byte) uint32 {
	c := crc32c(b)
	return ((c >> 15) | (c << 17)) + 0xa282ead8
}

// records splits a file into its records and says how many bytes at the end
// form no whole record.
func records(t *testing.T, b []byte) (list [][]byte, torn int) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < 12 {
			return list, len(b)
		}
		n := int(binary.LittleEndian.Uint64(b))
		if got, want := binary.LittleEndian.Uint32(b[8:]), masked(b[:8]); got != want {
			t.Fatalf("record %d: length checksum %08x, want %08x", len(list), got, want)
		}
		if len(b) < 12+n+4 {
			return list, len(b)
		}
		data := b[12 : 12+n]
		if got, want := binary.LittleEndian.Uint32(b[12+n:]), masked(data); got != want {
			t.Fatalf("record %d: data checksum %08x, want %08x", len(list), got, want)
		}
		list = append(list, data)
		b = b[12+n+4:]
	}
	return list, 0
}

// A message holds a protobuf message's fields by number, as varint (uint64),
// fixed64 (uint64), fixed32 (uint32) or bytes.
type message map[int][]any

func parse(t *testing.T, b []byte) message {
	t.Helper()
	m := make(message)
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatalf("bad key in % x", b)
		}
		b = b[n:]
		var v any
		switch key & 7 {
		case 0:
			x, n := binary.Uvarint(b)
			v, b = x, b[n:]
		case 1:
			v, b = binary.LittleEndian.Uint64(b), b[8:]
		case 2:
			x, n := binary.Uvarint(b)
			v, b = b[n:n+int(x)], b[n+int(x):]
		case 5:
			v, b = binary.LittleEndian.Uint32(b), b[4:]
		default:
			t.Fatalf("wire type %d", key&7)
		}
		m[int(key>>3)] = append(m[int(key>>3)], v)
	}
	return m
}

func (m message) sub(t *testing.T, field int) message {
	t.Helper()
	if len(m[field]) != 1 {
		t.Fatalf("field %d stands %d times", field, len(m[field]))
	}
	return parse(t, m[field][0].([]byte))
}

func (m message) str(field int) string {
	if len(m[field]) == 0 {
		return ""
	}
	return string(m[field][0].([]byte))
}

func (m message) double(field int) float64 { return math.Float64frombits(m[field][0].(uint64)) }

func (m message) varint(field int) int64 {
	if len(m[field]) == 0 {
		return 0
	}
	return int64(m[field][0].(uint64))
}

// series reads the scalars of all event files in dir as TensorBoard does: in
// the order of their names, a SessionLog START dropping what lies from its step
// on.
func series(t *testing.T, dir string) map[string]map[int64]float32 {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no event files (%v)", dir, err)
	}
	out := make(map[string]map[int64]float32)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		list, _ := records(t, b)
		for i, data := range list {
			e := parse(t, data)
			if i == 0 && e.str(3) != "brain.Event:2" {
				t.Errorf("%s: first event has version %q", name, e.str(3))
			}
			step := e.varint(2)
			if wall := e.double(1); wall < 1e9 || wall > 1e10 {
				t.Errorf("%s: wall time %g", name, wall)
			}
			if len(e[7]) > 0 && e.sub(t, 7).varint(1) == 1 {
				for _, points := range out {
					maps.DeleteFunc(points, func(s int64, _ float32) bool { return s >= step })
				}
			}
			if len(e[5]) == 0 {
				continue
			}
			for _, v := range e.sub(t, 5)[1] {
				value := parse(t, v.([]byte))
				if len(value[2]) == 0 {
					continue
				}
				tag := value.str(1)
				if out[tag] == nil {
					out[tag] = make(map[int64]float32)
				}
				if _, double := out[tag][step]; double {
					t.Errorf("%s: %s has step %d twice", name, tag, step)
				}
				out[tag][step] = math.Float32frombits(value[2][0].(uint32))
			}
		}
	}
	return out
}

// ---- A run to write. ----

const stepsPerEpoch = 5

var start = time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC)

func started(resumedTotal int64) *event.RunStarted {
	r := &event.RunStarted{
		Header: event.Header{Event: event.KindRunStarted, Time: start, Run: "r"},
		Config: config.Config{Batch: 64, Epochs: 3, Optimizer: "adadelta", Augment: config.Default().Augment, Dropout: 0.5, LR: 1},
	}
	if resumedTotal > 0 {
		r.Resumed, r.ResumedTotal, r.Elapsed = true, resumedTotal, float64(resumedTotal)
		r.ResumedEpoch = int(resumedTotal/stepsPerEpoch) + 1
	}
	return r
}

// events returns batches from+1 to to, one second each, with an epoch's end
// after every fifth.
func events(from, to int64) []event.Event {
	var list []event.Event
	for total := from + 1; total <= to; total++ {
		epoch := int((total-1)/stepsPerEpoch) + 1
		h := event.Header{Time: start.Add(time.Duration(total) * time.Second), Run: "r"}
		list = append(list, &event.StepDone{Header: h, Epoch: epoch, Total: total, Count: 1,
			Loss: event.Float(1 / float64(total)), Acc: 0.5, LR: 1, ImagesPerSecond: 64, Elapsed: float64(total)})
		if total%stepsPerEpoch == 0 {
			list = append(list, &event.EpochDone{Header: h, Epoch: epoch, Total: total,
				Loss: event.Float(epoch), Acc: 0.25, ValLoss: event.Float(10 * epoch), ValAcc: 0.125,
				Elapsed: float64(total)})
		}
	}
	return list
}

// write opens a writer and gives it events; it is closed unless killed.
func write(t *testing.T, dir string, r *event.RunStarted, killed bool, list ...event.Event) {
	t.Helper()
	r.Folder = dir
	w, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if killed { // not closed: what a SIGKILL leaves
		return
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// writeRecord writes events.jsonl, and started last.
func writeRecord(t *testing.T, dir string, started *event.RunStarted, past ...event.Event) {
	t.Helper()
	var b []byte
	for i, e := range append(past, started) {
		e.Head().Seq = uint64(i + 1)
		switch e.(type) {
		case *event.RunStarted:
			e.Head().Event = event.KindRunStarted
		case *event.StepDone:
			e.Head().Event = event.KindStep
		case *event.EpochDone:
			e.Head().Event = event.KindEpoch
		}
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b = append(append(b, line...), '\n')
	}
	if err := os.WriteFile(filepath.Join(dir, "events.jsonl"), b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// ---- Tests. ----

func TestChecksumIsMaskedCRC32C(t *testing.T) {
	// The check value of CRC-32C, from the catalogue of parametrised CRCs.
	if got := crc32c([]byte("123456789")); got != 0xe3069283 {
		t.Fatalf("the test's own CRC is wrong: %08x", got)
	}
	for _, b := range [][]byte{nil, {0}, []byte("123456789"), make([]byte, 1000)} {
		if got, want := checksum(b), masked(b); got != want {
			t.Errorf("checksum of %d bytes = %08x, want %08x", len(b), got, want)
		}
	}
}

func TestScalarsReadBack(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, started(0), false, events(0, 12)...)

	got := series(t, filepath.Join(dir, "tensorboard", "batches"))
	tags := slices.Sorted(maps.Keys(got))
	want := []string{"batch_accuracy", "batch_loss", "images_per_second", "lr"}
	if !slices.Equal(tags, want) {
		t.Errorf("tags of batches %v, want %v", tags, want)
	}
	if p := got["batch_loss"]; len(p) != 12 || p[4] != 0.25 {
		t.Errorf("batch_loss %v", p)
	}
	if p := got["images_per_second"]; p[12] != 64 {
		t.Errorf("images_per_second %v", p)
	}
	got = series(t, filepath.Join(dir, "tensorboard", "train"))
	tags = slices.Sorted(maps.Keys(got))
	want = []string{"epoch_accuracy", "epoch_learning_rate", "epoch_loss"}
	if !slices.Equal(tags, want) {
		t.Errorf("tags of training %v, want %v", tags, want)
	}
	if p := got["epoch_loss"]; !maps.Equal(p, map[int64]float32{1: 1, 2: 2}) {
		t.Errorf("train epoch_loss %v", p)
	}
	val := series(t, filepath.Join(dir, "tensorboard", "validation"))
	if p := val["epoch_loss"]; !maps.Equal(p, map[int64]float32{1: 10, 2: 20}) {
		t.Errorf("validation epoch_loss %v", p)
	}
	if p := val["epoch_accuracy"]; !maps.Equal(p, map[int64]float32{1: 0.125, 2: 0.125}) {
		t.Errorf("validation epoch_accuracy %v", p)
	}
}

func TestStepsWithinASecondAreOnePoint(t *testing.T) {
	dir := t.TempDir()
	list := events(0, 4)
	for i, e := range list {
		e.(*event.StepDone).Elapsed = 0.3 * float64(i+1)
		e.(*event.StepDone).ImagesPerSecond = []float64{100, 100, 50, 50}[i]
	}
	write(t, dir, started(0), false, list...)
	got := series(t, filepath.Join(dir, "tensorboard", "batches"))
	wantLoss := float32((1 + 1./2 + 1./3 + 1./4) / 4)
	if p := got["batch_loss"]; len(p) != 1 || math.Abs(float64(p[4]-wantLoss)) > 1e-6 {
		t.Errorf("batch_loss %v, want one point at 4 of %g", p, wantLoss)
	}
	// Half the images at 100 a second, half at 50: 1/(0.5/100+0.5/50).
	if p := got["images_per_second"]; math.Abs(float64(p[4])-66.6667) > 1e-3 {
		t.Errorf("images_per_second %v", p)
	}
}

// A kill at any byte, then a resume: the series are those of an undisturbed run.
func TestKilledAnywhereAndResumed(t *testing.T) {
	whole := t.TempDir()
	write(t, whole, started(0), false, events(0, 15)...)
	kinds := []string{"train", "validation", "batches"}
	want := make(map[string]map[string]map[int64]float32)
	for _, kind := range kinds {
		want[kind] = series(t, filepath.Join(whole, "tensorboard", kind))
	}

	first := t.TempDir()
	write(t, first, started(0), true, events(0, 9)...)
	for _, kind := range kinds {
		name := eventFile(t, first, kind)
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for cut := 0; cut <= len(content); cut += 7 {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(eventFile(t, dir, kind), content[:cut], 0o666); err != nil {
				t.Fatal(err)
			}
			// The checkpoint is at 7 of 9 batches; the log has all of them.
			resumed := started(7)
			writeRecord(t, dir, resumed, append([]event.Event{started(0)}, events(0, 9)...)...)
			write(t, dir, resumed, false, events(7, 15)...)
			for _, kind := range kinds {
				got := series(t, filepath.Join(dir, "tensorboard", kind))
				for tag := range want[kind] {
					if !maps.Equal(got[tag], want[kind][tag]) {
						t.Errorf("%s cut at %d: %s is %v, want %v", kind, cut, tag, got[tag], want[kind][tag])
					}
				}
			}
		}
	}
}

func TestLogWithTwoRewindsIsCaughtUpOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, started(0), true) // killed before anything was written
	past := append([]event.Event{started(0)}, events(0, 12)...)
	past = append(append(past, started(6)), events(6, 9)...)
	resumed := started(8)
	writeRecord(t, dir, resumed, past...)
	write(t, dir, resumed, false, events(8, 10)...)
	got := series(t, filepath.Join(dir, "tensorboard", "validation"))
	if p := got["epoch_loss"]; !maps.Equal(p, map[int64]float32{1: 10, 2: 20}) {
		t.Errorf("validation epoch_loss %v", p)
	}
	if p := series(t, filepath.Join(dir, "tensorboard", "batches"))["batch_loss"]; len(p) != 10 {
		t.Errorf("batch_loss has %d points, want 10: %v", len(p), p)
	}
}

func TestHParams(t *testing.T) {
	dir := t.TempDir()
	end := &event.RunEnded{Header: event.Header{Time: start.Add(time.Hour), Run: "r"}, Outcome: event.OutcomeEarlyStopped}
	write(t, dir, started(0), false, append(events(0, 5), end)...)

	found := make(map[string]message)
	names, _ := filepath.Glob(filepath.Join(dir, "tensorboard", "events.out.tfevents.*"))
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		list, torn := records(t, b)
		if torn != 0 {
			t.Errorf("%s: %d bytes torn", name, torn)
		}
		for _, data := range list {
			e := parse(t, data)
			if len(e[5]) == 0 {
				continue
			}
			value := e.sub(t, 5).sub(t, 1)
			plugin := value.sub(t, 9).sub(t, 1)
			if got := plugin.str(1); got != "hparams" {
				t.Errorf("plugin %q", got)
			}
			if got := fmt.Sprintf("% x", value[8][0]); got != "08 01 12 02 12 00" {
				t.Errorf("tensor % s, want an empty float vector", got)
			}
			found[value.str(1)] = parse(t, []byte(plugin.str(2)))
		}
	}

	exp := found["_hparams_/experiment"].sub(t, 2)
	types := make(map[string]int64)
	for _, h := range exp[4] {
		m := parse(t, h.([]byte))
		types[m.str(1)] = m.varint(4)
	}
	if types["optimizer"] != 1 || types["augment"] != 2 || types["batch"] != 3 {
		t.Errorf("types of hyperparameters %v", types)
	}
	var groups []string
	for _, m := range exp[5] {
		name := parse(t, m.([]byte)).sub(t, 1)
		groups = append(groups, name.str(1)+"/"+name.str(2))
	}
	if !slices.Contains(groups, "validation/epoch_accuracy") {
		t.Errorf("metrics %v", groups)
	}

	session := found["_hparams_/session_start_info"].sub(t, 3)
	values := make(map[string]message)
	for _, h := range session[1] {
		m := parse(t, h.([]byte))
		values[m.str(1)] = m.sub(t, 2)
	}
	if got := values["batch"].double(2); got != 64 {
		t.Errorf("batch %g", got)
	}
	if got := values["optimizer"].str(3); got != "adadelta" {
		t.Errorf("optimizer %q", got)
	}
	if got := values["augment"].varint(4); got != 1 {
		t.Errorf("augment %d", got)
	}
	if got := session.double(5); got != float64(start.Unix()) {
		t.Errorf("start time %g", got)
	}
	if got := found["_hparams_/session_end_info"].sub(t, 4).varint(1); got != 1 {
		t.Errorf("status %d, want success", got)
	}
}

// The rate of a default is the optimizer's own, which the settings don't hold.
func TestHParamsHaveTheRateOfADefault(t *testing.T) {
	r := started(0)
	r.Config.LR, r.LearnRate = 0, 0.25
	for _, h := range hparams(r) {
		if h.name == "lr" {
			if h.value != 0.25 {
				t.Errorf("lr %v, want 0.25", h.value)
			}
			return
		}
	}
	t.Error("no lr")
}

// How many epochs fit a budget is not in the settings, whose epochs are not what such
// a run trains.
func TestHParamsOfABudgetTellItAndNoEpochs(t *testing.T) {
	told := func(budget config.Seconds) map[string]any {
		r := started(0)
		r.Config.Epochs, r.Config.Budget = 50, budget
		values := make(map[string]any)
		for _, h := range hparams(r) {
			values[h.name] = h.value
		}
		return values
	}
	if got := told(600); got["epochs"] != nil || got["budget"] != 600.0 {
		t.Errorf("with a budget: epochs %v, budget %v, want none and 600", got["epochs"], got["budget"])
	}
	if got := told(0); got["epochs"] != 50.0 || got["budget"] != nil {
		t.Errorf("without: epochs %v, budget %v, want 50 and none", got["epochs"], got["budget"])
	}
}

// TensorBoard ignores the first start of a session that it meets: the first
// resume's is obeyed only if the first file had one.
func TestFirstFileBeginsASession(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, started(0), false, events(0, 5)...)
	for _, kind := range []string{"train", "validation", "batches"} {
		b, err := os.ReadFile(eventFile(t, dir, kind))
		if err != nil {
			t.Fatal(err)
		}
		list, _ := records(t, b)
		if e := parse(t, list[1]); len(e[7]) != 1 || e.sub(t, 7).varint(1) != 1 || e.varint(2) != 1 {
			t.Errorf("%s: the second record is %v, want the start of a session at step 1", kind, e)
		}
	}
}

// A run of an earlier version, whose files TensorBoard's server cannot open:
// after a resume all that its record tells stands in the new place, once.
func TestRunOfAnEarlierVersionMoves(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "tfevents", "train")
	if err := os.MkdirAll(old, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, "events.out.tfevents.1.host.1"), []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	resumed := started(7)
	writeRecord(t, dir, resumed, append([]event.Event{started(0)}, events(0, 7)...)...)
	write(t, dir, resumed, false, events(7, 10)...)
	if _, err := os.Stat(filepath.Join(dir, "tfevents")); !os.IsNotExist(err) {
		t.Errorf("the old folder is still there (%v)", err)
	}
	if p := series(t, filepath.Join(dir, "tensorboard", "batches"))["batch_loss"]; len(p) != 10 {
		t.Errorf("batch_loss %v, want 10 points", p)
	}
	if p := series(t, filepath.Join(dir, "tensorboard", "validation"))["epoch_loss"]; !maps.Equal(p, map[int64]float32{1: 10, 2: 20}) {
		t.Errorf("epoch_loss %v", p)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "tensorboard", "events.out.tfevents.*"))
	if len(names) != 1 {
		t.Errorf("%d files for the HParams tab, want the start's", len(names))
	}
}

// What somebody else put there is not ours to remove.
func TestForeignFilesAreLeft(t *testing.T) {
	for _, name := range []string{"tfevents", "tfevents/notes.txt"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
		resumed := started(7)
		writeRecord(t, dir, resumed, append([]event.Event{started(0)}, events(0, 7)...)...)
		write(t, dir, resumed, false, events(7, 10)...)
		if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestStoppedRunHasNoSessionEnd(t *testing.T) {
	dir := t.TempDir()
	end := &event.RunEnded{Header: event.Header{Time: start}, Outcome: event.OutcomeStopped}
	write(t, dir, started(0), false, end)
	names, _ := filepath.Glob(filepath.Join(dir, "tensorboard", "events.out.tfevents.*"))
	if len(names) != 1 {
		t.Errorf("%d files for the HParams tab, want the start's alone", len(names))
	}
}

func eventFile(t *testing.T, dir, kind string) string {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "tensorboard", kind, "events.out.tfevents.*"))
	if len(names) != 1 {
		t.Fatalf("%d event files in %s", len(names), kind)
	}
	return names[0]
}
