package kernel

import (
	"testing"
	"testing/fstest"
)

const (
	mountV2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountV1 = "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
)

func TestProcessorLimit(t *testing.T) {
	for _, c := range []struct {
		name     string
		affinity int
		files    map[string]string
		want     int
	}{
		{"no cgroups at all", 6, nil, 6},
		{"version 2 without a limit", 6, map[string]string{
			"proc/self/cgroup":                 "0::/user.slice\n",
			"proc/self/mountinfo":              mountV2,
			"sys/fs/cgroup/user.slice/cpu.max": "max 100000\n",
		}, 6},
		{"version 2, two processors", 6, map[string]string{
			"proc/self/cgroup":          "0::/job\n",
			"proc/self/mountinfo":       mountV2,
			"sys/fs/cgroup/job/cpu.max": "200000 100000\n",
		}, 2},
		{"version 2, the parent is stricter", 6, map[string]string{
			"proc/self/cgroup":                      "0::/outer/inner/job\n",
			"proc/self/mountinfo":                   mountV2,
			"sys/fs/cgroup/outer/inner/job/cpu.max": "500000 100000\n",
			"sys/fs/cgroup/outer/cpu.max":           "300000 100000\n",
		}, 3},
		{"version 2, a container that sees its own part as the root", 6, map[string]string{
			"proc/self/cgroup":      "0::/\n",
			"proc/self/mountinfo":   mountV2,
			"sys/fs/cgroup/cpu.max": "400000 100000\n",
		}, 4},
		{"version 2, only the container's part is mounted", 6, map[string]string{
			"proc/self/cgroup":      "0::/docker/abc\n",
			"proc/self/mountinfo":   "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/cpu.max": "400000 100000\n",
		}, 4},
		{"less than half a processor", 6, map[string]string{
			"proc/self/cgroup":      "0::/\n",
			"proc/self/mountinfo":   mountV2,
			"sys/fs/cgroup/cpu.max": "25000 100000\n",
		}, 1},
		{"one and a half", 6, map[string]string{
			"proc/self/cgroup":      "0::/\n",
			"proc/self/mountinfo":   mountV2,
			"sys/fs/cgroup/cpu.max": "75000 50000\n",
		}, 2},
		{"the affinity is stricter", 1, map[string]string{
			"proc/self/cgroup":      "0::/\n",
			"proc/self/mountinfo":   mountV2,
			"sys/fs/cgroup/cpu.max": "400000 100000\n",
		}, 1},
		{"version 1, three processors", 6, map[string]string{
			"proc/self/cgroup":                                "5:memory:/job\n4:cpu,cpuacct:/job\n0::/\n",
			"proc/self/mountinfo":                             mountV1,
			"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us":  "300000\n",
			"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/memory/job/cpu.cfs_quota_us":       "100000\n", // not the processor's hierarchy
			"sys/fs/cgroup/memory/job/cpu.cfs_period_us":      "100000\n",
		}, 3},
		{"version 1 without a limit", 6, map[string]string{
			"proc/self/cgroup":                            "4:cpu,cpuacct:/\n",
			"proc/self/mountinfo":                         mountV1,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
		}, 6},
		{"version 1, a container's path that is not mounted", 6, map[string]string{
			"proc/self/cgroup":                            "4:cpu,cpuacct:/docker/abc\n",
			"proc/self/mountinfo":                         "32 23 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "200000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
		}, 2},
		{"both versions, version 2 without controllers", 6, map[string]string{
			"proc/self/cgroup":                                "4:cpu,cpuacct:/job\n0::/job\n",
			"proc/self/mountinfo":                             mountV2 + mountV1,
			"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us":  "200000\n",
			"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
		}, 2},
		{"nonsense in the files", 6, map[string]string{
			"proc/self/cgroup":      "0::/\nnonsense\n::\n\n1:cpu:relative\n",
			"proc/self/mountinfo":   "nonsense\n - cgroup2\n" + mountV2,
			"sys/fs/cgroup/cpu.max": "a lot\n",
		}, 6},
		{"a period of zero", 6, map[string]string{
			"proc/self/cgroup":      "0::/\n",
			"proc/self/mountinfo":   mountV2,
			"sys/fs/cgroup/cpu.max": "100000 0\n",
		}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := cpuLimit(root, c.affinity); got != c.want {
				t.Errorf("%d processors, want %d", got, c.want)
			}
		})
	}
}
