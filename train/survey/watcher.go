package survey

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"cifartui/train/config"
	"cifartui/train/rundir"
)

const (
	// slice is how often a watcher wakes to look at what is due.
	slice = 250 * time.Millisecond
	// folderEvery is how often a folder is looked at for new runs: by its time, and
	// every listEvery by its list, as not every file system keeps that time.
	folderEvery = time.Second
	listEvery   = 30 * time.Second
	// livesASecond and othersASecond bound how many live runs, and how many others,
	// are looked at in a second, in each of the folders.
	livesASecond  = 100
	othersASecond = 200
	// readers is how many run folders are read side by side at first: more than
	// there are cores, as a network's file system answers late.
	readers = 16
)

// Update is what has changed since the one before.
type Update struct {
	// Runs are those that are new or have changed.
	Runs []*Run
	// Gone are the folders of runs that are no more.
	Gone []string
	// Listed is set once all folders have been read.
	Listed bool
	// Problem says which of the folders, or of the comparisons in them, could not be
	// read, and why; "" for none.
	Problem string
}

// Watcher tells of all runs in some folders. Run does the work; the other methods
// may be called from any goroutine.
type Watcher struct {
	lookers []*looker
	wake    chan struct{} // holds one token while there is something to tell

	mu       sync.Mutex
	runs     map[string]*Run // not yet told
	gone     map[string]bool
	unlisted int // folders that have not been read yet
	problems map[string]string
}

// New makes a watcher of folders that hold run folders, each of which may also be
// a comparison's or a run's own.
func New(folders ...string) *Watcher {
	w := &Watcher{
		wake: make(chan struct{}, 1), runs: make(map[string]*Run), gone: make(map[string]bool),
		problems: make(map[string]string), unlisted: len(folders),
	}
	here := config.Machine("", time.Now()).Host
	for _, f := range folders {
		w.lookers = append(w.lookers, &looker{
			w: w, root: filepath.Clean(f), here: here, several: len(folders) > 1,
			entries: make(map[string]*entry), comparisons: make(map[string]*comparison), asked: make(chan request, 64),
		})
	}
	return w
}

// Run looks until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, l := range w.lookers { // a folder whose file system hangs holds up no other
		all.Go(func() { l.run(ctx) })
	}
	all.Wait()
}

// Next waits for something to tell and returns it. It is for one goroutine.
func (w *Watcher) Next(ctx context.Context) (Update, error) {
	select {
	case <-w.wake:
	case <-ctx.Done():
		return Update{}, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	u := Update{Listed: w.unlisted == 0}
	for _, r := range w.runs {
		u.Runs = append(u.Runs, r)
	}
	for folder := range w.gone {
		u.Gone = append(u.Gone, folder)
	}
	var problems []string
	for _, p := range w.problems {
		problems = append(problems, p)
	}
	slices.Sort(problems)
	u.Problem = strings.Join(problems, "; ")
	clear(w.runs)
	clear(w.gone)
	return u, nil
}

// Time asks for the times of a run's epochs, which only its whole record tells.
func (w *Watcher) Time(folder string) { w.ask(request{folder: folder, whole: true}) }

// Look asks for a look at a run now, and at what runs its comparison names.
func (w *Watcher) Look(folder string) { w.ask(request{folder: folder}) }

func (w *Watcher) ask(r request) {
	for _, l := range w.lookers {
		select {
		case l.asked <- r:
		default: // it has enough to do, and looks by itself before long
		}
	}
}

// tell keeps something for Next.
func (w *Watcher) tell(change func()) {
	w.mu.Lock()
	change()
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// A request asks for a look at one run.
type request struct {
	folder string
	whole  bool
}

// A looker looks at one of the folders.
type looker struct {
	w       *Watcher
	root    string
	here    string // this machine
	several bool   // folders are watched
	asked   chan request

	entries     map[string]*entry      // by folder
	comparisons map[string]*comparison // by folder
	live        int                    // runs, as of the last tick
	modified    time.Time              // of the root's list of names
	looked      time.Time              // at that
	listed      time.Time              // when it was read
}

// A comparison is one under watch.
type comparison struct {
	modified time.Time // of comparison.json
	due      time.Time
}

func (l *looker) run(ctx context.Context) {
	l.first(ctx)
	l.w.tell(func() { l.w.unlisted-- })
	tick := time.NewTicker(slice)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-l.asked:
			l.answer(r, time.Now())
		case <-tick.C:
			now := time.Now()
			l.lookAtFolders(now)
			l.lookAtRuns(now)
		}
	}
}

