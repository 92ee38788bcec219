// Package cgroup reads what Linux control groups allow this process: processor
// time and memory, in versions 1 and 2, through all groups from the process's
// own up to the root of the hierarchy. A container or a batch job that is over
// its memory is killed without a word, so it is worth a look before.
//
// What can't be read sets no limit. Every function takes the file system from /
// down, os.DirFS("/") outside of tests.
package cgroup

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// CPUs is how many processors' time the process may use: quota over period of
// the strictest group, +Inf without a limit.
func CPUs(root fs.FS) float64 {
	quota := math.Inf(1)
	for _, g := range groups(root, "cpu") {
		for dir := range g.upwards {
			if g.unified {
				quota = min(quota, quotaV2(root, dir))
			} else {
				quota = min(quota, quotaV1(root, dir))
			}
		}
	}
	return quota
}

// Memory is how many bytes more the process may use before the strictest group
// reaches its limit; false without a limit. Cached files that the system would
// give up first do not count as used.
func Memory(root fs.FS) (free int64, limited bool) {
	free = math.MaxInt64
	for _, g := range groups(root, "memory") {
		limit, used, cached := "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		if g.unified {
			limit, used, cached = "memory.max", "memory.current", "inactive_file"
		}
		for dir := range g.upwards {
			l, ok := number(root, path.Join(dir, limit))
			if !ok || l >= unlimited {
				continue
			}
			u, ok := number(root, path.Join(dir, used))
			if !ok {
				continue
			}
			u -= field(root, path.Join(dir, "memory.stat"), cached)
			free, limited = min(free, max(0, l-u)), true
		}
	}
	return free, limited
}

// unlimited is where version 1 begins to mean no limit: it writes the largest
// number of whole pages.
const unlimited = math.MaxInt64 / 2

// group is a cgroup of this process in a hierarchy that has a controller. Paths
// are relative to /.
type group struct {
	mount, dir string // where the hierarchy is mounted; the group's own folder
	unified    bool   // version 2
}

// upwards gives the group's folder and those above it.
func (g group) upwards(yield func(dir string) bool) {
	for dir := g.dir; yield(dir); dir = path.Dir(dir) {
		if dir == g.mount || dir == "." {
			return
		}
	}
}

// groups finds the groups by the two files that say which they are (man 7
// cgroups) and where they are mounted (man 5 proc).
func groups(root fs.FS, controller string) (list []group) {
	mounts := lines(root, "proc/self/mountinfo")
	for _, line := range lines(root, "proc/self/cgroup") {
		// hierarchy-ID:controllers:path; version 2 has ID 0, no controllers.
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		unified := f[0] == "0"
		kind, option := "cgroup2", ""
		if !unified {
			if !slices.Contains(strings.Split(f[1], ","), controller) {
				continue
			}
			kind, option = "cgroup", controller
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
			list = append(list, group{mount, path.Join(mount, rel), unified})
			break
		}
	}
	return list
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

// number reads a file that holds one number; not "max" or nonsense.
func number(root fs.FS, name string) (n int64, ok bool) {
	l := lines(root, name)
	if len(l) != 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(l[0]), 10, 64)
	return n, err == nil && n >= 0
}

// field reads a number from a file of lines "name number"; 0 without it.
func field(root fs.FS, name, key string) int64 {
	for _, l := range lines(root, name) {
		if v, ok := strings.CutPrefix(l, key+" "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}

func lines(root fs.FS, name string) []string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}
