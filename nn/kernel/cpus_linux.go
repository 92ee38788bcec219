package kernel

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

func usableCPUs() int {
	// runtime.NumCPU counts the affinity that the process started with.
	return cpuLimit(os.DirFS("/"), runtime.NumCPU())
}

// cpuLimit returns affinity, or the quota of the cgroup of this process if that
// is less, rounded to whole processors. root is the file system from / down.
// What can't be read sets no limit.
func cpuLimit(root fs.FS, affinity int) int {
	quota := math.Inf(1)
	for _, g := range cpuGroups(root) {
		for dir := g.dir; ; dir = path.Dir(dir) {
			quota = min(quota, g.quota(root, dir))
			if dir == g.mount || dir == "." {
				break
			}
		}
	}
	return max(1, int(min(float64(affinity), math.Round(quota))))
}

// cpuGroup is a cgroup of this process in a hierarchy that limits processor
// time. Paths are relative to /.
type cpuGroup struct {
	mount, dir string // where the hierarchy is mounted; the group's own folder
	quota      func(root fs.FS, dir string) float64
}

// cpuGroups finds the groups by the two files that say which they are (man 7
// cgroups) and where they are mounted (man 5 proc).
func cpuGroups(root fs.FS) (groups []cpuGroup) {
	mounts := lines(root, "proc/self/mountinfo")
	for _, line := range lines(root, "proc/self/cgroup") {
		// hierarchy-ID:controllers:path; version 2 has ID 0, no controllers.
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		kind, option, quota := "cgroup2", "", quotaV2
		if f[0] != "0" {
			if !slices.Contains(strings.Split(f[1], ","), "cpu") {
				continue
			}
			kind, option, quota = "cgroup", "cpu", quotaV1
		}
		for _, m := range mounts {
			mount, inside, ok := findMount(m, kind, option)
			if !ok {
				continue
			}
			// A container may see only its own part of the hierarchy,
			// mounted as if it were the whole.
			rel, under := strings.CutPrefix(path.Clean("/"+f[2]), strings.TrimSuffix(inside, "/"))
			if !under {
				rel = ""
			}
			groups = append(groups, cpuGroup{mount, path.Join(mount, rel), quota})
			break
		}
	}
	return groups
}

// findMount reads a line of mountinfo:
//
//	36 35 98:0 /inside /mount rw,noatime master:1 - kind source rw,option
func findMount(line, kind, option string) (mount, inside string, ok bool) {
	head, tail, ok := strings.Cut(line, " - ")
	h, t := strings.Fields(head), strings.Fields(tail)
	if !ok || len(h) < 5 || len(t) < 3 || t[0] != kind {
		return "", "", false
	}
	if option != "" && !slices.Contains(strings.Split(t[2], ","), option) {
		return "", "", false
	}
	return strings.TrimPrefix(path.Clean(h[4]), "/"), path.Clean(h[3]), true
}

// quotaV2 reads "max 100000" or "150000 100000": microseconds of processor time
// a period.
func quotaV2(root fs.FS, dir string) float64 {
	l := lines(root, path.Join(dir, "cpu.max"))
	if len(l) == 0 {
		return math.Inf(1)
	}
	f := strings.Fields(l[0])
	if len(f) != 2 {
		return math.Inf(1)
	}
	return ratio(f[0], f[1])
}

func quotaV1(root fs.FS, dir string) float64 {
	q := lines(root, path.Join(dir, "cpu.cfs_quota_us"))
	p := lines(root, path.Join(dir, "cpu.cfs_period_us"))
	if len(q) == 0 || len(p) == 0 {
		return math.Inf(1)
	}
	return ratio(q[0], p[0])
}

// ratio returns quota / period, or no limit for "max", -1 and nonsense.
func ratio(quota, period string) float64 {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || !(q > 0 && p > 0) {
		return math.Inf(1)
	}
	return q / p
}

func lines(root fs.FS, name string) []string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}
