// Package runs is about many runs: it finds the one that a person means
// (find.go), lists those in a folder, compares them in a table with findings,
// and removes what is not needed any more.
package runs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cifartui/cifar/plain"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// Info is what a list of runs shows of one run folder.
type Info struct {
	// Name is the folder's name, and behind a comparison's name that of the run.
	Name   string `json:"name"`
	Folder string `json:"folder"`
	// Problem says why the folder is no run, or what in it can't be read; then
	// the rest is what could be.
	Problem string `json:"problem,omitempty"`
	// Live is set while a process trains it; PID is that process, 0 if unknown.
	Live bool `json:"live"`
	PID  int  `json:"pid,omitempty"`
	// State is a [event.State] while the run is live, else an [event.Outcome] or
	// "interrupted".
	State string `json:"state"`
	// Outcome is how it ended; "" while it lives and after a kill.
	Outcome event.Outcome `json:"outcome,omitempty"`
	// Data names the data set; the demo set is "demo".
	Data string `json:"data"`
	Demo bool   `json:"demo"`
	// Batch, Optimizer, LR, Epochs and Monitor are settings. LR is 0 for the optimizer's
	// own.
	Batch     int     `json:"batch"`
	Optimizer string  `json:"optimizer"`
	LR        float64 `json:"lr"`
	Epochs    int     `json:"epochs"`
	// Monitor is what the best epoch is chosen by: val_acc or val_loss.
	Monitor string `json:"monitor"`
	// Epoch is how many epochs are done.
	Epoch int `json:"epoch"`
	// BestValAcc came in epoch BestEpoch; 0: none yet.
	BestValAcc event.Float `json:"best_val_acc"`
	BestEpoch  int         `json:"best_epoch"`
	// Created is when the run began, Updated the time of its newest event: neither
	// changes when the folder is copied.
	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
}

// MarshalJSON has null for what is not known or not there yet, in the place of a 0
// that could be taken for a value.
func (r Info) MarshalJSON() ([]byte, error) {
	type plain Info
	v := struct {
		plain
		Batch      *int         `json:"batch"`
		LR         *float64     `json:"lr"`
		Epochs     *int         `json:"epochs"`
		Epoch      *int         `json:"epoch"`
		BestValAcc *event.Float `json:"best_val_acc"`
		BestEpoch  *int         `json:"best_epoch"`
	}{plain: plain(r), Batch: known(r.Batch), LR: known(r.LR), Epochs: known(r.Epochs), BestEpoch: known(r.BestEpoch)}
	if r.Epoch > 0 || r.Problem == "" {
		v.Epoch = &r.Epoch
	}
	if r.BestEpoch > 0 {
		v.BestValAcc = &r.BestValAcc
	}
	return json.Marshal(v)
}

// known is nil for a zero.
func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// Interrupted is the state of a run whose process died without a last word.
const Interrupted = "interrupted"

// List describes every folder in runs, and every run of the comparisons there,
// sorted by name; of a run folder, that one. A folder that is no run or is
// damaged is described as that.
// It reads the settings, the table of epochs and the end of the record of each,
// not the whole record.
func List(runs string) ([]Info, error) {
	if rundir.IsRun(runs) {
		return []Info{inspect(runs)}, nil
	}
	list := []Info{} // an empty list is one in JSON too
	entries, err := os.ReadDir(runs)
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err != nil {
		return nil, fmt.Errorf("runs folder: %w", err)
	}
	for _, e := range entries {
		folder := filepath.Join(runs, e.Name())
		// Links to folders count: people keep big ones on other disks.
		if st, err := os.Stat(folder); strings.HasPrefix(e.Name(), ".") || err == nil && !st.IsDir() {
			continue
		}
		if !rundir.IsComparison(folder) {
			list = append(list, inspect(folder))
			continue
		}
		members, err := config.RunFolders(folder)
		if err != nil {
			list = append(list, Info{Name: e.Name(), Folder: folder, Problem: err.Error()})
		}
		for _, member := range members {
			info := inspect(member)
			info.Name = e.Name() + "/" + filepath.Base(member)
			list = append(list, info)
		}
	}
	return list, nil
}

