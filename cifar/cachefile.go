package cifar

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Names and age of what a process that was killed has left half written in the
// cache folder. A write takes minutes at most; a day leaves room for clocks that
// differ on a folder that machines share.
const (
	halfPrefix = ".new-"
	halfStale  = 24 * time.Hour
)

// WriteCache writes a file of a cache folder, which it makes: whole or not at
// all. Several processes may write it at once, and the last one's stays. It is
// not synced: who reads it must be able to tell that it is damaged.
func WriteCache(file string, write func(io.Writer) error) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	removeStale(dir)
	f, err := os.CreateTemp(dir, halfPrefix+"*")
	if err != nil {
		return err
	}
	err = write(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it is of no use
	}
	return err
}

// removeStale removes what killed processes have left. What can't be removed
// costs room, and nothing else.
func removeStale(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), halfPrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > halfStale {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