// first reads all runs, the newest first, several side by side.
func (l *looker) first(ctx context.Context) {
	now := time.Now()
	l.list(now)
	fresh := make([]*entry, 0, len(l.entries))
	for _, e := range l.entries {
		fresh = append(fresh, e)
	}
	slices.SortFunc(fresh, func(a, b *entry) int { return b.due.Compare(a.due) }) // the time of the folder, so far
	work := make(chan *entry)
	var all sync.WaitGroup
	for range max(readers, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for e := range work {
				l.settle(e, e.inspect(l.here, now), false, now)
			}
		})
	}
	for _, e := range fresh {
		if ctx.Err() != nil {
			break
		}
		work <- e
	}
	close(work)
	all.Wait()
}

// settle tells what a look has found, and says when the next one is due.
func (l *looker) settle(e *entry, r *Run, gone bool, now time.Time) {
	if r != nil {
		e.told = r
		l.w.tell(func() {
			l.w.runs[e.folder] = r
			delete(l.w.gone, e.folder)
		})
	}
	if gone && e.told != nil {
		e.told = nil
		l.w.tell(func() {
			delete(l.w.runs, e.folder)
			l.w.gone[e.folder] = true
		})
	}
	e.rest()
	every := l.pace(e)
	// A part at random spreads the looks at runs that were found together.
	e.due = now.Add(every*3/4 + rand.N(every/2))
}

// pace is how often a run is looked at.
func (l *looker) pace(e *entry) time.Duration {
	if e.told != nil && e.told.Live {
		return max(liveEvery, time.Duration(l.live)*time.Second/livesASecond)
	}
	return max(idleEvery, time.Duration(len(l.entries))*time.Second/othersASecond)
}

// lookAtFolders notices runs that appear or vanish.
func (l *looker) lookAtFolders(now time.Time) {
	if now.Sub(l.looked) >= folderEvery {
		l.looked = now
		if st, err := os.Stat(l.root); err != nil || !st.ModTime().Equal(l.modified) || now.Sub(l.listed) >= listEvery {
			l.list(now)
		}
	}
	for folder, c := range l.comparisons {
		if !now.Before(c.due) {
			l.member(folder, c, now)
		}
	}
}

// list reads which folders there are. New ones are looked at next.
func (l *looker) list(now time.Time) {
	l.listed, l.looked = now, now
	if st, err := os.Stat(l.root); err == nil {
		l.modified = st.ModTime()
	}
	if rundir.IsComparison(l.root) || rundir.IsRun(l.root) {
		l.add(l.root, now)
		return
	}
	names, err := os.ReadDir(l.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.problem(l.root, err.Error())
		return
	}
	l.problem(l.root, "")
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		if !strings.HasPrefix(n.Name(), ".") && !n.Type().IsRegular() {
			folder := filepath.Join(l.root, n.Name())
			seen[folder] = true
			l.add(folder, now)
		}
	}
	for folder, e := range l.entries {
		if !seen[folder] && e.comparison == "" {
			l.drop(e)
		}
	}
	for folder := range l.comparisons {
		if !seen[folder] {
			l.dropComparison(folder)
		}
	}
}

