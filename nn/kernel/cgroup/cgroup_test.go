package cgroup

import (
	"testing"
	"testing/fstest"
)

const (
	mountV2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountV1 = "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
)

func TestFreeMemory(t *testing.T) {
	for _, c := range []struct {
		name    string
		files   map[string]string
		want    int64
		limited bool
	}{
		{"no cgroups at all", nil, 0, false},
		{"version 2 without a limit", map[string]string{
			"proc/self/cgroup":                     "0::/user.slice\n",
			"proc/self/mountinfo":                  mountV2,
			"sys/fs/cgroup/user.slice/memory.max":  "max\n",
			"sys/fs/cgroup/user.slice/memory.stat": "inactive_file 5\n",
		}, 0, false},
		{"version 2, cached files count as free", map[string]string{
			"proc/self/cgroup":                 "0::/job\n",
			"proc/self/mountinfo":              mountV2,
			"sys/fs/cgroup/job/memory.max":     "700000000\n",
			"sys/fs/cgroup/job/memory.current": "300000000\n",
			"sys/fs/cgroup/job/memory.stat":    "anon 1\ninactive_file 100000000\nactive_file 7\n",
		}, 500000000, true},
		{"version 2, the parent is stricter", map[string]string{
			"proc/self/cgroup":                       "0::/outer/job\n",
			"proc/self/mountinfo":                    mountV2,
			"sys/fs/cgroup/outer/job/memory.max":     "700000000\n",
			"sys/fs/cgroup/outer/job/memory.current": "100\n",
			"sys/fs/cgroup/outer/memory.max":         "500000000\n",
			"sys/fs/cgroup/outer/memory.current":     "450000000\n",
		}, 50000000, true},
		{"version 2, over the limit", map[string]string{
			"proc/self/cgroup":             "0::/\n",
			"proc/self/mountinfo":          mountV2,
			"sys/fs/cgroup/memory.max":     "100\n",
			"sys/fs/cgroup/memory.current": "200\n",
		}, 0, true},
		{"version 1", map[string]string{
			"proc/self/cgroup":                                "5:memory:/job\n4:cpu,cpuacct:/job\n0::/\n",
			"proc/self/mountinfo":                             mountV1,
			"sys/fs/cgroup/memory/job/memory.limit_in_bytes":  "700000000\n",
			"sys/fs/cgroup/memory/job/memory.usage_in_bytes":  "300000000\n",
			"sys/fs/cgroup/memory/job/memory.stat":            "inactive_file 1\ntotal_inactive_file 200000000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":      "9223372036854771712\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes":      "9000000000\n",
			"sys/fs/cgroup/cpu,cpuacct/memory.limit_in_bytes": "1\n", // not the memory's hierarchy
			"sys/fs/cgroup/cpu,cpuacct/memory.usage_in_bytes": "1\n",
		}, 600000000, true},
		{"nonsense in the files", map[string]string{
			"proc/self/cgroup":             "0::/\nnonsense\n::\n\n1:memory:relative\n",
			"proc/self/mountinfo":          "nonsense\n - cgroup2\n" + mountV2,
			"sys/fs/cgroup/memory.max":     "a lot\n",
			"sys/fs/cgroup/memory.current": "-7\n",
		}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			free, limited := Memory(root)
			if limited != c.limited || limited && free != c.want {
				t.Errorf("%d bytes free, limited %v; want %d, %v", free, limited, c.want, c.limited)
			}
		})
	}
}