// Inspect describes one run folder. A damaged one is no error but has a Problem.
func Inspect(folder string) (Info, error) {
	if _, err := os.Stat(folder); err != nil {
		return Info{}, fmt.Errorf("run folder: %w", err)
	}
	return inspect(folder), nil
}

func inspect(folder string) Info {
	if !isFolder(folder) {
		info := Info{Name: filepath.Base(folder), Folder: folder}
		info.problem("not a run folder")
		return info
	}
	config, about, cerr := config.ReadQuick(folder)
	pid, live := rundir.Live(folder)
	run, err := record.Glance(folder)
	LearnPlan(folder, config, run)
	info := Describe(folder, config, about, run, pid, live)
	info.Explain(cerr, err)
	return info
}

// LearnPlan tells a run with a budget what fits that, where its record was not read
// far enough to say so: all epochs that were done, of one that is finished, and else
// what its checkpoint knows, unless that is of before a newer plan.
func LearnPlan(folder string, config config.Config, run *record.Run) {
	if config.Budget == 0 || run.Planned != nil {
		return
	}
	epochs := run.EpochsInAll()
	if e := run.Ended; e != nil && epochs == 0 && e.Outcome == event.OutcomeFinished && config.MaxSteps == 0 {
		run.Planned = &event.Planned{Epochs: run.EpochsDone()}
		return
	}
	if p := checkpoint.PlanOf(folder); p != nil && (epochs == 0 || epochs == p.Epochs) {
		budget := float64(config.Budget) // which the plan is to take
		run.Planned = &event.Planned{Epochs: p.Epochs, LastSteps: p.LastSteps, Budget: budget, Seconds: budget}
	}
}

// Describe says of a run folder what a list shows: by its settings, what its
// record adds up to, and the process that trains it.
func Describe(folder string, config config.Config, about config.About, run *record.Run, pid int, live bool) Info {
	info := Info{Name: filepath.Base(folder), Folder: folder, State: Interrupted, PID: pid, Live: live}
	info.Data, info.Demo = about.Dataset, about.Dataset == "demo"
	info.Batch, info.Optimizer, info.LR, info.Epochs = config.Batch, config.Optimizer, config.LR, config.Epochs
	if config.Budget > 0 {
		info.Epochs = cmp.Or(run.EpochsInAll(), config.Epochs)
	}
	info.Monitor = config.Monitor
	info.Created, _ = time.Parse(time.RFC3339, about.Created) // a foreign one has none
	info.Updated = info.Created
	if run.Time.After(info.Updated) {
		info.Updated = run.Time
	}
	switch {
	case info.Live:
		info.State = string(cmp.Or(run.State, event.StateStarting))
	case run.Ended != nil:
		info.Outcome = run.Ended.Outcome
		info.State = string(info.Outcome)
	}
	info.Epoch = run.EpochsDone()
	info.BestValAcc, info.BestEpoch = run.Best()
	return info
}

// Explain makes problems of what went wrong as the settings and the record were
// read; nil is nothing. A record that is missing is no problem of a run that has
// only begun.
func (r *Info) Explain(settings, record error) {
	if settings != nil {
		r.problem("%v", settings)
	}
	switch missing := errors.Is(record, fs.ErrNotExist); {
	case missing && !r.Live:
		r.problem("%s is missing", rundir.EventsFile)
	case record != nil && !missing:
		r.problem("%v", record)
	}
}

func (r *Info) problem(format string, args ...any) {
	if r.Problem == "" {
		r.Problem = fmt.Sprintf(format, args...)
	}
}

// SortKeys are the columns that a list can be sorted by.
func SortKeys() []string {
	return []string{"name", "state", "data", "batch", "epoch", "best", "created", "updated"}
}

