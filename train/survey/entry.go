package survey

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
	"cifartui/train/runs"
)

// How often a run is looked at.
const (
	liveEvery = time.Second
	idleEvery = 5 * time.Second
	// lockEvery is how often the lock of a live run is asked for, which says
	// whether its process is still there.
	lockEvery = 5 * time.Second
	// quietAfter is how long the record of a run that another machine trains may
	// not grow, where no lock reaches from there, before it counts as dead.
	quietAfter = 60 * time.Second
)

// An entry is one run folder under watch. It belongs to one goroutine.
type entry struct {
	folder, comparison string
	name               string

	told     *Run // what was told last; nil: nothing yet
	due      time.Time
	follower *record.Follower // nil: the run has ended, and only the file's size is looked at
	file     fs.FileInfo      // of the record, then
	settings fs.FileInfo      // of config.json, where there is no record
	grown    time.Time        // when the record was last seen to grow
	locked   time.Time        // when the lock was last asked for
	pid      int
	live     bool // by its lock
	whole    bool // the epochs' times are wanted
	config   config.Config
	about    config.About
	cerr     error // of the settings
	rerr     error // of the record
	points   []Point
}

// vanished reports whether an error says that what was looked for is not there.
func vanished(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// inspect reads the run folder anew. It returns nil while the folder is no run's.
func (e *entry) inspect(here string, now time.Time) *Run {
	if st, err := os.Stat(e.folder); err != nil || !st.IsDir() {
		if e.comparison == "" {
			return nil
		}
		return &Run{Info: runs.Info{Name: e.name, Folder: e.folder, State: NotBegun}, Comparison: e.comparison, Remaining: -1}
	}
	e.settings, _ = os.Stat(filepath.Join(e.folder, rundir.ConfigFile))
	e.config, e.about, e.cerr = config.ReadQuick(e.folder)
	e.askLock(now)
	if e.whole {
		e.follower, e.rerr = record.FollowWhole(e.folder)
	} else {
		e.follower, e.rerr = record.Follow(e.folder)
	}
	if vanished(e.cerr) && vanished(e.rerr) && e.comparison == "" {
		return nil
	}
	if vanished(e.cerr) && !vanished(e.rerr) && e.told == nil && !e.live {
		// A folder that is being copied may not have its settings yet.
		if s := e.follower.Run().Started; s != nil {
			e.config = s.Config
		}
	}
	runs.LearnPlan(e.folder, e.config, e.follower.Run())
	e.points = pointsOf(nil, e.follower.Run(), 0, e.config.Batch)
	if st, err := os.Stat(filepath.Join(e.folder, rundir.EventsFile)); err == nil && now.Sub(st.ModTime()) < quietAfter {
		e.grown = st.ModTime()
		if e.grown.After(now) { // by another machine's clock
			e.grown = now
		}
	}
	return e.describe(here, now)
}

func (e *entry) askLock(now time.Time) {
	e.pid, e.live = rundir.Live(e.folder)
	e.locked = now
}

// describe makes the Run of what the entry knows now.
func (e *entry) describe(here string, now time.Time) *Run {
	run := e.follower.Run()
	elsewhere := e.about.Host != "" && e.about.Host != here
	live := e.live || e.signsOfLife(elsewhere, run, now)
	info := runs.Describe(e.folder, e.config, e.about, run, e.pid, live)
	info.Name = e.name
	info.Explain(e.cerr, e.rerr)
	r := newRun(e, info)
	r.Elsewhere = elsewhere
	return r
}

// signsOfLife judges a run that another machine trains, where its lock is not
// seen, by what it writes.
func (e *entry) signsOfLife(elsewhere bool, run *record.Run, now time.Time) bool {
	if !elsewhere || run.Ended != nil || run.Seq == 0 {
		return false
	}
	return run.State == event.StatePaused || now.Sub(e.grown) < quietAfter
}

// look looks at the run again, and returns it if it has changed.
func (e *entry) look(here string, now time.Time) (r *Run, gone bool) {
	switch {
	case e.told == nil || !e.told.begun():
		return e.lookForBegin(here, now)
	case e.follower == nil:
		return e.lookAtEnded(here, now)
	}
	news, err := e.follower.Look()
	switch {
	case vanished(err):
		if _, err := os.Stat(e.folder); err != nil {
			return e.afterVanishing(here, now)
		}
		st, _ := os.Stat(filepath.Join(e.folder, rundir.ConfigFile))
		if st != nil && (e.settings == nil || !st.ModTime().Equal(e.settings.ModTime())) {
			return e.inspect(here, now), false
		}
		e.rerr = err
	case err != nil:
		news.Changed = news.Changed || e.rerr == nil
		e.rerr = err
	case e.rerr != nil:
		e.rerr, news.Changed = nil, true
	}
	if news.Changed {
		e.grown = now
		e.learn(news)
	}
	if e.wantsLock(news.Changed, now) {
		e.askLock(now)
	}
	r = e.describe(here, now)
	if !news.Changed && r.Live == e.told.Live && r.State == e.told.State && r.Problem == e.told.Problem {
		return nil, false
	}
	return r, false
}

// wantsLock reports whether it is time to ask whether the run's process is still
// there, or there again. A record that grows tells as much.
func (e *entry) wantsLock(changed bool, now time.Time) bool {
	if changed {
		return !e.live || e.follower.Run().Ended != nil
	}
	return now.Sub(e.locked) >= lockEvery && now.Sub(e.grown) >= 2*liveEvery
}

// learn brings settings and points up to what the record tells.
func (e *entry) learn(news record.News) {
	if news.Started || e.cerr != nil { // a resume may have other settings
		e.config, e.about, e.cerr = config.ReadQuick(e.folder)
		runs.LearnPlan(e.folder, e.config, e.follower.Run())
	}
	epochs := e.follower.Run().Epochs
	n := len(e.points)
	if news.Rewritten || n > len(epochs) || n > 0 && e.points[n-1].Epoch != epochs[n-1].Epoch {
		e.points, n = make([]Point, 0, len(epochs)+8), 0
	}
	// What was told holds the points up to its own length, which stay.
	e.points = pointsOf(e.points, e.follower.Run(), n, e.config.Batch)
}

// lookForBegin looks at a folder that was no run's so far.
func (e *entry) lookForBegin(here string, now time.Time) (*Run, bool) {
	if _, err := os.Stat(filepath.Join(e.folder, rundir.ConfigFile)); err != nil && e.comparison != "" {
		return nil, false
	}
	r := e.inspect(here, now)
	if r != nil && e.told != nil && !r.begun() {
		return nil, false
	}
	return r, false
}

// lookAtEnded looks whether the record of a run that has ended has changed.
func (e *entry) lookAtEnded(here string, now time.Time) (*Run, bool) {
	st, err := os.Stat(filepath.Join(e.folder, rundir.EventsFile))
	switch {
	case vanished(err):
		if _, err := os.Stat(e.folder); err != nil {
			return e.afterVanishing(here, now)
		}
	case err == nil && e.file != nil && os.SameFile(st, e.file) && st.Size() == e.file.Size():
		return nil, false
	case err != nil:
		return nil, false // for now
	}
	return e.inspect(here, now), false
}

// afterVanishing is what is told once the folder is gone: that the run is, or that
// it has not begun, while its comparison names it.
func (e *entry) afterVanishing(here string, now time.Time) (*Run, bool) {
	if e.comparison != "" && rundir.IsComparison(e.comparison) {
		if _, err := os.Stat(e.comparison); err == nil {
			e.follower, e.points = nil, nil
			return e.inspect(here, now), false
		}
	}
	return nil, true
}

// rest gives back what is not needed of a run that has ended and is not live.
func (e *entry) rest() {
	if e.follower == nil || e.told == nil || e.told.Live || e.follower.Run().Ended == nil {
		return
	}
	if st, err := os.Stat(filepath.Join(e.folder, rundir.EventsFile)); err == nil && st.Size() == e.follower.Size() {
		e.file, e.follower = st, nil
	}
}
