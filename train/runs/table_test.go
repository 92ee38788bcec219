package runs

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
)

// A shape describes a run for a table: val_acc rises towards top, by slow.
type tableShape struct {
	batch   int
	seconds float64
	epochs  int
	top     float64
	slow    float64
	peak    int // the epoch of the best; 0: the last
}

func (s tableShape) history() *record.Run {
	h := &record.Run{Name: "r" + string(rune('a'+s.batch%26)), Started: &event.RunStarted{Dataset: "CIFAR-10", ValImages: 10000,
		Config: config.Config{Batch: s.batch, Optimizer: "adadelta"}}, Ended: &event.RunEnded{Outcome: event.OutcomeEarlyStopped}}
	for i := 1; i <= s.epochs; i++ {
		acc := s.top - 0.4*math.Exp(-float64(i)/s.slow)
		if s.peak > 0 && i > s.peak {
			acc = s.top - 0.4*math.Exp(-float64(s.peak)/s.slow) - 0.001
		}
		h.Epochs = append(h.Epochs, &event.EpochDone{Epoch: i, Batch: s.batch, Seconds: s.seconds, ImagesPerSecond: 50000 / s.seconds,
			Elapsed: s.seconds * float64(i), ValAcc: event.Float(acc), Loss: event.Float(1 / float64(i)), ValLoss: 0.5})
	}
	return h
}

func shapes(list ...tableShape) []*record.Run {
	var runs []*record.Run
	for _, s := range list {
		runs = append(runs, s.history())
	}
	return runs
}

func TestTableRow(t *testing.T) {
	table := NewTable(shapes(tableShape{64, 16, 106, 0.90, 12, 85}, tableShape{512, 10, 60, 0.86, 30, 0}))
	row := table.Rows[0]
	if row.Label != "batch 64" || row.Batch != 64 || row.Epochs != 106 || row.EpochSeconds != 16 || row.ImagesPerSecond != 3125 || row.BestEpoch != 85 {
		t.Errorf("row %+v", row)
	}
	// 0.9 - 0.4 exp(-i/12) first reaches 0.80 at i = 17 (16.6), 0.85 at 25 (24.95), 0.88 at 36 (35.9).
	for i, epoch := range []float64{17, 25, 36} {
		if got := float64(row.TimeTo[i]); got != 16*epoch {
			t.Errorf("to %.0f%%: %g s, want %g", 100*Goals[i], got, 16*epoch)
		}
	}
	if v := float64(table.Rows[1].TimeTo[2]); !math.IsNaN(v) {
		t.Errorf("a goal that was never reached has time %g", v)
	}
	if _, err := json.Marshal(table); err != nil {
		t.Errorf("table with unreached goals as JSON: %v", err)
	}
}

func TestTableText(t *testing.T) {
	runs := shapes(tableShape{64, 16, 106, 0.90, 12, 85}, tableShape{512, 10, 60, 0.86, 30, 0})
	runs[1].Started.Demo = true
	runs = append(runs, &record.Run{Name: "waiting", Started: &event.RunStarted{Dataset: "CIFAR-10", Config: config.Config{Batch: 128, Optimizer: "adadelta"}}})
	var b strings.Builder
	if _, err := NewTable(runs).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	want := []string{
		"data: CIFAR-10, demo set",
		"run        batch  epochs  s/epoch  images/s  best val_acc  at epoch  final loss  to 80%  to 85%  to 88%",
		"batch 64      64     106     16.0    3125.0        89.97%        85      0.0094   4m32s   6m40s   9m36s",
		"batch 512    512      60     10.0    5000.0        80.59%        60      0.0167   9m30s       -       -",
		"batch 128    128       0        -         -             -         -           -       -       -       -",
	}
	for i := range want {
		if lines[i] != want[i] {
			t.Errorf("line %d\n%q, want\n%q", i, lines[i], want[i])
		}
	}
}

