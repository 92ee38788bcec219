package record

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"cifartui/train/config"
	"cifartui/train/event"
)

// story is a run's events with fixed numbers, for golden outputs.
func story(demo bool) []event.Event {
	head := func() event.Header { return event.Header{Run: "model_1"} }
	test := event.Float(0.875)
	events := []event.Event{
		&event.RunStarted{Header: head(), Config: config.Config{Batch: 64}, Folder: "runs/model_1", Dataset: "CIFAR-10", Demo: demo, TrainImages: 50000, ValImages: 10000, StepsPerEpoch: 4, ValIsTest: true, Kernels: "avx512", Threads: 2, Version: "1.0"},
		&event.StateChanged{Header: head(), State: event.StateRunning, Epoch: 105},
	}
	for i := 1; i <= 4; i++ {
		events = append(events, &event.StepDone{Header: head(), Epoch: 105, Step: i, Steps: 4, Total: int64(i), Count: 1, Loss: event.Float(i), Acc: 0.5, LR: 1, ImagesPerSecond: 400})
	}
	return append(events,
		&event.EpochDone{Header: head(), Epoch: 105, Epochs: 200, Batch: 64, Loss: 0.06561, Acc: 0.97824, ValLoss: 0.59958, ValAcc: 0.8947, LR: 1, Seconds: 16.2, ImagesPerSecond: 3100},
		&event.Evaluated{Header: head(), Epoch: 105},
		&event.CheckpointSaved{Header: head(), File: "last.ckpt", Reason: "last", Epoch: 106},
		&event.StateChanged{Header: head(), State: event.StatePaused, Reason: "ctl", Epoch: 106, Step: 1},
		&event.LearnRateChanged{Header: head(), From: 1, To: 0.5, Epoch: 106, Step: 1},
		&event.CheckpointSaved{Header: head(), File: "CIFAR10-EP106-STEP00001.safetensors", Reason: "manual", Epoch: 106, Step: 1},
		&event.Warning{Header: head(), Message: "disk full\x1b[31m\r\nreally"},
		&event.RunEnded{Header: head(), Outcome: event.OutcomeEarlyStopped, Epoch: 106, Seconds: 1875.25, BestAcc: 0.97824, BestAccEpoch: 105, BestValAcc: 0.9, BestValAccEpoch: 85, TestAcc: &test, TestLoss: &test},
	)
}

func report(r Report, events []event.Event) (out, errs string) {
	var o, e bytes.Buffer
	r.Out, r.Err = &o, &e
	for _, ev := range events {
		ev.Head().Event = event.KindOf(ev)
		r.Write(ev)
	}
	return o.String(), e.String()
}

// A plan is told with the epochs that are not like the others.
func TestAPlanIsTold(t *testing.T) {
	for want, e := range map[string]*event.Planned{
		"16 epochs fit":                                              {Epochs: 16},
		"16 epochs (6 on smaller images) fit":                        {Epochs: 16, SmallEpochs: 6},
		"16 epochs (the last of 312 steps) fit":                      {Epochs: 16, LastSteps: 312},
		"16 epochs (6 on smaller images, the last of 312 steps) fit": {Epochs: 16, SmallEpochs: 6, LastSteps: 312},
	} {
		e.Budget, e.Seconds, e.EpochSeconds = 1875, 1845, 117
		if out, _ := report(Report{}, []event.Event{e}); out != want+" the budget of 31m15s: about 1m57s an epoch, 30m45s in all\n" {
			t.Errorf("told as %q", out)
		}
	}
	if out, _ := report(Report{JSON: true}, []event.Event{&event.Planned{Epochs: 16, LastSteps: 312}}); !strings.Contains(out, `"last_steps":312`) {
		t.Errorf("told as %s", out)
	}
}

func TestReportKeepsTheArticlesForm(t *testing.T) {
	for name, r := range map[string]struct {
		report Report
		demo   bool
	}{
		"text":       {Report{}, false},
		"text-every": {Report{Every: 2, Names: true}, false},
		"text-demo":  {Report{Every: 4}, true},
		"json":       {Report{JSON: true, Every: 2}, false},
		"json-demo":  {Report{JSON: true, Every: 4}, true},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs := report(r.report, story(r.demo))
			path := "testdata/report-" + name + ".golden"
			if os.Getenv("CIFARTUI_GOLDEN") != "" {
				if err := os.WriteFile(path, []byte(out+"--\n"+errs), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if out+"--\n"+errs != string(want) {
				t.Errorf("got\n%s--\n%swant\n%s", out, errs, want)
			}
			if strings.ContainsAny(out+errs, "\r\x1b") {
				t.Error("control characters in the output")
			}
			if r.report.JSON {
				for line := range strings.Lines(out) {
					if !json.Valid([]byte(line)) {
						t.Errorf("not JSON: %s", line)
					}
				}
			} else if r.demo {
				for line := range strings.Lines(out) {
					if (strings.Contains(line, "acc:") || strings.Contains(line, "Accuracy")) && !strings.Contains(line, "demo set") {
						t.Errorf("an accuracy of the demo set without a label: %s", line)
					}
				}
			}
		})
	}
}

// The first line says on which images a run is validated.
func TestStartSaysWhatIsValidatedOn(t *testing.T) {
	for want, e := range map[string]*event.RunStarted{
		"validated on 9 (the test set)":                 {ValImages: 9, ValIsTest: true},
		"validated on 9 (held out of the training set)": {ValImages: 9, Config: config.Config{ValSplit: 9}},
		"validated on 9 (images of their own)":          {ValImages: 9},
	} {
		if got := startLine(e); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What a log line quotes neither breaks it nor steers a terminal.
func TestReportQuotesInOneLine(t *testing.T) {
	if got := oneLine("a\x1b[2J\nb\u202e"); got != "a\ufffd[2J; b\ufffd" {
		t.Errorf("%q", got)
	}
}

// A run that its limit of steps has ended says so, in one of several epochs and with a
// budget, which says how many those are; one that has all of its epochs does not.
func TestTheLimitOfStepsIsNamedAtTheEnd(t *testing.T) {
	for _, c := range []struct {
		epochs, planned, done int
		limit                 int64
		want                  string
	}{
		{5, 0, 0, 20, "Ended by the limit of 20 steps (--max-steps) after 0 of 5 epochs; go on with: cifartui --resume /r/x --max-steps 0\n@"},
		{5, 9, 5, 20, "Ended by the limit of 20 steps (--max-steps) after 5 of 9 epochs; "},
		{9, 5, 5, 20, ""},
		{5, 0, 5, 20, ""},
		{5, 0, 0, 0, ""},
	} {
		events := []event.Event{&event.RunStarted{Folder: "/r/x", Config: config.Config{Epochs: c.epochs, MaxSteps: c.limit}}}
		if c.planned > 0 {
			events = append(events, &event.Planned{Epochs: c.planned})
		}
		events = append(events, &event.RunEnded{Outcome: event.OutcomeFinished, Epoch: c.done})
		var run Run
		for _, e := range events {
			run.Apply(e)
		}
		out, _ := report(Report{}, events)
		if named := strings.Contains(out, "--max-steps"); !strings.Contains(out, c.want) || named != (c.want != "") || run.AtStepLimit() != named {
			t.Errorf("%+v: told as\n%s", c, out)
		}
	}
}
