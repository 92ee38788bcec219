package cifar

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxOther is the most bytes that an archive may hold beside the batch files:
// the class names, a page of HTML, tar's headers and padding. The published
// archive has 0.1 MB of them.
const maxOther = 4 << 20

// readArchive reads the archive at file into memory.
func (l layout) readArchive(ctx context.Context, file string, m *meter) (*Dataset, error) {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cifar: %s: not a file", file) // a pipe could be waited for for ever
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cifar: open the archive: %w", err)
	}
	defer f.Close()
	ds := l.newDataset(file)
	m.start(StageRead, 0, l.totalSize())
	err = l.walkArchive(ctx, f, file, func(name string, r io.Reader) error {
		inside := file + ": " + name
		if name == l.meta {
			ds.Classes, err = l.readMeta(r, inside)
			return err
		}
		part := l.part(ds, slices.Index(l.files(), name))
		return l.readRecords(&meteredReader{ctx, r, m}, inside, part)
	})
	if err != nil {
		if info, e := f.Stat(); e == nil && info.Size() != l.archiveSize && ctx.Err() == nil {
			err = fmt.Errorf("%w (this archive has %s bytes, the published one %s)", err, commas(info.Size()), commas(l.archiveSize))
		}
		return nil, err
	}
	m.flush()
	return ds, nil
}

// layoutIn returns whose batch files are in an archive, by the first of them;
// CIFAR-10's if there is none.
func layoutIn(ctx context.Context, file string) layout {
	f, err := os.Open(file)
	if err != nil {
		return published // reading it tells what is wrong
	}
	defer f.Close()
	plain, err := decompress(f)
	if err != nil {
		return published
	}
	files := tar.NewReader(&io.LimitedReader{R: &endingReader{ctx, plain}, N: hundred.totalSize() + maxOther})
	for {
		h, err := files.Next()
		if err != nil {
			return published
		}
		for _, l := range layouts() {
			if l.hasFile([]string{path.Base(path.Clean(h.Name))}) {
				return l
			}
		}
	}
}

// unpack writes the batch files and the class names of an archive into dir,
// which must be empty.
func (l layout) unpack(ctx context.Context, file, dir string, m *meter) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("cifar: open the archive: %w", err)
	}
	defer f.Close()
	m.start(StageUnpack, 0, l.totalSize())
	err = l.walkArchive(ctx, f, file, func(name string, r io.Reader) error {
		if err := writeFile(filepath.Join(dir, name), &meteredReader{ctx, r, m}); err != nil {
			return fmt.Errorf("cifar: unpack %s: %w", name, err)
		}
		return nil
	})
	m.flush()
	return err
}

// writeFile writes a new file and waits until it is on the disk.
func writeFile(name string, r io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}

// walkArchive calls visit with the base name of each batch file and of the
// class names, and refuses an archive that lacks one or that has anything in
// it that the published one has not: a name that leaves the archive's folder,
// links and devices, a batch file of another size, one that comes twice, or
// more bytes than the files have. visit need not read all of r.
func (l layout) walkArchive(ctx context.Context, r io.Reader, file string, visit func(name string, r io.Reader) error) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("cifar: %s: %w: get the archive again from %s", file, fmt.Errorf(format, args...), l.url)
	}
	plain, err := decompress(r)
	if err != nil {
		return fail("not a gzip or tar file: %w", err)
	}
	limit := l.totalSize() + maxOther
	counted := &io.LimitedReader{R: &endingReader{ctx, plain}, N: limit}
	files := tar.NewReader(counted)
	seen := map[string]bool{}
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("cifar: read %s: %w", file, err)
		}
		if counted.N <= 0 {
			return fail("it unpacks to over %s bytes, more than %s has", commas(limit), l.name)
		}
		if err != nil {
			return fail("damaged after %s unpacked bytes: %w", commas(limit-counted.N), err)
		}
		name, wanted, err := l.checkHeader(h)
		if err != nil {
			return fail("%w", err)
		}
		if ofPythonVersion(name) {
			return fmt.Errorf("cifar: %s: %w", file, errPythonVersion)
		}
		if !wanted {
			continue
		}
		if seen[name] {
			return fail("%s is in it twice", name)
		}
		seen[name] = true
		if err := visit(name, files); err != nil {
			return err
		}
	}
	// What follows the last file holds gzip's checksum of all of it.
	if _, err := io.Copy(io.Discard, counted); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("cifar: read %s: %w", file, err)
		}
		return fail("damaged at its end: %w", err)
	}
	if counted.N <= 0 {
		return fail("it unpacks to over %s bytes, more than %s has", commas(limit), l.name)
	}
	for _, name := range l.files() {
		if !seen[name] {
			return fail("%s is not in it", name)
		}
	}
	return nil
}

// checkHeader returns the base name of a file in an archive and whether it is
// one of those that are read.
func (l layout) checkHeader(h *tar.Header) (name string, wanted bool, err error) {
	clean := path.Clean(h.Name)
	name = path.Base(clean)
	switch {
	case h.Typeflag == tar.TypeXGlobalHeader:
		return "", false, nil
	case strings.Contains(h.Name, `\`), !filepath.IsLocal(filepath.FromSlash(clean)), slices.Contains(strings.Split(h.Name, "/"), ".."):
		return "", false, fmt.Errorf("%q in it points outside the folder", h.Name)
	case h.Typeflag == tar.TypeDir:
		return "", false, nil
	case h.Typeflag != tar.TypeReg:
		return "", false, fmt.Errorf("%q in it is no plain file but of type %q", h.Name, h.Typeflag)
	case slices.Contains(l.files(), name):
		if want := l.fileSize(slices.Index(l.files(), name)); h.Size != want {
			return "", false, fmt.Errorf("%s in it has %s bytes, want %s", h.Name, commas(h.Size), commas(want))
		}
		return name, true, nil
	case name == l.meta:
		if h.Size > maxMeta {
			return "", false, fmt.Errorf("%s in it has %s bytes, want under %s", h.Name, commas(h.Size), commas(maxMeta))
		}
		return name, true, nil
	}
	return name, false, nil
}

// decompress returns the tar stream in r, which may be compressed or not: some
// browsers decompress what they download.
func decompress(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return gzip.NewReader(b)
	}
	head, err := b.Peek(262)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(head) < 262 || string(head[257:262]) != "ustar" {
		return nil, errors.New("it has neither's first bytes")
	}
	return b, nil
}

// An endingReader ends with its context.
type endingReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *endingReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
