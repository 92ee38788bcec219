package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cifartui/train/checkpoint"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// mount makes a disk of so many bytes, where this process may.
func mount(t *testing.T, bytes int64) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("no small disk can be had here: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// On a disk that is nearly full a run saves as elsewhere, without the checkpoint
// before the last; on a full one it trains on, and says when it saves again.
func TestRunOnASmallDisk(t *testing.T) {
	t.Parallel()
	program(t)
	const checkpointSize = 3 * 4 * 1_186_378 // the weights and Adadelta's two states
	disk := mount(t, checkpointSize*5/2+2<<20)
	p := start(t, append(endless(disk, "full"), "--filters", "64,128,256", "--no-tui", "--save-seconds", "0.1")...)
	folder := filepath.Join(disk, "full")
	eventually(t, "word of what is given up", func() bool {
		return strings.Contains(p.errs.String(), "the disk is nearly full: last.ckpt.1")
	})
	before := saves(folder)
	eventually(t, "saves on a nearly full disk", func() bool { return saves(folder) >= before+2 })
	if said := p.errs.String(); strings.Contains(said, "tries again") {
		t.Errorf("a save failed where there is room for it:\n%s", said)
	}

	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	eventually(t, "failed save", func() bool {
		_, err := io.Copy(f, strings.NewReader(strings.Repeat("x", 1<<20)))
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		return strings.Contains(p.errs.String(), "the next save tries again")
	})
	if err := checkpoint.Verify(filepath.Join(folder, rundir.CheckpointsDir, checkpoint.LastFile)); err != nil {
		t.Errorf("on a full disk: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	f.Close()
	eventually(t, "word of the next save", func() bool {
		return strings.Contains(p.errs.String(), "last.ckpt is written again")
	})
	p.Process.Signal(syscall.SIGTERM)
	p.mustEnd(t, exitStopped)
}

// saves is how many checkpoints to go on from a run's record tells of.
func saves(folder string) (n int) {
	for _, e := range recorded(folder) {
		if c, ok := e.(*event.CheckpointSaved); ok && c.File == checkpoint.LastFile {
			n++
		}
	}
	return n
}
