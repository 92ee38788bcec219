package watch

import (
	"cmp"
	"path/filepath"
	"slices"
	"time"

	"cifartui/train/runs"
	"cifartui/train/survey"
	"cifartui/tui/format"
)

// A row is a run in the list.
type row struct {
	*survey.Run
	job      runs.Job
	mark     int       // from 1: its colour and stroke among those that are marked; 0: it is not
	spark    string    // of val_acc
	points   int       // that the spark was drawn of
	asked    time.Time // when the times of its epochs were last asked for
	settings []string  // as texts, of textsOf
	textsOf  *survey.Run
}

// hasSettings reports whether the run's settings are known: of one that has not
// begun they are not.
func (r *row) hasSettings() bool { return r.Config.Batch > 0 }

// list is the runs: those there are, those that are shown, in which order, and the
// one that keys act on.
type list struct {
	rows     map[string]*row // by folder
	shown    []*row          // that the query means, in order
	query    survey.Query
	text     string // of the query
	order    int    // index into orders
	reversed bool

	chosen  string   // folder; "": the first
	sought  string   // folder of a run or a comparison, to be chosen once it is shown
	at      int      // where it is in shown
	first   int      // row of shown at the window's top
	marks   []string // folders, in the order in which they were marked
	numbers []bool   // which numbers marks have, from 1
	listed  bool     // all folders have been read
	live    int      // how many are
	paused  int
	failed  int
	epochs  int  // the most that a run has
	jobs    bool // some run has a job

	problem string // a folder can't be read
	stale   bool   // shown is to be made anew
}

func newList() *list { return &list{rows: make(map[string]*row), stale: true} }

// An ordering is what the list can be sorted by.
type ordering struct {
	name    string
	compare func(a, b *row) int
}

// orders are the ways to sort the list, each with what a person wants to see first
// at the top.
var orders = []ordering{
	{"newest", func(a, b *row) int { return b.Created.Compare(a.Created) }},
	{"name", func(a, b *row) int { return format.CompareNames(a.Name, b.Name) }},
	{"state", func(a, b *row) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.State, b.State)) }},
	{"best val_acc", func(a, b *row) int { return cmp.Compare(best(b), best(a)) }},
	{"epochs", func(a, b *row) int { return cmp.Compare(b.Epoch, a.Epoch) }},
	{"images a second", func(a, b *row) int { return cmp.Compare(b.ImagesPerSecond, a.ImagesPerSecond) }},
	{"machine", func(a, b *row) int { return format.CompareNames(a.Machine(), b.Machine()) }},
}

// rank puts what is at work before what is not.
func rank(r *row) int {
	switch {
	case r.Problem != "":
		return 3
	case r.Live:
		return 0
	case r.State == survey.NotBegun:
		return 1
	}
	return 2
}

func best(r *row) float64 {
	if r.BestEpoch == 0 {
		return -1
	}
	return float64(r.BestValAcc)
}

// learn takes up what has changed.
func (l *list) learn(u survey.Update, now time.Time) {
	for _, r := range u.Runs {
		old := l.rows[r.Folder]
		if old == nil {
			old = &row{}
			l.rows[r.Folder] = old
		}
		old.Run = r
	}
	for _, folder := range u.Gone {
		l.unmark(folder)
		delete(l.rows, folder)
	}
	l.listed, l.problem = u.Listed, u.Problem
	l.live, l.paused, l.failed, l.epochs = 0, 0, 0, 0
	for _, r := range l.rows {
		l.epochs = max(l.epochs, r.Epochs, r.Epoch)
		switch {
		case r.Paused():
			l.live++
			l.paused++
		case r.Live:
			l.live++
		case r.Outcome == "failed" || r.Outcome == "diverged":
			l.failed++
		}
	}
	l.stale = true
}

// learnJobs takes up what the scheduler knows.
func (l *list) learnJobs(jobs map[string]runs.Job) {
	l.jobs = false
	for folder, r := range l.rows {
		r.job = jobs[folder]
		l.jobs = l.jobs || r.job != runs.Job{}
	}
	l.stale = true
}

// settle makes ready what is shown, and holds what is chosen to what there is, in
// a window of so many rows.
func (l *list) settle(now time.Time, rows int) {
	if l.stale {
		l.arrange(now)
		l.find()
		l.stale = false
	}
	if i := slices.IndexFunc(l.shown, func(r *row) bool { return r.Folder == l.chosen }); i >= 0 && l.chosen != "" {
		l.at = i
	} else if l.chosen == "" {
		l.at = 0
	}
	l.at = max(0, min(l.at, len(l.shown)-1))
	rows = max(rows, 1)
	margin := min(2, (rows-1)/2)
	l.first = min(l.first, l.at-margin)
	l.first = max(l.first, l.at-rows+1+margin)
	l.first = max(0, min(l.first, len(l.shown)-rows))
}

