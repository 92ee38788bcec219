package ptx

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
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

// On every kind of GPU a convolution's inner loop multiplies and copies what its
// tile takes, and no more: a loop that was unrolled, or split, has other figures.
func TestInnerLoopsDoWhatTheirTilesTake(t *testing.T) {
	text, err := os.ReadFile("loops.tsv")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{} // of GPUs, by kernel
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if i < 2 {
			continue
		}
		var name, gpu string
		var instructions, products, reads, copies int
		if _, err := fmt.Sscan(line, &name, &gpu, &instructions, &products, &reads, &copies); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		at := slices.IndexFunc(Kernels, func(k Kernel) bool { return k.Name == name })
		if at < 0 {
			t.Errorf("there is no kernel %s: go run ./nn/cuda/_build", name)
			continue
		}
		kinds[name]++
		k := Kernels[at]
		warps, filter := k.Block/32, strings.HasPrefix(name, "conv_wgrad_")
		depth, taps := k.Tile.K, 1
		if filter {
			depth, taps = k.pixels(), 3
		}
		flop, moved := 2*taps*k.Tile.M*k.Tile.N*depth, 2*(k.Tile.M+k.Tile.N)*depth
		// A HMMA does 4,096 FLOP, a LDGSTS copies 512 bytes.
		if products*warps*4096 != flop {
			t.Errorf("%s on %s: %d HMMA, want %d FLOP in %d warps", name, gpu, products, flop, warps)
		}
		if have := copies * warps * 512; have < moved || have > moved && !filter { // the filter's threads do not share the copies evenly
			t.Errorf("%s on %s: %d LDGSTS copy %d bytes, want %d", name, gpu, copies, have, moved)
		}
	}
	for _, k := range Kernels {
		if strings.HasPrefix(k.Name, "conv_") && kinds[k.Name] != 6 {
			t.Errorf("%s: the inner loops on %d kinds of GPU are known, want 6: go run ./nn/cuda/_build -ptxas ptxas -nvdisasm nvdisasm", k.Name, kinds[k.Name])
		}
	}
}

func TestUnknownModuleIsAnError(t *testing.T) {
	if _, err := Text("nothing"); err == nil {
		t.Error("no error for a module that there is not")
	}
}