// Each finding must follow from the numbers and go away with them.
func TestFindings(t *testing.T) {
	find := func(runs []*record.Run) string { return strings.Join(NewTable(runs).Findings, "\n") }
	for name, c := range map[string]struct {
		runs []*record.Run
		want []string
		not  []string
	}{
		"as in the article": {
			shapes(tableShape{512, 9, 120, 0.885, 30, 110}, tableShape{64, 16, 106, 0.90, 12, 85}, tableShape{256, 10, 110, 0.89, 24, 100}, tableShape{128, 12, 100, 0.895, 16, 92}),
			[]string{
				"An epoch was faster with a larger batch: 16.0 s (batch 64), 12.0 s (batch 128), 10.0 s (batch 256), 9.0 s (batch 512).",
				"A larger batch was slower to converge: a val_acc of 85% took 25 epochs (batch 64)",
				"The best came later with a larger batch: 89.97% at epoch 85 of 106 (batch 64)",
				"the highest, batch 64, is 2.49 points over the lowest, batch 512",
			},
			[]string{"have ended"},
		},
		"nothing to tell": {
			shapes(tableShape{64, 10, 50, 0.9, 10, 40}, tableShape{128, 10.1, 50, 0.9, 10, 41}),
			[]string{
				"An epoch took about as long with each", "All converged about equally fast",
				"The best came at about the same epoch with each", "can't tell from chance",
			},
			[]string{"faster", "slower"},
		},
		"the other way round": {
			shapes(tableShape{64, 10, 50, 0.9, 20, 48}, tableShape{128, 20, 50, 0.9, 5, 20}),
			[]string{"An epoch took longer with a larger batch", "A larger batch converged in fewer epochs", "The best came earlier with a larger batch"},
			nil,
		},
		"no order in it": {
			shapes(tableShape{64, 10, 60, 0.9, 10, 30}, tableShape{128, 20, 60, 0.9, 30, 59}, tableShape{256, 12, 60, 0.9, 12, 40}),
			[]string{"An epoch was fastest with batch 64", "The first to converge was batch 64", "The best came earliest with batch 64"},
			[]string{"larger batch"},
		},
		"short of the goals": {
			shapes(tableShape{64, 10, 3, 0.72, 3, 0}, tableShape{128, 10, 3, 0.70, 3, 0}),
			[]string{
				"It is too early to tell which converges faster: a val_acc of 55% took",
				"The best may be still to come, as it was the last epoch's with batch 64, batch 128: ",
			},
			[]string{"80%", "equally", "came"},
		},
	} {
		got := find(c.runs)
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", name, w, got)
			}
		}
		for _, n := range c.not {
			if strings.Contains(got, n) {
				t.Errorf("%s: %q in\n%s", name, n, got)
			}
		}
	}

	varying := shapes(tableShape{64, 10, 50, 0.9, 10, 0}, tableShape{128, 9, 50, 0.9, 10, 0})
	for i, e := range varying[1].Epochs {
		e.Seconds += float64(i % 7)
	}
	if got := find(varying); !strings.Contains(got, "varies too much within a run to tell which is faster: 10.0 s (batch 64), 12.0 s") {
		t.Errorf("times that vary:\n%s", got)
	}
	running := shapes(tableShape{64, 10, 50, 0.9, 10, 0}, tableShape{128, 10, 50, 0.9, 10, 0})
	running[1].Ended = nil
	if got := find(running); !strings.Contains(got, "Not all of these runs have ended") {
		t.Errorf("a running comparison is told as if over:\n%s", got)
	}
	if got := find(shapes(tableShape{64, 10, 50, 0.9, 10, 0})); got != "" {
		t.Errorf("one run is compared:\n%s", got)
	}
	networks := shapes(tableShape{64, 10, 50, 0.9, 10, 0}, tableShape{512, 5, 50, 0.9, 10, 0})
	networks[1].Started.Config.Filters = "32,64,128"
	if got := find(networks); strings.Contains(got, "larger batch") || !strings.Contains(got, "An epoch was fastest with batch 512, filters 32,64,128") {
		t.Errorf("batches of two networks:\n%s", got)
	}
	rates := shapes(tableShape{64, 10, 50, 0.9, 10, 0}, tableShape{64, 20, 50, 0.9, 40, 0})
	rates[0].Started.Config.LR, rates[1].Started.Config.LR = 0.05, 0.1
	if got := find(rates); !strings.Contains(got, "An epoch took longer with a higher learning rate") {
		t.Errorf("two rates:\n%s", got)
	}
	rates[0].Started.Config.LR = 0 // the optimizer's own, which may be higher
	if got := find(rates); strings.Contains(got, "higher") || !strings.Contains(got, "An epoch was fastest with lr default") {
		t.Errorf("a rate and the optimizer's own:\n%s", got)
	}
	optimizers := shapes(tableShape{64, 10, 50, 0.9, 10, 0}, tableShape{64, 12, 50, 0.9, 40, 0})
	optimizers[1].Started.Config.Optimizer = "sgd"
	if got := find(optimizers); !strings.Contains(got, "The first to converge was optimizer adadelta") || strings.Contains(got, "larger") {
		t.Errorf("two optimizers:\n%s", got)
	}
}

