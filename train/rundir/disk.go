package rundir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Disk is what a run asks of the file system when it writes. Tests put one in
// its place that is full or read-only.
type Disk interface {
	// Create makes a new file; it must not exist.
	Create(path string) (File, error)
	// Append opens a file to write at its end, and makes it when it is missing.
	Append(path string) (File, error)
	Rename(from, to string) error
	Link(from, to string) error
	Remove(path string) error
	// SyncDir makes renames in a folder last over a power cut.
	SyncDir(path string) error
}

// File is a file that is written. Sync waits until what was written is on the disk.
type File interface {
	io.WriteCloser
	Sync() error
}

// OS is the file system itself.
type OS struct{}

// Create implements [Disk].
func (OS) Create(path string) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

// Append implements [Disk].
func (OS) Append(path string) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
}

// Rename implements [Disk].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Link implements [Disk].
func (OS) Link(from, to string) error { return os.Link(from, to) }

// Remove implements [Disk].
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncDir implements [Disk].
func (OS) SyncDir(path string) error { return syncDir(path) }

// TempMark is in the name of every file that is not yet whole. The names start
// with a dot, so that no pattern for checkpoints finds them.
const TempMark = ".tmp-"

// TempName is what this process calls the file that is not yet whole and is to be at
// path: it lies in the same folder.
func TempName(path string) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s%s%d", filepath.Base(path), TempMark, os.Getpid()))
}

// WriteAtomic writes a file so that at every instant path holds the old content
// or the whole new one: a temporary file in the same folder, fsync, rename,
// fsync of the folder. On an error nothing is left behind. It returns the size.
func WriteAtomic(d Disk, path string, write func(io.Writer) error) (int64, error) {
	temp, size, err := WriteTemp(d, path, write)
	if err != nil {
		return 0, err
	}
	if err := d.Rename(temp, path); err != nil {
		return 0, errors.Join(err, d.Remove(temp))
	}
	return size, d.SyncDir(filepath.Dir(path))
}

// WriteQuick writes a file as WriteAtomic does, and does not wait for the disk:
// after a power cut path may hold less. It is for what is had again, and carries
// a sum by which a reader knows.
func WriteQuick(d Disk, path string, write func(io.Writer) error) error {
	temp, _, err := writeTemp(d, path, false, write)
	if err != nil {
		return err
	}
	if err := d.Rename(temp, path); err != nil {
		return errors.Join(err, d.Remove(temp))
	}
	return nil
}

// WriteTemp is the first half of WriteAtomic: it writes and syncs the temporary
// file, and returns its name and size.
func WriteTemp(d Disk, path string, write func(io.Writer) error) (temp string, size int64, err error) {
	return writeTemp(d, path, true, write)
}

func writeTemp(d Disk, path string, sync bool, write func(io.Writer) error) (temp string, size int64, err error) {
	temp = TempName(path)
	// One of the same name can only be a leftover: the folder's lock is ours.
	if err := d.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", 0, err
	}
	f, err := d.Create(temp)
	if refused, ok := err.(*fs.PathError); ok { // a person knows the file by its own name
		err = &fs.PathError{Op: refused.Op, Path: path, Err: refused.Err}
	}
	if err != nil {
		return "", 0, err
	}
	count := &countingWriter{w: f}
	err = write(count)
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		if rerr := d.Remove(temp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		return "", 0, err
	}
	return temp, count.n, nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// RemoveTemps removes what a killed process left half-written in a folder. The
// caller holds the run folder's lock.
func RemoveTemps(d Disk, folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return // the next write says what is wrong
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), TempMark) {
			// Left behind once more if this fails: it costs space, nothing else.
			_ = d.Remove(filepath.Join(folder, e.Name()))
		}
	}
}
