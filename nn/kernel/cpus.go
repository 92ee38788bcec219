package kernel

// UsableCPUs returns the number of processors that this process may keep busy,
// at least 1: those it may run on (its affinity, as taskset and cpusets set it),
// or fewer if a cgroup grants it less time (as containers do).
func UsableCPUs() int { return usableCPUs() }
