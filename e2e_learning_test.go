//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/cifar"
	"cifartui/train/event"
)

// Memory of a training run: under 600 MB resident at batch 64, under 2 GB at
// batch 512, with all of CIFAR-10 loaded.
func TestMemoryOfARun(t *testing.T) {
	t.Parallel()
	const realImages = 60_000 * (cifar.Pixels + 1) // bytes that the demo set does not take
	for _, c := range []struct {
		batch, data string
		limit       int64
	}{{"64", "demo:320", 600e6}, {"512", "demo:1040", 2e9}} {
		t.Run("batch "+c.batch, func(t *testing.T) {
			if c.batch == "512" && !long() {
				t.Skip("set CIFARTUI_LONG: it takes a while")
			}
			p := start(t, "--no-tui", "--data", c.data, "--batch", c.batch, "--epochs", "1", "--runs", t.TempDir(), "--name", "memory",
				// The system's account of a child begins with what its parent had.
				"--on-end", "grep VmHWM /proc/$PPID/status")
			p.mustEnd(t, 0)
			var resident int64
			if _, line, ok := strings.Cut(p.out.String(), "VmHWM:"); !ok {
				t.Fatalf("no peak is told:\n%s%s", p.out.String(), p.errs.String())
			} else if _, err := fmt.Sscan(line, &resident); err != nil {
				t.Fatal(err)
			}
			peak := resident*1024 + realImages
			t.Logf("%d MB with CIFAR-10", peak/1e6)
			if peak > c.limit {
				t.Errorf("%d bytes resident at most, want under %d", peak, c.limit)
			}
		})
	}
}

// The recipe learns real images: over 60% on the test images after 3 epochs.
// At Adadelta's rate of 1.0 a single early epoch can fall by 15 points: with
// seed 1 the third does, to 49%, and the fourth is at 74%.
func TestLearnsRealImages(t *testing.T) {
	data := os.Getenv("CIFARTUI_DATA")
	if data == "" || !long() {
		t.Skip("set CIFARTUI_LONG and CIFARTUI_DATA, a folder with CIFAR-10: it takes some minutes")
	}
	runs := t.TempDir()
	p := start(t, "--no-tui", "--data", data, "--seed", "1", "--epochs", "3", "--runs", runs, "--name", "real")
	<-p.waited // as long as it takes
	p.mustEnd(t, 0)
	epochs := 0
	for _, e := range recorded(filepath.Join(runs, "real")) {
		if e, ok := e.(*event.EpochDone); ok {
			epochs = e.Epoch
			t.Logf("epoch %d: val_acc %.4f", e.Epoch, float64(e.ValAcc))
			if e.Epoch == 3 && e.ValAcc <= 0.60 {
				t.Errorf("val_acc %.4f after 3 epochs, want over 0.60", float64(e.ValAcc))
			}
		}
	}
	if epochs != 3 {
		t.Errorf("the record tells of %d epochs, want 3", epochs)
	}
}
