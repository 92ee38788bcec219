package cifar

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The names in CIFAR-10's binary version.
const (
	batchesDir  = "cifar-10-batches-bin"
	archiveName = "cifar-10-binary.tar.gz"
	metaName    = "batches.meta.txt"
	trainFiles  = 5 // data_batch_1.bin to data_batch_5.bin; then test_batch.bin
)

// chunkRecords is how many records are read from a file at once: 393 KB, so
// that reading needs little memory beside the set itself.
const chunkRecords = 128

// getAgain ends the errors about a batch file with what the person can do.
const getAgain = `get the file again, or fetch a good copy with "cifartui data fetch" and use --data auto`

// A layout is the size of the files. All that is read has the published one;
// tests use smaller files.
type layout struct {
	records     int    // in each batch file
	archiveSize int64  // bytes of the archive
	archiveSum  string // SHA-256 of the archive in hexadecimal
}

// published is CIFAR-10 as it lies on its authors' site.
var published = layout{
	records:     10_000,
	archiveSize: 170_052_171,
	archiveSum:  "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
}

// fileSize returns the bytes of each batch file.
func (l layout) fileSize() int64 { return int64(l.records) * record }

// totalSize returns the bytes of all batch files.
func (l layout) totalSize() int64 { return (trainFiles + 1) * l.fileSize() }

// batchFiles returns the names of the batch files, the test batch last.
func batchFiles() []string {
	names := make([]string, 0, trainFiles+1)
	for i := range trainFiles {
		names = append(names, fmt.Sprintf("data_batch_%d.bin", i+1))
	}
	return append(names, "test_batch.bin")
}

// ReadDir reads CIFAR-10 from a folder that holds the six batch files, or the
// folder cifar-10-batches-bin with them, or the archive cifar-10-binary.tar.gz.
// The archive is read into memory; nothing is written. An error names the file
// and the byte.
func ReadDir(dir string) (*Dataset, error) {
	return published.readFolder(context.Background(), dir, newMeter(nil))
}

// openPath reads a folder or an archive.
func (l layout) openPath(ctx context.Context, path string, m *meter) (*Dataset, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cifar: %s: no such file or folder: name a folder that holds %s or %s, or use --data demo", path, batchesDir, archiveName)
	case err != nil:
		return nil, fmt.Errorf("cifar: open the data: %w", err)
	case info.IsDir():
		return l.readFolder(ctx, path, m)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("cifar: %s: neither a folder nor a file: name a folder that holds %s or %s", path, batchesDir, archiveName)
	}
	return l.readArchive(ctx, path, m)
}

// readFolder finds the batch files or the archive in dir and reads them.
func (l layout) readFolder(ctx context.Context, dir string, m *meter) (*Dataset, error) {
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	if !hasBatchFile(names) && slices.Contains(names, batchesDir) {
		inner := filepath.Join(dir, batchesDir)
		innerNames, err := list(inner)
		if err != nil {
			return nil, err
		}
		// An empty folder beside the archive is no reason to ignore the archive.
		if hasBatchFile(innerNames) || !slices.Contains(names, archiveName) {
			dir, names = inner, innerNames
		}
	}
	switch {
	case hasBatchFile(names):
		return l.readBatches(ctx, dir, m)
	case slices.Contains(names, archiveName):
		return l.readArchive(ctx, filepath.Join(dir, archiveName), m)
	case len(names) == 0:
		return nil, fmt.Errorf("cifar: %s: the folder is empty: put %s or %s there, or use --data demo", dir, batchesDir, archiveName)
	case slices.ContainsFunc(names, ofPythonVersion):
		return nil, fmt.Errorf("cifar: %s: %w", dir, errPythonVersion)
	}
	return nil, fmt.Errorf("cifar: %s: no CIFAR-10 files among its %d: want %s to test_batch.bin, or %s, or %s", dir, len(names), batchFiles()[0], batchesDir, archiveName)
}

// errPythonVersion says what to do about the version for Python.
var errPythonVersion = fmt.Errorf("this is CIFAR-10's Python version, whose files are pickles: put the binary version there, %s, or use --data auto", archiveName)

// ofPythonVersion reports whether a name is one that the Python version has: of
// its archive, its folder or its files, as published or as Keras keeps them
// (cifar-10-batches-py.tar.gz, cifar-10-batches-py-target and more).
func ofPythonVersion(name string) bool {
	return name == "data_batch_1" || name == "cifar-10-python.tar.gz" || strings.HasPrefix(name, "cifar-10-batches-py")
}

// list returns the names in a folder.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cifar: look for CIFAR-10: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func hasBatchFile(names []string) bool {
	return slices.ContainsFunc(batchFiles(), func(name string) bool { return slices.Contains(names, name) })
}

// readBatches reads the six batch files of dir.
func (l layout) readBatches(ctx context.Context, dir string, m *meter) (*Dataset, error) {
	if err := l.checkSizes(dir); err != nil {
		return nil, err
	}
	m.start(StageRead, 0, l.totalSize())
	ds := l.newDataset(dir)
	for i, name := range batchFiles() {
		if err := readFile(ctx, filepath.Join(dir, name), ds.part(i, l.records), m); err != nil {
			return nil, err
		}
	}
	m.flush()
	if err := ds.readMetaFile(filepath.Join(dir, metaName)); err != nil {
		return nil, err
	}
	return ds, nil
}

