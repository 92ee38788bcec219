package cifar

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// smallRecords keeps the files of the tests small: 20 images each.
const smallRecords = 20

// Names of CIFAR-10's files in a cache.
const (
	trainFiles = 5
	partName   = archiveName + partExt
	originName = partName + originExt
)

// batchFiles are the names of CIFAR-10's batch files.
func batchFiles() []string { return published.files() }

// of is l with so many records in each file.
func (l layout) of(records int) layout {
	l.trainRecords, l.testRecords = records, records
	return l
}

// metaText is what the published batches.meta.txt holds, its empty line too.
const metaText = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"

// randomBatches returns six batch files of random pixels in CIFAR-10's layout.
func randomBatches(records int) map[string][]byte {
	files := map[string][]byte{}
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range batchFiles() {
		b := make([]byte, records*record)
		for i := range b {
			b[i] = byte(r.Uint32())
			if i%record == 0 {
				b[i] %= Classes
			}
		}
		files[name] = b
	}
	return files
}

// small returns the layout of files made by randomBatches(smallRecords) and
// of an archive.
func small(archive []byte) layout {
	sum := sha256.Sum256(archive)
	l := published.of(smallRecords)
	l.archiveSize, l.archiveSum = int64(len(archive)), hex.EncodeToString(sum[:])
	return l
}

// writeFiles puts files into a folder.
func writeFiles(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// An entry is a file of a tar archive.
type entry struct {
	tar.Header
	data []byte
}

// entries returns a good archive's, with the published names.
func entries(files map[string][]byte) []entry {
	list := []entry{{Header: tar.Header{Name: batchesDir + "/", Typeflag: tar.TypeDir, Mode: 0o755}}}
	for _, name := range batchFiles() {
		list = append(list, regular(batchesDir+"/"+name, files[name]))
	}
	return append(list,
		regular(batchesDir+"/readme.html", []byte("<html>")),
		regular(batchesDir+"/"+metaName, []byte(metaText)))
}

func regular(name string, data []byte) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data))}, data}
}

// pack returns a tar archive, compressed.
func pack(t testing.TB, list []entry) []byte {
	t.Helper()
	return compress(t, packTar(t, list))
}

// compress returns the pieces as one gzip stream, made quickly.
func compress(t testing.TB, pieces ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	for _, p := range pieces {
		if err == nil {
			_, err = z.Write(p)
		}
	}
	if err != nil || z.Close() != nil {
		t.Fatal("no gzip stream", err)
	}
	return out.Bytes()
}

func packTar(t testing.TB, list []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range list {
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// checkSmall compares a dataset with the files it was read from.
func checkSmall(t *testing.T, ds *Dataset, files map[string][]byte) {
	t.Helper()
	if ds.Name != "CIFAR-10" || ds.Demo {
		t.Errorf("the set is called %q, demo %v", ds.Name, ds.Demo)
	}
	if ds.Train.Len() != trainFiles*smallRecords || ds.Test.Len() != smallRecords {
		t.Fatalf("%d and %d images, want %d and %d", ds.Train.Len(), ds.Test.Len(), trainFiles*smallRecords, smallRecords)
	}
	for f, name := range batchFiles() {
		set, first := ds.Train, f*smallRecords
		if name == "test_batch.bin" {
			set, first = ds.Test, 0
		}
		for i := range smallRecords {
			rec := files[name][i*record : (i+1)*record]
			if set.Labels[first+i] != rec[0] || !bytes.Equal(set.Image(first+i), rec[1:]) {
				t.Fatalf("image %d of %s is not the file's", i, name)
			}
		}
	}
}

// left returns the names in a folder, to see that nothing half-written is there.
func left(t *testing.T, dir string) []string {
	t.Helper()
	names, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	return names
}
