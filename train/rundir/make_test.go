package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// Of many who begin a folder at once, one does.
func TestOneOfManyBegins(t *testing.T) {
	runs := t.TempDir()
	var wg sync.WaitGroup
	var mu sync.Mutex
	begun := 0
	for range 5 {
		wg.Go(func() {
			folder, err := MakeExactly(runs, "x")
			if err != nil {
				t.Error(err)
				return
			}
			l, err := LockFolder(folder)
			if err != nil {
				var inUse *InUseError
				if !errors.As(err, &inUse) {
					t.Error(err)
				}
				return
			}
			defer l.Release()
			var already *BegunError
			switch err := Unbegun(folder); {
			case err == nil:
				mu.Lock()
				begun++
				mu.Unlock()
				if err := os.WriteFile(filepath.Join(folder, ConfigFile), []byte("{}"), 0o644); err != nil {
					t.Error(err)
				}
			case !errors.As(err, &already):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if begun != 1 {
		t.Errorf("%d began, want 1", begun)
	}
}

// What a kill at the start leaves is free; anything else in a folder without
// settings would be lost.
func TestUnbegun(t *testing.T) {
	for name, c := range map[string]struct {
		make func(folder string) error
		free bool
	}{
		"empty": {func(string) error { return nil }, true},
		"lock":  {func(f string) error { return os.WriteFile(filepath.Join(f, LockFile), []byte("12\n"), 0o644) }, true},
		"half written": {func(f string) error {
			return os.WriteFile(filepath.Join(f, "."+ConfigFile+TempMark+"12"), []byte("{"), 0o644)
		}, true},
		"checkpoints":  {func(f string) error { return os.Mkdir(filepath.Join(f, CheckpointsDir), 0o755) }, true},
		"empty record": {func(f string) error { return os.WriteFile(filepath.Join(f, EventsFile), nil, 0o644) }, true},
		"record":       {func(f string) error { return os.WriteFile(filepath.Join(f, EventsFile), []byte("{}\n"), 0o644) }, false},
		"folder":       {func(f string) error { return os.Mkdir(filepath.Join(f, "thesis"), 0o755) }, false},
		"weights": {func(f string) error {
			return errors.Join(os.Mkdir(filepath.Join(f, CheckpointsDir), 0o755),
				os.WriteFile(filepath.Join(f, CheckpointsDir, "a.safetensors"), nil, 0o644))
		}, false},
	} {
		folder := t.TempDir()
		if err := c.make(folder); err != nil {
			t.Fatal(err)
		}
		if err := Unbegun(folder); (err == nil) != c.free {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A lock whose folder was removed while it was waited for, or taken, is no lock.
func TestLockOfARemovedFolder(t *testing.T) {
	for range 5 { // the two meet at another point each time
		folder := filepath.Join(t.TempDir(), "x")
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		l, err := LockFolder(folder)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 300 { // so that removing them takes a while
			if err := os.WriteFile(filepath.Join(folder, strconv.Itoa(i)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		waiting, discarded := make(chan error), make(chan struct{})
		go func() {
			// Once its file is gone, somebody else could make it anew.
			for _, err := os.Stat(filepath.Join(folder, LockFile)); err == nil; _, err = os.Stat(filepath.Join(folder, LockFile)) {
			}
			other, err := LockFolder(folder)
			if err == nil {
				<-discarded
				if _, serr := os.Stat(folder); serr != nil {
					err = errors.Join(errGone, other.Release())
				} else {
					err = other.Release()
				}
			}
			waiting <- err
		}()
		err = l.Discard(folder, nil)
		close(discarded)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-waiting; errors.Is(err, errGone) {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(filepath.Dir(folder))
		if err != nil || len(entries) > 0 {
			t.Fatalf("%v is left, %v", entries, err)
		}
	}
}

var errGone = errors.New("a lock in a folder that is gone")
