package cifar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// DefaultURL is where CIFAR-10's authors keep its binary version, 170,052,171
// bytes.
const DefaultURL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"

// Names in the cache folder, beside those of the archives and their folders.
const (
	partExt      = ".part" // behind an archive's: what has come of it
	originExt    = ".json" // behind that: which file on which server it is
	lockName     = ".lock"
	unpackPrefix = ".unpack-"
)

// FetchOptions says how [Fetch] works. The zero value fetches CIFAR-10 from
// [DefaultURL] into [CacheDir].
type FetchOptions struct {
	Data     string         // CIFAR10, CIFAR100 or ""
	URL      string         // where the archive lies
	CacheDir string         // the folder to unpack into
	Progress func(Progress) // as in [Options]
	Client   *http.Client   // nil means one that heeds HTTPS_PROXY and its like
	Stall    time.Duration  // a transfer that brings no byte for so long is broken; 0 means 30 s
	Tries    int            // how often in a row a transfer may fail; 0 means 4
	Backoff  time.Duration  // the wait before the second try, doubled for each more; 0 means 1 s

	layout layout // what is fetched: the published archive, except in tests
}

func (o FetchOptions) withDefaults() FetchOptions {
	if o.CacheDir == "" {
		o.CacheDir = CacheDir()
	}
	if o.Client == nil {
		o.Client = &http.Client{Transport: http.DefaultTransport}
	}
	if o.Stall <= 0 {
		o.Stall = 30 * time.Second
	}
	if o.Tries <= 0 {
		o.Tries = 4
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	if o.layout.name == "" {
		o.layout, _ = layoutOf(o.Data)
	}
	if o.URL == "" {
		o.URL = o.layout.url
	}
	return o
}

// Fetch makes sure that a published data set lies in the cache and returns its
// folder. If good files are there, it does nothing. Else it unpacks the archive
// that somebody put into the cache, cifar-10-binary.tar.gz, or downloads it.
//
// A transfer that breaks goes on where it stopped, in the same call and after
// a restart of the program too. What was downloaded must have the published
// SHA-256; an archive that was put there must hold the files of the published one.
// The files appear all at once, under their name, when they are complete; of
// several processes that fetch at once, one works and the others wait. An
// ended ctx ends Fetch; what came so far is kept for the next time.
func Fetch(ctx context.Context, o FetchOptions) (dir string, err error) {
	o = o.withDefaults()
	if o.layout.name == "" {
		return "", fmt.Errorf("cifar: no data set is called %q: there are %s and %s", o.Data, CIFAR10, CIFAR100)
	}
	if o.CacheDir == "" {
		return "", fmt.Errorf("cifar: find a folder to keep %s in: set XDG_CACHE_HOME, or HOME", o.layout.name)
	}
	dir = filepath.Join(o.CacheDir, o.layout.dir)
	m := newMeter(o.Progress)
	m.now.Data = o.layout.name
	if o.installed(ctx, dir) {
		return dir, nil
	}
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil {
		return "", fmt.Errorf("cifar: make the cache folder: %w: set XDG_CACHE_HOME to a folder that can be written", err)
	}
	unlock, err := waitLock(ctx, filepath.Join(o.CacheDir, lockName), func() { m.start(StageWait, 0, 0) })
	if err != nil {
		return "", fmt.Errorf("cifar: lock the cache: %w", err)
	}
	defer unlock()
	if o.installed(ctx, dir) { // by the process that had the lock
		return dir, nil
	}
	archive := filepath.Join(o.CacheDir, o.layout.archive)
	if _, err := os.Stat(archive); err == nil {
		return dir, o.install(ctx, archive, dir, m)
	}
	part := filepath.Join(o.CacheDir, o.layout.archive+partExt)
	if err := o.fetchArchive(ctx, part, m); err != nil {
		if info, e := os.Stat(part); e == nil && info.Size() == 0 {
			removePart(part)
		}
		return "", err
	}
	if err := o.install(ctx, part, dir, m); err != nil {
		return "", err
	}
	removePart(part)
	return dir, nil
}

// installed reports whether dir holds good files.
func (o FetchOptions) installed(ctx context.Context, dir string) bool {
	return o.layout.checkBatches(ctx, dir) == nil
}

// fetchArchive downloads the archive to part and checks its sum. Bytes from an
// earlier transfer may be of another file than the rest: the sum tells, and
// then all is fetched once more.
func (o FetchOptions) fetchArchive(ctx context.Context, part string, m *meter) error {
	for again := false; ; again = true {
		resumed, err := o.download(ctx, part, m)
		if err != nil {
			return err
		}
		sum, err := hashFile(ctx, part, m)
		if err != nil {
			return err
		}
		if sum == o.layout.archiveSum {
			return nil
		}
		removePart(part)
		if !resumed || again {
			return fmt.Errorf("cifar: fetch %s: SHA-256 is %s, want %s: the file there is not %s's archive, or it was damaged on the way; it was deleted: try again, or name another place with --data-url", o.URL, sum, o.layout.archiveSum, o.layout.name)
		}
		m.note(StageRetry, 0, o.layout.archiveSize, "the parts of the archive do not fit together: fetching it anew")
	}
}

// removePart deletes what was downloaded. What can't be deleted now is
// overwritten by the next transfer.
func removePart(part string) {
	_ = os.Remove(part)
	_ = os.Remove(part + originExt)
}

// hashFile returns a file's SHA-256 in hexadecimal.
func hashFile(ctx context.Context, name string, m *meter) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("cifar: check the archive: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("cifar: check the archive: %w", err)
	}
	m.start(StageVerify, 0, info.Size())
	h := sha256.New()
	if _, err := io.Copy(h, &meteredReader{ctx, f, m}); err != nil {
		return "", fmt.Errorf("cifar: check the archive: %w", err)
	}
	m.flush()
	return hex.EncodeToString(h.Sum(nil)), nil
}

// install unpacks an archive so that its files appear as dir all at once. The
// lock is held.
func (o FetchOptions) install(ctx context.Context, archive, dir string, m *meter) (err error) {
	parent := filepath.Dir(dir)
	if stale, err := filepath.Glob(filepath.Join(parent, unpackPrefix+"*")); err == nil {
		for _, s := range stale { // left by a process that was killed here
			_ = os.RemoveAll(s)
		}
	}
	work, err := os.MkdirTemp(parent, unpackPrefix)
	if err != nil {
		return fmt.Errorf("cifar: unpack the archive: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }() // else the next install does it
	fresh, old := filepath.Join(work, "new"), filepath.Join(work, "old")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return fmt.Errorf("cifar: unpack the archive: %w", err)
	}
	if err := o.layout.unpack(ctx, archive, fresh, m); err != nil {
		return err
	}
	if err := o.layout.checkBatches(ctx, fresh); err != nil {
		return err
	}
	syncDir(fresh)
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cifar: replace the damaged files: %w", err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return errors.Join(fmt.Errorf("cifar: put the unpacked files in place: %w", err), putBack(old, dir))
	}
	syncDir(parent)
	return nil
}

// putBack undoes the first of install's two renames.
func putBack(old, dir string) error {
	if err := os.Rename(old, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes the names in a folder last through a power cut, where the
// system can do so; Windows has no such call. All that could be lost is a copy
// that is fetched again.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
