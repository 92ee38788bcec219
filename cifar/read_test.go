package cifar

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestFolderInEachShape(t *testing.T) {
	files := randomBatches(smallRecords)
	archive := pack(t, entries(files))
	all := maps.Clone(files)
	all[metaName] = []byte(metaText)
	for name, put := range map[string]func(dir string) string{
		"batch files": func(dir string) string { writeFiles(t, dir, all); return dir },
		"no meta":     func(dir string) string { writeFiles(t, dir, files); return dir },
		"folder with the published folder": func(dir string) string {
			writeFiles(t, filepath.Join(dir, batchesDir), all)
			return dir
		},
		"folder with the archive": func(dir string) string {
			writeFiles(t, dir, map[string][]byte{archiveName: archive, "notes.txt": nil})
			return dir
		},
		"archive beside an empty published folder": func(dir string) string {
			writeFiles(t, dir, map[string][]byte{archiveName: archive})
			writeFiles(t, filepath.Join(dir, batchesDir), nil)
			return dir
		},
		"archive": func(dir string) string {
			writeFiles(t, dir, map[string][]byte{"renamed.tgz": archive})
			return filepath.Join(dir, "renamed.tgz")
		},
		"archive that a browser decompressed": func(dir string) string {
			writeFiles(t, dir, map[string][]byte{"cifar-10-binary.tar": packTar(t, entries(files))})
			return filepath.Join(dir, "cifar-10-binary.tar")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := put(t.TempDir())
			ds, err := small(archive).openPath(context.Background(), path, newMeter(nil))
			if err != nil {
				t.Fatal(err)
			}
			checkSmall(t, ds, files)
			if !slices.Equal(ds.Classes, ClassNames()) {
				t.Errorf("classes %q", ds.Classes)
			}
			if !strings.HasPrefix(ds.Source, path) {
				t.Errorf("source %q does not name %q", ds.Source, path)
			}
		})
	}
}

func TestBadFolderIsNamedWithFileAndByte(t *testing.T) {
	good := randomBatches(smallRecords)
	size := smallRecords * record // 61,460
	for name, c := range map[string]struct {
		spoil func(files map[string][]byte)
		want  []string
	}{
		"short file": {
			func(f map[string][]byte) { f["data_batch_3.bin"] = f["data_batch_3.bin"][:size-1] },
			[]string{"data_batch_3.bin: 61,459 bytes, want 61,460", "cifartui data fetch"},
		},
		"trailing byte": {
			func(f map[string][]byte) { f["test_batch.bin"] = append(slices.Clone(f["test_batch.bin"]), 0) },
			[]string{"test_batch.bin: 61,461 bytes, want 61,460", "cifartui data fetch"},
		},
		"label over 9": {
			func(f map[string][]byte) {
				f["data_batch_2.bin"] = slices.Clone(f["data_batch_2.bin"])
				f["data_batch_2.bin"][7*record] = 10
			},
			[]string{"data_batch_2.bin: byte 21,511: label 10, want 0 to 9"},
		},
		"missing file":   {func(f map[string][]byte) { delete(f, "data_batch_5.bin") }, []string{"data_batch_5.bin: the file is missing"}},
		"empty folder":   {func(f map[string][]byte) { clear(f) }, []string{"the folder is empty", "--data demo"}},
		"other files":    {func(f map[string][]byte) { clear(f); f["cat.jpg"] = nil }, []string{"no CIFAR-10 files", "data_batch_1.bin"}},
		"Python version": {func(f map[string][]byte) { clear(f); f["data_batch_1"] = nil }, []string{"Python version"}},
		"Keras 3's":      {func(f map[string][]byte) { clear(f); f["cifar-10-batches-py-target"], f["mnist.npz"] = nil, nil }, []string{"Python version"}},
		"nine classes":   {func(f map[string][]byte) { f[metaName] = []byte(strings.Repeat("a\n", 9)) }, []string{metaName, "9 class names, want 10"}},
		"escape codes":   {func(f map[string][]byte) { f[metaName] = []byte("\x1b[2J\n" + metaText) }, []string{metaName, "line 1", "no class name"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, files := t.TempDir(), maps.Clone(good)
			c.spoil(files)
			writeFiles(t, dir, files)
			ds, err := small(nil).openPath(context.Background(), dir, newMeter(nil))
			if err == nil {
				t.Fatal("it was read without an error")
			}
			for _, want := range append(c.want, dir) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q\ndoes not say %q", err, want)
				}
			}
			if ds != nil {
				t.Error("data came with the error")
			}
		})
	}
}