func TestLabels(t *testing.T) {
	runs := shapes(tableShape{batch: 64}, tableShape{batch: 64}, tableShape{batch: 128})
	for i, name := range []string{"one", "two", "three"} {
		runs[i].Name = name
	}
	if got := strings.Join(Labels(runs), "|"); got != "one|two|three" {
		t.Errorf("runs with equal settings are labelled %s", got)
	}
	runs[1].Started.Config.Seed = 7
	if got := strings.Join(Labels(runs), "|"); got != "batch 64, seed 0|batch 64, seed 7|batch 128, seed 0" {
		t.Errorf("labels %s", got)
	}
	runs[1].Started.Config.Seed, runs[1].Started.Config.LR = 0, 0.3
	if got := strings.Join(Labels(runs[:2]), "|"); got != "lr default|lr 0.3" {
		t.Errorf("labels %s", got)
	}
	runs[0].Started.Config.Filters = config.Default().Filters // which the other, of old, has too
	if got := strings.Join(Labels(runs[:2]), "|"); got != "lr default|lr 0.3" {
		t.Errorf("a default counts as a difference: %s", got)
	}
	fast, err := config.OfRecipe("fast")
	if err != nil {
		t.Fatal(err)
	}
	runs[1].Started.Config = fast
	if got := strings.Join(Labels(runs[:2]), "|"); got != "one|two" {
		t.Errorf("two recipes are labelled %s", got)
	}
	if got := strings.Join(Labels(runs[:1]), "|"); got != "one" {
		t.Errorf("a run alone is labelled %s", got)
	}
}

// A damaged record may hold what no run has written.
func TestTableOfEpochsWithoutAValue(t *testing.T) {
	nan := event.Float(math.NaN())
	broken := &record.Run{Name: "broken", Started: &event.RunStarted{Config: config.Config{Batch: 64}},
		Epochs: []*event.EpochDone{{Epoch: 1, ValAcc: nan, Loss: nan, Seconds: math.NaN()}}}
	whole := shapes(tableShape{batch: 128, epochs: 3, seconds: 1, top: 0.8})[0]
	table := NewTable([]*record.Run{broken, whole, broken})
	if r := table.Rows[0]; r.BestEpoch != 0 || !math.IsNaN(float64(r.BestValAcc)) || len(table.Findings) > 0 {
		t.Errorf("%+v, %q", r, table.Findings)
	}
}

// Whatever a record says, what is shown of it does not fail.
func FuzzTableOfARecord(f *testing.F) {
	f.Add([]byte(`{"event":"run_started","resumed":true,"resumed_epoch":3,"steps_per_epoch":-1,"config":{"epochs":2,"max_steps":1}}
{"event":"step","epoch":9,"step":2,"steps":0,"total":5,"images_per_second":1e-300}
{"event":"epoch","epoch":1,"val_acc":"NaN","total":-1}
{"event":"planned","epochs":-3}
{"event":"run_ended","best_val_acc_epoch":7}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		run := new(record.Run)
		for line := range bytes.Lines(text) {
			if e, err := event.Decode(line); err == nil {
				run.Apply(e)
			}
			run.Position()
			run.Remaining()
			run.LearnRate()
			run.Best()
		}
		if _, err := NewTable([]*record.Run{run, run}).WriteTo(io.Discard); err != nil {
			t.Error(err)
		}
	})
}
