package train

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"cifartui/nn"
	"cifartui/nn/kernel/cgroup"
	"cifartui/train/config"
)

// memoryOf is about how many bytes the networks of runs take when they are all
// built, and when only the largest are, as many as train at once.
func memoryOf(runs []config.Config, network func(config.Config) (nn.Spec, error), atOnce int) (all, largest int64, err error) {
	var each []int64
	for _, r := range runs {
		spec, err := network(r)
		if err != nil {
			return 0, 0, err
		}
		trained, err := spec.Footprint(r.Batch)
		if err != nil {
			return 0, 0, err
		}
		evaluated, err := spec.Footprint(evalBatch)
		if err != nil {
			return 0, 0, err
		}
		each = append(each, trained.Training+evaluated.Inference)
	}
	slices.Sort(each)
	for i, bytes := range each {
		all += bytes
		if i >= len(each)-atOnce {
			largest += bytes
		}
	}
	return all, largest, nil
}

// memoryNote says that runs take more memory together, or the largest of those
// that train at once, than the machine has free; "" when they don't or that is
// not known (0).
func memoryNote(order config.Order, atOnce int, all, largest, free int64) string {
	gb := func(n int64) float64 { return float64(n) / 1e9 }
	switch {
	case free == 0 || largest <= free && (all <= free || order == config.Sequential):
		return ""
	case largest <= free:
		return fmt.Sprintf("interleaved, these runs take about %.1f GB of memory, and %.1f GB is free: each gives its memory back after its epoch and takes it again before the next, which costs some time; --order sequential does not", gb(all), gb(free))
	case atOnce > 1:
		return fmt.Sprintf("the largest %d of these runs, which train at once, take about %.1f GB of memory, and %.1f GB is free: choose a smaller --parallel, or leave larger batches out", atOnce, gb(largest), gb(free))
	default:
		return fmt.Sprintf("the largest of these runs takes about %.1f GB of memory, and %.1f GB is free: leave larger batches out", gb(largest), gb(free))
	}
}

// loneMemoryNote is memoryNote for a run that trains alone.
func loneMemoryNote(needs, free int64) string {
	if free == 0 || needs <= free {
		return ""
	}
	return fmt.Sprintf("this run takes about %.1f GB of memory, and %.1f GB is free: the system may end it without a word; a smaller batch takes less", float64(needs)/1e9, float64(free)/1e9)
}

// FreeMemory is how many bytes of memory this process can take; 0 where that is
// not known.
func FreeMemory() int64 { return availableMemory(os.DirFS("/")) }

// availableMemory is how many bytes the process can take without swapping, by
// Linux's /proc/meminfo, and without reaching the limit of a control group; 0
// where neither is known. root is the file system from / down.
func availableMemory(root fs.FS) int64 {
	free, limited := cgroup.Memory(root)
	if b, err := fs.ReadFile(root, "proc/meminfo"); err == nil {
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			var kilobytes int64
			if n, _ := fmt.Sscanf(s.Text(), "MemAvailable: %d kB", &kilobytes); n == 1 {
				free, limited = min(free, kilobytes<<10), true
			}
		}
	}
	if !limited {
		return 0
	}
	return max(free, 1)
}