// arrange chooses what is shown and sorts it.
func (l *list) arrange(now time.Time) {
	l.shown = l.shown[:0]
	for _, r := range l.rows {
		if l.query.Holds(survey.Asked{Run: r.Run, Job: r.job, Marked: r.mark > 0, Now: now}) {
			l.shown = append(l.shown, r)
		}
	}
	compare := orders[l.order].compare
	slices.SortFunc(l.shown, func(a, b *row) int {
		c := compare(a, b)
		if l.reversed {
			c = -c
		}
		if c == 0 {
			c = cmp.Or(b.Created.Compare(a.Created), format.CompareNames(a.Name, b.Name), cmp.Compare(a.Folder, b.Folder))
		}
		return c
	})
}

// ask changes which runs are shown.
func (l *list) ask(text string) {
	if text != l.text {
		l.text, l.query, l.stale = text, survey.Parse(text), true
	}
}

// chosenRow is the run that keys act on; nil: there is none.
func (l *list) chosenRow() *row {
	if l.at < len(l.shown) {
		return l.shown[l.at]
	}
	return nil
}

// move chooses the run d rows further down.
func (l *list) move(d int) {
	if n := len(l.shown); n > 0 {
		l.at = max(0, min(l.at+d, n-1))
		l.chosen, l.sought = l.shown[l.at].Folder, ""
	}
}

// choose chooses a run by its folder, or the first of a comparison's, as soon as it
// is shown.
func (l *list) choose(folder string) { l.sought, l.stale = folder, true }

// find chooses what is sought, where it is shown.
func (l *list) find() {
	i := slices.IndexFunc(l.shown, func(r *row) bool { return same(r.Folder, l.sought) || same(r.Comparison, l.sought) })
	if i >= 0 {
		l.chosen, l.sought = l.shown[i].Folder, ""
	}
}

// toggle marks the chosen run, or takes its mark away.
func (l *list) toggle() {
	r := l.chosenRow()
	switch {
	case r == nil:
	case r.mark > 0:
		l.unmark(r.Folder)
	default:
		l.mark(r)
	}
}

func (l *list) mark(r *row) {
	if r.mark == 0 {
		r.mark = l.freeMark()
		l.marks = append(l.marks, r.Folder)
		l.stale = true
	}
}

// freeMark is the least number that no marked run has: those of the others stay.
func (l *list) freeMark() int {
	n := 1 + slices.Index(append(l.numbers, false), false)
	if n > len(l.numbers) {
		l.numbers = append(l.numbers, true)
	}
	l.numbers[n-1] = true
	return n
}

func (l *list) unmark(folder string) {
	i := slices.Index(l.marks, folder)
	if i < 0 {
		return
	}
	l.marks = slices.Delete(l.marks, i, i+1)
	if r := l.rows[folder]; r != nil {
		l.numbers[r.mark-1], r.mark = false, 0
	}
	l.stale = true
}

// markShown marks all runs that are shown or, where they are, takes their marks
// away.
func (l *list) markShown() {
	if slices.ContainsFunc(l.shown, func(r *row) bool { return r.mark == 0 }) {
		for _, r := range l.shown {
			l.mark(r)
		}
		return
	}
	for _, r := range l.shown {
		l.numbers[r.mark-1], r.mark = false, 0
	}
	l.marks = slices.DeleteFunc(l.marks, func(f string) bool { return l.rows[f].mark == 0 })
	l.stale = true
}

func (l *list) unmarkAll() {
	for _, r := range l.rows {
		r.mark = 0
	}
	l.marks, l.numbers, l.stale = nil, nil, true
}

// marked are the marked runs in the order in which they were.
func (l *list) marked() []*row {
	rows := make([]*row, 0, len(l.marks))
	for _, f := range l.marks {
		if r := l.rows[f]; r != nil {
			rows = append(rows, r)
		}
	}
	return rows
}

// meant are the runs that a key acts on: those that are marked or, where none is,
// the chosen one.
func (l *list) meant() []*row {
	if rows := l.marked(); len(rows) > 0 {
		return rows
	}
	if r := l.chosenRow(); r != nil {
		return []*row{r}
	}
	return nil
}

// runIn is the folder of a run in a comparison's folder, by which that is looked at;
// a run's own is its own.
func (l *list) runIn(folder string) string {
	for f, r := range l.rows {
		if r.Comparison == folder {
			return f
		}
	}
	return folder
}

// same reports whether two paths are of one folder.
func same(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if a == b {
		return true
	}
	x, err := filepath.Abs(a)
	if err != nil {
		return false
	}
	y, err := filepath.Abs(b)
	return err == nil && x == y
}

func parent(folder string) string { return filepath.Dir(folder) }
