package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/event/eventtest"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// makeRun writes a run folder as a run of epochs epochs leaves it, and whose
// record ends with end.
func makeRun(t testing.TB, folder string, change func(*config.Config), epochs int, end ...event.Event) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(folder, rundir.CheckpointsDir), 0o755); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	if change != nil {
		change(&c)
	}
	about := config.About{Dataset: "CIFAR-10", Created: "2026-11-23T14:05:00Z"}
	if c.Data == "demo" {
		about.Dataset = "demo"
	}
	if err := config.Write(rundir.OS{}, folder, c, about); err != nil {
		t.Fatal(err)
	}
	csv, err := record.OpenCSV(&event.RunStarted{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	events := []event.Event{&event.RunStarted{Config: c}, &event.StateChanged{State: event.StateRunning}}
	for i := 1; i <= epochs; i++ {
		e := &event.EpochDone{Epoch: i, Epochs: c.Epochs, ValAcc: event.Float(0.5 + 0.4*math.Sin(float64(i)))}
		events = append(events, &event.StepDone{Epoch: i}, e, &event.Evaluated{Epoch: i}, &event.CheckpointSaved{File: "last.ckpt"})
		if err := csv.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	eventtest.Write(t, folder, append(events, end...)...)
	if err := csv.Close(); err != nil {
		t.Fatal(err)
	}
}

func inspectRun(t *testing.T, folder string) Info {
	t.Helper()
	info, err := Inspect(folder)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestInspect(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "model")
	makeRun(t, folder, func(c *config.Config) { c.Batch, c.Epochs, c.Data = 128, 30, "demo" }, 12,
		&event.StateChanged{State: event.StateFinished}, &event.RunEnded{Outcome: event.OutcomeEarlyStopped})
	info := inspectRun(t, folder)
	// 0.5 + 0.4 sin i is largest at i = 8 (0.8957) of 1 to 12.
	if info.Name != "model" || info.Problem != "" || info.Live || info.State != "early_stopped" || info.Outcome != event.OutcomeEarlyStopped ||
		!info.Demo || info.Batch != 128 || info.Epochs != 30 || info.Epoch != 12 || info.BestEpoch != 8 ||
		math.Abs(float64(info.BestValAcc)-0.8957) > 1e-4 || info.Created.Year() != 2026 || info.Updated.IsZero() {
		t.Errorf("%+v", info)
	}
}

func TestInspectStates(t *testing.T) {
	long := &event.Evaluated{Samples: []event.Sample{{Pixels: make([]byte, 200<<10)}}}
	for name, c := range map[string]struct {
		end  []event.Event
		live bool
		want string
	}{
		"killed":          {nil, false, Interrupted},
		"live":            {nil, true, "running"},
		"live and paused": {[]event.Event{&event.StateChanged{State: event.StatePaused}}, true, "paused"},
		"resumed, live":   {[]event.Event{&event.RunEnded{Outcome: event.OutcomeStopped}, &event.RunStarted{Resumed: true}}, true, "starting"},
		"resumed, killed": {[]event.Event{&event.RunEnded{Outcome: event.OutcomeStopped}, &event.RunStarted{Resumed: true}}, false, Interrupted},
		"stopped":         {[]event.Event{&event.RunEnded{Outcome: event.OutcomeStopped}}, false, "stopped"},
		"diverged":        {[]event.Event{&event.RunEnded{Outcome: event.OutcomeDiverged}, &event.Warning{}}, false, "diverged"},
		"a long line":     {[]event.Event{&event.StateChanged{State: event.StatePaused}, long}, true, "paused"},
	} {
		folder := t.TempDir()
		makeRun(t, folder, nil, 3, c.end...)
		if c.live {
			l, err := rundir.LockFolder(folder)
			if err != nil {
				t.Skip("no locks here")
			}
			defer l.Release()
		}
		if info := inspectRun(t, folder); info.State != c.want || info.Live != c.live || info.Problem != "" {
			t.Errorf("%s: state %q, live %v, problem %q, want %q", name, info.State, info.Live, info.Problem, c.want)
		}
	}
}

// A budget plans other epochs than the settings say: the record tells how many,
// else that all are done, else the checkpoint.
func TestInspectTellsTheEpochsThatFitABudget(t *testing.T) {
	budget := func(c *config.Config) { c.Epochs, c.Budget = 16, 600 }
	for name, c := range map[string]struct {
		end        []event.Event
		checkpoint int // epochs of its plan; 0: there is none
		want       int
	}{
		"not planned yet": {nil, 0, 16},
		"killed":          {[]event.Event{&event.Planned{Epochs: 9}}, 0, 9},
		"stopped":         {[]event.Event{&event.Planned{Epochs: 9}, &event.RunEnded{Outcome: event.OutcomeStopped, Epoch: 3}}, 9, 9},
		"finished":        {[]event.Event{&event.Planned{Epochs: 3}, &event.RunEnded{Outcome: event.OutcomeFinished, Epoch: 3}}, 0, 3},
	} {
		folder := t.TempDir()
		makeRun(t, folder, budget, 3, c.end...)
		if c.checkpoint > 0 {
			s := checkpoint.Store{Disk: rundir.OS{}, Folder: filepath.Join(folder, rundir.CheckpointsDir)}
			at := checkpoint.Position{Epoch: 4, Plan: &checkpoint.Plan{Epochs: c.checkpoint}}
			if _, err := s.SaveLast(&checkpoint.Checkpoint{Position: at}); err != nil {
				t.Fatal(err)
			}
		}
		if info := inspectRun(t, folder); info.Epochs != c.want || info.Epoch != 3 {
			t.Errorf("%s: %d of %d epochs, want 3 of %d", name, info.Epoch, info.Epochs, c.want)
		}
	}
}

// Where the plan is further back in the record than is read, the checkpoint tells it,
// unless it is of before another one.
func TestLearnPlanOfARunUnderWay(t *testing.T) {
	folder := t.TempDir()
	s := checkpoint.Store{Disk: rundir.OS{}, Folder: filepath.Join(folder, rundir.CheckpointsDir)}
	at := checkpoint.Position{Epoch: 4, Plan: &checkpoint.Plan{Epochs: 9, LastSteps: 7}}
	if _, err := s.SaveLast(&checkpoint.Checkpoint{Position: at}); err != nil {
		t.Fatal(err)
	}
	for epochs, want := range map[int]int{9: 7, 8: 0} {
		r := &record.Run{}
		r.Apply(&event.EpochDone{Epoch: 3, Epochs: epochs, Total: 30})
		LearnPlan(folder, config.Config{Epochs: 16, Budget: 600}, r)
		last := 0
		if r.Planned != nil {
			last = r.Planned.LastSteps
		}
		if last != want || r.EpochsInAll() != epochs {
			t.Errorf("the record has %d epochs: %d, the last of %d steps, want %d", epochs, r.EpochsInAll(), last, want)
		}
	}
}

// The process was killed after the epoch's line and before the table's row, or
// the table is gone, or the last line is half.
func TestInspectAfterAKill(t *testing.T) {
	folder := t.TempDir()
	makeRun(t, folder, nil, 3, &event.EpochDone{Epoch: 4, ValAcc: 0.99})
	if info := inspectRun(t, folder); info.Epoch != 4 || info.BestEpoch != 4 {
		t.Errorf("row missing: epoch %d, best %d", info.Epoch, info.BestEpoch)
	}
	f, err := os.OpenFile(filepath.Join(folder, rundir.EventsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, `{"event":"run_ended","seq":99,"outco`)
	f.Close()
	if err := os.Remove(filepath.Join(folder, rundir.HistoryFile)); err != nil {
		t.Fatal(err)
	}
	if info := inspectRun(t, folder); info.Epoch != 4 || info.BestEpoch != 4 || info.State != Interrupted || info.Problem != "" {
		t.Errorf("table gone, last line half: %+v", info)
	}
}

func TestDamagedAndForeignFoldersAreLines(t *testing.T) {
	runs := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{runs}, parts...)...) }
	write := func(text string, parts ...string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(at(parts...)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(parts...), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	makeRun(t, at("good"), nil, 2, &event.RunEnded{Outcome: event.OutcomeFinished})
	makeRun(t, at("cmp", "batch=64"), nil, 2, &event.RunEnded{Outcome: event.OutcomeFinished})
	write(`{"sweeps":[{"key":"batch","values":["64","128"]}],"runs":["batch=64","batch=128"]}`, "cmp", rundir.ComparisonFile)
	write(`{"sweeps":[{"key":"batch","values":["64"]}],"runs":["batch=64"]}`, "emptied", rundir.ComparisonFile)
	write(`{"runs":["../good"]}`, "escape", rundir.ComparisonFile)
	write("{", "torn-comparison", rundir.ComparisonFile)
	write("hello", "foreign", "notes.txt")
	write("{ not json", "bad-config", rundir.ConfigFile)
	makeRun(t, at("bad-record"), nil, 2)
	write(strings.Repeat("\x00garbage\n", 100), "bad-record", rundir.EventsFile)
	makeRun(t, at("no-record"), nil, 2)
	if err := os.Remove(at("no-record", rundir.EventsFile)); err != nil {
		t.Fatal(err)
	}
	write("a file", "README")
	write("x", ".hidden", "x")
	if err := os.Symlink(at("gone"), at("dangling")); err != nil {
		t.Log("no links here:", err)
	}

	list, err := List(runs)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range list {
		mark := "ok"
		if r.Problem != "" {
			mark = "problem"
		}
		lines = append(lines, r.Name+" "+mark)
	}
	want := []string{"bad-config problem", "bad-record problem", "cmp/batch=64 ok", "dangling problem",
		"emptied problem", "escape problem", "foreign problem", "good ok", "no-record problem", "torn-comparison problem"}
	if !slices.Equal(lines, want) {
		t.Errorf("list\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	var b strings.Builder
	if err := Write(&b, list, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != len(want)+1 {
		t.Errorf("%d lines of text for %d runs:\n%s", n, len(want), b.String())
	}
	if _, err := json.Marshal(list); err != nil {
		t.Errorf("JSON: %v", err)
	}
	if list, err := List(at("good")); err != nil || len(list) != 1 || list[0].Name != "good" {
		t.Errorf("the list of a run folder: %+v, %v", list, err)
	}
	if list, err := List(filepath.Join(runs, "none")); err != nil || len(list) != 0 {
		t.Errorf("a runs folder that is not there: %v, %v", list, err)
	}
}

// The time is held to a second only where the machine is not shared
// (CIFARTUI_LONG).
func TestThousandRuns(t *testing.T) {
	runs := t.TempDir()
	makeRun(t, filepath.Join(runs, "run0000"), nil, 200, &event.RunEnded{Outcome: event.OutcomeFinished})
	for i := 1; i < 1000; i++ {
		folder := filepath.Join(runs, fmt.Sprintf("run%04d", i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{rundir.ConfigFile, rundir.EventsFile, rundir.HistoryFile} {
			if err := os.Link(filepath.Join(runs, "run0000", name), filepath.Join(folder, name)); err != nil {
				t.Skip("no links here:", err)
			}
		}
	}
	took := time.Hour // at best, as other processes may keep the machine busy
	var list []Info
	for try := 0; try < 5 && took > time.Second; try++ {
		start := time.Now()
		var err error
		if list, err = List(runs); err != nil || len(list) != 1000 {
			t.Fatalf("%d runs, %v", len(list), err)
		}
		took = min(took, time.Since(start))
	}
	for _, r := range list {
		if r.Problem != "" || r.Epoch != 200 || r.State != "finished" {
			t.Fatalf("%+v", r)
		}
	}
	t.Logf("1,000 runs of 200 epochs listed in %v", took)
	if os.Getenv("CIFARTUI_LONG") != "" && took > time.Second {
		t.Errorf("1,000 runs took %v, want under a second", took)
	}
}

func TestSortAndFilter(t *testing.T) {
	list := []Info{
		{Name: "b", Batch: 64, State: "finished", Data: "demo", BestValAcc: 0.7},
		{Name: "a", Batch: 512, State: "running", Live: true, Data: "CIFAR-10", BestValAcc: 0.9},
		{Name: "c", Batch: 64, State: Interrupted, Data: "CIFAR-10", BestValAcc: 0.8, Problem: "damaged"},
	}
	names := func(l []Info) string {
		var b bytes.Buffer
		for _, r := range l {
			b.WriteString(r.Name)
		}
		return b.String()
	}
	for key, want := range map[string]string{"name": "abc", "-best": "acb", "batch": "bca", "-name": "cba"} {
		l := slices.Clone(list)
		if err := Sort(l, key); err != nil || names(l) != want {
			t.Errorf("sorted by %s: %s, %v, want %s", key, names(l), err, want)
		}
	}
	for _, key := range SortKeys() {
		if err := Sort(slices.Clone(list), key); err != nil {
			t.Error(err)
		}
	}
	if err := Sort(list, "colour"); err == nil {
		t.Error("an unknown key gave no error")
	}
	for filter, want := range map[string]string{
		"batch=64": "bc", "data=cifar-10": "ac", "live=true": "a", "state=finished": "b", "name=c": "c", "problem=true": "c", "optimizer=": "bac",
	} {
		l, err := Filter(list, []string{filter})
		if err != nil || names(l) != want {
			t.Errorf("filter %s: %s, %v, want %s", filter, names(l), err, want)
		}
	}
	named := []Info{{Name: "run-1"}, {Name: "run-1-2"}, {Name: "cmp/batch=8"}, {Name: "cmp/batch=16"}}
	for filter, want := range map[string]string{
		"run-1": "run-1", "run-*": "run-1run-1-2", "run-?": "run-1", "run": "", "cmp": "cmp/batch=8cmp/batch=16", "cmp/batch=8": "cmp/batch=8", "*/batch=8": "cmp/batch=8",
	} {
		if l, err := Filter(named, []string{"name=" + filter}); err != nil || names(l) != want {
			t.Errorf("filter name=%s: %s, %v, want %s", filter, names(l), err, want)
		}
	}
	if _, err := Filter(list, []string{"name=[a"}); err == nil {
		t.Error("half a pattern gave no error")
	}
	if l, _ := Filter(list, []string{"batch=64", "data=demo"}); names(l) != "b" {
		t.Errorf("two filters: %s", names(l))
	}
	if _, err := Filter(list, []string{"colour=red"}); err == nil {
		t.Error("an unknown filter gave no error")
	}
}

// What is not known or not there yet is null, not a 0 to be taken for a value.
func TestListInJSON(t *testing.T) {
	for _, c := range []struct {
		info Info
		want map[string]any
	}{
		{
			Info{Name: "new", Batch: 64, Epochs: 200, LR: 0.5},
			map[string]any{"batch": 64.0, "epochs": 200.0, "lr": 0.5, "epoch": 0.0, "best_val_acc": nil, "best_epoch": nil, "live": false},
		},
		{
			Info{Name: "own rate, nothing learned", Batch: 64, Epochs: 200, Epoch: 3, BestEpoch: 2, BestValAcc: 0},
			map[string]any{"lr": nil, "epoch": 3.0, "best_val_acc": 0.0, "best_epoch": 2.0},
		},
		{
			Info{Name: "foreign", Problem: "not a run folder"},
			map[string]any{"name": "foreign", "batch": nil, "epochs": nil, "lr": nil, "epoch": nil, "best_val_acc": nil, "best_epoch": nil},
		},
	} {
		b, err := json.Marshal([]Info{c.info})
		if err != nil {
			t.Fatal(err)
		}
		var got []map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		for key, want := range c.want {
			if v, there := got[0][key]; !there || v != want {
				t.Errorf("%s: %s is %v, want %v", c.info.Name, key, v, want)
			}
		}
	}
}

// A folder may have any name, also one that would steer the terminal.
func TestListShowsNamesInOneLine(t *testing.T) {
	var b strings.Builder
	if err := Write(&b, []Info{{Name: "a\x1b[2J\nb"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "a\ufffd[2J\ufffdb") {
		t.Errorf("%q", got)
	}
}
