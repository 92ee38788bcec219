package runs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cifartui/train/event"
)

// Two runs of one name are told apart wherever they are compared, and a run that
// is named twice is one.
func TestRunsOfTheSameName(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a", "runs", "x"), filepath.Join(dir, "b", "runs", "x"), filepath.Join(dir, "b", "runs", "y")
	for _, folder := range []string{a, b, c} {
		makeRun(t, folder, nil, 2, &event.RunEnded{Outcome: event.OutcomeFinished})
	}
	t.Chdir(dir)
	list, err := Read(a, b, c, filepath.Join("a", "runs", "x"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range list {
		names = append(names, r.Name)
	}
	if want := []string{"a/runs/x", "b/runs/x", "y"}; !slices.Equal(names, want) {
		t.Fatalf("the runs are called %q, want %q", names, want)
	}
	table := NewTable(list)
	for i, row := range table.Rows {
		if row.Run != names[i] || row.Label != names[i] {
			t.Errorf("row %d is of %q, called %q", i, row.Run, row.Label)
		}
	}
	if text := strings.Join(table.Findings, " "); !strings.Contains(text, "a/runs/x") || !strings.Contains(text, "b/runs/x") {
		t.Errorf("the findings: %s", text)
	}
	if list, err = Read(a); err != nil || list[0].Name != "x" {
		t.Errorf("a run alone: %v, %v", list, err)
	}
	if err := os.RemoveAll(b); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(a, b); err == nil || !strings.Contains(err.Error(), b) {
		t.Errorf("a run that is gone: %v", err)
	}
}
