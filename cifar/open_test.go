package cifar

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
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
