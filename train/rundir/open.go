package rundir

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// Open opens a file that a person or a record names, for reading. A folder, a
// named pipe, a socket or a device is refused: to read it would fail later, or
// wait for ever.
func Open(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %s, not a file", path, kind(st.Mode()))
	}
	return os.Open(path)
}

// kind says what is no regular file.
func kind(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&os.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&os.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// Identity is the state of a file that was just opened at a path, by which it is told
// from another one there; nil if it cannot be, as the file system gives files no
// identity.
func Identity(st os.FileInfo, path string) os.FileInfo {
	if there, err := os.Stat(path); err != nil || !os.SameFile(st, there) {
		return nil
	}
	return st
}

// ReadFile reads a whole file as [Open] opens it, if it has no more than limit
// bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var data bytes.Buffer
	large := fmt.Errorf("%s: over %d bytes", path, limit)
	if st, err := f.Stat(); err == nil {
		if st.Size() > limit {
			return nil, large
		}
		data.Grow(int(st.Size()) + bytes.MinRead) // room for all of it at once
	}
	if _, err := data.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(data.Len()) > limit { // it has grown
		return nil, large
	}
	return data.Bytes(), nil
}
