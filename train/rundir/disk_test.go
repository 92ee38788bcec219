package rundir

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// readOnly is a disk that takes no new file.
type readOnly struct{ OS }

func (readOnly) Create(path string) (File, error) {
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
}

// A file that cannot be made is named as a person knows it, and not as it is called
// until it is whole.
func TestAFileThatCannotBeMadeIsNamedByItsOwnName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "curves.png")
	_, err := WriteAtomic(readOnly{}, path, func(io.Writer) error { return nil })
	if err == nil || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), TempMark) {
		t.Errorf("the error is %v", err)
	}
}
