package runs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"cifartui/train/config"
	"cifartui/train/record"
)

// Read reads the runs that folders stand for, comparisons included, each once.
// Runs of the same name are called by as much of their paths as tells them apart:
// a/runs/x and b/runs/x.
func Read(folders ...string) ([]*record.Run, error) {
	var members []string
	for _, folder := range folders {
		list, err := config.RunFolders(folder)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			abs, err := filepath.Abs(f)
			if err != nil {
				return nil, fmt.Errorf("run %s: %w", f, err)
			}
			if !slices.Contains(members, abs) {
				members = append(members, abs)
			}
		}
	}
	names := distinct(members)
	var runs []*record.Run
	for i, f := range members {
		h, err := record.Read(f)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", f, err)
		}
		h.Name = names[i]
		runs = append(runs, h)
	}
	return runs, nil
}

// distinct are the last parts of different paths: as many of each as none of the
// others ends in.
func distinct(paths []string) []string {
	names := make([]string, len(paths))
	for i, p := range paths {
		parts := strings.Split(filepath.ToSlash(p), "/")
		for n := 1; n <= len(parts); n++ {
			names[i] = strings.Join(parts[len(parts)-n:], "/")
			if !slices.ContainsFunc(paths, func(o string) bool { return o != p && hasTail(o, names[i]) }) {
				break
			}
		}
	}
	return names
}

// hasTail reports whether a path ends in the parts of tail.
func hasTail(path, tail string) bool {
	return strings.HasSuffix("/"+filepath.ToSlash(path), "/"+tail)
}
