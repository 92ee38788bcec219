package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/config"
)

func TestMemoryOfTheArticlesComparison(t *testing.T) {
	runs, err := config.Expand(config.Default(), []config.Sweep{{Key: "batch", Values: []string{"64", "128", "256", "512"}}})
	if err != nil {
		t.Fatal(err)
	}
	all, largest, err := memoryOf(runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if all < largest+largest/2 || all > 3*largest || largest > 1200<<20 {
		t.Errorf("all runs take %d MiB, the largest %d", all>>20, largest>>20)
	}
}

func TestMemoryNote(t *testing.T) {
	const gb = 1_000_000_000
	for _, c := range []struct {
		order              config.Order
		all, largest, free int64
		want               string
	}{
		{config.Interleave, 2 * gb, gb, 3 * gb, ""},
		{config.Interleave, 2 * gb, gb, 0, ""},
		{config.Interleave, 3 * gb, gb, 2 * gb, "gives its memory back after its epoch"},
		{config.Sequential, 3 * gb, gb, 2 * gb, ""},
		{config.Interleave, 3 * gb, 2 * gb, gb, "leave larger batches out"},
		{config.Sequential, 3 * gb, 2 * gb, gb, "leave larger batches out"},
	} {
		got := memoryNote(c.order, c.all, c.largest, c.free)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestAvailableMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meminfo")
	text := "MemTotal:        8039724 kB\nMemFree:          123456 kB\nMemAvailable:    2000000 kB\nBuffers: 1 kB\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := availableMemory(path); got != 2000000<<10 {
		t.Errorf("%d bytes", got)
	}
	if got := availableMemory(path + "-none"); got != 0 {
		t.Errorf("%d bytes where nothing is known", got)
	}
}
