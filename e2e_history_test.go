//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/event/eventtest"
	"cifartui/train/rundir"
)

// The screen shows a long history for about what it takes to read it: of 768
// epochs and 600,000 steps, 240 MB, for less than three times what "compare",
// which draws nothing, takes of the processor.
func TestLongHistoryIsShownAsFastAsItIsRead(t *testing.T) {
	if !long() {
		t.Skip("writes 240 MB: set CIFARTUI_LONG=1")
	}
	bin := program(t)
	folder := filepath.Join(t.TempDir(), "long")
	writeHistory(t, folder, 768, 782)
	used := func(cmd *exec.Cmd) time.Duration { return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime() }

	began := time.Now()
	s := open(t, "open", folder)
	s.shows(t, "Finished 768 epochs")
	after := time.Since(began)
	s.keys("q")
	s.mustEnd(t, 0)
	compare := exec.Command(bin, "compare", folder)
	if out, err := compare.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	shown, read := used(s.Cmd), used(compare)
	t.Logf("shown after %v, for %v of the processor; read for %v", after, shown, read)
	if shown > 3*read {
		t.Errorf("the screen takes %v of the processor for what is read in %v", shown, read)
	}
}

// writeHistory makes the folder of a run of so many epochs, with a line for each
// step.
func writeHistory(t *testing.T, folder string, epochs, steps int) {
	t.Helper()
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Epochs = epochs
	if err := config.Write(rundir.OS{}, folder, c, config.About{}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(folder, rundir.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	put := func(seq uint64, e event.Event) {
		h := e.Head()
		h.Event, h.Seq, h.Run = event.KindOf(e), seq, filepath.Base(folder)
		h.Time = time.Date(2026, 11, 20, 0, 0, int(seq), 0, time.UTC)
		b, err := json.Marshal(e)
		if err == nil {
			_, err = w.Write(append(b, '\n'))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(1, &event.RunStarted{Config: c, Folder: folder, Dataset: "CIFAR-10", StepsPerEpoch: steps})
	put(2, &event.StateChanged{State: event.StateRunning})
	seq, total := uint64(2), int64(0)
	for epoch := 1; epoch <= epochs; epoch++ {
		for step := 1; step <= steps; step++ {
			seq, total = seq+1, total+1
			e := eventtest.Step("", total)
			loss := event.Float(2 / (1 + float64(total)*1.234567e-5))
			e.Epoch, e.Step, e.Steps, e.Loss, e.MinLoss, e.MaxLoss = epoch, step, steps, loss, loss, loss
			e.Elapsed, e.Acc = float64(total)*0.987654321, 1-loss/3
			put(seq, e)
		}
		seq++
		put(seq, &event.EpochDone{Epoch: epoch, Epochs: epochs, Batch: 64, Total: total, Loss: 0.5, ValLoss: 0.6, Acc: 0.8, ValAcc: event.Float(epoch) / 1000,
			Seconds: 700, Elapsed: float64(total), Best: true})
	}
	put(seq+1, &event.RunEnded{Outcome: event.OutcomeFinished, Epoch: epochs, Seconds: float64(total), BestValAcc: event.Float(epochs) / 1000, BestValAccEpoch: epochs})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
