package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// program writes a shell script that stands for one of the two programs.
func program(t *testing.T, name, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins are shell scripts")
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	fakeCifartui = `echo '{"kernels":"avx2","results":[{"images_per_second":{"median":400}}]}'`
	fakeTorch    = `n=0
while read -r line; do
	n=$((n + 1))
	echo '{"version":"PyTorch 9.9","layout":"default","images_per_second":'$((n * 100))'}'
done`
	fakeSkip = `echo '{"skipped":"no such processor"}'`
)

// standIns are peers whose scripts are shell scripts.
func standIns(names ...string) (list []peer) {
	for _, n := range names {
		list = append(list, peer{name: n})
	}
	return list
}

func TestTableHoldsMediansAndRatios(t *testing.T) {
	o := options{
		cifartui: program(t, "cifartui", fakeCifartui), python: program(t, "python", fakeTorch),
		mode: "both", threads: 2, rounds: 3, batches: []int{64}, peers: standIns("torch"),
	}
	var out strings.Builder
	if err := run(o, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	// The first of the rounds is for getting warm.
	want := `cifartui (avx2 kernels) and others, 2 threads, 3 rounds in turn: images a second, median (min to max)
mode   batch  cifartui          the other    layout   images/s          ratio
train  64     400 (400 to 400)  PyTorch 9.9  default  300 (200 to 400)  1.33 (1.00 to 2.00)
infer  64     400 (400 to 400)  PyTorch 9.9  default  300 (200 to 400)  1.33 (1.00 to 2.00)
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// TestSkippedPeersAreNamed: what a machine can't run is left out aloud.
func TestSkippedPeersAreNamed(t *testing.T) {
	o := options{
		cifartui: program(t, "cifartui", fakeCifartui), python: program(t, "python", fakeSkip),
		mode: "train", threads: 2, rounds: 1, batches: []int{64}, peers: standIns("torch-bfloat16"),
	}
	var out, progress strings.Builder
	if err := run(o, &out, &progress); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(progress.String(), "torch-bfloat16 is left out: no such processor") {
		t.Errorf("progress says %q", progress.String())
	}
}

// TestTroubleIsReported: what a program said when it failed must reach the
// person, or a missing torch is a riddle.
func TestTroubleIsReported(t *testing.T) {
	good, bad := program(t, "good", fakeCifartui), program(t, "bad", "echo no such module >&2\nexit 1")
	for name, o := range map[string]options{
		"python":   {cifartui: good, python: bad},
		"cifartui": {cifartui: bad, python: program(t, "python", fakeTorch)},
	} {
		o.mode, o.threads, o.rounds, o.batches, o.peers = "train", 1, 2, []int{64}, standIns("torch")
		err := run(o, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "no such module") {
			t.Errorf("a failing %s: %v, want its own words", name, err)
		}
	}
}

func TestPeersAreChosenByName(t *testing.T) {
	chosen, err := choosePeers("keras-jax,torch")
	if err != nil || len(chosen) != 2 || chosen[0].name != "keras-jax" {
		t.Errorf("got %v, %v", chosen, err)
	}
	if _, err := choosePeers("torch,theano"); err == nil || !strings.Contains(err.Error(), "torch-compile") {
		t.Errorf("theano: %v, want the names that there are", err)
	}
}

func TestBatchesAreSizes(t *testing.T) {
	var o options
	if err := o.parseBatches("64,512"); err != nil || len(o.batches) != 2 || o.batches[1] != 512 {
		t.Errorf("got %v, %v", o.batches, err)
	}
	for _, bad := range []string{"", "64,", "0", "-1", "many"} {
		if err := new(options).parseBatches(bad); err == nil {
			t.Errorf("%q was let through", bad)
		}
	}
}
