package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cifartui/cifar"
	"cifartui/cifar/cifartest"
	"cifartui/nn"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
	"cifartui/train/runs"
)

// tinyComparison compares three batch sizes on tinyOptions' network: 3, 2 and 5
// batches an epoch.
func tinyComparison(t testing.TB, order config.Order) ComparisonOptions {
	o := tinyOptions(t)
	return ComparisonOptions{
		Config: o.Config, Sweeps: []config.Sweep{{Key: "batch", Values: []string{"16", "32", "8"}}}, Order: order,
		Dataset: o.Dataset, Backends: []nn.Backend{o.Backend}, Version: "test",
	}
}

func newComparison(t testing.TB, o ComparisonOptions) *Comparison {
	t.Helper()
	c, err := NewComparison(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// compare runs a comparison to its end.
func compare(t testing.TB, o ComparisonOptions, at func(*Comparison, event.Event)) (*Comparison, *recorder) {
	t.Helper()
	c := newComparison(t, o)
	rec := &recorder{}
	if at != nil {
		rec.at = func(e event.Event) { at(c, e) }
	}
	if err := c.Run(context.Background(), rec.emit); err != nil {
		t.Fatal(err)
	}
	return c, rec
}

// epochOrder is the runs of the epochs, in the order in which they ended.
func epochOrder(events []event.Event) string {
	var names []string
	for _, e := range of[*event.EpochDone](events) {
		names = append(names, strings.TrimPrefix(e.Run, "batch="))
	}
	return strings.Join(names, " ")
}

func TestRunsTakeTurns(t *testing.T) {
	for order, want := range map[config.Order]string{
		config.Interleave: "16 32 8 16 32 8 16 32 8",
		config.Sequential: "16 16 16 32 32 32 8 8 8",
	} {
		c, rec := compare(t, tinyComparison(t, order), nil)
		if got := epochOrder(rec.events); got != want {
			t.Errorf("%s: epochs in the order %s, want %s", order, got, want)
		}
		// Within an epoch no other run trains.
		current := ""
		for _, e := range rec.events {
			switch e := e.(type) {
			case *event.StepDone:
				if current != "" && current != e.Run {
					t.Errorf("%s: %s trains within an epoch of %s", order, e.Run, current)
				}
				current = e.Run
			case *event.EpochDone:
				current = ""
			}
		}
		if ends := of[*event.RunEnded](rec.events); len(ends) != 3 {
			t.Errorf("%s: %d runs ended, want 3", order, len(ends))
		}
		if got := c.Runs(); !slices.Equal(got, []string{"batch=16", "batch=32", "batch=8"}) {
			t.Errorf("runs %v", got)
		}
	}
}

func TestComparedRunHasTheBitsOfOneAlone(t *testing.T) {
	c, _ := compare(t, tinyComparison(t, config.Interleave), nil)
	alone, _ := mustTrain(t, tinyOptions(t, func(c *config.Config) { c.Batch = 32 }), nil)
	checkpointtest.Same(t, checkpointtest.Last(t, filepath.Join(c.Folder(), "batch=32")), checkpointtest.Last(t, alone))
}

// What a SIGKILL leaves at any event is the folder as it is then, without the
// events that are not written yet.
func TestKilledComparisonEndsWithTheSameBits(t *testing.T) {
	t.Parallel()
	whole, rec := compare(t, tinyComparison(t, config.Interleave), nil)
	n := len(rec.events)
	for _, order := range config.Orders() {
		for _, at := range []int{1, n / 3, 4 * n / 5} {
			var mu sync.Mutex
			seen, copied := 0, filepath.Join(t.TempDir(), "copy")
			compare(t, tinyComparison(t, config.Interleave), func(c *Comparison, e event.Event) {
				mu.Lock()
				defer mu.Unlock()
				if seen++; seen == at {
					killed(t, copied, c.Folder())
				}
			})
			o := tinyComparison(t, "")
			o.Resume, o.Order = copied, order
			if at > n/2 {
				o.Parallel = 2 // from here on
			}
			compare(t, o, nil)
			for _, run := range whole.Runs() {
				checkpointtest.Same(t, checkpointtest.Last(t, filepath.Join(copied, run)), checkpointtest.Last(t, filepath.Join(whole.Folder(), run)))
			}
			if t.Failed() {
				t.Fatalf("killed at event %d of %d, resumed in order %s", at, n, order)
			}
		}
	}
}

func TestKillBeforeARunFolderIsMade(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	c := newComparison(t, o)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	// One folder is missing, one has no settings yet.
	if err := os.RemoveAll(filepath.Join(c.Folder(), "batch=8")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.Folder(), "batch=32", rundir.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	o.Resume = c.Folder()
	_, rec := compare(t, o, nil)
	if got := epochOrder(rec.events); got != "16 32 8 16 32 8 16 32 8" {
		t.Errorf("epochs in the order %s", got)
	}
}

// What is given at a resume counts for the runs that have not begun, too, and for
// every resume after it.
func TestResumedComparisonBeginsTheRestAsGiven(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	c := newComparison(t, o)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(c.Folder(), "batch=8")); err != nil {
		t.Fatal(err)
	}
	o.Resume = c.Folder()
	o.Adjust = func(c config.Config) config.Config {
		c.Epochs = 1
		return c
	}
	if err := newComparison(t, o).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(c.Folder(), "batch=8")); err != nil {
		t.Fatal(err)
	}
	o.Adjust = nil
	_, rec := compare(t, o, nil)
	if got := epochOrder(rec.events); got != "16 32 8" {
		t.Errorf("epochs in the order %s, want one of each", got)
	}
}

// A description that was damaged, or a run's settings that somebody deleted, must
// never cost what is trained.
func TestDamagedComparisonIsNotTouched(t *testing.T) {
	for name, damage := range map[string]func(folder string) error{
		"empty": func(f string) error {
			return os.WriteFile(filepath.Join(f, rundir.ComparisonFile), []byte("{}"), 0o644)
		},
		"no values": func(f string) error {
			return os.WriteFile(filepath.Join(f, rundir.ComparisonFile), []byte(`{"sweeps":[{"key":"batch"}],"runs":["batch=8"]}`), 0o644)
		},
		"settings": func(f string) error { return os.Remove(filepath.Join(f, "batch=8", rundir.ConfigFile)) },
	} {
		o := tinyComparison(t, config.Interleave)
		o.Config.Epochs = 1
		c, _ := compare(t, o, nil)
		if err := damage(c.Folder()); err != nil {
			t.Fatal(err)
		}
		o.Resume = c.Folder()
		if _, err := NewComparison(o); err == nil {
			t.Errorf("%s: no error", name)
		}
		checkpointtest.Last(t, filepath.Join(c.Folder(), "batch=8"))
	}
}

func TestEndedRunsStayUnlessThereIsMoreToDo(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	c, _ := compare(t, o, nil)
	o.Resume = c.Folder()
	_, rec := compare(t, o, nil)
	if len(rec.events) > 0 {
		t.Errorf("%d events of runs that had ended", len(rec.events))
	}
	o.Adjust = func(c config.Config) config.Config {
		if c.Batch == 32 {
			c.Epochs++
		}
		return c
	}
	_, rec = compare(t, o, nil)
	if got := epochOrder(rec.events); got != "32" {
		t.Errorf("epochs in the order %q, want one more of 32", got)
	}
}

// A run that was removed, by the program or by hand, is not trained again, nor is
// one that a person had stopped before another process took over.
func TestResumeLeavesWhatWasRemovedOrStopped(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	o.Config.Epochs = 1
	c, _ := compare(t, o, nil)
	o.Resume = c.Folder()
	more := func(epochs int) func(config.Config) config.Config {
		return func(c config.Config) config.Config { c.Epochs = epochs; return c }
	}
	if _, err := runs.Remove(filepath.Join(c.Folder(), "batch=32")); err != nil {
		t.Fatal(err)
	}
	o.Adjust = more(2)
	c, rec := compare(t, o, nil)
	if got := epochOrder(rec.events); got != "16 8" || !slices.Equal(c.Runs(), []string{"batch=16", "batch=8"}) {
		t.Errorf("after one was removed: epochs in the order %s of %v", got, c.Runs())
	}
	o.Adjust, o.Left = more(3), []string{"batch=16"}
	if _, rec = compare(t, o, nil); epochOrder(rec.events) != "8" {
		t.Errorf("where one is left alone: epochs in the order %s", epochOrder(rec.events))
	}
	if err := os.RemoveAll(filepath.Join(c.Folder(), "batch=16")); err != nil {
		t.Fatal(err)
	}
	o.Adjust, o.Left = more(4), nil
	if _, rec = compare(t, o, nil); epochOrder(rec.events) != "8" {
		t.Errorf("after one was deleted: epochs in the order %s", epochOrder(rec.events))
	}
}

// A learning rate that is given to a run before it has begun is its first one.
func TestRateBeforeTheBeginning(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Optimizer, c.Epochs = "sgd", 1 })
	tr := newTrainer(t, o)
	if err := tr.Send(event.SetLearnRate{Rate: 0.125}); err != nil {
		t.Fatal(err)
	}
	rec := &recorder{}
	if err := tr.Run(context.Background(), rec.emit); err != nil {
		t.Fatal(err)
	}
	if s := of[*event.StepDone](rec.events)[0]; s.LR != 0.125 {
		t.Errorf("the first batch has the rate %g", s.LR)
	}
	if l := of[*event.LearnRateChanged](rec.events); len(l) != 1 || l[0].From != 0.01 || l[0].To != 0.125 {
		t.Errorf("rate changes %+v", l)
	}
}

