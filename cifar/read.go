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

	"cifartui/cifar/picture"
	"cifartui/cifar/plain"
)

// chunkRecords is how many records are read from a file at once: 393 KB, so
// that reading needs little memory beside the set itself.
const chunkRecords = 128

// dataWanted is what a person can name as data.
var dataWanted = fmt.Sprintf("a folder of pictures, with a subfolder for each class, or one that holds %s or %s", published.dir, published.archive)

// openPath reads a folder or an archive, of whatever it holds: batch files, the folder
// of them or the archive that their authors publish, which is read into memory, or
// pictures. Nothing is written but a cache of pictures. An error names the file and the
// byte.
func openPath(ctx context.Context, o Options) (*Dataset, error) {
	m := newMeter(o.Progress)
	info, err := os.Stat(o.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cifar: %s: no such file or folder: name %s, or use --data demo", o.Data, dataWanted)
	case err == nil && !info.IsDir() && !info.Mode().IsRegular():
		return nil, fmt.Errorf("cifar: %s: neither a folder nor a file: name %s", o.Data, dataWanted)
	case err != nil:
		return published.openPath(ctx, o.Data, m) // it tells what is wrong
	case !info.IsDir():
		l := layoutIn(ctx, o.Data)
		if err := l.checkSize(o); err != nil {
			return nil, err
		}
		return l.readArchive(ctx, o.Data, m)
	}
	names, err := list(o.Data)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("cifar: %s: the folder is empty: name %s, or use --data demo", o.Data, dataWanted)
	}
	for _, l := range layouts() {
		if l.hasFile(names) || slices.Contains(names, l.dir) || slices.Contains(names, l.archive) {
			if err := l.checkSize(o); err != nil {
				return nil, err
			}
			return l.readFolder(ctx, o.Data, m)
		}
	}
	if !slices.ContainsFunc(names, ofPythonVersion) {
		g, err := findGallery(ctx, o.Data)
		if err == nil {
			return openGallery(ctx, g, o)
		}
		if !errors.Is(err, errNoGallery) {
			return nil, err
		}
		if slices.ContainsFunc(names, picture.Named) {
			return nil, fmt.Errorf("cifar: %s: pictures, but no subfolders: put them into a subfolder for each class", o.Data)
		}
	}
	return published.readFolder(ctx, o.Data, m)
}

// openPath reads a folder or an archive.
func (l layout) openPath(ctx context.Context, path string, m *meter) (*Dataset, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cifar: %s: no such file or folder: name a folder that holds %s or %s, or use --data demo", path, l.dir, l.archive)
	case err != nil:
		return nil, fmt.Errorf("cifar: open the data: %w", err)
	case info.IsDir():
		return l.readFolder(ctx, path, m)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("cifar: %s: neither a folder nor a file: name a folder that holds %s or %s", path, l.dir, l.archive)
	}
	return l.readArchive(ctx, path, m)
}

// readFolder finds the batch files or the archive in dir and reads them.
func (l layout) readFolder(ctx context.Context, dir string, m *meter) (*Dataset, error) {
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	if !l.hasFile(names) && slices.Contains(names, l.dir) {
		inner := filepath.Join(dir, l.dir)
		innerNames, err := list(inner)
		if err != nil {
			return nil, err
		}
		// An empty folder beside the archive is no reason to ignore the archive.
		if l.hasFile(innerNames) || !slices.Contains(names, l.archive) {
			dir, names = inner, innerNames
		}
	}
	switch {
	case l.hasFile(names):
		return l.readBatches(ctx, dir, m)
	case slices.Contains(names, l.archive):
		return l.readArchive(ctx, filepath.Join(dir, l.archive), m)
	case len(names) == 0:
		return nil, fmt.Errorf("cifar: %s: the folder is empty: put %s or %s there, or use --data demo", dir, l.dir, l.archive)
	case slices.ContainsFunc(names, ofPythonVersion):
		return nil, fmt.Errorf("cifar: %s: %w", dir, errPythonVersion)
	}
	return nil, fmt.Errorf("cifar: %s: no pictures in subfolders and no %s files among its %d: want a subfolder with pictures for each class, or %s to %s, or %s, or %s", dir, l.name, len(names), l.train[0], l.test, l.dir, l.archive)
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

// readBatches reads the six batch files of dir.
func (l layout) readBatches(ctx context.Context, dir string, m *meter) (*Dataset, error) {
	if err := l.checkSizes(dir); err != nil {
		return nil, err
	}
	m.start(StageRead, 0, l.totalSize())
	ds := l.newDataset(dir)
	for i, name := range l.files() {
		if err := l.readFile(ctx, filepath.Join(dir, name), l.part(ds, i), m); err != nil {
			return nil, err
		}
	}
	m.flush()
	if err := l.readMetaFile(ds, filepath.Join(dir, l.meta)); err != nil {
		return nil, err
	}
	return ds, nil
}

// checkBatches reads the six batch files of dir and keeps nothing of them.
func (l layout) checkBatches(ctx context.Context, dir string) error {
	if err := l.checkSizes(dir); err != nil {
		return err
	}
	set := newSet(max(l.trainRecords, l.testRecords))
	for i, name := range l.files() {
		if err := l.readFile(ctx, filepath.Join(dir, name), set.Slice(0, l.records(i)), newMeter(nil)); err != nil {
			return err
		}
	}
	return l.readMetaFile(&Dataset{}, filepath.Join(dir, l.meta))
}

// checkSizes looks at the sizes of the batch files before any is read, so that
// a broken folder is told at once.
func (l layout) checkSizes(dir string) error {
	for i, name := range l.files() {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("cifar: %s: the file is missing: %s", path, l.getAgain())
		case err != nil:
			return fmt.Errorf("cifar: read a batch file: %w", err)
		case !info.Mode().IsRegular():
			return fmt.Errorf("cifar: %s: not a file: %s", path, l.getAgain())
		case info.Size() != l.fileSize(i):
			return fmt.Errorf("cifar: %s: %s bytes, want %s: %s", path, commas(info.Size()), commas(l.fileSize(i)), l.getAgain())
		}
	}
	return nil
}

