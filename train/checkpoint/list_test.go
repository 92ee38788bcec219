package checkpoint

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// A damaged file with a length of terabytes in it once took as much memory.
func TestNoMoreOfADescriptionIsReadThanTheFormatAllows(t *testing.T) {
	const size = 1 << 28
	file := bytes.NewReader(binary.LittleEndian.AppendUint64(nil, size-8))
	_, err := readMeta(file, size)
	if err == nil || !strings.Contains(err.Error(), "a description of 268435448 bytes, want at most 100000000") {
		t.Error(err)
	}
}

// The sum of a checkpoint is not looked at in a list, so anything can be in it.
func TestACheckpointWithAHoleInItsHistoryIsListed(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, rundir.CheckpointsDir), 0o755); err != nil {
		t.Fatal(err)
	}
	s := &Store{Disk: rundir.OS{}, Folder: filepath.Join(folder, rundir.CheckpointsDir)}
	if _, err := s.SaveLast(&Checkpoint{Position: Position{Epoch: 2, History: []*event.EpochDone{nil}}}); err != nil {
		t.Fatal(err)
	}
	list, err := List(folder)
	if err != nil || len(list) != 1 || list[0].Epoch != 2 || list[0].ValAcc == list[0].ValAcc {
		t.Errorf("%+v, %v", list, err)
	}
}