// A paused run is left out; when it goes on it ends with the bits of one alone.
func TestPausedRunLetsTheOthersGoOn(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	o.Config.Epochs = 2
	ended := 0
	c, rec := compare(t, o, func(c *Comparison, e event.Event) {
		switch e := e.(type) {
		case *event.StepDone:
			if e.Run == "batch=32" && e.Total == 2 {
				if err := c.Send(event.Pause{To: event.To{Run: "batch=32"}}); err != nil {
					t.Error(err)
				}
			}
		case *event.RunEnded:
			if ended++; ended == 2 {
				if err := c.Send(event.Resume{To: event.To{Run: "batch=32"}}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if got := epochOrder(rec.events); got != "16 8 16 8 32 32" {
		t.Errorf("epochs in the order %s", got)
	}
	alone, _ := mustTrain(t, tinyOptions(t, func(c *config.Config) { c.Batch, c.Epochs = 32, 2 }), nil)
	checkpointtest.Same(t, checkpointtest.Last(t, filepath.Join(c.Folder(), "batch=32")), checkpointtest.Last(t, alone))
}

// With too little memory for all at once the runs give theirs back with the
// turn, in the middle of an epoch too, and the bits stay the same.
func TestRunsThatGiveTheirMemoryBack(t *testing.T) {
	change := func(c *config.Config) { c.ValSplit, c.Epochs = 10, 2 }
	o := tinyComparison(t, config.Interleave)
	change(&o.Config)
	o.freeMemory = func() int64 { return 1 }
	c := newComparison(t, o)
	rec := &recorder{at: func(e event.Event) {
		var cmd event.Command
		switch e := e.(type) {
		case *event.StepDone:
			if e.Run != "batch=16" || e.Total != 1 {
				return
			}
			cmd = event.Pause{To: event.To{Run: "batch=16"}}
		case *event.EpochDone:
			if e.Run != "batch=32" || e.Epoch != 2 {
				return
			}
			cmd = event.Resume{To: event.To{Run: "batch=16"}}
		default:
			return
		}
		if err := c.Send(cmd); err != nil {
			t.Error(err)
		}
	}}
	if err := c.Run(context.Background(), rec.emit); err != nil {
		t.Fatal(err)
	}
	if got := epochOrder(rec.events); got != "32 8 32 8 16 16" {
		t.Errorf("epochs in the order %s", got)
	}
	for _, batch := range []int{16, 32} {
		alone, _ := mustTrain(t, tinyOptions(t, change, func(c *config.Config) { c.Batch = batch }), nil)
		checkpointtest.Same(t, checkpointtest.Last(t, filepath.Join(c.Folder(), fmt.Sprintf("batch=%d", batch))), checkpointtest.Last(t, alone))
	}
	for _, e := range of[*event.RunEnded](rec.events) {
		if e.TestAcc == nil {
			t.Errorf("%s has no accuracy on the test set", e.Run)
		}
	}
}

func TestStopAfterTheEpochOfAll(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	c, rec := compare(t, o, func(c *Comparison, e event.Event) {
		if e, ok := e.(*event.StepDone); ok && e.Run == "batch=32" && e.Total == 1 {
			if err := c.Send(event.Stop{After: event.AfterEpoch}); err != nil {
				t.Error(err)
			}
		}
	})
	// 16 has done its first epoch, 32 ends the one it is in, 8 has not begun.
	if got := epochOrder(rec.events); got != "16 32" {
		t.Errorf("epochs in the order %s", got)
	}
	for _, e := range of[*event.RunEnded](rec.events) {
		if e.Outcome != event.OutcomeStopped {
			t.Errorf("%s ended as %s", e.Run, e.Outcome)
		}
	}
	o.Resume = c.Folder()
	_, rec = compare(t, o, nil)
	if got := epochOrder(rec.events); got != "8 16 32 8 16 32 8" {
		t.Errorf("after the resume: epochs in the order %s", got)
	}
}

// A run that is to go on within an epoch ends that first, also where the stop comes
// before it has begun again.
func TestStopAfterTheEpochBeforeARunGoesOnWithinOne(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	c, _ := compare(t, o, func(c *Comparison, e event.Event) {
		if e, ok := e.(*event.StepDone); ok && e.Run == "batch=32" && e.Total == 1 {
			if err := c.Send(event.Stop{After: event.AfterBatch}); err != nil {
				t.Error(err)
			}
		}
	})
	o.Resume = c.Folder()
	c = newComparison(t, o)
	if err := c.Send(event.Stop{After: event.AfterEpoch}); err != nil {
		t.Fatal(err)
	}
	rec := &recorder{}
	if err := c.Run(context.Background(), rec.emit); err != nil {
		t.Fatal(err)
	}
	if got := epochOrder(rec.events); got != "32" {
		t.Errorf("epochs in the order %q, want that of 32, which was within one", got)
	}
}

func TestCommandsReachTheRunTheyName(t *testing.T) {
	c := newComparison(t, tinyComparison(t, config.Interleave))
	if err := c.Send(event.Save{To: event.To{Run: "batch=64"}}); err == nil || !strings.Contains(err.Error(), "batch=16, batch=32, batch=8") {
		t.Errorf("a run that is not there: %v", err)
	}
	if err := c.Send(event.Stop{To: event.To{Run: "batch=16"}, After: event.AfterBatch}); err != nil {
		t.Fatal(err)
	}
	rec := &recorder{}
	if err := c.Run(context.Background(), rec.emit); err != nil {
		t.Fatal(err)
	}
	for _, e := range of[*event.RunEnded](rec.events) {
		if (e.Outcome == event.OutcomeStopped) != (e.Run == "batch=16") {
			t.Errorf("%s ended as %s", e.Run, e.Outcome)
		}
	}
	if err := c.Send(event.Save{}); err == nil {
		t.Error("a command after the end gave no error")
	}
}

// One run that fails does not stop the others.
func TestDivergedRunAmongOthers(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	o.Config.Optimizer = "sgd"
	o.Sweeps = []config.Sweep{{Key: "lr", Values: []string{"1e6", "0.01"}}}
	c := newComparison(t, o)
	rec := &recorder{}
	err := c.Run(context.Background(), rec.emit)
	if err == nil || !strings.Contains(err.Error(), "lr=1e+06") || strings.Contains(err.Error(), "lr=0.01") {
		t.Errorf("error %v", err)
	}
	outcomes := make(map[string]event.Outcome)
	for _, e := range of[*event.RunEnded](rec.events) {
		outcomes[e.Run] = e.Outcome
	}
	if outcomes["lr=1e+06"] != event.OutcomeDiverged || outcomes["lr=0.01"] != event.OutcomeFinished {
		t.Errorf("outcomes %v", outcomes)
	}
}

func TestComparisonIsLocked(t *testing.T) {
	t.Parallel()
	o := tinyComparison(t, config.Interleave)
	c := newComparison(t, o)
	defer c.Close()
	o.Resume = c.Folder()
	if _, err := NewComparison(o); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second process got the folder: %v", err)
	}
}

func TestWrongComparisonLeavesNothing(t *testing.T) {
	for name, change := range map[string]func(*ComparisonOptions){
		"value":  func(o *ComparisonOptions) { o.Sweeps = []config.Sweep{{Key: "lr", Values: []string{"-1"}}} },
		"order":  func(o *ComparisonOptions) { o.Order = "random" },
		"split":  func(o *ComparisonOptions) { o.Config.ValSplit = 70 },
		"double": func(o *ComparisonOptions) { o.Sweeps = []config.Sweep{{Key: "batch", Values: []string{"16", "16"}}} },
	} {
		o := tinyComparison(t, config.Interleave)
		change(&o)
		if _, err := NewComparison(o); err == nil {
			t.Errorf("%s: no error", name)
		}
		if entries, _ := os.ReadDir(o.Config.Runs); len(entries) > 0 {
			t.Errorf("%s: left %v behind", name, entries)
		}
	}
}

func TestPanickingRunLetsTheOthersSave(t *testing.T) {
	c := newComparison(t, tinyComparison(t, config.Interleave))
	rec := &recorder{at: func(e event.Event) {
		if e, ok := e.(*event.StepDone); ok && e.Run == "batch=32" {
			panic("a fault")
		}
	}}
	func() {
		defer func() {
			if p, ok := recover().(string); !ok || !strings.Contains(p, "run "+c.Name()+"/batch=32: a fault") {
				t.Errorf("recovered %v", p)
			}
		}()
		_ = c.Run(context.Background(), rec.emit)
		t.Error("Run came back")
	}()
	for _, run := range []string{"batch=16", "batch=8"} {
		if info, err := runs.Inspect(filepath.Join(c.Folder(), run)); err != nil || info.State != "stopped" {
			t.Errorf("%s is %s", run, info.State)
		}
	}
	if got := checkpointtest.Last(t, filepath.Join(c.Folder(), "batch=16")); got.Epoch != 2 {
		t.Errorf("batch=16 is saved at epoch %d", got.Epoch)
	}
}

func TestReadRunsOfAComparison(t *testing.T) {
	c, rec := compare(t, tinyComparison(t, config.Interleave), nil)
	dir, err := runs.Read(c.Folder())
	if err != nil || len(dir) != 3 {
		t.Fatalf("%d runs, %v", len(dir), err)
	}
	for _, r := range dir {
		if len(r.Epochs) != 3 || r.Ended == nil {
			t.Errorf("%s has %d epochs", r.Name, len(r.Epochs))
		}
	}
	// What the files tell is what the live events told.
	got, want := runs.NewTable(dir), runs.NewTable(folded(rec.events))
	slices.SortFunc(want.Rows, func(a, b runs.TableRow) int {
		return slices.Index(c.Runs(), a.Run) - slices.Index(c.Runs(), b.Run)
	})
	for i := range want.Rows {
		if a, b := fmt.Sprintf("%+v", got.Rows[i]), fmt.Sprintf("%+v", want.Rows[i]); a != b {
			t.Errorf("from the files %s\nlive %s", a, b)
		}
	}
}

// Interleaving costs what lies between one run's turn and the next, when no
// run's clock stands, and a slower first batch after it, while the caches fill. The
// best of three tries counts, as other processes may keep the machine busy.
func TestInterleavingCostsUnderTwoPercent(t *testing.T) {
	if os.Getenv("CIFARTUI_LONG") == "" {
		t.Skip("takes a minute and the whole machine: set CIFARTUI_LONG to run it")
	}
	o := tinyComparison(t, config.Interleave)
	o.Config.Filters = config.Default().Filters
	o.Backends = []nn.Backend{nn.NewCPU(0)}
	defer o.Backends[0].Close()
	o.Dataset.Train, o.Dataset.Test = cifartest.Colours(1536, 1), cifartest.Colours(200, 2)
	o.Sweeps = []config.Sweep{{Key: "batch", Values: []string{"64", "128", "256"}}}
	const most = 0.02
	between := 1.0 // at best
	for try := 0; try < 3 && between > most; try++ {
		between = min(between, betweenTurns(t, newComparison(t, o)))
	}
	if between > most {
		t.Errorf("%.2f%% of the time is lost between turns, want under 2%%", 100*between)
	}
}

// betweenTurns runs a comparison, and returns how much of its time is none of its
// runs'.
func betweenTurns(t *testing.T, c *Comparison) float64 {
	t.Helper()
	rec := &recorder{}
	start := time.Now()
	if err := c.Run(context.Background(), rec.emit); err != nil {
		t.Fatal(err)
	}
	wall := time.Since(start).Seconds()

	trained := 0.0
	for _, e := range of[*event.RunEnded](rec.events) {
		trained += e.Seconds
	}
	// Each run's batches of the later epochs, the first of a turn apart.
	first, other := make(map[string][]float64), make(map[string][]float64)
	for _, e := range of[*event.StepDone](rec.events) {
		switch seconds := 1 / e.ImagesPerSecond; {
		case e.Epoch == 1:
		case e.Step == 1:
			first[e.Run] = append(first[e.Run], seconds)
		default:
			other[e.Run] = append(other[e.Run], seconds)
		}
	}
	middle := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	for run := range first {
		t.Logf("%s: first batch of a turn %.0f images/s, others %.0f", run, 1/middle(first[run]), 1/middle(other[run]))
	}
	between := (wall - trained) / wall
	t.Logf("%.2f s, %.2f%% of it between turns", wall, 100*between)
	return between
}

// A screen that is opened on a resume sees each run's whole history, once, and
// the runs that had ended.
func TestResumedTellsThePastThenTheLive(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	c, _ := compare(t, o, func(c *Comparison, e event.Event) {
		if e, ok := e.(*event.EpochDone); ok && e.Run == "batch=32" && e.Epoch == 2 {
			if err := c.Send(event.Stop{To: event.To{Run: "batch=32"}, After: event.AfterBatch}); err != nil {
				t.Error(err)
			}
		}
	})
	o.Resume = c.Folder()
	again := newComparison(t, o)
	bus := event.NewBus()
	src, err := record.Resumed(c.Folder(), bus.Subscribe())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Run(context.Background(), bus.Publish); err != nil {
		t.Fatal(err)
	}
	bus.Close()
	seen := make(map[string]uint64)
	var all []event.Event
	for {
		events, err := src.Next(context.Background(), 7)
		for _, e := range events {
			if head := e.Head(); head.Seq <= seen[head.Run] {
				t.Errorf("%s: event %d after %d", head.Run, head.Seq, seen[head.Run])
			} else {
				seen[head.Run] = head.Seq
			}
			all = append(all, e)
		}
		if err != nil {
			break
		}
	}
	for _, name := range c.Runs() {
		r := runOf(folded(all), name)
		if r == nil || len(r.Epochs) != 3 || r.Ended == nil {
			t.Errorf("%s: %+v", name, r)
			continue
		}
		want, err := record.Read(filepath.Join(c.Folder(), name))
		if err != nil {
			t.Fatal(err)
		}
		if r.Ended.Seq != want.Ended.Seq || r.Ended.Outcome != event.OutcomeFinished {
			t.Errorf("%s ended as %s, event %d", name, r.Ended.Outcome, r.Ended.Seq)
		}
	}
}

// Settings that a run refuses are not those of the comparison from then on.
func TestRefusedSettingsLeaveAComparisonAsItIs(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	o.Config.Epochs = 1
	c, _ := compare(t, o, nil)
	path := filepath.Join(c.Folder(), rundir.ComparisonFile)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o.Resume = c.Folder()
	o.Adjust = func(c config.Config) config.Config { c.Epochs, c.Dropout = 2, 0.25; return c }
	if _, err := NewComparison(o); err == nil || !strings.Contains(err.Error(), "dropout") {
		t.Fatalf("resumed with another dropout: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("it has become %s, %v", after, err)
	}
}

// A solitary backend, as a GPU's, is for one goroutine at a time. It sees another
// one that reads it within a batch.
type solitary struct {
	nn.Backend
	hold          atomic.Pointer[func()] // to be called within the next batch
	within, twice atomic.Bool
}

func (b *solitary) SGD(x, g, m *nn.Buffer, lr, momentum, decay float32, decoupled bool) {
	if do := b.hold.Swap(nil); do != nil {
		b.within.Store(true)
		(*do)()
		time.Sleep(100 * time.Millisecond) // enough for who does not wait
		b.within.Store(false)
	}
	b.Backend.SGD(x, g, m, lr, momentum, decay, decoupled)
}

func (b *solitary) Download(dst []float32, src *nn.Buffer) error {
	if b.within.Load() {
		b.twice.Store(true)
	}
	return b.Backend.Download(dst, src)
}

// A run that waits for its turn saves when it is asked to, but not within a batch
// of the one that trains on the same device.
func TestWaitingRunLeavesTheBackendToTheOneThatTrains(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	o.Config.Optimizer, o.Config.Epochs = "sgd", 2
	b := &solitary{Backend: o.Backends[0]}
	o.Backends = []nn.Backend{b}
	_, rec := compare(t, o, func(c *Comparison, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Run == "batch=32" && s.Total == 1 { // batch=16 has trained an epoch
			save := func() {
				if err := c.Send(event.Save{To: event.To{Run: "batch=16"}}); err != nil {
					t.Error(err)
				}
			}
			b.hold.Store(&save)
		}
	})
	if b.twice.Load() {
		t.Error("two runs used the backend at the same time")
	}
	if !slices.ContainsFunc(of[*event.CheckpointSaved](rec.events), func(c *event.CheckpointSaved) bool { return c.Run == "batch=16" && c.Reason == "manual" }) {
		t.Error("the run that waited was not saved")
	}
}

// Runs that hold the same images out share the copy of the data that this takes, and
// what is wrong with it for all of them is told once.
func TestComparedRunsShareTheImagesThatAreHeldOut(t *testing.T) {
	o := tinyComparison(t, config.Interleave)
	o.Sweeps = []config.Sweep{{Key: "batch", Values: []string{"16", "8"}}, {Key: "seed", Values: []string{"1", "2"}}}
	train := *o.Dataset.Train
	train.Labels = make([]byte, train.Len())
	train.Labels[7] = 1
	o.Dataset = &cifar.Dataset{Name: "x", Train: &train, Test: o.Dataset.Test, Classes: o.Dataset.Classes}
	o.Config.ValSplit = train.Len() - 2
	c := newComparison(t, o)
	defer c.Close()
	made := map[uint64][2]*cifar.Set{}
	warnings := 0
	for _, m := range c.members {
		for _, w := range m.trainer.warnings {
			if strings.Contains(w, "none is left") {
				warnings++
			}
		}
		l := &learner{config: m.trainer.config, spec: m.trainer.spec, backend: o.Backends[0]}
		if err := l.readImages(t.Context(), m.trainer.options); err != nil {
			t.Fatal(err)
		}
		set, val, err := m.trainer.options.parts(l.config)
		if err != nil {
			t.Fatal(err)
		}
		if val != l.val {
			t.Errorf("run %s has images of its own", m.name)
		}
		if before, ok := made[l.config.Seed]; ok && before != [2]*cifar.Set{set, val} {
			t.Errorf("run %s has others than a run of the same seed", m.name)
		}
		made[l.config.Seed] = [2]*cifar.Set{set, val}
		l.close()
	}
	if len(c.members) != 4 || len(made) != 2 || made[1] == made[2] {
		t.Errorf("%d runs of %d seeds", len(c.members), len(made))
	}
	if warnings != 1 {
		t.Errorf("told %d times that a class has nothing left to train on, want once", warnings)
	}
}