// readFile reads a batch file into dst.
func (l layout) readFile(ctx context.Context, path string, dst *Set, m *meter) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cifar: read a batch file: %w", err)
	}
	defer f.Close()
	return l.readRecords(&meteredReader{ctx, f, m}, path, dst)
}

// readRecords fills dst from r, which must hold as many records as dst has
// images and then end. name stands in errors.
func (l layout) readRecords(r io.Reader, name string, dst *Set) error {
	record := l.record()
	buf := make([]byte, min(chunkRecords, max(dst.Len(), 1))*record)
	for i := 0; i < dst.Len(); {
		n := min(chunkRecords, dst.Len()-i)
		got, err := io.ReadFull(r, buf[:n*record])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("cifar: %s: ends at byte %s, want %s: %s", name, commas(int64(i*record+got)), commas(int64(dst.Len()*record)), l.getAgain())
		}
		if err != nil {
			return fmt.Errorf("cifar: read %s at byte %s: %w", name, commas(int64(i*record+got)), err)
		}
		for j := range n {
			rec := buf[j*record : (j+1)*record]
			label := rec[l.coarse]
			if int(label) >= len(l.classes) {
				return fmt.Errorf("cifar: %s: byte %s: label %d, want 0 to %d: %s", name, commas(int64((i+j)*record+l.coarse)), label, len(l.classes)-1, l.getAgain())
			}
			dst.Labels[i+j] = label
			copy(dst.Image(i+j), rec[l.coarse+1:])
		}
		i += n
	}
	switch _, err := io.ReadFull(r, buf[:1]); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("cifar: %s: goes on after byte %s, where it should end: %s", name, commas(int64(dst.Len()*record)), l.getAgain())
	default:
		return fmt.Errorf("cifar: read %s at byte %s: %w", name, commas(int64(dst.Len()*record)), err)
	}
}

// readMetaFile takes the class names from a batches.meta.txt, if there is one.
func (l layout) readMetaFile(d *Dataset, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cifar: read the class names: %w", err)
	}
	defer f.Close()
	names, err := l.readMeta(f, path)
	if err != nil {
		return err
	}
	d.Classes = names
	return nil
}

// maxMeta is more than any list of a hundred names takes.
const maxMeta = 4096

// readMeta reads the class names, a line each; empty lines don't count. The
// names are shown on terminals, so that they must be printable.
func (l layout) readMeta(r io.Reader, name string) ([]string, error) {
	var names []string
	sc := bufio.NewScanner(io.LimitReader(r, maxMeta))
	for line := 1; sc.Scan(); line++ {
		class := strings.TrimSpace(sc.Text())
		switch {
		case class == "":
			continue
		case len(names) == len(l.classes):
			return nil, fmt.Errorf("cifar: %s: line %d: more classes than %d: %s", name, line, len(l.classes), l.getAgain())
		case len(class) > 64 || !plain.Is(class):
			return nil, fmt.Errorf("cifar: %s: line %d: %.70q is no class name: %s", name, line, class, l.getAgain())
		}
		names = append(names, class)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("cifar: read %s: %w", name, err)
	}
	if len(names) != len(l.classes) {
		return nil, fmt.Errorf("cifar: %s: %d class names, want %d: %s", name, len(names), len(l.classes), l.getAgain())
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
