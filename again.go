package main

import (
	"fmt"
	"io"
	"path/filepath"
	"reflect"

	"cifartui/train/config"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
	"cifartui/train/runs"
)

// --resume-or-start is for schedulers, which start one command line again and
// again: the first time it begins the run called --name, then it goes on with it,
// and once that is finished it has nothing to do. Who comes first is settled by
// the folder's lock, see [rundir.Unbegun].

// again makes the settings those of a resume if the run called Name has begun.
func (s *settings) again() error {
	folder := filepath.Join(s.Runs, s.Name)
	switch {
	case rundir.IsComparison(folder):
		file, err := config.ReadComparison(folder)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(file.Sweeps, s.sweeps) {
			return usage("--resume-or-start: %s is a comparison of %v, and these settings ask for %v: choose another --name", folder, file.Sweeps, s.sweeps)
		}
		for _, sweep := range s.sweeps {
			delete(s.Given, sweep.Key) // each run has its own
		}
	case rundir.IsRun(folder):
		if len(s.sweeps) > 0 {
			return usage("--resume-or-start: %s is one run, no comparison: choose another --name", folder)
		}
	default:
		return nil
	}
	s.Resume = folder
	return nil
}

// done reports whether the run to be resumed or started has come to its end and
// these settings give it nothing more to train.
func (s *settings) done() bool {
	if !s.Again || s.Resume == "" || s.child {
		return false
	}
	folders, err := config.RunFolders(s.Resume)
	if err != nil {
		return false // what is wrong is told when it is opened
	}
	for _, folder := range folders {
		saved, _, err := config.Read(folder)
		if err != nil || !s.over(saved).TrainsAs(saved) {
			return false
		}
		info, err := runs.Inspect(folder)
		// One run that has diverged is tried again, as by --resume; the others of a
		// comparison are not to wait for that.
		diverged := info.Outcome == event.OutcomeDiverged && len(folders) == 1
		if err != nil || info.Live || !info.Outcome.Over() || diverged {
			return false
		}
	}
	return true
}

// sayDone tells how a run has ended that there is nothing left to do for. The
// error is that of the end, for the exit code.
func sayDone(s settings, out io.Writer) error {
	list, err := runs.Read(s.Resume)
	if err != nil {
		return err
	}
	text := s.LogFormat == "text"
	if text {
		fmt.Fprintf(out, "%s is finished already: nothing is left to train\n", s.Resume)
	}
	ended := map[string]*event.RunEnded{}
	for _, r := range list {
		ended[r.Name] = r.Ended
		report := record.Report{Out: io.Discard, Err: io.Discard, JSON: !text, Names: len(list) > 1}
		if r.Started != nil { // it says how the accuracies are called
			report.Write(r.Started)
		}
		report.Out = out
		if r.Ended != nil {
			report.Write(r.Ended)
		}
	}
	return worst(control.Target{Folder: s.Resume}, ended)
}