// problem keeps why a folder cannot be read; "" says that it can.
func (l *looker) problem(folder, words string) {
	l.w.mu.Lock()
	same := l.w.problems[folder] == words
	l.w.mu.Unlock()
	if same {
		return
	}
	l.w.tell(func() {
		delete(l.w.problems, folder)
		if words != "" {
			l.w.problems[folder] = words
		}
	})
}

// add begins to watch a folder that is not watched yet.
func (l *looker) add(folder string, now time.Time) {
	if c := l.comparisons[folder]; c != nil {
		return
	}
	if rundir.IsComparison(folder) {
		if e := l.entries[folder]; e != nil { // it was not known as one before
			l.drop(e)
		}
		c := &comparison{}
		l.comparisons[folder] = c
		l.member(folder, c, now)
		return
	}
	l.enter(folder, "", now)
}

// enter begins to watch a run folder, the newest first. The clock of the machine that
// made it may be ahead of this one's.
func (l *looker) enter(folder, comparison string, now time.Time) {
	if l.entries[folder] != nil {
		return
	}
	e := &entry{folder: folder, comparison: comparison, name: name(l.root, comparison, folder, l.several)}
	if st, err := os.Stat(folder); err == nil {
		e.due = st.ModTime()
		if e.due.After(now) {
			e.due = now
		}
	}
	l.entries[folder] = e
}

// member brings the runs of a comparison up to what its file names.
func (l *looker) member(folder string, c *comparison, now time.Time) {
	c.due = now.Add(idleEvery*3/4 + rand.N(idleEvery/2))
	st, err := os.Stat(filepath.Join(folder, rundir.ComparisonFile))
	switch {
	case vanished(err):
		l.problem(folder, "")
		if _, err := os.Stat(folder); vanished(err) {
			l.dropComparison(folder)
		}
		return
	case err != nil || st.ModTime().Equal(c.modified):
		return
	}
	file, err := config.ReadComparison(folder)
	if err != nil { // half copied, say: the next look reads it again
		l.problem(folder, err.Error())
		return
	}
	l.problem(folder, "")
	c.modified = st.ModTime()
	named := make(map[string]bool, len(file.Runs))
	for _, run := range file.Runs {
		member := filepath.Join(folder, run)
		named[member] = true
		l.enter(member, folder, now)
	}
	for at, e := range l.entries {
		if e.comparison == folder && !named[at] {
			l.drop(e)
		}
	}
}

func (l *looker) dropComparison(folder string) {
	delete(l.comparisons, folder)
	l.problem(folder, "")
	for _, e := range l.entries {
		if e.comparison == folder {
			l.drop(e)
		}
	}
}

// drop ends the watch over a run folder that is no more.
func (l *looker) drop(e *entry) {
	delete(l.entries, e.folder)
	if e.told != nil {
		l.w.tell(func() {
			delete(l.w.runs, e.folder)
			l.w.gone[e.folder] = true
		})
	}
}

// lookAtRuns looks at the runs that are due.
func (l *looker) lookAtRuns(now time.Time) {
	l.live = 0
	for _, e := range l.entries {
		if e.told != nil && e.told.Live {
			l.live++
		}
	}
	for _, e := range l.entries {
		if !now.Before(e.due) {
			l.lookAt(e, now)
		}
	}
}

func (l *looker) lookAt(e *entry, now time.Time) {
	r, gone := e.look(l.here, now)
	if gone && e.comparison == "" {
		l.drop(e)
		return
	}
	l.settle(e, r, gone, now)
}

// answer does what was asked for.
func (l *looker) answer(r request, now time.Time) {
	e := l.entries[r.folder]
	if e == nil {
		return
	}
	if r.whole && !e.whole {
		e.whole = true
		l.settle(e, e.inspect(l.here, now), false, now)
		return
	}
	if c := l.comparisons[e.comparison]; c != nil {
		l.member(e.comparison, c, now)
	}
	if l.entries[r.folder] == e { // one that was deleted is no longer named, and has not to begin
		l.lookAt(e, now)
	}
}
