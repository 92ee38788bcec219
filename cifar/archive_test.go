package cifar

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestBadArchiveIsRefusedAndLeavesNothing(t *testing.T) {
	files := randomBatches(smallRecords)
	good := pack(t, entries(files))
	with := func(more ...entry) []byte { return pack(t, append(entries(files), more...)) }
	linked := func(kind byte) []byte {
		list := entries(files)
		list[2].Header = tar.Header{Name: list[2].Name, Typeflag: kind, Linkname: "/etc/passwd"}
		list[2].data = nil
		return pack(t, list)
	}
	spoiled := func(name string, data []byte) []byte {
		f := randomBatches(smallRecords)
		f[name] = data
		return pack(t, entries(f))
	}
	label := slices.Clone(files["data_batch_4.bin"])
	label[2*record] = 200
	crc := slices.Clone(good)
	crc[len(crc)-5]++ // in gzip's length
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"../":             {with(regular("../evil.bin", []byte("x"))), "points outside"},
		"inner ../":       {with(regular(batchesDir+"/../../evil.bin", []byte("x"))), "points outside"},
		"hidden ../":      {with(regular(batchesDir+"/x/../data_batch_9.bin", []byte("x"))), "points outside"},
		"absolute":        {with(regular("/tmp/evil.bin", []byte("x"))), "points outside"},
		"backslash":       {with(regular(`..\evil.bin`, []byte("x"))), "points outside"},
		"symbolic link":   {linked(tar.TypeSymlink), "no plain file"},
		"hard link":       {linked(tar.TypeLink), "no plain file"},
		"device":          {with(entry{Header: tar.Header{Name: "x", Typeflag: tar.TypeChar}}), "no plain file"},
		"twice":           {with(regular("data_batch_1.bin", files["data_batch_1.bin"])), "twice"},
		"short batch":     {spoiled("data_batch_2.bin", files["data_batch_2.bin"][:100]), "has 100 bytes, want 61,460"},
		"long batch":      {spoiled("data_batch_2.bin", append(slices.Clone(files["data_batch_2.bin"]), 1)), "has 61,461 bytes, want 61,460"},
		"label over 9":    {spoiled("data_batch_4.bin", label), "data_batch_4.bin: byte 6,146: label 200"},
		"missing batch":   {pack(t, entries(files)[:4]), "data_batch_4.bin is not in it"},
		"Python version":  {pack(t, []entry{regular("cifar-10-batches-py/data_batch_1", []byte("x"))}), "Python version"},
		"bomb":            {with(regular("zeros", make([]byte, maxOther+1))), "unpacks to over"},
		"bomb at the end": {compress(t, packTar(t, entries(files)), make([]byte, maxOther+1)), "unpacks to over"},
		"large meta":      {with(regular("x/"+metaName, make([]byte, maxMeta+1))), "want under"},
		"cut":             {good[:len(good)/2], "published one"},
		"cut at the end":  {good[:len(good)-3], "damaged"},
		"wrong checksum":  {crc, "damaged at its end"},
		"no archive":      {[]byte("<html>not found</html>"), "not a gzip or tar file"},
		"empty file":      {nil, "not a gzip or tar file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, map[string][]byte{archiveName: c.archive})
			l := small(good)
			ds, err := l.openPath(context.Background(), dir, newMeter(nil))
			if ds != nil || err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), archiveName) {
				t.Errorf("reading it: %v\nwant %q and the archive's name", err, c.want)
			}

			// The same archive put into the cache by hand.
			_, err = Fetch(context.Background(), FetchOptions{CacheDir: dir, layout: l})
			if err == nil {
				t.Error("fetching took it")
			}
			if names := left(t, dir); !slices.Equal(names, []string{lockName, archiveName}) {
				t.Errorf("left behind: %q", names)
			}
		})
	}
}

func TestArchiveMadeByTar(t *testing.T) {
	program, err := exec.LookPath("tar")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("no tar here")
	}
	dir, files := t.TempDir(), randomBatches(smallRecords)
	writeFiles(t, filepath.Join(dir, batchesDir), files)
	writeFiles(t, filepath.Join(dir, batchesDir), map[string][]byte{metaName: []byte(metaText), "readme.html": nil})
	out := filepath.Join(dir, "out")
	writeFiles(t, out, nil)
	if b, err := exec.Command(program, "-C", dir, "-czf", filepath.Join(out, archiveName), "./"+batchesDir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	ds, err := small(nil).openPath(context.Background(), out, newMeter(nil))
	if err != nil {
		t.Fatal(err)
	}
	checkSmall(t, ds, files)
}

func TestArchiveOfTheRealImages(t *testing.T) {
	if os.Getenv("CIFARTUI_LONG") == "" {
		t.Skip("CIFARTUI_LONG is not set")
	}
	ds := realData(t)
	var list []entry
	for i, name := range batchFiles() {
		var b bytes.Buffer
		part := published.part(ds, i)
		for k := range part.Len() {
			b.WriteByte(part.Labels[k])
			b.Write(part.Image(k))
		}
		list = append(list, regular(batchesDir+"/"+name, b.Bytes()))
	}
	cache := t.TempDir()
	writeFiles(t, cache, map[string][]byte{archiveName: pack(t, list)})
	got, err := Open(context.Background(), Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Train.Pixels, ds.Train.Pixels) || !bytes.Equal(got.Test.Labels, ds.Test.Labels) {
		t.Error("the images differ")
	}
}

func FuzzArchive(f *testing.F) {
	l := published.of(1)
	files := map[string][]byte{}
	for _, name := range batchFiles() {
		files[name] = make([]byte, record)
	}
	list := entries(files)
	f.Add(packTar(f, list))
	f.Add(packTar(f, append(list, regular("../x", nil))))
	f.Add(packTar(f, list[:3]))
	f.Add(pack(f, list))
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		seen := map[string]bool{}
		err := l.walkArchive(context.Background(), bytes.NewReader(data), "x", func(name string, r io.Reader) error {
			n, err := io.Copy(io.Discard, r)
			total += int(n)
			if seen[name] || strings.ContainsAny(name, `/\`) || (name != metaName && !slices.Contains(batchFiles(), name)) {
				t.Fatalf("it offers %q", name)
			}
			if err == nil && name != metaName && n != record {
				t.Fatalf("%s has %d bytes", name, n)
			}
			seen[name] = true
			return err
		})
		if int64(total) > l.totalSize()+maxOther {
			t.Fatalf("%d bytes came out", total)
		}
		if err == nil && len(seen) < trainFiles+1 {
			t.Fatalf("taken with only %v in it", seen)
		}
	})
}
