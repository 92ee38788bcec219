// Package picture turns a picture file of any size into the square of bytes
// that a network for small images reads.
//
// A file goes this way:
//
//	picture.go  file -> bytes in memory, and how many may be unpacked at once
//	header.go   bytes -> format, size, what unpacking takes; too much is refused here
//	webp.go     what a WebP file says twice; its first frame
//	exif.go     bytes -> which way the camera was held
//	fit.go      unpacked picture -> cropped, scaled, turned: three planes of bytes
//	list.go     folder -> the picture files below it
//
// PNG, JPEG, GIF, BMP and WebP are read, of an animation the first frame; what is
// transparent becomes white. A file is judged by its content: its name says nothing.
package picture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sync/semaphore"
)

// What a picture may take. Files may come from anywhere, so that their headers
// are believed only up to here.
const (
	maxFile   = 256 << 20   // bytes of a file
	maxPixels = 120_000_000 // width times height: the largest camera's 102 million fit
	maxMemory = 1 << 30     // bytes that a picture takes unpacked, and all at once of one Reader
)

// A Reader reads pictures fitted to one size. Goroutines may share it: pictures
// that are unpacked at the same time wait for each other where they would take
// more than a gigabyte of memory together.
type Reader struct {
	size   int
	memory int64
	room   *semaphore.Weighted // of memory bytes
}

// NewReader returns a Reader of pictures of size x size pixels, at least 1.
func NewReader(size int) *Reader { return newReader(size, maxMemory) }

func newReader(size int, memory int64) *Reader {
	return &Reader{size: size, memory: memory, room: semaphore.NewWeighted(memory)}
}

// File reads a picture file: see [Reader.Fit]. Folders, named pipes and devices
// are refused. The error names the file; it is a [*FileError] if that can't be read.
func (r *Reader) File(ctx context.Context, path string) ([]byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	pixels, err := r.Fit(ctx, data)
	if err != nil {
		return nil, named(path, err)
	}
	return pixels, nil
}

// Stream reads a picture from what is no file, such as standard input, to its
// end: see [Reader.Fit].
func (r *Reader) Stream(ctx context.Context, from io.Reader) ([]byte, error) {
	data, err := readAll(from)
	if err != nil {
		return nil, err
	}
	return r.Fit(ctx, data)
}

// Fit unpacks a picture, turns it the way its EXIF data says, crops the largest
// square of its middle, and scales that by Catmull-Rom's filter, widened where
// the picture shrinks. It returns 3*Size*Size bytes: the red plane, the green
// and the blue, each row by row, as package cifar has them.
//
// A picture whose header claims more than 120 million pixels, or that would
// take more than a gigabyte unpacked, is refused before it is unpacked.
func (r *Reader) Fit(ctx context.Context, data []byte) ([]byte, error) {
	h, err := inspect(data)
	if err != nil {
		return nil, err
	}
	if err := h.check(r.memory); err != nil {
		return nil, err
	}
	if err := r.room.Acquire(ctx, h.memory); err != nil {
		return nil, err
	}
	defer r.room.Release(h.memory)
	m, err := h.unpack(data)
	if err != nil {
		return nil, err
	}
	return fit(m, h.orientation, r.size), nil
}

// readFile reads a regular file.
func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, named(path, err)
	}
	// To open a named pipe would wait for somebody to write to it.
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: a folder, a pipe or a device, not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, named(path, err)
	}
	defer f.Close()
	data, err := readAll(f)
	if err != nil {
		return nil, named(path, err)
	}
	return data, nil
}

// A FileError says why the bytes of a file can't be had. Another time they may be,
// though the file itself has not changed: it was not to be read by this user, or
// its disk was out of reach.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

// named puts the file's name before what went wrong, without the system call.
func named(path string, err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return &FileError{path, of.Err}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// readAll reads to the end, or to what no picture's file may have.
func readAll(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, fmt.Errorf("over %d MiB, which is more than a picture may have", maxFile>>20)
	case len(data) == 0:
		return nil, errors.New("empty")
	}
	return data, nil
}