func TestUnreadableFolder(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("no folder is unreadable to this user")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755) // else it can't be deleted
	_, err := Open(t.Context(), Options{Data: dir})
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}

func TestPathThatIsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nowhere")
	_, err := Open(context.Background(), Options{Data: path})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--data demo") {
		t.Errorf("got %v", err)
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, randomBatches(smallRecords))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := small(nil).openPath(ctx, dir, newMeter(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestProgressCountsAllBytes(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, randomBatches(smallRecords))
	var last Progress
	l := small(nil)
	if _, err := l.openPath(context.Background(), dir, newMeter(func(p Progress) {
		if p.Done < last.Done {
			t.Errorf("%d bytes after %d", p.Done, last.Done)
		}
		last = p
	})); err != nil {
		t.Fatal(err)
	}
	if want := (Progress{Stage: StageRead, Done: l.totalSize(), Total: l.totalSize()}); last != want {
		t.Errorf("the last report is %+v, want %+v", last, want)
	}
}

func TestCommas(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 30_730_000: "30,730,000", -1234: "-1,234", -123: "-123"} {
		if got := commas(n); got != want {
			t.Errorf("commas(%d) = %q, want %q", n, got, want)
		}
	}
}

// realData returns CIFAR-10's images, or skips the test.
func realData(t testing.TB) *Dataset {
	dir := os.Getenv("CIFARTUI_DATA")
	if dir == "" {
		t.Skip("CIFARTUI_DATA names no folder")
	}
	ds, err := Open(context.Background(), Options{Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func TestRealImages(t *testing.T) {
	ds := realData(t)
	for set, want := range map[*Set]int{ds.Train: 5000, ds.Test: 1000} {
		for class, n := range set.Counts(Classes) {
			if n != want {
				t.Errorf("%d images of class %d, want %d", n, class, want)
			}
		}
	}
	// The numbers that everybody who trains on CIFAR-10 uses.
	mean, std := ds.Train.Moments()
	for c := range Channels {
		if math.Abs(mean[c]-[]float64{0.4914, 0.4822, 0.4465}[c]) > 0.001 || math.Abs(std[c]-[]float64{0.2470, 0.2435, 0.2616}[c]) > 0.001 {
			t.Errorf("channel %d: mean %.4f, standard deviation %.4f", c, mean[c], std[c])
		}
	}
}

func FuzzRecords(f *testing.F) {
	good := randomBatches(3)["test_batch.bin"]
	f.Add(good, 3)
	f.Add(good[:len(good)-1], 3)
	f.Add(append(slices.Clone(good), 1), 3)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n < 0 || n > 8 {
			return
		}
		set := newSet(n)
		err := published.readRecords(bytes.NewReader(data), "x", set)
		valid := len(data) == n*record
		for i := 0; i < len(data) && i < n*record; i += record {
			valid = valid && data[i] < Classes
		}
		if valid != (err == nil) {
			t.Fatalf("%d bytes for %d records: %v", len(data), n, err)
		}
		for i := 0; err == nil && i < n; i++ {
			if set.Labels[i] != data[i*record] || !bytes.Equal(set.Image(i), data[i*record+1:(i+1)*record]) {
				t.Fatalf("image %d differs", i)
			}
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte(metaText))
	f.Add([]byte("a\r\nb\r\n"))
	f.Add([]byte("\xff\n\x1b[0m\n"))
	f.Add(bytes.Repeat([]byte("x"), maxMeta+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := published.readMeta(bytes.NewReader(data), "x")
		if err != nil {
			return
		}
		if len(names) != Classes {
			t.Fatalf("%d names", len(names))
		}
		again, err := published.readMeta(strings.NewReader(strings.Join(names, "\n")), "x")
		if err != nil || !slices.Equal(names, again) {
			t.Fatalf("%q reads as %q, %v", names, again, err)
		}
		if strings.ContainsFunc(strings.Join(names, ""), func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("%q holds control characters", names)
		}
	})
}

// A brokenReader fails after some bytes.
type brokenReader struct {
	r   io.Reader
	err error
}

func (r brokenReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err == io.EOF {
		err = r.err
	}
	return n, err
}

func TestReadErrorIsNotCalledAShortFile(t *testing.T) {
	bad := errors.New("input/output error")
	err := published.readRecords(brokenReader{bytes.NewReader(make([]byte, 100)), bad}, "x", newSet(2))
	if !errors.Is(err, bad) || !strings.Contains(err.Error(), "at byte 100") {
		t.Errorf("got %v", err)
	}
}
