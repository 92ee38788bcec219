package cifar

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// smallHundred is CIFAR-100 with few images, and its files: records with a
// coarse label, a fine one and the pixels.
func smallHundred(t testing.TB) (l layout, files map[string][]byte, archive []byte) {
	l = hundred
	l.trainRecords, l.testRecords = 30, 6
	r := rand.New(rand.NewPCG(3, 4))
	files = map[string][]byte{l.meta: []byte(strings.Join(l.classes, "\n") + "\n")}
	list := []entry{regular(l.dir+"/"+l.meta, files[l.meta]), regular(l.dir+"/coarse_label_names.txt", []byte("fish\n"))}
	for i, name := range l.files() {
		b := make([]byte, l.fileSize(i))
		for at := range b {
			switch b[at] = byte(r.Uint32()); at % (2 + Pixels) {
			case 0:
				b[at] %= 20
			case 1:
				b[at] %= 100
			}
		}
		files[name] = b
		list = append(list, regular(l.dir+"/"+name, b))
	}
	archive = pack(t, list)
	l.archiveSize, l.archiveSum = int64(len(archive)), small(archive).archiveSum
	return l, files, archive
}

// checkHundred compares a data set with the files it was read from.
func checkHundred(t *testing.T, ds *Dataset, l layout, files map[string][]byte) {
	t.Helper()
	if ds.Name != "CIFAR-100" || ds.Train.Len() != l.trainRecords || ds.Test.Len() != l.testRecords || !slices.Equal(ds.Classes, l.classes) {
		t.Fatalf("%s with %d and %d images, classes %q", ds.Name, ds.Train.Len(), ds.Test.Len(), ds.Classes)
	}
	for i, name := range l.files() {
		set := l.part(ds, i)
		for k := range set.Len() {
			record := files[name][k*(2+Pixels):][:2+Pixels]
			if set.Labels[k] != record[1] || !bytes.Equal(set.Image(k), record[2:]) {
				t.Fatalf("image %d of %s is not the file's", k, name)
			}
		}
	}
}

func TestCIFAR100HasItsFineLabels(t *testing.T) {
	l, files, archive := smallHundred(t)
	dir := t.TempDir()
	writeFiles(t, filepath.Join(dir, l.dir), files)
	writeFiles(t, dir, map[string][]byte{"renamed.tgz": archive})
	if got := layoutIn(t.Context(), filepath.Join(dir, "renamed.tgz")); got.name != l.name {
		t.Errorf("the archive is taken for %s's", got.name)
	}
	for _, path := range []string{dir, filepath.Join(dir, l.dir), filepath.Join(dir, "renamed.tgz")} {
		ds, err := l.openPath(t.Context(), path, newMeter(nil))
		if err != nil {
			t.Fatal(err)
		}
		checkHundred(t, ds, l, files)
	}
	files["test.bin"] = slices.Clone(files["test.bin"])
	files["test.bin"][2*(2+Pixels)+1] = 100
	writeFiles(t, filepath.Join(dir, l.dir), files)
	_, err := l.openPath(t.Context(), dir, newMeter(nil))
	if err == nil || !strings.Contains(err.Error(), "test.bin: byte 6,149: label 100, want 0 to 99") || !strings.Contains(err.Error(), "cifartui data fetch cifar100") {
		t.Errorf("a label of 100: %v", err)
	}
}

// A folder and an archive are read as what they hold.
func TestPublishedFilesAreToldApart(t *testing.T) {
	for _, l := range layouts() {
		dir := t.TempDir()
		writeFiles(t, filepath.Join(dir, l.dir), map[string][]byte{l.train[0]: nil})
		_, err := Open(t.Context(), Options{Data: dir})
		if err == nil || !strings.Contains(err.Error(), l.train[0]) || !strings.Contains(err.Error(), l.word) && l.word != CIFAR10 {
			t.Errorf("a damaged folder of %s: %v", l.name, err)
		}
	}
}

func TestCIFAR100IsFetchedOnce(t *testing.T) {
	l, files, archive := smallHundred(t)
	s := serve(t, archive, nil)
	var said []string
	o := s.options(t)
	o.layout = l
	o.Progress = func(p Progress) { said = append(said, p.String()) }
	for range 2 {
		ds, err := o.withDefaults().open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		checkHundred(t, ds, l, files)
	}
	if s.requests.Load() != 1 || !slices.ContainsFunc(said, func(line string) bool { return strings.HasPrefix(line, "fetching CIFAR-100") }) {
		t.Errorf("%d requests, said %q", s.requests.Load(), said)
	}
	if names := left(t, o.CacheDir); !slices.Equal(names, []string{lockName, l.dir}) {
		t.Errorf("the cache holds %q", names)
	}
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) { // it tries for 7 s
		_, err := Open(t.Context(), Options{Data: CIFAR100, URL: "http://127.0.0.1:1/", CacheDir: cache})
		if err == nil || !strings.Contains(err.Error(), "no CIFAR-100 data") || !strings.Contains(err.Error(), hundred.archive) {
			t.Errorf("without a network: %v", err)
		}
	})
}

// The published archive itself, where somebody has put it: its MD5 is the one
// on its authors' page.
func TestPublishedCIFAR100(t *testing.T) {
	path := os.Getenv("CIFARTUI_CIFAR100")
	if path == "" {
		t.Skip("CIFARTUI_CIFAR100 does not name the archive")
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := md5.New()
	n, err := io.Copy(sum, f)
	if err != nil || n != hundred.archiveSize || hex.EncodeToString(sum.Sum(nil)) != "03b5dce01913d631647c71ecec9e9cb8" {
		t.Errorf("%d bytes with MD5 %x, %v", n, sum.Sum(nil), err)
	}
	ds, err := Open(t.Context(), Options{Data: path})
	if err != nil {
		t.Fatal(err)
	}
	if ds.Train.Len() != 50_000 || ds.Test.Len() != 10_000 || !slices.Equal(ds.Classes, hundred.classes) {
		t.Errorf("%d and %d images, classes %q", ds.Train.Len(), ds.Test.Len(), ds.Classes)
	}
	for class, n := range ds.Train.Counts(100) {
		if n != 500 {
			t.Errorf("%d images of class %d", n, class)
		}
	}
}

func TestHundredClasses(t *testing.T) {
	if n := len(hundred.classes); n != 100 || !slices.IsSorted(hundred.classes) || len(slices.Compact(slices.Clone(hundred.classes))) != 100 {
		t.Errorf("%d names of classes", n)
	}
}
