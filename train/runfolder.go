package train

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names in a run folder.
const (
	ConfigFile     = "config.json"
	EventsFile     = "events.jsonl"
	CheckpointsDir = "checkpoints"
	lockFileName   = "run.lock"
)

var (
	errLocked  = errors.New("locked by another process")
	errNoLocks = errors.New("this file system has no locks")
)

// InUseError says that a live process already writes a run folder.
type InUseError struct {
	Folder string
	PID    int // 0 when it is not known
}

func (e *InUseError) Error() string {
	who := "a live process"
	if e.PID != 0 {
		who = fmt.Sprintf("a live process (pid %d)", e.PID)
	}
	return fmt.Sprintf("run folder %s is already in use by %s: watch it with \"cifartui attach %s\", or stop it first", e.Folder, who, filepath.Base(e.Folder))
}

// lock is a run folder's lock, held while a process writes the folder.
type lock struct{ f *os.File }

// lockTries and lockPause let a lock be taken that somebody holds for a moment
// to see whether the run is alive, or to hand the run over.
const (
	lockTries = 20
	lockPause = 50 * time.Millisecond
)

// lockFolder takes a run folder's lock. It returns an *InUseError when another
// process holds it, and errNoLocks with a lock that does nothing where the file
// system has none.
func lockFolder(folder string) (*lock, error) {
	path := filepath.Join(folder, lockFileName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	for try := 1; ; try++ {
		err = lockFile(f, true)
		if !errors.Is(err, errLocked) || try == lockTries {
			break
		}
		time.Sleep(lockPause)
	}
	switch {
	case errors.Is(err, errLocked):
		pid := readPID(f)
		return nil, errors.Join(&InUseError{Folder: folder, PID: pid}, f.Close())
	case errors.Is(err, errNoLocks):
		return &lock{f: f}, err
	case err != nil:
		return nil, errors.Join(fmt.Errorf("run folder: lock %s: %w", path, err), f.Close())
	}
	// The number is only for people and for InUseError: the lock itself is
	// what counts, so a disk too full to hold it does no harm.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &lock{f: f}, nil
}

// release gives the lock back. The file stays: removing it would let two
// processes lock two files of the same name.
func (l *lock) release() error { return l.f.Close() }

func readPID(f io.ReaderAt) int {
	b := make([]byte, 32)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// Live reports whether a process is writing a run folder now, and its number (0
// when it cannot be read).
func Live(folder string) (pid int, live bool) {
	f, err := os.Open(filepath.Join(folder, lockFileName))
	if err != nil {
		return 0, false
	}
	defer f.Close() // releases the lock, had it been free
	if !errors.Is(lockFile(f, false), errLocked) {
		return 0, false
	}
	return readPID(f), true
}

// makeFolder makes a new run folder in runs: name, or name-2, name-3 and so on
// when that is taken. It makes runs too, and the folder for checkpoints.
func makeFolder(runs, name string, now time.Time) (string, error) {
	if name == "" {
		name = "model_" + now.Format("20060102_1504")
	}
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return "", fmt.Errorf("runs folder: %w", err)
	}
	for i := 1; i < 10000; i++ {
		folder := filepath.Join(runs, name)
		if i > 1 {
			folder += "-" + strconv.Itoa(i)
		}
		err := os.Mkdir(folder, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = os.Mkdir(filepath.Join(folder, CheckpointsDir), 0o755)
		}
		if err != nil {
			return "", fmt.Errorf("run folder: %w", err)
		}
		return folder, nil
	}
	return "", fmt.Errorf("run folder: %s and 9,999 like it exist in %s: choose another --name", name, runs)
}

// FindRun returns the folder of a run that a person means: a path, a run's name
// in runs, or "last" for the one trained last.
func FindRun(runs, which string) (string, error) {
	if which == "last" {
		return lastRun(runs)
	}
	for _, folder := range []string{filepath.Join(runs, which), which} {
		if isRun(folder) {
			return folder, nil
		}
	}
	return "", fmt.Errorf("no run %q in %s, nor a run folder of that path: see \"cifartui runs\"", which, runs)
}

// lastRun is the run folder whose record or checkpoint was written last.
func lastRun(runs string) (string, error) {
	entries, err := os.ReadDir(runs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("runs folder: %w", err)
	}
	type candidate struct {
		folder  string
		written time.Time
	}
	var all []candidate
	for _, e := range entries {
		folder := filepath.Join(runs, e.Name())
		if !isRun(folder) {
			continue
		}
		c := candidate{folder: folder}
		for _, f := range []string{ConfigFile, EventsFile, filepath.Join(CheckpointsDir, LastFile)} {
			if st, err := os.Stat(filepath.Join(folder, f)); err == nil && st.ModTime().After(c.written) {
				c.written = st.ModTime()
			}
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return "", fmt.Errorf("no run in %s yet: start one with \"cifartui\", or name another folder with --runs", runs)
	}
	last := slices.MaxFunc(all, func(a, b candidate) int {
		return cmp.Or(a.written.Compare(b.written), cmp.Compare(a.folder, b.folder))
	})
	return last.folder, nil
}

func isRun(folder string) bool {
	st, err := os.Stat(filepath.Join(folder, ConfigFile))
	return err == nil && st.Mode().IsRegular()
}

// writeConfig writes config.json.
func writeConfig(d disk, folder string, c Config, about About) error {
	b, err := json.MarshalIndent(configFile{Config: c, About: about}, "", "  ")
	if err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	_, err = writeAtomic(d, filepath.Join(folder, ConfigFile), func(w io.Writer) error {
		_, err := w.Write(append(b, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	return nil
}

// ReadConfig reads a run folder's settings and what its config.json says beside
// them.
func ReadConfig(folder string) (Config, About, error) {
	path := filepath.Join(folder, ConfigFile)
	c, err := LoadConfig(path, Config{})
	if err != nil {
		return Config{}, About{}, err
	}
	var about struct{ About About }
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &about)
	}
	if err != nil {
		return Config{}, About{}, fmt.Errorf("settings: %s: %w", path, err)
	}
	return c, about.About, nil
}

// machine fills in the part of About that does not depend on the run.
func machine(version string, now time.Time) About {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return About{
		Version:  version,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPUs:     runtime.GOMAXPROCS(0),
		Host:     host,
		Created:  now.Format(time.RFC3339),
	}
}
