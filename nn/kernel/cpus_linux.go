package kernel

import (
	"io/fs"
	"math"
	"os"
	"runtime"

	"cifartui/nn/kernel/cgroup"
)

func usableCPUs() int {
	// runtime.NumCPU counts the affinity that the process started with.
	return cpuLimit(os.DirFS("/"), runtime.NumCPU())
}

// cpuLimit returns affinity, or the quota of the cgroups of this process if
// that is less, rounded to whole processors.
func cpuLimit(root fs.FS, affinity int) int {
	return max(1, int(min(float64(affinity), math.Round(cgroup.CPUs(root)))))
}
