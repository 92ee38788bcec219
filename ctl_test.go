package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/config"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/event/eventtest"
	"cifartui/train/rundir"
)

// Of a comparison whose process was killed, which leaves its socket behind, the
// status of one run is that of no other.
func TestStatusOfOneRunOfAKilledComparison(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "cmp")
	for _, run := range []string{"a", "b"} {
		member := filepath.Join(folder, run)
		if err := os.MkdirAll(member, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := config.Write(rundir.OS{}, member, config.Default(), config.About{}); err != nil {
			t.Fatal(err)
		}
		eventtest.Write(t, member, &event.RunStarted{Header: event.Header{Run: run}})
	}
	if err := os.WriteFile(filepath.Join(folder, "run.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := tool(t, "ctl", "--runs", dir, "cmp/b", "status", "--json")
	var list []control.Status
	if err := json.Unmarshal([]byte(out), &list); code != exitOK || err != nil || len(list) != 1 || list[0].Run != "b" {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
}

// An answer that cannot be written, as on a full disk, is an error: whoever keeps it
// in a file must not take what is there for all of it.
func TestAnswerThatCannotBeWrittenIsAnError(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := config.Write(rundir.OS{}, folder, config.Default(), config.About{}); err != nil {
		t.Fatal(err)
	}
	eventtest.Write(t, folder, &event.RunStarted{Header: event.Header{Run: "run"}})
	for _, args := range [][]string{
		{"ctl", folder, "status"}, {"ctl", folder, "status", "--json"}, {"runs", "--runs", folder}, {"compare", folder},
		{"data", "info", "demo:40"}, {"summary"},
	} {
		var errs bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), fullDisk{}, &errs)
		if code != exitFailed || !strings.Contains(errs.String(), errFull.Error()) {
			t.Errorf("%q: exit code %d, it says %q", args, code, errs.String())
		}
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

var errFull = errors.New("no space left")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
