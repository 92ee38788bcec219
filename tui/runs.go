package tui

import (
	"slices"
	"sort"
	"strings"

	"cifartui/train/record"
	"cifartui/train/runs"
	"cifartui/tui/format"
)

// runList is the runs of a screen, in the order of their names, and the one of
// them that the views show and keys act on.
type runList struct {
	all      []*run
	selected int
	chose    bool // whether a person chose it
	order    order
	labels   []string // by what sets the runs apart
}

// An order is what runs are sorted by where they are shown side by side.
type order int

const (
	orderName order = iota
	orderBest
	orderSpeed
	orderBatch
	orders
)

var orderNames = [orders]string{"name", "best val_acc", "images a second", "batch size"}

// named returns the run of that name, a new one when it is not known yet. Runs
// stand in the order of their names, as those of a comparison begin all at once
// and in any order. The first is shown until a person chooses.
func (l *runList) named(name string) *run {
	at := len(l.all)
	for i, r := range l.all {
		if r.Name == name {
			return r
		}
		if at > i && format.CompareNames(name, r.Name) < 0 {
			at = i
		}
	}
	r := newRun(name)
	l.all = slices.Insert(l.all, at, r)
	if l.selected >= at && l.chose {
		l.selected++
	}
	l.relabel()
	return r
}

// relabel names the runs anew by the settings that set them apart.
func (l *runList) relabel() {
	if !l.several() {
		l.labels = nil
		return
	}
	var all []*record.Run
	for _, o := range l.all {
		all = append(all, &o.Run)
	}
	l.labels = runs.Labels(all)
}

// label names a run by the settings that set it apart from the others.
func (l *runList) label(r *run) string {
	if i := l.number(r); i >= 0 && i < len(l.labels) {
		return l.labels[i]
	}
	return r.Name
}

// briefly names runs for a legend: "64" and "128" by "batch" where they are
// called "batch 64" and "batch 128".
func (l *runList) briefly(rs []*run) (short []string, by string) {
	for i, r := range rs {
		word, value, ok := strings.Cut(l.label(r), " ")
		if !ok || strings.Contains(value, " ") || i > 0 && word != by {
			short = nil
			break
		}
		short, by = append(short, value), word
	}
	if short == nil {
		for _, r := range rs {
			short = append(short, l.label(r))
		}
		return short, "run"
	}
	return short, by
}

// number is the number of the run's colour and stroke.
func (l *runList) number(r *run) int { return slices.Index(l.all, r) }

// current returns the run that the views show and keys act on, nil before the
// first event.
func (l *runList) current() *run {
	if l.selected < len(l.all) {
		return l.all[l.selected]
	}
	return nil
}

// move selects the run that is d further in the order in which they are shown.
func (l *runList) move(d int) {
	l.chose = true
	order := l.ordered()
	if i := slices.Index(order, l.current()); i >= 0 {
		l.selected = l.number(order[(i+d+len(order))%len(order)])
	}
}

// ordered returns all runs in the order in which they are shown.
func (l *runList) ordered() []*run {
	rs := slices.Clone(l.all)
	key := func(r *run) float64 {
		switch l.order {
		case orderBest:
			return -r.bestAcc().value
		case orderSpeed:
			return -r.imagesPerSecond()
		case orderBatch:
			return float64(r.Started.Config.Batch)
		}
		return 0
	}
	sort.SliceStable(rs, func(i, j int) bool { return key(rs[i]) < key(rs[j]) })
	return rs
}

// visible returns the runs that are not hidden, in the order in which they are
// shown.
func (l *runList) visible() []*run {
	return slices.DeleteFunc(l.ordered(), func(r *run) bool { return r.hidden })
}

func (l *runList) hasRun() bool { return l.current() != nil }

func (l *runList) several() bool { return len(l.all) > 1 }

// atWork reports whether some run is training.
func (l *runList) atWork() bool {
	return slices.ContainsFunc(l.all, (*run).atWork)
}

// allEnded reports whether there are runs and all have ended.
func (l *runList) allEnded() bool {
	return len(l.all) > 0 && !slices.ContainsFunc(l.all, func(r *run) bool { return r.Ended == nil })
}
