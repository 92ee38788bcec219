package cifar

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestAutoFetchesOnceAndTellsItsStages(t *testing.T) {
	files := randomBatches(smallRecords)
	s := serve(t, pack(t, entries(files)), nil)
	o := s.options(t)
	var stages []Stage
	o.Progress = func(p Progress) {
		if len(stages) == 0 || stages[len(stages)-1] != p.Stage {
			stages = append(stages, p.Stage)
		}
	}
	for range 2 {
		ds, err := o.withDefaults().open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		checkSmall(t, ds, files)
	}
	if want := []Stage{StageDownload, StageVerify, StageUnpack, StageRead}; !slices.Equal(stages, want) {
		t.Errorf("stages %q, want %q", stages, want)
	}
	if s.requests.Load() != 1 {
		t.Errorf("%d requests, want 1", s.requests.Load())
	}
}

func TestAutoTakesAnArchiveFromTheCache(t *testing.T) {
	files := randomBatches(smallRecords)
	archive := pack(t, entries(files))
	o := FetchOptions{URL: "http://127.0.0.1:1/", CacheDir: t.TempDir(), layout: small(archive)}
	writeFiles(t, o.CacheDir, map[string][]byte{archiveName: archive})
	ds, err := o.withDefaults().open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	checkSmall(t, ds, files)
	if names := left(t, o.CacheDir); !slices.Equal(names, []string{lockName, batchesDir, archiveName}) {
		t.Errorf("the cache holds %q", names)
	}
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	files := randomBatches(smallRecords)
	archive := pack(t, entries(files))
	file := filepath.Join(t.TempDir(), "file")
	writeFiles(t, filepath.Dir(file), map[string][]byte{"file": nil})
	o := FetchOptions{CacheDir: filepath.Join(file, "cache"), layout: small(archive)}
	_, err := o.withDefaults().open(context.Background())
	if !errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), "XDG_CACHE_HOME") {
		t.Errorf("no folder can be made: %v", err)
	}

	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("no folder is read-only to this user")
	}
	o.CacheDir = t.TempDir()
	writeFiles(t, o.CacheDir, map[string][]byte{archiveName: archive})
	if err := os.Chmod(o.CacheDir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(o.CacheDir, 0o755) // else it can't be deleted
	ds, err := o.withDefaults().open(context.Background())
	if err != nil {
		t.Fatalf("an archive in a folder that can't be written: %v", err)
	}
	checkSmall(t, ds, files)
}

func TestNoDataNamesWhatWasTriedAndTheWaysOut(t *testing.T) {
	s := serve(t, nil, func(n int, w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true })
	cache := t.TempDir()
	ds, err := Open(context.Background(), Options{URL: s.URL, CacheDir: cache})
	if ds != nil || !errors.Is(err, ErrNoData) {
		t.Fatalf("got %v, %v", ds, err)
	}
	for _, want := range []string{cache, s.URL, "404", "--data demo", "--data DIR", archiveName} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q\ndoes not say %q", err, want)
		}
	}
}

func TestCacheDir(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	if got, want := CacheDir(), filepath.Join(dir, "cifartui"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
