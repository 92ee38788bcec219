package runs

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cifartui/train/record"
	"cifartui/train/rundir"
)

// Last is what a person calls the run trained last.
const Last = "last"

// Find returns the folder that a person means, for every command that takes a
// run:
//
//   - a name in the folder runs: of a run or of a comparison, or comparison/run
//     for one run of it;
//   - the path of such a folder;
//   - [Last] for what was trained last: the run or, where it is one of a
//     comparison, that.
//
// A name goes before a path. What was trained last is known by the times in the
// records, not by those of the files: a folder that was copied or unpacked is no
// newer than its original.
func Find(runs, which string) (string, error) {
	if which == Last {
		return findLast(runs)
	}
	for _, folder := range []string{filepath.Join(runs, which), which} {
		if isFolder(folder) {
			return named(folder)
		}
	}
	return "", fmt.Errorf("no run %q in %s, nor a run folder of that path%s: see \"cifartui runs\"", which, runs, hint(runs, which))
}

// named is a path whose last part is the folder's name, as "." is not.
func named(folder string) (string, error) {
	if base := filepath.Base(folder); base != "." && base != ".." {
		return folder, nil
	}
	return filepath.Abs(folder)
}

// isFolder reports whether a folder is a run's or a comparison's. One that has
// lost its settings still counts by its record: it can be looked at and removed.
func isFolder(folder string) bool {
	if rundir.IsRun(folder) || rundir.IsComparison(folder) {
		return true
	}
	st, err := os.Stat(filepath.Join(folder, rundir.EventsFile))
	return err == nil && st.Mode().IsRegular()
}

// hint says which run of a comparison may be meant by a bare name; "" for none.
func hint(runs, which string) string {
	list, err := filepath.Glob(filepath.Join(runs, "*", rundir.ComparisonFile))
	if err != nil || which == "" || strings.ContainsAny(which, `/\`) {
		return ""
	}
	for _, file := range list {
		comparison := filepath.Dir(file)
		if isFolder(filepath.Join(comparison, which)) {
			return fmt.Sprintf(" (did you mean %s/%s?)", filepath.Base(comparison), which)
		}
	}
	return ""
}

// findLast is Find for [Last].
func findLast(runs string) (string, error) {
	list, err := List(runs)
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(r Info) bool { return r.Updated.IsZero() })
	if len(list) == 0 {
		return "", fmt.Errorf("no run in %s yet: start one with \"cifartui\", or name another folder with --runs", runs)
	}
	last := slices.MaxFunc(list, func(a, b Info) int {
		return cmp.Or(
			a.Updated.Compare(b.Updated),
			boolean(isOriginal(a.Folder), isOriginal(b.Folder)),
			cmp.Compare(b.Name, a.Name))
	}).Folder
	if parent := filepath.Dir(last); rundir.IsComparison(parent) {
		return parent, nil
	}
	return last, nil
}

// boolean orders false before true.
func boolean(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// isOriginal reports whether a run folder is still called, it and the folder
// around it if that is a comparison, as when it was trained. Of folders whose
// records tell the same, the others are copies.
func isOriginal(folder string) bool {
	origin, err := record.Origin(folder)
	if err != nil {
		return false
	}
	same := filepath.Base(origin) == filepath.Base(folder)
	if parent := filepath.Dir(folder); same && rundir.IsComparison(parent) {
		return filepath.Base(filepath.Dir(origin)) == filepath.Base(parent)
	}
	return same
}