// checkBatches reads the six batch files of dir and keeps nothing of them.
func (l layout) checkBatches(ctx context.Context, dir string) error {
	if err := l.checkSizes(dir); err != nil {
		return err
	}
	set := newSet(l.records)
	for _, name := range batchFiles() {
		if err := readFile(ctx, filepath.Join(dir, name), set, newMeter(nil)); err != nil {
			return err
		}
	}
	return (&Dataset{}).readMetaFile(filepath.Join(dir, metaName))
}

// checkSizes looks at the sizes of the batch files before any is read, so that
// a broken folder is told at once.
func (l layout) checkSizes(dir string) error {
	for _, name := range batchFiles() {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("cifar: %s: the file is missing: %s", path, getAgain)
		case err != nil:
			return fmt.Errorf("cifar: read a batch file: %w", err)
		case !info.Mode().IsRegular():
			return fmt.Errorf("cifar: %s: not a file: %s", path, getAgain)
		case info.Size() != l.fileSize():
			return fmt.Errorf("cifar: %s: %s bytes, want %s: %s", path, commas(info.Size()), commas(l.fileSize()), getAgain)
		}
	}
	return nil
}

// readFile reads a batch file into dst.
func readFile(ctx context.Context, path string, dst *Set, m *meter) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cifar: read a batch file: %w", err)
	}
	defer f.Close()
	return readRecords(&meteredReader{ctx, f, m}, path, dst)
}

// newDataset returns a dataset with room for all images.
func (l layout) newDataset(source string) *Dataset {
	return &Dataset{
		Name:    "CIFAR-10",
		Source:  source,
		Train:   newSet(trainFiles * l.records),
		Test:    newSet(l.records),
		Classes: ClassNames(),
	}
}

// part returns the place of file i of [batchFiles].
func (d *Dataset) part(i, records int) *Set {
	if i == trainFiles {
		return d.Test
	}
	return d.Train.Slice(i*records, (i+1)*records)
}

// readRecords fills dst from r, which must hold as many records as dst has
// images and then end. name stands in errors.
func readRecords(r io.Reader, name string, dst *Set) error {
	buf := make([]byte, min(chunkRecords, max(dst.Len(), 1))*record)
	for i := 0; i < dst.Len(); {
		n := min(chunkRecords, dst.Len()-i)
		got, err := io.ReadFull(r, buf[:n*record])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("cifar: %s: ends at byte %s, want %s: %s", name, commas(int64(i*record+got)), commas(int64(dst.Len()*record)), getAgain)
		}
		if err != nil {
			return fmt.Errorf("cifar: read %s at byte %s: %w", name, commas(int64(i*record+got)), err)
		}
		for j := range n {
			rec := buf[j*record : (j+1)*record]
			if rec[0] >= Classes {
				return fmt.Errorf("cifar: %s: byte %s: label %d, want 0 to %d: %s", name, commas(int64((i+j)*record)), rec[0], Classes-1, getAgain)
			}
			dst.Labels[i+j] = rec[0]
			copy(dst.Image(i+j), rec[1:])
		}
		i += n
	}
	switch _, err := io.ReadFull(r, buf[:1]); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("cifar: %s: goes on after byte %s, where it should end: %s", name, commas(int64(dst.Len()*record)), getAgain)
	default:
		return fmt.Errorf("cifar: read %s at byte %s: %w", name, commas(int64(dst.Len()*record)), err)
	}
}

// readMetaFile takes the class names from a batches.meta.txt, if there is one.
func (d *Dataset) readMetaFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cifar: read the class names: %w", err)
	}
	defer f.Close()
	names, err := readMeta(f, path)
	if err != nil {
		return err
	}
	d.Classes = names
	return nil
}

// maxMeta is more than any list of ten names takes.
const maxMeta = 4096

// readMeta reads ten class names, a line each; empty lines don't count. The
// names are shown on terminals, so that they must be printable.
func readMeta(r io.Reader, name string) ([]string, error) {
	var names []string
	sc := bufio.NewScanner(io.LimitReader(r, maxMeta))
	for line := 1; sc.Scan(); line++ {
		class := strings.TrimSpace(sc.Text())
		switch {
		case class == "":
			continue
		case len(names) == Classes:
			return nil, fmt.Errorf("cifar: %s: line %d: an eleventh class, want %d: %s", name, line, Classes, getAgain)
		case len(class) > 64 || !utf8.ValidString(class) || strings.ContainsFunc(class, func(r rune) bool { return !unicode.IsPrint(r) }):
			return nil, fmt.Errorf("cifar: %s: line %d: %.70q is no class name: %s", name, line, class, getAgain)
		}
		names = append(names, class)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("cifar: read %s: %w", name, err)
	}
	if len(names) != Classes {
		return nil, fmt.Errorf("cifar: %s: %d class names, want %d: %s", name, len(names), Classes, getAgain)
	}
	return names, nil
}

// commas writes n with a comma between thousands.
func commas(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
