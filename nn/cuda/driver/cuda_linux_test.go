//go:build linux && (amd64 || arm64) && !static

package driver

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// played is the binding over functions of Go in the place of libcuda's, which count
// their calls.
func played(t *testing.T, functions map[string]any) (*cudaContext, map[string]int) {
	t.Helper()
	calls := map[string]int{}
	d := &cuda{functions: map[string]uintptr{}, version: 12030}
	for name, f := range functions {
		d.functions[name] = purego.NewCallback(f)
	}
	for _, name := range symbols {
		if d.functions[name] == 0 {
			d.functions[name] = purego.NewCallback(func(uintptr, uintptr, uintptr) uintptr {
				calls[name]++
				return 0
			})
		}
	}
	return &cudaContext{cuda: d}, calls
}

// Clocks and the like are only shown: a driver that does not tell them can be used, one
// that does not tell the number of multiprocessors can't.
func TestDeviceOfADriverThatDoesNotTellEverything(t *testing.T) {
	const notSupported = uintptr(NotSupported)
	for _, c := range []struct {
		untold []int
		ok     bool
	}{
		{nil, true},
		{[]int{attrL2, attrClock, attrMemoryClock, attrBusWidth, attrMPS}, true},
		{[]int{attrSMs}, false},
		{[]int{attrMajor}, false},
	} {
		ctx, _ := played(t, map[string]any{
			"cuDeviceGetName": func(name *[128]byte, n, _ uintptr) uintptr {
				copy(name[:n], "NVIDIA X\x00")
				return 0
			},
			"cuDeviceGetAttribute": func(to *int32, id, _ uintptr) uintptr {
				if slices.Contains(c.untold, int(id)) {
					return notSupported
				}
				*to = int32(id)
				return 0
			},
		})
		v, err := ctx.cuda.device(0)
		if (err == nil) != c.ok {
			t.Errorf("without %v: %v", c.untold, err)
		}
		if err != nil {
			continue
		}
		want := Device{Name: "NVIDIA X", Major: attrMajor, Minor: attrMinor, SMs: attrSMs, SharedMemory: attrShared, ComputeMode: attrComputeMode}
		if c.untold == nil {
			want.L2, want.ClockKHz, want.MemoryKHz, want.BusBits, want.MPS = attrL2, attrClock, attrMemoryClock, attrBusWidth, true
		}
		if v != want {
			t.Errorf("without %v: %+v, want %+v", c.untold, v, want)
		}
	}
}

// What the driver has given is given back where a second call, for the same thing,
// fails.
func TestHalfOfWhatWasAskedForIsGivenBack(t *testing.T) {
	var memory [64]byte
	for _, c := range []struct {
		fails string
		do    func(*cudaContext) error
		back  []string
	}{
		{"cuMemHostGetDevicePointer_v2", func(c *cudaContext) error { _, err := c.AllocHost(64); return err }, []string{"cuMemFreeHost"}},
		{"cuGraphInstantiateWithFlags", func(c *cudaContext) error { _, err := c.EndCapture(1); return err }, []string{"cuGraphDestroy"}},
		{"cuGraphDestroy", func(c *cudaContext) error { _, err := c.EndCapture(1); return err }, []string{"cuGraphExecDestroy"}},
	} {
		ctx, calls := played(t, map[string]any{
			"cuMemHostAlloc": func(p *unsafe.Pointer, _, _ uintptr) uintptr {
				*p = unsafe.Pointer(&memory)
				return 0
			},
			c.fails: func(uintptr, uintptr, uintptr) uintptr { return uintptr(OutOfMemory) },
		})
		if err := c.do(ctx); !Is(err, OutOfMemory) {
			t.Errorf("%s fails: %v", c.fails, err)
		}
		for _, name := range c.back {
			if calls[name] != 1 {
				t.Errorf("%s fails: %s is called %d times, want once; of %v", c.fails, name, calls[name], slices.Sorted(maps.Keys(calls)))
			}
		}
	}
}

// What the driver's compiler says of kernels that it does not take goes with the error,
// in a line.
func TestCompilersWordsGoWithTheError(t *testing.T) {
	ctx, _ := played(t, map[string]any{
		"cuModuleLoadDataEx": func(_ *Module, _, _, _ uintptr, values *struct {
			log  *[8192]byte
			size uintptr
		}) uintptr {
			copy(values.log[:], "ptxas fatal: Unsupported .version 8.0;\nassembly aborted\n\x00")
			return uintptr(NewerPTX)
		},
	})
	_, err := ctx.LoadModule([]byte(".version 8.0"))
	if !Is(err, NewerPTX) || !strings.HasSuffix(err.Error(), ": ptxas fatal: Unsupported .version 8.0; assembly aborted") {
		t.Errorf("%v", err)
	}
}
