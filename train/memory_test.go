package train

import (
	"strings"
	"testing"
	"testing/fstest"

	"cifartui/nn"
	"cifartui/train/config"
)

func TestMemoryOfTheArticlesComparison(t *testing.T) {
	runs, err := config.Expand(config.Default(), []config.Sweep{{Key: "batch", Values: []string{"64", "128", "256", "512"}}})
	if err != nil {
		t.Fatal(err)
	}
	article := func(c config.Config) (nn.Spec, error) { return nn.VGG(c.Dropout), nil }
	all, largest, err := memoryOf(runs, article, 1)
	if err != nil {
		t.Fatal(err)
	}
	if all < largest+largest/2 || all > 3*largest || largest > 1200<<20 {
		t.Errorf("all runs take %d MiB, the largest %d", all>>20, largest>>20)
	}
	_, three, _ := memoryOf(runs, article, 3)
	_, seven, _ := memoryOf(runs, article, 7)
	if three <= largest || three >= all || seven != all {
		t.Errorf("the largest three take %d MiB, seven of four %d", three>>20, seven>>20)
	}
}

func TestMemoryNote(t *testing.T) {
	const gb = 1_000_000_000
	for _, c := range []struct {
		order              config.Order
		atOnce             int
		all, largest, free int64
		want               string
	}{
		{config.Interleave, 1, 2 * gb, gb, 3 * gb, ""},
		{config.Interleave, 1, 2 * gb, gb, 0, ""},
		{config.Interleave, 1, 3 * gb, gb, 2 * gb, "gives its memory back after its epoch"},
		{config.Sequential, 1, 3 * gb, gb, 2 * gb, ""},
		{config.Interleave, 1, 3 * gb, 2 * gb, gb, "leave larger batches out"},
		{config.Sequential, 1, 3 * gb, 2 * gb, gb, "leave larger batches out"},
		{config.Sequential, 2, 3 * gb, 2 * gb, gb, "a smaller --parallel"},
	} {
		got := memoryNote(c.order, c.atOnce, c.all, c.largest, c.free)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestAvailableMemory(t *testing.T) {
	meminfo := "MemTotal:        8039724 kB\nMemFree:          123456 kB\nMemAvailable:    2000000 kB\nBuffers: 1 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"the machine's", map[string]string{"proc/meminfo": meminfo}, 2000000 << 10},
		{"a container's", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/memory.max": "700000000\n", "sys/fs/cgroup/memory.current": "100000000\n",
		}, 600000000},
		{"a container's that is used up", map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/memory.max": "700\n", "sys/fs/cgroup/memory.current": "700\n",
		}, 1},
		{"not known", nil, 0},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := availableMemory(root); got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
}

func TestLoneMemoryNote(t *testing.T) {
	if got := loneMemoryNote(900e6, 700e6); !strings.Contains(got, "about 0.9 GB") || !strings.Contains(got, "0.7 GB is free") || !strings.Contains(got, "smaller batch") {
		t.Errorf("%q", got)
	}
	for _, free := range []int64{0, 900e6} {
		if got := loneMemoryNote(900e6, free); got != "" {
			t.Errorf("%d free: %q", free, got)
		}
	}
}
