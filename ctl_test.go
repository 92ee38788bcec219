package main

import (
	"encoding/json"
	"os"
	"path/filepath"
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
