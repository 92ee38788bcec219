package ptx

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"testing"
)

// A launch of a kernel that the text lacks would only fail on a GPU.
func TestTheTableNamesWhatTheModulesHold(t *testing.T) {
	entry := regexp.MustCompile(`\.visible \.entry (\w+)\(`)
	for _, m := range Modules {
		text, err := Text(m.Name)
		if err != nil {
			t.Fatal(err)
		}
		target := fmt.Sprintf(".target sm_%d%d", m.Major, m.Minor)
		if m.Exact {
			target += "a"
		}
		if !bytes.Contains(text, []byte(target+"\n")) {
			t.Errorf("module %s is not for %s", m.Name, target)
		}
		var have, want []string
		for _, e := range entry.FindAllSubmatch(text, -1) {
			have = append(have, string(e[1]))
		}
		for _, k := range Kernels {
			if k.Module == m.Name {
				want = append(want, k.Name)
			}
		}
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("module %s holds %v, the table says %v: go generate ./nn/cuda/ptx", m.Name, have, want)
		}
	}
}

func TestKernelsFitAMultiprocessor(t *testing.T) {
	const most = 227 << 10 // of Hopper; the host leaves out what a smaller GPU can't hold
	for _, k := range Kernels {
		if k.Block < 32 || k.Block > 1024 || k.Block%32 != 0 {
			t.Errorf("%s: blocks of %d threads", k.Name, k.Block)
		}
		for _, w := range []int{2, 4, 8, 16, 32, 64} {
			if n := k.Shared(w); n > most {
				t.Errorf("%s: %d bytes of shared memory on images %d wide, want at most %d", k.Name, n, w, most)
			}
		}
	}
}

func TestUnknownModuleIsAnError(t *testing.T) {
	if _, err := Text("nothing"); err == nil {
		t.Error("no error for a module that there is not")
	}
}
