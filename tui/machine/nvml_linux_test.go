//go:build linux && (amd64 || arm64) && !static

package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// fakeDriver stands in for NVIDIA's library, with the declarations of nvml.h.
const fakeDriver = `
#include <string.h>
typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *n) { *n = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int i, nvmlDevice_t *d) { *d = (nvmlDevice_t)(long)(0x1000 + i); return 0; }
int nvmlDeviceGetName(nvmlDevice_t d, char *s, unsigned int n) { strncpy(s, d == (nvmlDevice_t)0x1000 ? "NVIDIA H200" : "NVIDIA T4", n); return 0; }
int nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *u) { if (d == (nvmlDevice_t)0x1002) return 3; u->gpu = 87; u->memory = 12; return 0; }
int nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *m) { if (d == (nvmlDevice_t)0x1002) return 3; m->total = 150000000000ull; m->free = 89000000000ull; m->used = 61000000000ull; return 0; }
int nvmlDeviceGetTemperature(nvmlDevice_t d, int sensor, unsigned int *t) { if (sensor != 0) return 2; if (d == (nvmlDevice_t)0x1002) return 3; *t = 63; return 0; }
int nvmlDeviceGetPowerUsage(nvmlDevice_t d, unsigned int *mw) { if (d != (nvmlDevice_t)0x1000) return 3; *mw = 512500; return 0; }
`

func TestGPUsAreReadThroughTheDriversLibrary(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to build a stand-in for the driver with")
	}
	dir := t.TempDir()
	src, lib := filepath.Join(dir, "nvml.c"), filepath.Join(dir, "libnvidia-ml.so.1")
	if err := os.WriteFile(src, []byte(fakeDriver), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", lib, src).CombinedOutput(); err != nil {
		t.Skipf("the C compiler does not work here: %v\n%s", err, out)
	}
	defer func(names []string) { nvmlNames = names }(nvmlNames)
	nvmlNames = []string{lib}

	var r gpuReader
	r.open()
	want := []GPU{
		{"NVIDIA H200", 87, 61e9, 150e9, 63, 512.5},
		{"NVIDIA T4", 87, 61e9, 150e9, 63, Untold},            // a GPU that does not tell its power
		{"NVIDIA T4", Untold, Untold, Untold, Untold, Untold}, // a slice of one
	}
	got := r.read()
	if len(got) != len(want) {
		t.Fatalf("read %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("GPU %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestWithoutADriverThereAreNoGPUs(t *testing.T) {
	defer func(names []string) { nvmlNames = names }(nvmlNames)
	nvmlNames = []string{"libnvidia-ml-that-is-not-there.so.1"}
	var r gpuReader
	r.open()
	if got := r.read(); len(got) != 0 {
		t.Errorf("read %+v", got)
	}
}
