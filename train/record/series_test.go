package record

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"cifartui/train/rundir"
)

// The records come one after the other, whole; a missing one is an error.
func TestSeriesReadsOneAfterTheOther(t *testing.T) {
	dir := t.TempDir()
	var folders []string
	for _, name := range []string{"a", "b", "empty"} {
		folder := filepath.Join(dir, name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		text := ""
		if name != "empty" {
			for range 3 {
				text += `{"event":"warning","seq":1,"time":"2026-11-23T14:05:00Z","run":"` + name + `","message":"x"}` + "\n"
			}
		}
		if err := os.WriteFile(filepath.Join(folder, rundir.EventsFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, folder)
	}
	s, err := OpenSeries(folders...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	order := ""
	for {
		list, err := s.Next(t.Context(), 2)
		for _, e := range list {
			order += e.Head().Run
		}
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if order != "aaabbb" {
		t.Errorf("read %q, want aaabbb", order)
	}
	if _, err := OpenSeries(folders[0], filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a record that is not there: %v", err)
	}
}
