// Package survey keeps an eye on all runs of some folders: which there are, how
// each stands, what was added to its record. It is what a screen over all runs is
// drawn from.
//
// A shared file system tells nobody of changes, so it is looked at, cheaply: what
// a run folder holds is read once, the newest runs first and several side by side
// ([Watcher.Run] in watcher.go). From then on a folder is looked at for new runs
// by its time, and a run by the size of its record, of which only what was added
// is read (entry.go). Live runs are looked at every second, the others now and
// then; looks are spread over time, and their number a second is bounded.
//
// What is told is a [Run], which never changes: a run that has changed is told
// anew. query.go says which runs a person means by "batch=64 lr>0.1 running".
package survey

import (
	"cmp"
	"math"
	"path/filepath"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/runs"
)

// Run is one run as of some moment. It is never changed.
type Run struct {
	runs.Info // Name has the comparison's name in front, Folder is what it is known by

	Comparison string // the comparison's folder; "" for a run by itself
	Config     config.Config
	About      config.About

	// At is the epoch under way, Step of Steps batches done in it.
	At, Step, Steps int
	// ImagesPerSecond is that of the newest step or epoch; 0: not known.
	ImagesPerSecond float64
	// Elapsed is the training time so far in seconds; 0: not known.
	Elapsed float64
	// Remaining is about how many seconds of training are left; -1: not known.
	Remaining float64
	// LearnRate is the newest rate; 0: not known.
	LearnRate float64
	// Points are the epochs done, in order.
	Points []Point
	// Timed is set when the points tell their times.
	Timed bool
	// Elsewhere is set when another machine trained it last, or does.
	Elsewhere bool
	// Error says what went wrong with a run that failed.
	Error string
}

// Point is an epoch of a run.
type Point struct {
	Epoch   int
	Images  float64 // trained up to its end; NaN: not known
	Seconds float64 // of training up to its end; NaN: not known

	Acc, Loss, ValAcc, ValLoss float32
}

// Paused reports whether the run is live and waits for a person.
func (r *Run) Paused() bool { return r.Live && r.State == string(event.StatePaused) }

// begun reports whether the run's folder is there.
func (r *Run) begun() bool { return r.State != NotBegun }

// NotBegun is the state of a run that its comparison names and that has no folder
// yet.
const NotBegun = "not begun"

// newRun makes the Run of what an entry knows, described as in a list.
func newRun(e *entry, info runs.Info) *Run {
	run := e.follower.Run()
	r := &Run{Info: info, Comparison: e.comparison, Config: e.config, About: e.about, Points: e.points, Timed: e.follower.Whole()}
	r.At, r.Step, r.Steps = run.Position()
	if r.Epochs == 0 { // of settings that cannot be read
		r.Epochs = run.EpochsInAll()
	}
	if last := run.LastEpoch(); last != nil {
		r.ImagesPerSecond = last.ImagesPerSecond
	}
	if run.Step != nil && run.Step.ImagesPerSecond > 0 && run.Ended == nil {
		r.ImagesPerSecond = run.Step.ImagesPerSecond
	}
	if r.Steps == 0 && r.At > 1 {
		r.At-- // between two epochs, and nothing is known of the next
	}
	r.Elapsed, r.LearnRate = run.Elapsed(), run.LearnRate()
	r.Remaining = remaining(r, run)
	if run.Ended != nil {
		r.Error = run.Ended.Error
	}
	return r
}

// remaining estimates the seconds that are left from what was done so far, those of a
// run with a budget from what its plan expects: it knows that epochs on smaller images
// are short.
func remaining(r *Run, run *record.Run) float64 {
	part := run.Progress(r.Config)
	switch {
	case !r.Live || part <= 0 || r.Elapsed <= 0:
		return -1
	case r.Config.Budget > 0 && run.Planned != nil:
		return max(0, run.Planned.Seconds-r.Elapsed)
	}
	return r.Elapsed * (1 - part) / part
}

// pointsOf makes points of a run's epochs, from number from on, added to those before.
func pointsOf(points []Point, run *record.Run, from, batch int) []Point {
	epochs, aStep := run.Epochs, float64(batch)
	if n := len(epochs); n > 0 && epochs[n-1].Batch > 0 {
		aStep = float64(epochs[n-1].Batch)
	}
	if run.Started != nil {
		aStep = cmp.Or(run.Started.ImagesAStep(), aStep)
	}
	perEpoch := math.NaN()
	if steps := run.WholeSteps(); steps > 0 {
		perEpoch = steps * aStep
	}
	for _, e := range epochs[from:] {
		p := Point{
			Epoch: e.Epoch, Images: perEpoch * float64(e.Epoch), Seconds: math.NaN(),
			Acc: float32(e.Acc), Loss: float32(e.Loss), ValAcc: float32(e.ValAcc), ValLoss: float32(e.ValLoss),
		}
		if e.Elapsed > 0 {
			p.Seconds = e.Elapsed
		}
		if e.Total > 0 && aStep > 0 {
			p.Images = float64(e.Total) * aStep
		}
		points = append(points, p)
	}
	return points
}

// name is what a run is called: with its comparison's name in front, and where
// several folders are watched with that of its folder.
func name(root, comparison, folder string, several bool) string {
	n := filepath.Base(folder)
	if comparison != "" {
		n = filepath.Base(comparison) + "/" + n
	}
	if several && root != comparison && root != folder {
		n = filepath.Base(root) + "/" + n
	}
	return n
}
