package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/nn/cuda/cudatest"
	"cifartui/nn/cuda/driver"
	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/rundir"
)

// losing is a GPU that is lost as it is to take the fourth step of a run, when the
// first two, which the host has seen, are saved. From there on all calls fail, as
// those of a lost context do.
func losing(t *testing.T, folder string) *cudatest.Driver {
	begun := filepath.Join(folder, rundir.EventsFile)
	saved := filepath.Join(folder, rundir.CheckpointsDir, checkpoint.LastFile)
	d := cudatest.New(8, 0)
	steps := 0
	d.Fail = func(call string) error {
		if call == "LaunchGraph" && there(begun) { // before, it checks itself
			if steps++; steps == 3 { // it is saved while training goes on
				eventually(t, "checkpoint of the first steps", func() bool { return there(saved) })
			}
		}
		if steps > 3 {
			return &driver.Error{Call: "cuGraphLaunch", Code: driver.ECC, Name: "CUDA_ERROR_ECC_UNCORRECTABLE"}
		}
		return nil
	}
	return d
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// A run whose GPU is lost in the middle keeps what it saved last. It ends and says
// how to go on, or goes on by itself if that was wanted: on the processor, from the
// same place to the same bits, which it says are no longer those of the GPU.
func TestRunWhoseGPUIsLostGoesOnFromItsLastCheckpoint(t *testing.T) {
	if os.Getenv("CIFARTUI_LONG") == "" {
		t.Skip("CIFARTUI_LONG=1 runs the self-check twice, and some steps, on the interpreter")
	}
	runs := t.TempDir()
	ends, goesOn := filepath.Join(runs, "ends"), filepath.Join(runs, "goes-on")
	// train runs the program to an exit code; it must say so much, in any order.
	train := func(exit int, says []string, args ...string) {
		t.Helper()
		code, out, errs := gpuTool(t, append(args, "--runs", runs, "--no-tui")...)
		if code != exit {
			t.Errorf("%v: exit %d, want %d", args, code, exit)
		}
		for _, want := range says {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%v: nothing says %q", args, want)
			}
		}
		if t.Failed() {
			t.Fatalf("it says:\n%s%s", out, errs)
		}
	}
	// Saved after each batch; that of the first visit of the host has two.
	begin := func(folder string) []string {
		useDriver(t, losing(t, folder), nil)
		return []string{"--data", "demo:40", "--filters", "32", "--batch", "4", "--epochs", "1", "--save-seconds", "1e-9",
			"--device", "auto", "--name", filepath.Base(folder)}
	}
	const lost, otherBits = "Stand-in is lost", "which round differently"

	train(exitFailed, []string{lost, "what was saved last is kept", "--resume", "--device cpu"}, begin(ends)...)
	if at := checkpointtest.Last(t, ends).Total; at != 2 {
		t.Errorf("%d steps are saved, want 2", at)
	}
	train(exitOK, []string{otherBits}, "--resume", "ends", "--device", "cpu")

	train(exitOK, []string{lost, "going on on the processor", otherBits}, append(begin(goesOn), "--fallback")...)
	if record, err := os.ReadFile(filepath.Join(goesOn, rundir.EventsFile)); err != nil || strings.Count(string(record), `"goes_on":true`) != 1 {
		t.Errorf("that it goes on is not told once: %v", err)
	}
	if at := checkpointtest.Last(t, goesOn).Total; at != 10 {
		t.Errorf("the run that goes on has %d steps, want 10", at)
	}
	checkpointtest.SameRuns(t, goesOn, ends)
}