// Sort sorts a list by one of [SortKeys]; "-best" is best in reverse.
func Sort(list []Info, key string) error {
	key, reverse := strings.CutPrefix(key, "-")
	compare := map[string]func(a, b Info) int{
		"name":    func(a, b Info) int { return cmp.Compare(a.Name, b.Name) },
		"state":   func(a, b Info) int { return cmp.Compare(a.State, b.State) },
		"data":    func(a, b Info) int { return cmp.Compare(a.Data, b.Data) },
		"batch":   func(a, b Info) int { return cmp.Compare(a.Batch, b.Batch) },
		"epoch":   func(a, b Info) int { return cmp.Compare(a.Epoch, b.Epoch) },
		"best":    func(a, b Info) int { return cmp.Compare(a.BestValAcc, b.BestValAcc) },
		"created": func(a, b Info) int { return a.Created.Compare(b.Created) },
		"updated": func(a, b Info) int { return a.Updated.Compare(b.Updated) },
	}[key]
	if compare == nil {
		return fmt.Errorf("sort by %q: want one of %s, or - and one of them", key, strings.Join(SortKeys(), ", "))
	}
	slices.SortStableFunc(list, func(a, b Info) int {
		if reverse {
			a, b = b, a
		}
		return compare(a, b)
	})
	return nil
}

// FilterKeys are what a list can be filtered by.
func FilterKeys() []string {
	return []string{"name", "state", "live", "data", "batch", "optimizer", "problem"}
}

// Filter keeps the runs for which every filter holds: "state=finished",
// "live=true", "batch=64", "data=demo", "optimizer=adam", "problem=false", and
// "name=run-1" for the run or comparison of that name, "name=run-*" for those that
// a pattern fits (see [path.Match]).
func Filter(list []Info, filters []string) ([]Info, error) {
	for _, f := range filters {
		key, want, found := strings.Cut(f, "=")
		if _, err := path.Match(want, ""); key == "name" && err != nil {
			return nil, fmt.Errorf("filter %q: %w: a [ has no ]", f, err)
		}
		if !found || !slices.Contains(FilterKeys(), key) {
			return nil, fmt.Errorf("filter %q: want KEY=VALUE with a key of %s", f, strings.Join(FilterKeys(), ", "))
		}
		list = slices.DeleteFunc(slices.Clone(list), func(r Info) bool {
			switch key {
			case "name":
				return !isNamed(r.Name, want)
			case "state":
				return r.State != want
			case "live":
				return fmt.Sprint(r.Live) != want
			case "data":
				return !strings.EqualFold(r.Data, want)
			case "batch":
				return fmt.Sprint(r.Batch) != want
			case "optimizer":
				return r.Optimizer != want
			default:
				return fmt.Sprint(r.Problem != "") != want
			}
		})
	}
	return list, nil
}

// isNamed reports whether a run's name is the one wanted or fits it as a pattern,
// or that of its comparison does.
func isNamed(name, want string) bool {
	comparison, _, _ := strings.Cut(name, "/")
	for _, n := range []string{name, comparison} {
		if fits, err := path.Match(want, n); n == want || err == nil && fits {
			return true
		}
	}
	return false
}

// Write writes a list as text in columns, ages counted up to now.
func Write(w io.Writer, list []Info, now time.Time) error {
	rows := [][]string{{"name", "state", "data", "batch", "epochs", "best val_acc", "at", "age", ""}}
	for _, r := range list {
		row := []string{r.Name, strings.ReplaceAll(r.State, "_", " "), r.Data, "-", "-", "-", "-", "-", r.Problem}
		if r.Live {
			row[1] += " (live)"
		}
		if r.Epochs > 0 {
			row[3], row[4] = fmt.Sprint(r.Batch), fmt.Sprintf("%d/%d", r.Epoch, r.Epochs)
		}
		if r.BestEpoch > 0 {
			row[5], row[6] = fmt.Sprintf("%.2f%%", 100*float64(r.BestValAcc)), fmt.Sprint(r.BestEpoch)
		}
		if !r.Updated.IsZero() {
			row[7] = age(now.Sub(r.Updated))
		}
		rows = append(rows, row)
	}
	_, err := io.WriteString(w, plain.Columns(rows, 0, 1, 2, 8))
	return err
}

// age writes a duration in its largest unit: 45s, 12m, 5h, 3d.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
