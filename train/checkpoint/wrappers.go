package checkpoint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// wrappers are what PyTorch puts before the names of a network that was trained
// within DistributedDataParallel or DataParallel, or compiled.
var wrappers = []string{"module.", "_orig_mod."}

// withoutWrappers takes them off, as often as they are there, wherever a part
// of the name begins.
func withoutWrappers(name string) string {
	for {
		short := name
		for _, w := range wrappers {
			short = strings.ReplaceAll("."+short, "."+w, ".")[1:]
		}
		if short == name {
			return name
		}
		name = short
	}
}

// unwrap takes wrappers off the names of tensors, and says so. Names that would
// be the same after it are an error.
func unwrap(tensors []Tensor) (note string, err error) {
	seen, taken, n := map[string]string{}, map[string]bool{}, 0
	for i, t := range tensors {
		short := withoutWrappers(t.Name)
		if other, ok := seen[short]; ok {
			return "", fmt.Errorf("tensors %q and %q are both %q without what PyTorch puts before names", other, t.Name, short)
		}
		seen[short] = t.Name
		if short == t.Name {
			continue
		}
		n++
		for _, w := range wrappers {
			if strings.Contains("."+t.Name, "."+w) {
				taken[w] = true
			}
		}
		tensors[i].Name = short
	}
	if n == 0 {
		return "", nil
	}
	return fmt.Sprintf("%s taken off the names of %s", strings.Join(slices.Sorted(maps.Keys(taken)), " and "), tensorCount(n)), nil
}
